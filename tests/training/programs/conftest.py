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

"""A language model's server that does as told, and clips to ask it about."""

from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
import json
import re
import threading

from lego_ros.programs.vocabulary import default_vocabulary
from lego_ros.training.curation.client import Server
from lego_ros.training.data.problems import ProblemLog
from lego_ros.training.descriptors.clip import Clip
from lego_ros.training.descriptors.narrations import Narrations
from lego_ros.training.programs.generate import generate, Plan
from lego_ros.training.programs.results import ResultFiles
import pytest

SOUND = """objects {noun}, counter
initially on({noun}, counter)
reach({noun}, right)
grasp({noun}, right)
lift({noun}, right)
"""
UNSOUND = 'objects {noun}\nlift({noun}, right)\n'
UNPARSABLE = 'objects {noun}\nlevitate({noun}, right)\n'
NOUNS = ('mug', 'plate', 'knife', 'spoon', 'pan', 'bowl', 'cup', 'lid')


class Request:
    """One request; ``noun`` is of the clip asked about, ``round`` counts from 1."""

    def __init__(self, number, headers, body):
        self.number, self.headers, self.body = number, headers, body
        self.messages = body['messages']
        self.round = sum(message['role'] == 'assistant' for message in self.messages) + 1
        first = self.messages[1]['content']
        self.noun = re.search(r'take (\w+)', first.split('Now write the program')[1])[1]


def completion(text, **changes):
    return {
        'object': 'chat.completion', 'model': 'served-1',
        'choices': [{'index': 0, 'finish_reason': 'stop',
                     'message': {'role': 'assistant', 'content': text}}],
        'usage': {'prompt_tokens': 1000, 'completion_tokens': 50}, **changes}


class LlmServer:
    """Answers with ``self.answer(request)``: a text, or status, headers and body; None = never."""

    def __init__(self):
        self.answer = lambda request: SOUND.format(noun=request.noun)
        self.requests = []
        self.over = threading.Event()
        lock = threading.Lock()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = 'HTTP/1.1'

            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers['Content-Length'])))
                with lock:
                    request = Request(len(outer.requests), dict(self.headers), body)
                    outer.requests.append(request)
                answer = outer.answer(request)
                if answer is None:
                    outer.over.wait(60)
                    self.close_connection = True
                    return
                status, headers, content = (
                    (200, {}, completion(answer)) if isinstance(answer, str) else answer)
                data = content if isinstance(content, bytes) else json.dumps(content).encode()
                try:
                    self.send_response(status)
                    for name, value in {'Content-Type': 'application/json', **headers}.items():
                        self.send_header(name, value)
                    self.send_header('Content-Length', str(len(data)))
                    self.end_headers()
                    self.wfile.write(data)
                except OSError:
                    self.close_connection = True

            def log_message(self, *args):
                pass

        class Http(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 64

            def handle_error(self, request, client_address):
                # Clients that go away reset their connections; that is what they are here for.
                pass

        self._server = Http(('127.0.0.1', 0), Handler)
        self.url = f'http://127.0.0.1:{self._server.server_port}/v1'
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={'poll_interval': 0.02}, daemon=True)
        self._thread.start()

    def close(self):
        self.over.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def llm():
    server = LlmServer()
    yield server
    server.close()


@pytest.fixture
def texts():
    """Make programs about a noun: sound, unsound, unparsable."""
    return {'sound': SOUND.format, 'unsound': UNSOUND.format, 'unparsable': UNPARSABLE.format}


@pytest.fixture
def completed():
    return completion


@pytest.fixture
def clips():
    def make(count):
        return [Clip(f'P01_01_{k}', 'P01_01', 2.0 * k, 2.0 * k + 1.5,
                     f'take {NOUNS[k % len(NOUNS)]}', (NOUNS[k % len(NOUNS)],))
                for k in range(count)]

    return make


@pytest.fixture
def run(llm, clips, tmp_path):
    """Generate programs of so many clips; the server's settings by their names."""
    def call(count, folder='out', key=None, on_step=lambda step: None, constraint=None, limit=None,
             rounds=3, prices=None, **server):
        found = clips(count)
        more = {} if constraint is None else {'constraint': constraint}
        plan = Plan(found, {'narrations': Narrations(found)}, default_vocabulary(), limit=limit,
                    rounds=rounds, exemplars=2, prices=prices, **more)
        return generate(plan, ResultFiles(tmp_path / folder), Server(
            llm.url, 'a-model', **{'tries': 1, 'timeout': 60.0, 'concurrency': 4, **server}), key,
            ProblemLog(), on_step)

    return call
