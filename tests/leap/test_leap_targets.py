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

import json

from lego_ros.errors import ErrorCode, LegoError
from lego_ros.leap.classes import ProgramClasses
from lego_ros.leap.conditions import conditions_of
from lego_ros.leap.sequence import sequence_of
from lego_ros.leap.targets import IGNORED, stack, targets_of
from lego_ros.programs.parsing import parse
from lego_ros.programs.tree import Call, Predicate, Program, Routine
from lego_ros.programs.vocabulary import default_vocabulary
import pytest

TAKE = """objects knife, drawer, board
initially in(knife, drawer), open(drawer), closed(board)
reach(knife, right)
grasp(knife, right)
lift(knife, right)
carry(knife, board, right)
place(knife, board, right)
"""
OPEN = """objects drawer
initially closed(drawer)
routine seize {
  reach(drawer, left)
  grasp(drawer, left)
}
call seize
pull_open(drawer, left)
"""
CONTROL = """objects cucumber, knife, board
initially in_hand(knife, right), on(cucumber, board)
repeat 2 {
  reach(cucumber, right)
}
while not cut(cucumber) {
  cut(cucumber, knife, right)
}
if cut(cucumber) {
  find(board)
} else {
  find(knife)
}
"""
VOCABULARY = default_vocabulary()


def facts(*texts):
    found = set()
    for text in texts:
        name, arguments = text[:-1].split('(')
        found.add(Predicate(name, tuple(arguments.split(', '))))
    return found


def test_a_straight_program_is_a_sequence_with_its_calls_expanded():
    assert [str(action) for action in sequence_of(parse(OPEN), 16)] == [
        'reach(drawer, left)', 'grasp(drawer, left)', 'pull_open(drawer, left)']
    assert len(sequence_of(parse(OPEN), 2)) == 2


def test_control_flow_is_in_the_order_of_the_text():
    assert [str(action) for action in sequence_of(parse(CONTROL), 16)] == [
        'reach(cucumber, right)', 'cut(cucumber, knife, right)', 'find(board)', 'find(knife)']


@pytest.mark.parametrize(('routines', 'told'), [
    ((), 'no such routine'), ((Routine('a', (Call('b'),)), Routine('b', (Call('a'),))), 'circle')])
def test_calls_that_cannot_be_followed_are_told(routines, told):
    with pytest.raises(LegoError, match=told) as caught:
        sequence_of(Program(('x',), (Call('a'),), (), routines), 16)
    assert caught.value.code is ErrorCode.PROGRAM_INVALID


def test_what_a_program_needs_and_gives():
    before, after = conditions_of(parse(TAKE), VOCABULARY)
    # The drawer's and the board's state neither matters nor changes.
    assert before == facts('in(knife, drawer)')
    assert after == facts('on(knife, board)', 'open(drawer)', 'closed(board)',
                          'contact(knife, right)', 'near(knife, right)')
    before, after = conditions_of(parse(OPEN), VOCABULARY)
    assert before == facts('closed(drawer)')
    assert after == facts('open(drawer)', 'near(drawer, left)', 'contact(drawer, left)')


def test_needs_that_are_not_stated_are_needs_too():
    before, _ = conditions_of(parse('objects drawer\npull_open(drawer, left)\n'), VOCABULARY)
    assert before == facts('closed(drawer)', 'contact(drawer, left)')
    # What the program has opened itself, it does not need from before.
    before, _ = conditions_of(parse(
        'objects a\ninitially contact(a, left), closed(a)\n'
        'pull_open(a, left)\npush_shut(a, left)\n'), VOCABULARY)
    assert before == facts('contact(a, left)', 'closed(a)')


def test_what_is_needed_of_anything_is_what_the_beginning_has_of_it():
    before, _ = conditions_of(parse(
        'objects a, b\ninitially in_hand(b, left), switched_on(a)\n'
        'find(a) pre in_hand(_, left)\n'), VOCABULARY)
    assert before == facts('in_hand(b, left)')


def test_the_way_of_a_program_with_control_flow_is_the_interpreters():
    before, after = conditions_of(parse(CONTROL), VOCABULARY)
    assert before == facts('in_hand(knife, right)')
    assert facts('cut(cucumber)', 'seen(board)', 'on(cucumber, board)') <= after
    assert Predicate('seen', ('knife',)) not in after


def test_a_program_that_waits_for_what_nobody_does_has_conditions_too():
    waiting = parse('objects pot\ninitially contact(pot, left)\n'
                    'switch_on(pot, left)\nwhile not wet(pot) {\n  wait(pot)\n}\nfind(pot)\n')
    _, after = conditions_of(waiting, VOCABULARY)
    assert after == facts('contact(pot, left)', 'switched_on(pot)', 'seen(pot)')


def test_targets(classes):
    found = targets_of(parse(TAKE), classes, 8)
    names = classes.sub_verbs
    assert [names[verb - 1] if verb else 'none' for verb in found.sub_verb] == [
        'reach', 'grasp', 'lift', 'carry', 'place', 'none', 'none', 'none']
    knife, board = classes.object_index('knife'), classes.object_index('board')
    assert found.object_a.tolist() == [knife] * 5 + [0, 0, 0]
    assert found.object_b.tolist() == [0, 0, 0, board, board, 0, 0, 0]
    assert found.length == 5
    assert {str(classes.predicates[index]) for index in found.pre.nonzero()[0]} == {
        'in(knife, drawer)'}
    assert {str(classes.predicates[index]) for index in found.post.nonzero()[0]} == {
        'on(knife, board)', 'open(drawer)'}


