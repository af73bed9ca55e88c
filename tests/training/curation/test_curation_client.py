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

"""The client against a real HTTP server that answers well, badly, late or not at all."""

import asyncio
import gzip
import socket
import threading
import time
from types import SimpleNamespace

from lego_ros.errors import ErrorCode, LegoError
from lego_ros.training.llm.client import Client, KEY_VARIABLE, read_key, Server, Unanswered
from lego_ros.training.llm.transport import MAX_RESPONSE
import pytest

KEY = 'sk-secret-0123456789'
MESSAGES = [{'role': 'system', 'content': 'Describe.'},
            {'role': 'user', 'content': 'Action: take mug'}]


def ask(llm, key=None, **changes):
    async def once():
        async with Client(Server(llm.url, 'a-model', **{'tries': 1, **changes}), key) as client:
            return await client.ask(MESSAGES)

    return asyncio.run(once())


def test_a_good_answer(llm, answers):
    reply = ask(llm, temperature=0.5, max_tokens=99)
    assert reply.text == answers.sentence.format(noun='mug')
    assert (reply.trouble, reply.model, reply.retries) == (None, 'served-model-1', 0)
    assert (reply.prompt_tokens > 1000, reply.completion_tokens) == (True, 20)
    body = llm.requests[0].body
    assert body == {'model': 'a-model', 'messages': MESSAGES, 'n': 1, 'temperature': 0.5,
                    'max_tokens': 99}


def test_what_the_environment_holds_does_not_go_out(llm, monkeypatch):
    for name, value in (('API_KEY', 'other-key'), ('ADMIN_KEY', 'admin'), ('ORG_ID', 'org-1'),
                        ('PROJECT_ID', 'project-1'), ('CUSTOM_HEADERS', 'X-Own: leaked'),
                        ('BASE_URL', 'http://127.0.0.1:1/v1')):
        monkeypatch.setenv(f'OPENAI_{name}', value)
    monkeypatch.setenv('HTTP_PROXY', 'http://127.0.0.1:1')
    ask(llm)
    ask(llm, KEY)
    without, with_key = (request.headers for request in llm.requests)
    assert 'authorization' not in without
    assert with_key['authorization'] == f'Bearer {KEY}'
    assert set(without) <= {
        'host', 'accept', 'accept-encoding', 'connection', 'user-agent', 'content-length',
        'content-type'}


def test_retry_after_is_honoured(llm, answers):
    times = []

    def answer(request):
        times.append(time.monotonic())
        if request.number == 0:
            return 429, {'Retry-After': '0.9'}, {'error': {'message': 'slow down'}}
        return answers.good(request)

    llm.answer = answer
    assert ask(llm, tries=2).retries == 1
    # Without the header it would be half a second at most.
    assert times[1] - times[0] >= 0.9


def test_retries_back_off(llm, answers):
    times = []

    def answer(request):
        times.append(time.monotonic())
        return (500, {}, b'oops') if request.number < 2 else answers.good(request)

    llm.answer = answer
    assert ask(llm, tries=3).retries == 2
    first, second = times[1] - times[0], times[2] - times[1]
    assert first >= 0.37
    assert second >= 0.75


@pytest.mark.parametrize('status', [408, 429, 500, 503])
def test_tries_are_bounded(llm, status):
    llm.answer = lambda request: (status, {'Retry-After-Ms': '1'}, {'error': {'message': 'no'}})
    with pytest.raises(Unanswered, match=f'HTTP {status}'):
        ask(llm, tries=3)
    assert len(llm.requests) == 3


@pytest.mark.parametrize('status', [400, 413, 422, 302, 307])
def test_other_statuses_are_not_tried_again(llm, status):
    llm.answer = lambda request: (status, {'Location': llm.url + '/elsewhere'},
                                  {'error': {'message': 'bad words'}})
    reply = ask(llm, tries=5)
    assert reply.trouble == 'refused'
    assert f'HTTP {status}' in reply.detail
    assert len(llm.requests) == 1


@pytest.mark.parametrize('status', [401, 403, 404])
def test_a_wrong_key_or_model_ends_the_run(llm, status):
    llm.answer = lambda request: (status, {}, {'error': {'message': f'{KEY} is unknown'}})
    with pytest.raises(LegoError, match=f'HTTP {status}') as caught:
        ask(llm, KEY, tries=5)
    assert caught.value.code == ErrorCode.INVALID_SETTING
    assert KEY not in str(caught.value)
    assert KEY_VARIABLE in str(caught.value)
    assert len(llm.requests) == 1


