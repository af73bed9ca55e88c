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

"""Transitions, as a lifecycle manager asks for them, with and without a goal running."""

from __future__ import annotations

import gc
import threading
import weakref

from action_msgs.msg import GoalStatus
from lego_ros.errors import ErrorCode, LegoError
from lego_ros.msg import EngineInfo
from lego_ros.ros.qos import LATCHED_QOS
from lego_ros.runtime.instant_model import InstantModel
from lifecycle_msgs.msg import Transition
import pytest

pytestmark = pytest.mark.ros

CONFIGURE = Transition.TRANSITION_CONFIGURE
ACTIVATE = Transition.TRANSITION_ACTIVATE
DEACTIVATE = Transition.TRANSITION_DEACTIVATE
CLEANUP = Transition.TRANSITION_CLEANUP
UNCONFIGURED_SHUTDOWN = Transition.TRANSITION_UNCONFIGURED_SHUTDOWN
ACTIVE_SHUTDOWN = Transition.TRANSITION_ACTIVE_SHUTDOWN


def running_goal(lego, steps=50):
    lego.show()
    lego.model.reached.clear()
    lego.model.hold = 'depict'
    goal = lego.ask(steps=steps)
    lego.wait(lego.model.reached.is_set)
    return goal


def test_way_up_and_down(start):
    lego = start(up=False)
    assert lego.state == 'unconfigured'
    for transition, state in ((CONFIGURE, 'inactive'), (ACTIVATE, 'active'),
                              (DEACTIVATE, 'inactive'), (CLEANUP, 'unconfigured'),
                              (CONFIGURE, 'inactive'), (ACTIVATE, 'active')):
        assert lego.change(transition)
        assert lego.state == state
    lego.expect_answered()
    assert lego.change(ACTIVE_SHUTDOWN)
    assert lego.state == 'finalized'
    lego.expect_refused(lego.ask(), ErrorCode.NOT_ACTIVE, 'not active')


@pytest.mark.parametrize(('before', 'transition'), [
    ([], ACTIVATE), ([], DEACTIVATE), ([], CLEANUP), ([], 200),
    ([CONFIGURE], CONFIGURE), ([CONFIGURE], DEACTIVATE),
    ([CONFIGURE, ACTIVATE], CONFIGURE), ([CONFIGURE, ACTIVATE], CLEANUP)])
def test_impossible_transition_is_refused(start, before, transition):
    """Alone, rclpy would raise in the service's callback and end the process."""
    lego = start(up=False)
    for step in before:
        assert lego.change(step)
    state = lego.state
    assert not lego.change(transition)
    assert lego.state == state
    for step in (CONFIGURE, ACTIVATE)[len(before):]:
        assert lego.change(step)
    lego.expect_answered()


@pytest.mark.parametrize('steps', [[], [CONFIGURE]], ids=['unconfigured', 'inactive'])
def test_query_before_activation(start, steps):
    lego = start(up=False)
    for step in steps:
        lego.change(step)
    lego.expect_refused(lego.ask(), ErrorCode.NOT_ACTIVE, 'activate', 'autostart')
    lego.expect_outcome(lego.ask_by_topic(), ErrorCode.NOT_ACTIVE, 'activate')
    for step in (CONFIGURE, ACTIVATE)[len(steps):]:
        assert lego.change(step)
    lego.expect_answered()


@pytest.mark.parametrize('how', ['deactivate', 'shutdown'])
def test_goal_running_when_the_node_stops(start, how):
    lego = start()
    goal = running_goal(lego)
    transition = {'deactivate': DEACTIVATE, 'shutdown': ACTIVE_SHUTDOWN}[how]
    asked = lego.change_later(transition)
    # The transition has begun as soon as the job is told to stop.
    lego.wait(lambda: lego.node._worker._running.token.canceled)
    assert not asked.done()
    lego.model.step()
    assert lego.result_of(asked).success
    assert lego.model.steps['depict'] == 1
    status, result = goal.end()
    assert status == GoalStatus.STATUS_ABORTED
    assert ErrorCode(result.error_code) == ErrorCode.NOT_ACTIVE
    assert {'deactivate': 'deactivated', 'shutdown': 'shuts down'}[how] in result.error_msg
    lego.expect_reported(ErrorCode.NOT_ACTIVE)
    lego.expect_refused(lego.ask(), ErrorCode.NOT_ACTIVE, 'not active')
    lego.model.free()
    if how == 'deactivate':
        assert lego.change(ACTIVATE)
        lego.expect_answered()
    else:
        assert lego.state == 'finalized'
        assert lego.model.closed == 1