def test_what_the_network_does_not_know_is_other_or_ignored(classes):
    program = parse('objects fork, board\ninitially on(fork, board)\nfind(fork)\n'
                    'reach(fork, left)\ngrasp(fork, left)\nlift(fork, left)\n')
    found = targets_of(program, classes, 3)
    assert found.sub_verb.tolist() == [IGNORED, 1, 2]
    assert found.object_a.tolist() == [len(classes.objects)] * 3
    assert found.length == 3
    # The conditions are those of the whole program, not of the steps that are left.
    assert found.pre.nonzero()[0].tolist() == [
        classes.predicates.index(Predicate('on', ('other', 'board')))]
    assert not found.post.any()


def test_a_batch_with_and_without_programs(classes):
    batch = stack([targets_of(parse(TAKE), classes, 8), None], [(1, 1), (0, 2)], classes, 8)
    assert batch.length.tolist() == [5, 0]
    assert batch.action.tolist() == [1, IGNORED]
    assert batch.verb.tolist() == [1, 0]
    assert batch.sub_verb.shape == (2, 8)
    assert not batch.sub_verb[1].any()
    assert not batch.pre[1].any()
    assert batch.pre.shape == (2, len(classes.predicates))
    unknown = stack([None], [(IGNORED, 1)], classes, 8)
    assert (unknown.verb.item(), unknown.noun.item(), unknown.action.item()) == (
        IGNORED, 1, IGNORED)


def test_classes_of_a_training_set():
    programs = [parse(TAKE), parse(OPEN), parse(CONTROL), parse(TAKE)]
    classes = ProgramClasses.collect(
        programs, [('take', 'knife'), ('open', 'drawer'), ('take', 'knife')], min_count=2)
    # Equally frequent ones by name.
    assert classes.sub_verbs == ('reach', 'grasp', 'carry', 'lift', 'place')
    assert classes.objects == ('board', 'drawer', 'knife', 'other')
    # It holds after three of them.
    assert Predicate('open', ('drawer',)) == classes.predicates[0]
    assert Predicate('near', ('knife', 'either')) in classes.predicates
    assert Predicate('cut', ('other',)) not in classes.predicates
    assert classes.verbs == ('open', 'take')
    assert classes.actions == ((0, 0), (1, 1))
    assert classes.action_name(1) == 'take knife'
    everything = ProgramClasses.collect(
        programs, [('take', 'knife')], verbs=['cut', 'take'], nouns=['knife', 'pan'])
    assert everything.actions == ((1, 0),)
    assert Predicate('cut', ('cucumber',)) in everything.predicates
    with pytest.raises(LegoError, match="'open lid' is none of"):
        ProgramClasses.collect(programs, [('open', 'lid')], verbs=['cut'])


def test_classes_go_through_a_file(classes, tmp_path):
    classes.save(tmp_path / 'classes.json')
    assert ProgramClasses.load(tmp_path / 'classes.json') == classes


@pytest.mark.parametrize(('change', 'told'), [
    ({'objects': ['knife']}, "the last must be 'other'"),
    ({'objects': ['Knife', 'other']}, 'objects.0'),
    ({'objects': ['knife', 'knife', 'other']}, 'twice'),
    ({'sub_verbs': ['teleport']}, "'teleport' is none of the vocabulary's"),
    ({'predicates': ['flies(knife)']}, 'predicate of the vocabulary'),
    ({'predicates': ['open(fork)']}, 'objects that are classes'),
    ({'predicates': ['in_hand(knife, right)']}, 'either'),
    ({'predicates': ['open knife']}, 'write it as'),
    ({'predicates': ['open(_)']}, 'is none'),
    ({'actions': [[0, 3]]}, 'no noun 3'),
    ({'actions': [[0, -1]]}, 'actions.0.1'),
    ({'verbs': []}, 'verbs'),
    ({'surplus': 1}, 'surplus'),
    ({'sub_verbs': ['reach'] * 513}, 'sub_verbs')])
def test_classes_that_cannot_be_are_refused(classes, change, told):
    data = json.loads(json.dumps(classes.to_json()))
    with pytest.raises(LegoError, match=told) as caught:
        ProgramClasses.from_json({**data, **change})
    assert caught.value.code is ErrorCode.INVALID_SETTING


@pytest.mark.parametrize('content', [b'', b'{', b'\xff', b'[' * 200_000])
def test_a_file_that_is_no_json_is_told(tmp_path, content):
    path = tmp_path / 'classes.json'
    path.write_bytes(content)
    with pytest.raises(LegoError, match=r'classes\.json') as caught:
        ProgramClasses.load(path)
    assert caught.value.code is ErrorCode.SOURCE_UNREADABLE
    with pytest.raises(LegoError, match='missing'):
        ProgramClasses.load(tmp_path / 'missing.json')
