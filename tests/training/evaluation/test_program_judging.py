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

"""Verdicts on programs: against the true ones, and in the kitchen in which they were done."""

from __future__ import annotations

from lego_ros.errors import ErrorCode, LegoError
from lego_ros.programs.parsing import parse
from lego_ros.programs.printing import to_text
from lego_ros.sim.episode import sample_episode
from lego_ros.sim.facts import state_of, TOLD
from lego_ros.training.data.dataset import PairDataset
from lego_ros.training.evaluation.descriptions import read_truth_records
from lego_ros.training.evaluation.program_verdicts import (
    Floor,
    judge_program,
    JUDGED,
    TrueProgram,
)
from lego_ros.training.evaluation.program_world import kitchen_before
from lego_ros.training.vllm.tasks import read_programs
import pytest

TRUE = """objects mug, counter
initially on(mug, counter)
reach(mug, right)
grasp(mug, right)
lift(mug, right)
"""


@pytest.fixture(scope='module')
def truths(kitchen):
    pairs = [*PairDataset(kitchen, 'train'), *PairDataset(kitchen, 'validation')]
    return list(read_truth_records(kitchen, (pair.action_id for pair in pairs)).values())


@pytest.fixture
def true(make_truth, tmp_path):
    return TrueProgram.of(make_truth(program=TRUE), tmp_path / 'truth.jsonl')


def told(facts):
    return {fact for fact in facts if fact.name in TOLD}


def wrong(verdict):
    return {name for name in JUDGED if getattr(verdict, name) not in (True, 1., None)}


def test_the_record_says_what_the_kitchen_says(kitchen, truths):
    episodes = {seed: sample_episode(seed) for seed in {truth.seed for truth in truths}}
    for truth in truths:
        (_, world), (_, after) = episodes[truth.seed].worlds[truth.number:truth.number + 2]
        program = parse(truth.program)
        found = kitchen_before(truth, program)
        surface = {f'dirty({name})' for name in ('counter', 'board', 'hob')}
        differ = found.facts ^ state_of(world).facts
        # Of a spill that the action leaves alone it is not recorded where it is.
        assert {str(fact) for fact in differ} <= surface, truth.label
        assert found.facts <= state_of(world).facts
        true = TrueProgram.of(truth, kitchen)
        assert not {str(fact) for fact in told(true.course.state.facts)
                    ^ told(state_of(after).facts)} - surface


def test_the_true_program_is_right_in_all(kitchen, truths):
    for truth in truths:
        true = TrueProgram.of(truth, kitchen)
        assert wrong(judge_program(true.program, true)) == set(), truth.label


def test_no_program_is_right_in_nothing(true):
    verdict = judge_program(None, true)
    assert wrong(verdict) == set(JUDGED) - {'obj_b'}
    assert verdict.obj_b is None


@pytest.mark.parametrize(('change', 'expected'), [
    # Only in another place does it matter that the mug lay on the counter.
    (('on(mug, counter)', 'in(mug, counter)'), {'conditions'}),
    (('right', 'left'), {'hands', 'conditions', 'outcome'}),
    (('lift(mug, right)\n', 'lift(mug, right)\nshake(mug, right)\n'),
     {'verbs', 'objects', 'hands', 'conditions', 's_verb', 'obj_a'}),
    (('grasp(mug, right)\n', ''),
     {'sound', 'verbs', 'objects', 'hands', 'conditions', 'done', 'outcome', 's_verb', 'obj_a'}),
    (('mug', 'glass'), {'objects', 'obj_a', 'conditions', 'outcome'})])
def test_each_mistake_is_told(true, change, expected):
    verdict = judge_program(parse(TRUE.replace(*change)), true)
    assert wrong(verdict) == expected


def test_shares_are_of_the_places(true):
    verdict = judge_program(parse(TRUE.replace('lift(mug, right)\n', '')), true)
    assert (verdict.s_verb, verdict.obj_a) == pytest.approx((2 / 3, 2 / 3))


def test_calls_in_a_circle_are_wrong_and_end(true):
    verdict = judge_program(parse('objects mug\nroutine a {\n  call a\n}\ncall a\n'), true)
    assert wrong(verdict) == set(JUDGED) - {'parsed', 'obj_b'}


@pytest.mark.parametrize(('program', 'match'), [
    ('objects mug\nfly(mug, right)\n', 'cannot be read'),
    (TRUE.replace('grasp(mug, right)\n', ''), 'cannot be done in its own kitchen')])
def test_a_damaged_truth_is_named(make_truth, tmp_path, program, match):
    with pytest.raises(LegoError, match=match) as caught:
        TrueProgram.of(make_truth(program=program), tmp_path / 'truth.jsonl')
    assert caught.value.code is ErrorCode.SOURCE_UNREADABLE
    assert str(tmp_path / 'truth.jsonl') in caught.value.message


class Asked:
    """What the floor knows of a pair."""

    def __init__(self, number, label, verb):
        self.action_id, self.label, self.verb = str(number), label, verb


def test_the_floor_is_the_most_frequent_program():
    reach = 'objects mug\nreach(mug, right)\n'
    left = 'objects mug\nreach(mug, left)\n'
    near = 'objects mug, counter\ninitially on(mug, counter)\nreach(mug, left)\n'
    near2 = 'objects mug, board\ninitially on(mug, board)\nreach(mug, left)\n'
    other = 'objects bowl\nreach(bowl, left)\n'
    # The steps of three, although no text comes up as often as that of the right hand.
    texts = [reach, reach, left, near2, near, near, other]
    pairs = [Asked(number, 'take the bowl' if text == other else 'take the mug', 'take')
             for number, text in enumerate(texts)]
    floor = Floor(pairs, {str(number): text for number, text in enumerate(texts)})
    assert to_text(floor.program(pairs[0])) == near
    assert to_text(floor.program(pairs[-1])) == other
    unseen = Asked(9, 'take the pot', 'take')
    assert (floor.knows(pairs[0]), floor.knows(unseen)) == (True, False)
    assert to_text(floor.program(unseen)) == near
    assert floor.program(Asked(9, 'stir the pot', 'stir')) is None


def test_the_floor_of_the_kitchen_is_sound(kitchen, truths):
    pairs = PairDataset(kitchen, 'train')
    floor = Floor(pairs, read_programs(kitchen / 'truth.jsonl'))
    by_action = {truth.action_id: truth for truth in truths}
    for pair in pairs:
        true = TrueProgram.of(by_action[pair.action_id], kitchen)
        assert judge_program(floor.program(pair), true).sound