def test_cleanup_after_a_goal(start):
    """Nobody may clean up an active node: deactivate ends the goal, then cleanup frees."""
    lego = start()
    goal = running_goal(lego)
    assert not lego.change(CLEANUP)
    asked = lego.change_later(DEACTIVATE)
    lego.wait(lambda: lego.node._worker._running.token.canceled)
    lego.model.free()
    assert lego.result_of(asked).success
    assert goal.end()[1].error_code == ErrorCode.NOT_ACTIVE
    assert lego.change(CLEANUP)
    assert lego.model.closed == 1
    lego.expect_refused(lego.ask(), ErrorCode.NOT_ACTIVE, 'configure')
    assert lego.change(CONFIGURE)
    assert lego.change(ACTIVATE)
    lego.expect_answered()


def test_close_with_a_goal_running(start):
    """What the process does on a signal: the goal's caller still hears why."""
    lego = start()
    goal = running_goal(lego)
    closing = threading.Thread(target=lego.node.close)
    closing.start()
    lego.wait(lambda: lego.node._worker._running.token.canceled)
    lego.model.free()
    closing.join()
    status, result = goal.end()
    assert (status, result.error_code) == (GoalStatus.STATUS_ABORTED, ErrorCode.NOT_ACTIVE)
    assert 'shuts down' in result.error_msg


def test_close_while_a_bundle_loads(start):
    """Loading stops between two parts, and the transition has ended when close returns."""
    loading, go_on = threading.Event(), threading.Event()
    lego = start(up=False)

    def load(choice, check):
        loading.set()
        assert go_on.wait(20)
        check()
        raise AssertionError('loading was not stopped')
    lego.node._load_model = load
    asked = lego.change_later(CONFIGURE)
    lego.wait(loading.is_set)
    closing = threading.Thread(target=lego.node.close)
    closing.start()
    lego.wait(lambda: lego.node._closing)
    assert closing.is_alive()
    go_on.set()
    closing.join()
    assert not lego.result_of(asked).success
    assert lego.state == 'unconfigured'
    assert not lego.change(CONFIGURE)


def test_cleanup_frees_the_model(start):
    lego = start(up=False)
    born = []

    def load(*_):
        model = InstantModel()
        born.append(weakref.ref(model))
        return model
    lego.node._load_model = load
    assert lego.change(CONFIGURE)
    assert lego.change(ACTIVATE)
    lego.expect_answered()
    assert lego.ask('').end()[1].error_code == ErrorCode.INVALID_QUERY
    assert lego.change(DEACTIVATE)
    assert born[0]() is not None
    threads = {thread.name for thread in threading.enumerate()}
    assert 'models' in threads
    assert lego.change(CLEANUP)
    gc.collect()
    assert born[0]() is None
    assert lego.node._worker is None


def test_a_model_that_cannot_be_freed(start):
    """The node goes to error processing and is unconfigured after it, not stuck in between."""
    lego = start()

    def close():
        raise RuntimeError('the device is gone')
    lego.model.close = close
    assert lego.change(DEACTIVATE)
    assert not lego.change(CLEANUP)
    assert lego.state == 'unconfigured'
    del lego.model.close
    assert lego.change(CONFIGURE)
    assert lego.change(ACTIVATE)
    lego.expect_answered()


