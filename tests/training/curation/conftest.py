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

"""Answers of a language model, manifests to curate, and the command line."""

import argparse
from dataclasses import dataclass, field
import hashlib
from http.server import BaseHTTPRequestHandler
import os
import re
import socket
import subprocess
import sys
from types import SimpleNamespace

from lego_ros.cli import curate
from lego_ros.training.data.manifest import PairRecord, to_line
import pytest

GOOD = 'The person grasps the {noun} on the counter with the left hand and takes it.'
# The command's own parser: where it hangs in lego-ros is not this test's business.
DRIVER = """
import argparse, sys
from lego_ros.cli import curate
parser = argparse.ArgumentParser()
curate.add_parser(parser.add_subparsers())
args = parser.parse_args(['curate', *sys.argv[1:]])
sys.exit(args.run(args))
"""


def completion(text, prompt='', **changes):
    """Make the body of a good answer; its counts hang on the prompt only."""
    count = int(hashlib.sha256(prompt.encode()).hexdigest()[:4], 16)
    return {
        'id': 'x', 'object': 'chat.completion', 'model': 'served-model-1',
        'choices': [{'index': 0, 'finish_reason': 'stop',
                     'message': {'role': 'assistant', 'content': text}}],
        'usage': {'prompt_tokens': 1000 + count, 'completion_tokens': 20}, **changes}


def good_answer(request):
    noun = re.findall(r'Action: take (\w+)', request.prompt)[-1]
    return 200, {}, completion(GOOD.format(noun=noun), request.prompt)


@dataclass
class Request:
    number: int
    headers: dict
    body: dict
    handler: BaseHTTPRequestHandler = field(repr=False)

    @property
    def prompt(self):
        return self.body['messages'][-1]['content']

    def cut(self):
        """End the connection at once, in the middle of an answer."""
        self.handler.wfile.write(b'HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{"choi')
        self.handler.wfile.flush()
        self.handler.connection.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def llm(llm_server):
    return llm_server(Request, good_answer, completion)


@pytest.fixture
def answers():
    return SimpleNamespace(completion=completion, good=good_answer, sentence=GOOD)


def _picture(role, frame, time):
    return {
        'asked_time': time, 'asked_frame': None, 'asked_base': 1, 'asked_fps': 50.0,
        'asked_source': 'start_timestamp - 0.25 s', 'frame': frame, 'base': 0, 'fps': 50.0,
        'numbering': 'frames', 'time': time,
        'candidates': [{'frame': frame, 'time': time, 'quality': 0.5}],
        'path': f'pictures/ab/{role}.jpg', 'sha256': 'a' * 64, 'width': 256, 'height': 256}


@pytest.fixture
def record():
    """Make a manifest's record: the left hand takes something from the counter."""
    def make(number=0, **changes):
        noun = changes.pop('noun', 'mug')
        dataset = changes.setdefault('dataset', 'kitchen')
        values = {
            'pair_id': f'{dataset}/a{number}', 'action_id': f'a{number}', 'video_id': 'v',
            'video': 'v.mp4', 'split': 'train', 'label': f'take {noun}',
            'narration': f'#C C takes the {noun}', 'verb': 'take', 'verb_class': None,
            'noun': noun, 'noun_class': None, 'hand': 'left',
            'boxes': [
                {'role': 'object', 'picture': 'input', 'box': [0.3, 0.4, 0.4, 0.5], 'name': noun},
                {'role': 'object', 'picture': 'input', 'box': [0.0, 0.3, 1.0, 0.9],
                 'name': 'counter'},
                {'role': 'left_hand', 'picture': 'target', 'box': [0.25, 0.4, 0.4, 0.7]}],
            'input': _picture('input', 117, 2.35), 'target': _picture('target', 167, 3.356),
            'quality_by': 'sharpness', 'similarity': 0.9, 'similarity_by': 'gist_cosine',
            'kept': True, 'reason': 'kept'}
        return PairRecord.model_validate({**values, **changes})

    return make


@pytest.fixture
def manifest(tmp_path, record):
    """Write a manifest of so many actions of different things."""
    things = ('mug', 'glass', 'bowl', 'plate', 'knife', 'fork', 'spoon', 'lid')

    def write(count, *more):
        path = tmp_path / 'pairs.jsonl'
        records = [record(number, noun=things[number % len(things)]) for number in range(count)]
        path.write_bytes(b''.join(map(to_line, [*records, *more])))
        return path

    return write


@pytest.fixture
def call(monkeypatch):
    """Run the command in this process."""
    def run(*words):
        parser = argparse.ArgumentParser()
        curate.add_parser(parser.add_subparsers())
        args = parser.parse_args(['curate', *map(str, words)])
        return args.run(args)

    monkeypatch.delenv('LEGO_LLM_API_KEY', raising=False)
    return run


@pytest.fixture
def command(tmp_path):
    """Start the command in a process of its own."""
    started = []

    def start(*words, **environment):
        clean = {name: value for name, value in os.environ.items()
                 if not name.startswith(('OPENAI_', 'LEGO_LLM'))}
        process = subprocess.Popen(
            [sys.executable, '-c', DRIVER, *map(str, words)], text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=tmp_path,
            env={**clean, **environment})
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()
