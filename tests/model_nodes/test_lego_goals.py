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

"""Goals on their way: feedback, preemption, cancelling in every stage, failing models."""

from __future__ import annotations

import gc
import threading
import weakref

from action_msgs.msg import GoalStatus
from lego_ros.errors import ErrorCode
from lego_ros.msg import ActionQuery
import numpy as np
import pytest

pytestmark = pytest.mark.ros


@pytest.fixture
def lego(start):
    lego = start()
    lego.show()
    return lego


def hold(lego, stage, **fields):
    """Start a goal that waits in the first step of a stage."""
    lego.model.reached.clear()
    lego.model.hold = stage
    goal = lego.ask(**fields)
    lego.wait(lego.model.reached.is_set, f'the model never came to {stage}')
    return goal


def expect_canceled(lego, goal):
    status, result = goal.end()
    assert status == GoalStatus.STATUS_CANCELED
    assert ErrorCode(result.error_code) == ErrorCode.CANCELED
    assert 'cancelled' in result.error_msg
    lego.expect_reported(ErrorCode.CANCELED, 'cancelled')
    lego.model.free()
    lego.expect_answered()


def test_feedback_names_stages_and_steps(lego):
    goal = hold(lego, 'depict', steps=5)
    for done in range(1, 5):
        lego.model.step()
        # rclpy's client drops what comes later than the result: not too quick.
        lego.wait(lambda done=done: goal.feedback and goal.feedback[-1].step == done)
    lego.model.free()
    assert goal.end()[0] == GoalStatus.STATUS_SUCCEEDED
    assert goal.stages() == ['waiting', 'decode', 'describe', 'described', 'depict']
    steps = [(message.step, message.steps) for message in goal.feedback
             if message.stage == 'depict']
    assert steps[:5] == [(step, 5) for step in range(5)]
    described = next(message for message in goal.feedback if message.stage == 'described')
    assert described.description == 'The person does this: open the drawer.'
    assert described.preview.width == 0


def test_newer_goal_takes_the_place_of_an_older(lego):
    older = hold(lego, 'depict', steps=50)
    newer = lego.ask()
    lego.wait(newer.stages)
    lego.model.free()

    status, result = older.end()
    assert status == GoalStatus.STATUS_ABORTED
    assert ErrorCode(result.error_code) == ErrorCode.PREEMPTED
    assert 'newer' in result.error_msg
    status, result = newer.end()
    assert (status, result.error_code) == (GoalStatus.STATUS_SUCCEEDED, 0)
    assert lego.model.steps['depict'] == 2
    lego.status('answers', lambda status, values: values.get('failed_PREEMPTED') == '1')


def test_newest_of_three_is_answered(lego):
    """The one in the middle never ran."""
    first = hold(lego, 'describe')
    second, third = lego.ask('close the door'), lego.ask('wash the cup')
    assert second.end()[1].error_code == ErrorCode.PREEMPTED
    lego.model.free()
    assert first.end()[1].error_code == ErrorCode.PREEMPTED
    assert third.end()[0] == GoalStatus.STATUS_SUCCEEDED
    assert lego.model.answers == ['open the drawer', 'wash the cup']


def test_topic_query_preempts_a_goal(lego):
    goal = hold(lego, 'depict', query_id='goal')
    lego.queries.publish(ActionQuery(text='close the door', query_id='topic'))
    lego.wait(lambda: 'topic' in lego.node._queries._ids._seen)
    lego.model.free()
    assert goal.end()[1].error_code == ErrorCode.PREEMPTED
    lego.wait(lambda: {(o.query_id, o.error_code) for o in lego.outcomes} == {
        ('goal', ErrorCode.PREEMPTED), ('topic', 0)})


@pytest.mark.parametrize('stage', ['describe', 'depict'])
def test_cancel_while_the_model_works(lego, stage):
    """The running step ends, and no other begins."""
    goal = hold(lego, stage, steps=100)
    assert len(goal.cancel().goals_canceling) == 1
    lego.model.step()
    expect_canceled(lego, goal)
    assert lego.model.answers[0] == 'open the drawer'


@pytest.mark.parametrize('stage', ['describe', 'depict'])
def test_cancel_takes_one_step(lego, stage):
    goal = hold(lego, stage, steps=100)
    for done in range(1, 3):
        lego.model.step()
        lego.wait(lambda done=done: lego.model.steps[stage] == done + 1)
    goal.cancel()
    lego.model.step()
    assert goal.end()[0] == GoalStatus.STATUS_CANCELED
    assert lego.model.steps[stage] == 3


def test_cancel_while_waiting_behind_another(lego):
    """It ends although the other, which it preempted, still works on its last step."""
    older = hold(lego, 'describe')
    waiting = lego.ask('close the door')
    waiting.cancel()
    status, result = waiting.end()
    assert (status, result.error_code) == (GoalStatus.STATUS_CANCELED, ErrorCode.CANCELED)
    lego.expect_reported(ErrorCode.CANCELED, 'cancelled')
    lego.model.free()
    assert older.end()[1].error_code == ErrorCode.PREEMPTED
    assert lego.model.answers == ['open the drawer']
    lego.expect_answered()


