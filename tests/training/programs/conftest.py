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

"""Answers of a language model, and clips to ask it about."""

import re

from lego_ros.programs.vocabulary import default_vocabulary
from lego_ros.training.data.problems import ProblemLog
from lego_ros.training.descriptors.clip import Clip
from lego_ros.training.descriptors.narrations import Narrations
from lego_ros.training.llm.client import Server
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

    def __init__(self, number, headers, body, handler):
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


@pytest.fixture
def llm(llm_server):
    return llm_server(Request, lambda request: SOUND.format(noun=request.noun), completion)


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
