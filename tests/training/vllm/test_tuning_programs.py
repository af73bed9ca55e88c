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

"""The adapter that writes programs: what it learns, what stays, and how it is taken up again."""

from __future__ import annotations

import json

from lego_ros.errors import ErrorCode, LegoError
from lego_ros.programs.checking import check
from lego_ros.programs.parsing import parse
from lego_ros.training.data.dataset import PairDataset
from lego_ros.training.run.journal import read_metrics
from lego_ros.training.run.loop import Interrupted
from lego_ros.training.vllm.settings import ProgramSettings
from lego_ros.training.vllm.stage import TuneSources
from lego_ros.training.vllm.tasks import read_programs, WriteProgram
from lego_ros.training.vllm.tune_programs import tune_programs
from lego_ros.vllm.adapter import adapted, CONFIG, WEIGHTS
from lego_ros.vllm.loading import load_vllm
import pytest
from safetensors.torch import load_file
import torch

PROGRAM = """objects left_drawer
initially closed(left_drawer)
reach(left_drawer, right)
grasp(left_drawer, right)
pull_open(left_drawer, right)
"""


def settings(**changes):
    return ProgramSettings(**{
        'epochs': None, 'steps': 8, 'batch_size': 4, 'lr': 3e-3, 'precision': 'fp32',
        'checkpoint_every': 2, 'validate_every': 8, 'log_every': 1,
        'lora': {'rank': 4, 'alpha': 8}, **changes})


def write_truth(path, actions):
    path.write_text(''.join(json.dumps(
        {'schema_version': 'lego_ros/truth/2', 'action_id': action, 'program': PROGRAM,
         'verb': 'open'}) + '\n' for action in actions))
    return path


@pytest.fixture(scope='module')
def sources(tmp_path_factory, write_described, vllm_folder):
    folder = tmp_path_factory.mktemp('programs') / 'data'
    write_described(folder)
    return TuneSources(folder, vllm_folder)


@pytest.fixture(scope='module')
def truth(sources):
    return write_truth(sources.dataset / 'truth.jsonl', [
        pair.action_id for split in ('train', 'validation')
        for pair in PairDataset(sources.dataset, split)])


@pytest.fixture(scope='module')
def whole(tmp_path_factory, sources, truth):
    folder = tmp_path_factory.mktemp('whole')
    return folder, tune_programs(settings(), sources, truth, folder)


def test_language_model_and_head_are_adapted_and_nothing_else(sources, whole):
    model, _, _ = load_vllm(sources.vllm, torch.float32)
    found = dict(adapted(model, whole[1]).named_parameters())
    changed = {name for name, weight in model.named_parameters()
               if not torch.equal(weight, found[name])}
    assert 'lm_head.weight' in changed
    assert {name for name in changed if not name.startswith('model.language_model.layers.')} == {
        'lm_head.weight'}
    assert all('_proj' in name for name in changed - {'lm_head.weight'})


def test_it_learns(whole):
    rows = [row for row in read_metrics(whole[0]) if 'loss' in row]
    assert rows[-1]['loss'] < 0.9 * rows[0]['loss']


def test_the_adapter_does_not_tell_where_it_was_made(whole, sources):
    text = (whole[1] / CONFIG).read_text()
    assert str(sources.vllm) not in text
    assert str(sources.vllm.parent) not in text


def test_interrupted_and_resumed_equals_uninterrupted(tmp_path, sources, truth, whole):
    asked = iter(range(1, 1000))
    with pytest.raises(Interrupted):
        tune_programs(settings(), sources, truth, tmp_path, stop=lambda: next(asked) >= 4)
    result = tune_programs(settings(), sources, truth, tmp_path)
    one, two = (load_file(folder / WEIGHTS) for folder in (result, whole[1]))
    assert one.keys() == two.keys()
    assert all(torch.equal(one[name], two[name]) for name in one)
    # A finished run is not trained again.
    before = (result / WEIGHTS).stat().st_mtime_ns
    tune_programs(settings(), sources, truth, tmp_path)
    assert (result / WEIGHTS).stat().st_mtime_ns == before


def test_other_programs_are_another_run(tmp_path, sources, whole, truth):
    other = tmp_path / 'truth.jsonl'
    other.write_text(truth.read_text().replace('pull_open', 'push_open'))
    with pytest.raises(LegoError) as caught:
        tune_programs(settings(), sources, other, whole[0])
    assert caught.value.code is ErrorCode.INVALID_SETTING


def test_an_action_without_a_program_is_named(tmp_path, sources):
    first = PairDataset(sources.dataset, 'train')[0]
    path = write_truth(tmp_path / 'truth.jsonl', ['another'])
    with pytest.raises(LegoError, match=first.action_id) as caught:
        tune_programs(settings(), sources, path, tmp_path / 'run')
    assert caught.value.code is ErrorCode.SOURCE_UNREADABLE


def test_mirrored_programs_are_programs_of_the_other_side(sources):
    pair = PairDataset(sources.dataset, 'train')[0]
    task = WriteProgram({pair.action_id: PROGRAM})
    asked, plain = task.dialogue(pair, 0, mirrored=False)
    asked_again, mirrored = task.dialogue(pair, 0, mirrored=True)
    assert plain == PROGRAM
    assert pair.description in asked
    assert 'reach(right_drawer, left)' in mirrored
    assert check(parse(mirrored)) == check(parse(plain)) == ()
    assert (asked == asked_again) == (
        not any(side in asked for side in ('left', 'right')))


def test_truth_of_another_schema_is_refused(tmp_path):
    path = tmp_path / 'truth.jsonl'
    path.write_text('{"schema_version": "lego_ros/truth/1", "action_id": "a"}\n')
    with pytest.raises(LegoError, match='line 1'):
        read_programs(path)
