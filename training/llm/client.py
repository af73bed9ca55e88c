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

"""
A language model behind any server with OpenAI's chat completions interface.

Connections, retries with exponential back-off, jitter and Retry-After are the ``openai``
package's. The key comes from the environment and reaches nothing but the request's header.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
import os
from typing import Any
from urllib.parse import urlsplit

import httpx2
from lego_ros.errors import ErrorCode, LegoError
from lego_ros.training.llm.journal import Trouble
from lego_ros.training.llm.transport import GuardedTransport, ResponseTooLarge
import openai
from pydantic import BaseModel, Field, ValidationError

KEY_VARIABLE = 'LEGO_LLM_API_KEY'
"""Environment variable that holds the server's key."""
MAX_TEXT = 16_384
"""The longest answer [characters]; a good program is ten times shorter, a sentence a hundred."""
_MAX_DETAIL = 300
_CONNECT_SECONDS = 10.0


@dataclass(frozen=True)
class Server:
    """
    Which server is asked, and how.

    :param url: its address up to ``/v1``: ``http://localhost:8000/v1``.
    :param model: the model's name there.
    :param temperature: of sampling; 0 = the likeliest word each time.
    :param max_tokens: of an answer.
    :param concurrency: how many requests at once.
    :param timeout: seconds that one request may take.
    :param tries: how often one request is made at most, from 1.
    :raises LegoError: INVALID_SETTING: the address is none.
    """

    url: str
    model: str
    temperature: float = 0.2
    max_tokens: int = 200
    concurrency: int = 8
    timeout: float = 60.0
    tries: int = 6

    def __post_init__(self) -> None:
        try:
            parts = urlsplit(self.url)
            fine = parts.scheme in ('http', 'https') and bool(parts.hostname)
            fine = fine and (parts.port is None or parts.port > 0)
        except ValueError:
            fine = False
        if not fine:
            raise LegoError(ErrorCode.INVALID_SETTING,
                            'the server is no address such as http://localhost:8000/v1')
        if parts.username is not None or parts.query or parts.fragment:
            raise LegoError(ErrorCode.INVALID_SETTING,
                            "the server's address must hold no name, password or query; the "
                            f'key comes from the variable {KEY_VARIABLE}')


def read_key() -> str | None:
    """
    Read the server's key from the environment.

    :returns: the key; None = there is none.
    :raises LegoError: INVALID_SETTING: it cannot be one.
    """
    key = os.environ.get(KEY_VARIABLE, '').strip()
    if not (key.isascii() and key.isprintable()) or ' ' in key:
        raise LegoError(ErrorCode.INVALID_SETTING,
                        f'{KEY_VARIABLE} holds signs that no key has')
    return key or None


class Unanswered(Exception):
    """The server gave no answer, however often it was asked; asking later may help."""


@dataclass(frozen=True)
class Reply:
    """
    What a server answered.

    :param text: of the model.
    :param trouble: what is wrong with it; None = nothing that can be seen from outside.
    :param detail: of the trouble, in words.
    :param model: as the server names it; '' = it does not.
    :param prompt_tokens: that it counts; None = it does not.
    :param completion_tokens: likewise.
    :param retries: how often it had to be asked again.
    """

    text: str
    trouble: Trouble | None = None
    detail: str = ''
    model: str = ''
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    retries: int = 0


class _Message(BaseModel):
    content: str | None = None
    refusal: str | None = None


class _Choice(BaseModel):
    message: _Message
    finish_reason: str | None = None


class _Usage(BaseModel):
    prompt_tokens: int = Field(ge=0)
    completion_tokens: int = Field(ge=0)


class _Completion(BaseModel):
    choices: list[_Choice] = Field(min_length=1)
    model: str | None = None
    usage: _Usage | None = None


class Client:
    """
    A connection to a server; an asynchronous context manager.

    :param server: which.
    :param key: of the server; None = it needs none.
    :param fields: of each request's body beyond the chat completions interface.
    """

    def __init__(self, server: Server, key: str | None, fields: dict[str, Any] | None = None
                 ) -> None:
        self._server = server
        self._key = key
        self._fields = fields
        timeout = httpx2.Timeout(server.timeout, connect=min(_CONNECT_SECONDS, server.timeout))
        transport = GuardedTransport(key, server.timeout, server.concurrency)
        self._client = openai.AsyncOpenAI(
            # The transport sends the key; none must come from the library's own variables.
            api_key='none', base_url=server.url, max_retries=server.tries - 1, timeout=timeout,
            http_client=httpx2.AsyncClient(transport=transport, timeout=timeout,
                                           follow_redirects=False, trust_env=False))

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.close()

    async def ask(self, messages: Sequence[dict[str, str]]) -> Reply:
        """
        Ask once, with as many tries as it takes within the bound.

        :param messages: of the chat completions interface.
        :returns: the answer, be it good or not.
        :raises Unanswered: time-outs, 408, 409, 429, 5xx or broken connections to the last.
        :raises LegoError: INVALID_SETTING: the server knows neither the key nor the model.
        """
        create: Any = self._client.chat.completions.with_raw_response.create
        try:
            raw = await create(
                model=self._server.model, messages=list(messages), n=1,
                temperature=self._server.temperature, max_tokens=self._server.max_tokens,
                extra_body=self._fields)
        except (openai.AuthenticationError, openai.PermissionDeniedError,
                openai.NotFoundError) as error:
            raise LegoError(
                ErrorCode.INVALID_SETTING,
                f'the server refuses (HTTP {error.status_code}): {self._clean(error.message)}; '
                f'check --server, --model and the key in {KEY_VARIABLE}') from None
        except openai.APIStatusError as error:
            detail = f'HTTP {error.status_code}: {self._clean(error.message)}'
            if error.status_code in (408, 409, 429) or error.status_code >= 500:
                raise Unanswered(detail) from None
            return Reply('', 'refused', detail)
        except ResponseTooLarge as error:
            return Reply('', 'malformed', str(error))
        except openai.APIConnectionError as error:
            raise Unanswered(self._clean(f'{error.message} ({error.__cause__!r})')) from None
        return self._read(raw.http_response.content, raw.retries_taken)

    def _read(self, content: bytes, retries: int) -> Reply:
        try:
            completion = _Completion.model_validate_json(content)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            where = '.'.join(str(part) for part in first['loc'])
            return Reply('', 'malformed', self._clean(f'{where}: {first["msg"]}'.lstrip(': ')),
                         retries=retries)
        choice, usage = completion.choices[0], completion.usage
        trouble: Trouble | None = None
        detail = ''
        if choice.message.refusal or choice.finish_reason == 'content_filter':
            trouble, detail = 'refused', self._clean(choice.message.refusal or 'content filter')
        elif choice.finish_reason == 'length':
            trouble, detail = 'cut_off', f'longer than {self._server.max_tokens} tokens'
        elif len(choice.message.content or '') > MAX_TEXT:
            trouble, detail = 'cut_off', f'longer than {MAX_TEXT} characters'
        return Reply(
            self._clean(choice.message.content or '', MAX_TEXT), trouble, detail,
            self._clean(completion.model or ''), usage.prompt_tokens if usage else None,
            usage.completion_tokens if usage else None, retries)

    def _clean(self, text: str, length: int = _MAX_DETAIL) -> str:
        """Bound a server's text; some servers repeat the key in what they say of it."""
        return (text.replace(self._key, '***') if self._key else text)[:length]