def test_cancel_before_decode(start):
    """While the worker decodes a frame, as it would a large one on a slow machine."""
    decoding, go_on = threading.Event(), threading.Event()
    lego = start()
    lego.show()
    decode = lego.node._camera.decode

    def decode_later(*given):
        decoding.set()
        assert go_on.wait(20)
        return decode(*given)
    lego.node._camera.decode = decode_later
    goal = lego.ask()
    lego.wait(decoding.is_set)
    goal.cancel()
    go_on.set()
    expect_canceled(lego, goal)
    # The one of expect_answered; the cancelled goal never came to the model.
    assert len(lego.model.answers) == 1


def test_cancel_ends_canceled_every_time(lego):
    """However quick the worker is: never ABORTED because rclpy had not heard of it yet."""
    for number in range(40):
        goal = hold(lego, 'depict', steps=3, image=lego.picture())
        cancelling = goal.handle.cancel_goal_async()
        lego.model.step()
        lego.model.step()
        lego.model.step()
        lego.result_of(cancelling)
        status, result = goal.end()
        expected = {GoalStatus.STATUS_CANCELED: ErrorCode.CANCELED,
                    GoalStatus.STATUS_SUCCEEDED: ErrorCode.NONE}
        assert status in expected, (number, status, result.error_msg)
        assert result.error_code == expected[status]
        while lego.model.permits.acquire(blocking=False):
            pass


def test_cancel_of_a_waiting_goal_ends_canceled_every_time(lego):
    """Here the job ends inside the cancel callback, before rclpy has made the goal CANCELING."""
    older = hold(lego, 'describe')
    for number in range(40):
        goal = lego.ask()
        goal.cancel()
        assert goal.end()[0] == GoalStatus.STATUS_CANCELED, number
    lego.model.free()
    assert older.end()[1].error_code == ErrorCode.PREEMPTED


FAILURES = {
    'host memory': (MemoryError(), ErrorCode.OUT_OF_MEMORY, ['memory', 'smaller bundle']),
    'device memory': (
        RuntimeError('CUDA out of memory. Tried to allocate 2 GiB'), ErrorCode.OUT_OF_MEMORY,
        ['2 GiB', 'lower precision']),
    'torch': (
        RuntimeError('mat1 and mat2 shapes cannot be multiplied'), ErrorCode.INFERENCE_FAILED,
        ['RuntimeError', 'mat1', 'log']),
    'our own mistake': (KeyError('unet'), ErrorCode.INFERENCE_FAILED, ["KeyError: 'unet'", 'log']),
    'broken assumption': (AssertionError('shape'), ErrorCode.INFERENCE_FAILED, ['shape']),
}


@pytest.mark.parametrize('stage', ['describe', 'depict'])
@pytest.mark.parametrize('name', FAILURES)
def test_model_fails(shared, stage, name):
    error, code, words = FAILURES[name]
    shared.show()
    shared.model.failure, shared.model.fail_in = error, stage
    shared.expect_refused(shared.ask(), code, *words)
    shared.expect_outcome(shared.ask_by_topic(), code, *words)
    shared.model.fail_in = ''
    shared.expect_answered()


@pytest.mark.parametrize('drawn', [
    np.zeros((8, 8), np.uint8), np.zeros((8, 8, 3), np.float32), 'not a picture'],
    ids=['grey', 'float', 'text'])
def test_model_draws_no_picture(shared, drawn):
    shared.show()
    shared.model.picture = drawn
    shared.expect_refused(shared.ask(), ErrorCode.INFERENCE_FAILED, 'model failed')
    shared.model.picture = None
    shared.expect_answered()


def test_failed_answer_frees_its_memory(lego):
    """What lay in the failed step's variables may be the memory that the next answer needs."""
    class Tensor:
        """Stands for a large one."""

    born = []

    def describe(rgb, action, settings, check, on_token):
        tensor = Tensor()
        born.append(weakref.ref(tensor))
        raise RuntimeError('out of memory')
    lego.model.describe = describe
    gc.disable()
    try:
        lego.expect_refused(lego.ask(), ErrorCode.OUT_OF_MEMORY, 'memory')
        assert born[0]() is None
    finally:
        gc.enable()
    del lego.model.describe
    lego.expect_answered()


@pytest.mark.parametrize(('wishes', 'words'), [
    ({'steps': 1001}, ['steps', '1000', '1001']),
    ({'image_scale': 51.}, ['image_scale', '50', '51']),
    ({'image_scale': -1.}, ['image_scale', '-1']),
    ({'text_scale': float('inf')}, ['text_scale', 'inf']),
])
def test_wishes_out_of_range(shared, wishes, words):
    shared.show()
    shared.expect_refused(shared.ask(**wishes), ErrorCode.INVALID_SETTING, *words)
    shared.expect_answered()


def test_wishes_reach_the_answer(shared):
    shared.show()
    source = shared.expect_answered(
        seed=2**64 - 1, steps=7, image_scale=2., text_scale=float('nan')).provenance
    assert (source.seed, source.steps) == (2**64 - 1, 7)
    assert (source.image_scale, source.text_scale) == (2., 7.5)


def test_ended_goals_are_forgotten(lego):
    """Ended goals leave nothing behind in the server."""
    for _ in range(3):
        lego.ask().end()
    lego.wait(lambda: not lego.node._queries._server._jobs)