FAILURES = {
    'named': (LegoError(ErrorCode.BUNDLE_TAMPERED, 'unet is not the file'),
              ErrorCode.BUNDLE_TAMPERED, 'unet is not the file'),
    'memory': (MemoryError('2 GiB'), ErrorCode.OUT_OF_MEMORY, 'memory'),
    'anything else': (KeyError('unet'), ErrorCode.INFERENCE_FAILED, "KeyError: 'unet'"),
}


@pytest.mark.parametrize('name', FAILURES)
def test_configure_fails(start, name):
    error, code, words = FAILURES[name]
    lego = start(up=False)
    good = lego.node._load_model

    def load(*_):
        raise error
    lego.node._load_model = load
    assert not lego.change(CONFIGURE)
    assert lego.state == 'unconfigured'
    status = lego.status(
        'models', lambda status, values: values.get('error_code') == code.name)
    assert status.level == status.ERROR
    assert words in status.message
    assert 'models' not in {thread.name for thread in threading.enumerate()}
    assert not lego.change(ACTIVATE)

    lego.node._load_model = good
    assert lego.change(CONFIGURE)
    assert lego.change(ACTIVATE)
    lego.expect_answered()
    lego.status('models', lambda status, values: 'error_code' not in values)


def test_another_backend_runs_the_bundle_where_engines_are_missing(start):
    lego = start(up=False, parameters={'backend': 'openvino', 'fallback': 'torch'})
    good, asked = lego.node._load_model, []

    def load(choice, check):
        asked.append(choice)
        if choice.backend != 'torch':
            raise LegoError(ErrorCode.BUNDLE_NOT_FOUND, 'no engine; build it')
        return good(choice, check)
    lego.node._load_model = load
    assert lego.change(CONFIGURE)
    assert [choice.backend for choice in asked] == ['openvino', 'torch']
    assert asked[0].engine_cache == ''
    status = lego.status('models', lambda status, values: 'instead' in status.message)
    assert status.level == status.WARN
    assert 'no engine; build it' in status.message
    assert lego.change(ACTIVATE)
    lego.expect_answered()


@pytest.mark.parametrize(('fallback', 'code'), [
    ('error', ErrorCode.BUNDLE_NOT_FOUND), ('openvino', ErrorCode.BUNDLE_NOT_FOUND),
    ('torch', ErrorCode.OUT_OF_MEMORY)])
def test_no_other_backend_is_tried(start, fallback, code):
    """Not unless asked for, and not for what another one would meet too."""
    lego = start(up=False, parameters={'backend': 'openvino', 'fallback': fallback})
    asked = []

    def load(choice, check):
        asked.append(choice.backend)
        raise LegoError(code, 'no')
    lego.node._load_model = load
    assert not lego.change(CONFIGURE)
    assert asked == ['openvino']
    lego.status('models', lambda status, values: values.get('error_code') == code.name)


def test_warm_up_fails(start):
    lego = start(up=False)
    lego.model.warm_up = lambda: (_ for _ in ()).throw(RuntimeError('out of memory'))
    assert not lego.change(CONFIGURE)
    lego.status('models', lambda status, values: values.get('error_code') == 'OUT_OF_MEMORY')
    del lego.model.warm_up
    assert lego.change(CONFIGURE)


def test_activate_fails(start):
    """A quality of service that does not exist: inactive still, and diagnostics say why."""
    lego = start(up=False, namespace='/wrong', parameters={
        'qos_overrides./wrong/image.subscription.reliability': 'sometimes'})
    assert lego.change(CONFIGURE)
    assert not lego.change(ACTIVATE)
    assert lego.state == 'inactive'
    status = lego.status('models', lambda status, values: 'error_code' in values)
    assert 'sometimes' in status.message or 'reliability' in status.message
    assert lego.change(CLEANUP)
    lego.status('models', lambda status, values: status.message == 'not configured')


