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

"""Action programs as messages."""

from lego_ros.errors import ErrorCode, LegoError
from lego_ros.msg import ActionProgram, ProgramNode, SubAction
from lego_ros.programs.checking import check
from lego_ros.programs.parsing import parse
from lego_ros.ros.program_messages import from_message, to_message
import pytest
from rclpy.serialization import deserialize_message, serialize_message

TEXT = """
objects drawer, knife, plate, sponge
initially closed(drawer), in(knife, drawer), in_hand(sponge, left), contact(sponge, left)
routine open_it {
  reach(drawer, right)
  grasp(drawer, right)
  pull_open(drawer, right) pre not open(drawer) post near(plate, left)
  release(drawer, right)
}
call open_it
if dirty(plate), not in(_, drawer) {
  while dirty(plate) {
    wipe(plate, sponge, left)
  }
} else {
  repeat 3 {
    wait(plate)
  }
}
find(knife)
"""


@pytest.fixture
def message():
    return to_message(parse(TEXT))


def test_over_the_wire_and_back(message):
    received = deserialize_message(serialize_message(message), ActionProgram)
    assert from_message(received) == parse(TEXT)
    assert parse(received.text) == parse(TEXT)


def test_nodes_are_depth_first(message):
    kinds = [node.kind for node in message.nodes]
    assert kinds == [
        ProgramNode.SEQUENCE, ProgramNode.ROUTINE, *[ProgramNode.SUB_ACTION] * 4,
        ProgramNode.CALL, ProgramNode.IF, ProgramNode.WHILE, ProgramNode.SUB_ACTION,
        ProgramNode.REPEAT, ProgramNode.SUB_ACTION, ProgramNode.SUB_ACTION]
    assert [node.parent for node in message.nodes] == [
        -1, 0, 1, 1, 1, 1, 0, 0, 7, 8, 7, 10, 0]
    assert [node.branch for node in message.nodes] == [0] * 10 + [1, 0, 0]
    assert message.nodes[1].name == message.nodes[6].name == 'open_it'
    assert message.nodes[10].count == 3


def test_sub_actions_bring_their_contracts(message):
    pull = message.nodes[4].sub_action[0]
    assert (pull.verb, pull.object_a, pull.object_b, pull.hand) == (
        'pull_open', 'drawer', '', SubAction.RIGHT_HAND)
    assert [(fact.negated, fact.name, list(fact.arguments)) for fact in pull.pre_conditions] == [
        (False, 'contact', ['drawer', 'right']), (False, 'closed', ['drawer']),
        (True, 'open', ['drawer'])]
    assert [(fact.name, list(fact.arguments)) for fact in pull.post_conditions] == [
        ('open', ['drawer']), ('near', ['plate', 'left'])]
    assert message.nodes[-1].sub_action[0].hand == SubAction.NO_HAND


def test_violations_are_told():
    program = parse('objects mug grasp(mug, left)')
    violations = check(program)
    sent = to_message(program, violations)
    assert not sent.checked
    assert list(sent.violations) == [str(violations[0])]
    assert to_message(parse('objects mug wait(mug)')).checked


def _change(change):
    message = to_message(parse(TEXT))
    change(message)
    return message


@pytest.mark.parametrize(('change', 'words'), [
    (lambda m: m.nodes.clear(), 'nodes[0] must be the root'),
    (lambda m: setattr(m.nodes[0], 'kind', ProgramNode.CALL), 'nodes[0] must be the root'),
    (lambda m: setattr(m.nodes[3], 'parent', 3), 'nodes[3]: its parent 3'),
    (lambda m: setattr(m.nodes[3], 'parent', -1), 'nodes[3]: its parent -1'),
    (lambda m: setattr(m.nodes[3], 'parent', 2), 'nodes[3] cannot be in branch 0'),
    (lambda m: setattr(m.nodes[9], 'branch', 1), 'nodes[9] cannot be in branch 1'),
    (lambda m: setattr(m.nodes[8], 'branch', 2), 'nodes[8] cannot be in branch 2'),
    (lambda m: setattr(m.nodes[9], 'kind', 99), 'nodes[9]: kind 99'),
    (lambda m: m.nodes[4].sub_action.clear(), 'nodes[4]: kind 1'),
    (lambda m: setattr(m.nodes[4].sub_action[0], 'hand', 9), 'nodes[4]: 9 is no hand'),
    (lambda m: setattr(m.nodes[4].sub_action[0], 'verb', 'fly'), "'fly' is no sub-verb"),
    (lambda m: setattr(m.nodes[4].sub_action[0], 'object_b', 'mug'), 'pull_open takes 1 object'),
    (lambda m: setattr(m.nodes[10], 'count', 0), 'repeat counts from 1'),
    (lambda m: m.nodes[8].condition.clear(), 'one condition at least'),
    (lambda m: setattr(m.nodes[8].condition[0], 'arguments', []), 'dirty is of 1 arguments'),
    (lambda m: m.objects.clear(), 'one object'),
    (lambda m: setattr(m.nodes[1], 'name', 'Open It'), "'Open It' cannot be a name"),
    (lambda m: setattr(m.nodes[11], 'parent', 0), 'a block has one statement'),
])
def test_a_message_that_is_no_program_is_refused(change, words):
    with pytest.raises(LegoError) as caught:
        from_message(_change(change))
    assert caught.value.code == ErrorCode.PROGRAM_INVALID
    assert words in caught.value.message


def test_a_chain_as_long_as_the_message_holds_is_refused():
    nodes = [ProgramNode(kind=ProgramNode.SEQUENCE, parent=-1)]
    nodes += [ProgramNode(kind=ProgramNode.REPEAT, parent=number, count=1)
              for number in range(4095)]
    with pytest.raises(LegoError, match='more than 32 blocks deep'):
        from_message(ActionProgram(objects=['mug'], nodes=nodes))
