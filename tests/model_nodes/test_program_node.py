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

"""program_node: goals and topics, what is checked before it is told, which frame it is about."""

from __future__ import annotations

from action_msgs.msg import GoalStatus
from lego_ros.errors import ErrorCode
from lego_ros.msg import ActionRecognition, Predicate
from lego_ros.msg import ProgramNode as Node
from lego_ros.nodes.lego_node import LegoNode
from lego_ros.nodes.program_node import ProgramNode
from lego_ros.programs.parsing import parse
from lego_ros.ros.program_messages import from_message
from lego_ros.runtime.instant_model import PROGRAM
from lego_ros.runtime.sharing import SharedModels
from lego_ros.vllm.written import WrittenProgram
import pytest
from rclpy.duration import Duration
from std_msgs.msg import Header

pytestmark = pytest.mark.ros

UNSOUND = 'objects drawer grasp(drawer, right)'
HELD = 'objects mug, table carry(mug, table, right)'


@pytest.fixture
def node(start):
    node = start(make=ProgramNode)
    node.show()
    return node


def expect_program(node, goal):
    status, result = goal.end()
    assert (status, result.error_code) == (GoalStatus.STATUS_SUCCEEDED, 0), result.error_msg
    return result.action_program


def test_a_goal_is_answered_by_the_program(node):
    frame = node.show()
    goal = node.ask('how do I open the drawer?', query_id='one', seed=7)
    message = expect_program(node, goal)
    assert from_message(message) == parse(PROGRAM) == parse(message.text)
    assert [entry.sub_action[0].verb for entry in message.nodes if entry.kind == Node.SUB_ACTION
            ] == ['reach', 'grasp', 'release']
    assert (message.checked, list(message.violations), message.confidence) == (True, [], 0.5)
    assert message.header == frame.header
    assert (message.query_id, message.query, message.action) == (
        'one', 'how do I open the drawer?', 'open the drawer')
    assert message.description == 'The person does this: open the drawer.'
    assert node.model.written_from == [message.description]
    source = message.provenance
    assert (source.bundle, source.seed) == ('instant', 7)
    assert [timing.stage for timing in source.stages] == ['decode', 'describe', 'write', 'check']
    assert node.wait(lambda: node.programs) == [message]


def test_feedback_tells_the_text_as_it_grows(node):
    node.model.reached.clear()
    node.model.hold = 'write'
    goal = node.ask()
    node.wait(node.model.reached.is_set)
    for done in (1, 2):
        node.model.step()
        # rclpy's client drops what comes later than the result: not too quick.
        node.wait(lambda done=done: goal.feedback and (
            goal.feedback[-1].stage, goal.feedback[-1].step) == ('write', done))
    node.model.free()
    expect_program(node, goal)
    assert goal.stages()[:4] == ['waiting', 'decode', 'describe', 'write']
    texts = [message.text for message in goal.feedback if message.stage == 'write']
    assert texts[:3] == ['', PROGRAM[:10], PROGRAM[:20]]


def test_a_description_that_the_asker_has_is_used(node):
    message = expect_program(node, node.ask(description='With the left hand.'))
    assert message.description == 'With the left hand.'
    assert (node.model.written_from, node.model.steps['describe']) == (['With the left hand.'], 0)


def test_queries_by_topic_and_speech(node):
    assert node.ask_by_topic('close the door', 'topic').error_code == 0
    program = node.wait(lambda: node.programs)[0]
    assert (program.query_id, program.action) == ('topic', 'close the door')


def test_the_program_is_about_the_frame_that_was_seen_when_it_was_asked_for(node):
    """Though another answer keeps the models busy, and the camera goes on."""
    node.model.hold = 'describe'
    node.ask()
    node.wait(node.model.reached.is_set)
    seen = node.show(value=10)
    goal = node.ask()
    node.wait(goal.stages)
    node.show(value=200)
    node.model.free()
    assert expect_program(node, goal).header == seen.header


def test_an_unsound_program_is_kept_back(node):
    node.model.program = WrittenProgram(UNSOUND, True, 0.5)
    node.expect_refused(node.ask(), ErrorCode.PROGRAM_UNMET, 'near(drawer, right)',
                        'publish_unsound')
    assert not node.programs