def test_state_is_told_while_a_bundle_loads(start):
    """Loading takes a thread of its own: the executor goes on answering."""
    loading, go_on = threading.Event(), threading.Event()
    lego = start(up=False)
    good = lego.node._load_model

    def load(*given):
        loading.set()
        assert go_on.wait(20)
        return good(*given)
    lego.node._load_model = load
    asked = lego.change_later(CONFIGURE)
    lego.wait(loading.is_set)
    assert lego.state == 'configuring'
    lego.expect_refused(lego.ask(), ErrorCode.NOT_ACTIVE, 'not active')
    assert not lego.change(CONFIGURE)
    go_on.set()
    assert lego.result_of(asked).success


def test_autostart(start):
    lego = start(up=False, parameters={'autostart': True})
    lego.wait(lambda: lego.state == 'active')
    lego.expect_answered()


def test_autostart_of_a_node_that_cannot_load(start):
    def cannot(*_):
        raise LegoError(ErrorCode.BUNDLE_NOT_FOUND, 'there is no folder')
    lego = start(up=False, parameters={'autostart': True}, load_model=cannot)
    lego.status('models', lambda status, values: values.get('error_code') == 'BUNDLE_NOT_FOUND')
    assert lego.state == 'unconfigured'


def test_autostart_comes_second(start):
    """A lifecycle manager was faster: the node is left as it is, and lives."""
    lego = start()
    lego.node.autostart()
    lego.wait(lambda: lego.node._autostart_timer not in list(lego.node.timers))
    assert lego.state == 'active'
    lego.expect_answered()


def test_engine_info_is_latched(start):
    """A listener that comes late still hears what is loaded."""
    lego = start()
    heard = []
    lego.client.create_subscription(
        EngineInfo, 'lego_node/engine_info', heard.append, LATCHED_QOS)
    lego.wait(lambda: heard)
    info = heard[0]
    assert (info.bundle, info.trained, info.steps) == ('instant', False, 1)
    assert (info.image_scale, info.text_scale) == (1.5, 7.5)
    assert info.header.stamp.sec > 0
    status = lego.status('models', lambda status, values: values.get('bundle') == 'instant')
    assert status.level == status.WARN
    assert 'untrained' in status.message


def test_nothing_is_published_while_inactive(start):
    lego = start()
    lego.expect_answered()
    lego.wait(lambda: lego.frames)
    assert lego.change(DEACTIVATE)
    count = len(lego.frames)
    assert lego.ask().end()[1].error_code == ErrorCode.NOT_ACTIVE
    assert lego.change(ACTIVATE)
    lego.expect_answered(query_id='again')
    lego.wait(lambda: len(lego.frames) > count)
    assert [frame.query_id for frame in lego.frames[count:]] == ['again']


def test_up_and_down_again_and_again(start):
    """
    The camera's subscription goes while the executor and diagnostics are looking at it.

    rclpy's executor raises then; the process must not end of it.
    """
    lego = start()
    for _ in range(40):
        lego.camera.publish(lego.picture())
        assert lego.change(DEACTIVATE)
        assert lego.change(ACTIVATE)
    lego.expect_answered()


def test_nodes_of_one_process_share_a_model(start):
    """Both answer, one after the other, and the last one frees it."""
    made, freed = [], []

    class Counted(InstantModel):
        def close(self):
            freed.append(threading.current_thread().name)

    def load(choice, check):
        made.append(choice)
        return Counted()

    left, right, other = (
        start(object(), load_model=load, parameters=parameters)
        for parameters in ({}, {}, {'precision': 'bfloat16'}))
    assert [choice.precision for choice in made] == ['float32', 'bfloat16']
    for lego in (left, right):
        lego.show()
    goals = [lego.ask() for lego in (left, right, left)]
    codes = [goal.end()[1].error_code for goal in goals]
    # A node's newer question takes the place of its older one, and of no other node's.
    assert codes[1:] == [0, 0]
    assert codes[0] in (0, ErrorCode.PREEMPTED)
    for lego in (left, other):
        assert lego.change(DEACTIVATE)
        assert lego.change(CLEANUP)
    assert len(freed) == 1
    right.expect_answered()
    assert right.change(DEACTIVATE)
    assert right.change(CLEANUP)
    assert freed == ['models', 'models']
