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

"""Transitions that raise: what rclpy lets end the process ends it here too, and is heard of."""

import threading
import traceback

from lego_ros.ros.lifecycle import ManagedNode
from lego_ros.ros.process import Spinner
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
import pytest
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.lifecycle import TransitionCallbackReturn


class Broken(ManagedNode):
    """Its transitions raise what neither rclpy nor a callback of ours expects."""

    def __init__(self, **kwargs):
        super().__init__('broken', **kwargs)
        self._change_state = self.break_down

    def break_down(self, *_):
        raise ZeroDivisionError('a transition broke down')

    def trigger_configure(self):
        return self.break_down()


@pytest.fixture
def context():
    context = rclpy.Context()
    context.init()
    yield context
    context.shutdown()


@pytest.fixture
def spin(context):
    """Spins nodes as their process does; gives the spinner and the event of its crash."""
    ends = []

    def start(node):
        executor = SingleThreadedExecutor(context=context)
        executor.add_node(node)
        crashed = threading.Event()
        spinner = Spinner(executor, crashed.set)
        ends.extend([spinner.stop, node.destroy_node])
        return spinner, crashed
    yield start
    for end in ends:
        end()


def test_an_exception_of_an_asked_transition_ends_the_spinning(context, spin):
    spinner, crashed = spin(Broken(context=context))
    client = rclpy.create_node('client', context=context)
    changes = client.create_client(ChangeState, 'broken/change_state')
    assert changes.wait_for_service(10)
    response = changes.call_async(ChangeState.Request(
        transition=Transition(id=Transition.TRANSITION_CONFIGURE)))
    assert crashed.wait(10)
    assert isinstance(spinner.crash, ZeroDivisionError)
    assert 'break_down' in names_of(spinner.crash)
    assert not response.done()
    client.destroy_node()


def test_an_exception_of_autostart_ends_the_spinning(context, spin):
    node = Broken(context=context)
    node.autostart()
    spinner, crashed = spin(node)
    assert crashed.wait(10)
    assert isinstance(spinner.crash, ZeroDivisionError)
    assert 'break_down' in names_of(spinner.crash)


def test_a_failing_callback_is_no_such_exception(context, spin):
    """Rclpy turns what on_configure raises into an error transition, and lives."""
    class Failing(ManagedNode):
        def on_configure(self, state):
            raise ZeroDivisionError('on_configure')

        def on_error(self, state):
            ended.set()
            return TransitionCallbackReturn.SUCCESS

    ended = threading.Event()
    node = Failing('failing', context=context)
    node.autostart()
    spinner, crashed = spin(node)
    assert ended.wait(10)
    assert not crashed.wait(0.2)
    assert spinner.crash is None


def names_of(error):
    """List the functions that an exception came through."""
    return [entry.name for entry in traceback.extract_tb(error.__traceback__)]
