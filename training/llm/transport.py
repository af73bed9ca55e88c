# Copyright 2026 The lego_ros Authors
#
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.

"""The way to a server: what may go out and what may come in, for each request."""

from __future__ import annotations

from collections.abc import AsyncIterator
import time

import httpx2
import openai

MAX_RESPONSE = 1 << 20
"""Largest answer in bytes; a sentence with its counts has some 1 kB."""
# The client library adds what it finds in OPENAI_* variables and on this machine; a server that
# was named by its address is not to be told.
_HEADERS = {'host', 'accept', 'accept-encoding', 'connection', 'content-length', 'content-type',
            'user-agent'}


class ResponseTooLarge(openai.OpenAIError):
    """
    An answer larger than :data:`MAX_RESPONSE`, or packed so that its size is not known.

    The client library hands on errors of its own kind at once instead of asking again.
    """


class GuardedTransport(httpx2.AsyncBaseTransport):
    """
    HTTP with the key put in at the last moment, and answers bounded in size and time.

    :param key: sent as a bearer token; None = none is sent.
    :param seconds: within which an answer must have come, from the request on.
    :param connections: how many there may be at once.
    """

    def __init__(self, key: str | None, seconds: float, connections: int) -> None:
        self._key = key
        self._seconds = seconds
        self._inner = httpx2.AsyncHTTPTransport(
            trust_env=False, limits=httpx2.Limits(max_connections=connections,
                                                  max_keepalive_connections=connections))

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """
        Send a request.

        :param request: to send, with the headers that are allowed.
        :returns: the answer, whose body is read within the bounds.
        :raises httpx2.TransportError: no connection, or no answer in time.
        :raises ResponseTooLarge: it is packed.
        """
        deadline = time.monotonic() + self._seconds
        headers = {name: request.headers[name] for name in _HEADERS & set(request.headers)}
        headers['accept-encoding'] = 'identity'
        if self._key:
            headers['authorization'] = f'Bearer {self._key}'
        # A copy: the client library looks its own headers up in the one it made.
        sent = httpx2.Request(request.method, request.url, headers=headers,
                              stream=request.stream, extensions=request.extensions)
        response = await self._inner.handle_async_request(sent)
        if response.headers.get('Content-Encoding', 'identity') != 'identity':
            await response.aclose()
            raise ResponseTooLarge('the answer is packed, which was not asked for')
        body = response.stream
        assert isinstance(body, httpx2.AsyncByteStream)
        response.stream = _Bounded(body, deadline, request)
        return response

    async def aclose(self) -> None:
        """Close the connections."""
        await self._inner.aclose()


class _Bounded(httpx2.AsyncByteStream):
    def __init__(self, body: httpx2.AsyncByteStream, deadline: float, request: httpx2.Request
                 ) -> None:
        self._body = body
        self._deadline = deadline
        self._request = request

    async def __aiter__(self) -> AsyncIterator[bytes]:
        size = 0
        async for block in self._body:
            size += len(block)
            if size > MAX_RESPONSE:
                raise ResponseTooLarge(f'the answer is larger than {MAX_RESPONSE} bytes')
            # The time-out of reading is for each block: a trickle would never meet it.
            if time.monotonic() > self._deadline:
                raise httpx2.ReadTimeout('the answer comes too slowly', request=self._request)
            yield block

    async def aclose(self) -> None:
        await self._body.aclose()