def test_a_server_that_hangs(llm):
    gone = threading.Event()
    llm.answer = lambda request: gone.wait(10) and None
    begin = time.monotonic()
    with pytest.raises(Unanswered, match=r'[Tt]ime'):
        ask(llm, timeout=0.3)
    assert time.monotonic() - begin < 5
    gone.set()


def test_a_server_that_trickles(llm):
    def answer(request):
        out = request.handler.wfile
        out.write(b'HTTP/1.1 200 OK\r\nContent-Length: 10000\r\n\r\n')
        for _ in range(200):
            out.write(b' ')
            out.flush()
            time.sleep(0.02)  # The pace of the trickle; nothing is waited for.

    llm.answer = answer
    begin = time.monotonic()
    with pytest.raises(Unanswered):
        ask(llm, timeout=0.4)
    assert time.monotonic() - begin < 3


def test_a_connection_that_is_cut(llm, answers):
    llm.answer = lambda request: request.cut() if request.number == 0 else answers.good(request)
    assert ask(llm, tries=2).retries == 1


def test_no_server_at_all():
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        nobody = SimpleNamespace(url=f'http://127.0.0.1:{free.getsockname()[1]}/v1')
        with pytest.raises(Unanswered, match='Connect'):
            ask(nobody)


@pytest.mark.parametrize(('body', 'headers'), [
    (b'', {}),
    (b'<html>Bad gateway</html>', {'Content-Type': 'text/html'}),
    (b'{"choices": [', {}),
    (b'[1, 2]', {}),
    (b'{"choices": []}', {}),
    (b'{"choices": [{"message": {"content": 7}}]}', {}),
    (b'{"choices": [{}]}', {}),
    (b'\xff\xfe\x00', {}),
    (b'{"choices": [{"message": {"content": "a"}}], "usage": {"prompt_tokens": -1, '
     b'"completion_tokens": 1}}', {}),
    (b'x' * (MAX_RESPONSE + 1), {}),
    (gzip.compress(b' ' * 10_000_000), {'Content-Encoding': 'gzip'}),
])
def test_garbage_is_told_from_an_answer(llm, body, headers):
    llm.answer = lambda request: (200, headers, body)
    reply = ask(llm, tries=3)
    assert reply.trouble == 'malformed'
    assert reply.detail
    assert len(llm.requests) == 1


def test_an_answer_with_little_in_it(llm):
    llm.answer = lambda request: (200, {}, {'choices': [{'message': {'content': None}}]})
    reply = ask(llm)
    assert (reply.text, reply.trouble, reply.prompt_tokens, reply.model) == ('', None, None, '')


@pytest.mark.parametrize(('choice', 'trouble'), [
    ({'finish_reason': 'length', 'message': {'content': 'The person takes the'}}, 'cut_off'),
    ({'finish_reason': 'content_filter', 'message': {'content': ''}}, 'refused'),
    ({'finish_reason': 'stop', 'message': {'content': None, 'refusal': 'I cannot'}}, 'refused'),
])
def test_an_answer_that_is_none(llm, answers, choice, trouble):
    llm.answer = lambda request: (200, {}, answers.completion('', choices=[choice]))
    assert ask(llm).trouble == trouble


def test_a_key_that_comes_back_is_blotted_out(llm, answers):
    llm.answer = lambda request: (200, {}, answers.completion(f'Your key is {KEY}.', model=KEY))
    reply = ask(llm, KEY)
    assert (reply.text, reply.model) == ('Your key is ***.', '***')


def test_the_key_comes_from_the_environment(monkeypatch):
    monkeypatch.delenv(KEY_VARIABLE, raising=False)
    assert read_key() is None
    monkeypatch.setenv(KEY_VARIABLE, f' {KEY}\n')
    assert read_key() == KEY
    monkeypatch.setenv(KEY_VARIABLE, 'two words')
    with pytest.raises(LegoError, match=KEY_VARIABLE):
        read_key()


@pytest.mark.parametrize('url', [
    'localhost:8000', 'ftp://localhost/v1', 'http://', 'http://[::1', 'http://me:word@host/v1',
    'http://host/v1?key=1', 'http://host:99999/v1'])
def test_addresses_that_are_none(url):
    with pytest.raises(LegoError) as caught:
        Server(url, 'a-model')
    assert caught.value.code == ErrorCode.INVALID_SETTING
    assert 'word' not in str(caught.value).replace('password', '')