def test_an_unsound_program_is_published_where_a_parameter_allows_it(node):
    node.model.program = WrittenProgram(UNSOUND, True, 0.5)
    assert node.set_parameters(publish_unsound=True)[0].successful
    message = expect_program(node, node.ask())
    assert not message.checked
    assert 'near(drawer, right)' in message.violations[0]


@pytest.mark.parametrize(('written', 'word'), [
    (WrittenProgram('objects drawer grasp(', False, 0.5), 'did not end'),
    (WrittenProgram('objects drawer dance(drawer, right)', True, 0.5), 'dance')])
def test_what_is_no_program_is_never_published(node, written, word):
    node.model.program = written
    assert node.set_parameters(publish_unsound=True)[0].successful
    node.expect_refused(node.ask(), ErrorCode.PROGRAM_INVALID, word)
    assert not node.programs


def test_it_can_be_cancelled_while_it_is_written(node):
    node.model.hold = 'write'
    goal = node.ask()
    node.wait(node.model.reached.is_set)
    assert len(goal.cancel().goals_canceling) == 1
    node.model.step()
    status, result = goal.end()
    assert (status, result.error_code) == (GoalStatus.STATUS_CANCELED, ErrorCode.CANCELED)


def test_without_a_frame_it_says_so_at_once(start):
    node = start(make=ProgramNode)
    node.expect_refused(node.ask(), ErrorCode.NO_FRAME, 'no camera frame')
    # Of a picture of its own it can be asked all the same.
    expect_program(node, node.ask(image=node.picture()))


def test_an_inactive_node_says_so(start):
    node = start(make=ProgramNode, up=False)
    node.expect_refused(node.ask(), ErrorCode.NOT_ACTIVE, 'not active')


def test_it_shares_the_models_of_lego_node(start):
    """A worker runs both nodes' queries in turn, and the last node frees the models."""
    models = SharedModels()
    lego = start(models=models)

    def load(*_):
        return lego.model

    lego_again = start(models=models, load_model=load)
    program = start(make=ProgramNode, models=models, load_model=load)
    assert program.node._worker is lego_again.node._worker
    assert isinstance(lego_again.node, LegoNode)
    program.show()
    expect_program(program, program.ask())


@pytest.fixture
def holding(start):
    """Start a node that writes a program for a thing in the hand, and say that it is there."""
    node = start(make=ProgramNode)
    node.model.program = WrittenProgram(HELD, True, 0.5)
    node.show()
    publisher = node.client.create_publisher(ActionRecognition, 'action_recognition', 10)
    node.wait(publisher.get_subscription_count)

    def recognise(age):
        stamp = (node.client.get_clock().now() - Duration(seconds=age)).to_msg()
        message = ActionRecognition(header=Header(stamp=stamp), after=[
            Predicate(name='in_hand', arguments=['mug', 'either']),
            Predicate(name='open', arguments=['drawer'])])
        publisher.publish(message)
        node.wait(lambda: (heard := node.node._queries._recognition) and (
            heard.header.stamp == stamp))
        return stamp
    node.recognise = recognise
    return node


def test_what_was_recognised_is_a_part_of_what_a_program_begins_from(holding):
    assert holding.set_parameters(max_recognition_age=5.0)[0].successful
    stamp = holding.recognise(1.0)
    message = expect_program(holding, holding.ask())
    assert (message.checked, list(message.violations)) == (True, [])
    # The drawer is not what the program is about; the hand is that of the program.
    assert from_message(message) == parse(
        'objects mug, table initially in_hand(mug, right) carry(mug, table, right)')
    assert parse(message.text) == from_message(message)
    assert message.recognised == message.initial_state
    assert message.provenance.recognition == stamp


def test_by_default_it_is_not(holding):
    holding.recognise(0.0)
    holding.expect_refused(
        holding.ask(), ErrorCode.PROGRAM_UNMET, 'in_hand(mug, right)', 'publish_unsound')


def test_what_was_recognised_long_ago_or_of_another_picture_is_not(holding):
    assert holding.set_parameters(max_recognition_age=5.0, publish_unsound=True)[0].successful
    holding.recognise(6.0)
    message = expect_program(holding, holding.ask())
    holding.recognise(1.0)
    other = expect_program(holding, holding.ask(image=holding.picture()))
    for each in (message, other):
        assert not each.checked
        assert (list(each.recognised), each.provenance.recognition.sec) == ([], 0)
