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

"""The asker's side of the actions: a process that asks and waits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
import threading
import time
from types import TracebackType
from typing import Any

from action_msgs.msg import GoalStatus
from lego_ros.action import GenerateActionFrame, GenerateActionProgram
import rclpy
from rclpy.action import ActionClient
from rclpy.action.client import ClientGoalHandle
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions

# Type of the goal: action, its name, and the node that serves it.
_ACTIONS = {
    GenerateActionFrame.Goal: (GenerateActionFrame, 'generate_action_frame', 'lego_node'),
    GenerateActionProgram.Goal: (
        GenerateActionProgram, 'generate_action_program', 'program_node')}

# How often a wait looks at its condition when nothing arrives, in seconds.
_PERIOD = 0.05
# A server that discovery has lost for this long does not come back with the result, in seconds.
_GONE_AFTER = 3.0
# How long a node may take to end a cancelled goal, in seconds: one denoising step.
_CANCEL_TIMEOUT = 60.0


class NoAnswer(Exception):
    """No result came: nobody serves the action, refuses the goal, or went away."""


class Interrupted(Exception):
    """The asker was told to stop before its goal was sent."""


@dataclass(frozen=True)
class Reply:
    """
    How a goal ended.

    :param result: the action's; ``error_code`` 0 when it was answered.
    :param canceled: whether it ended because the asker cancelled it.
    """

    result: Any
    canceled: bool


@dataclass(frozen=True, eq=False)
class Sent:
    """
    A goal that was accepted.

    :param client: that sent it.
    :param handle: of the goal.
    :param ended: the future of its result.
    """

    client: ActionClient
    handle: ClientGoalHandle
    ended: Any


class Asker:
    """
    One node of its own that is spun while it waits.

    :param name: of the node.
    :param namespace: of the node, and of the actions unless these are remapped.
    :param stop: set from elsewhere (a signal handler) to cancel what is under way.
    """

    def __init__(self, name: str, namespace: str = '', stop: threading.Event | None = None
                 ) -> None:
        self._stop = stop or threading.Event()
        self._context = rclpy.Context()
        # rclpy's own handlers would end the context before a goal can be cancelled.
        rclpy.init(args=[], context=self._context,
                   signal_handler_options=SignalHandlerOptions.NO)
        self._executor = SingleThreadedExecutor(context=self._context)
        self.node = Node(name, namespace=namespace, context=self._context,
                         start_parameter_services=False)
        self._executor.add_node(self.node)
        self._clients = {kind: ActionClient(self.node, action, name)
                         for kind, (action, name, _) in _ACTIONS.items()}

    def __enter__(self) -> Asker:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self._executor.shutdown()
        for client in self._clients.values():
            client.destroy()
        self.node.destroy_node()
        self._context.try_shutdown()

    def wait(self, condition: Callable[[], Any], timeout: float | None = None) -> bool:
        """
        Spin until something is true.

        :param condition: looked at after each message, and 20 times a second.
        :param timeout: in seconds; None = without end.
        :returns: whether it came true in time.
        :raises Interrupted: ``stop`` was set before.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        while not condition():
            if self._stop.is_set():
                raise Interrupted
            if deadline is not None and time.monotonic() >= deadline:
                return False
            self._executor.spin_once(timeout_sec=_PERIOD)
        return True

    def ask(self, goal: Any, on_feedback: Callable[[Any], None] | None = None,
            timeout: float = 10.0) -> Reply:
        """
        Send a goal and wait for its result; setting ``stop`` cancels it.

        :param goal: see :meth:`send`.
        :param on_feedback: see :meth:`send`.
        :param timeout: see :meth:`send`.
        :returns: how the goal ended.
        :raises NoAnswer: nobody serves the action, refuses the goal, or went away.
        :raises Interrupted: ``stop`` was set before the goal was sent.
        """
        return self.finish(self.send(goal, on_feedback, timeout))

    def send(self, goal: Any, on_feedback: Callable[[Any], None] | None = None,
             timeout: float = 10.0) -> Sent:
        """
        Send a goal.

        :param goal: the question, GenerateActionFrame.Goal or GenerateActionProgram.Goal.
        :param on_feedback: told how the answer is coming along.
        :param timeout: how long to wait for the node, and for it to accept the goal, in seconds.
            The answer itself may take as long as it takes.
        :returns: the goal, accepted.
        :raises NoAnswer: nobody serves the action, refuses the goal, or went away.
        :raises Interrupted: ``stop`` was set before the goal was sent.
        """
        client = self._clients[type(goal)]
        _, name, server = _ACTIONS[type(goal)]
        where = self.node.resolve_service_name(name)
        if not self.wait(client.server_is_ready, timeout):
            raise NoAnswer(
                f'nobody serves the action {where} (waited {timeout:g} s). Is {server} running, '
                'in this ROS_DOMAIN_ID and namespace?')
        sent = client.send_goal_async(goal, feedback_callback=(
            None if on_feedback is None else lambda message: on_feedback(message.feedback)))
        # A goal on its way cannot be cancelled yet: its acceptance is waited for in any case.
        self._finish(client, sent.done, timeout, 'accept the goal')
        handle = sent.result()
        if handle is None or not handle.accepted:
            raise NoAnswer(f'the node refused the goal on {where}; its log says why')
        return Sent(client, handle, handle.get_result_async())

    def finish(self, sent: Sent) -> Reply:
        """
        Wait for the result of a goal; setting ``stop`` cancels it.

        :param sent: the goal.
        :returns: how it ended.
        :raises NoAnswer: the node went away.
        """
        ended = sent.ended
        self._finish(sent.client, lambda: ended.done() or self._stop.is_set())
        if not ended.done():
            sent.handle.cancel_goal_async()
            self._finish(sent.client, ended.done, _CANCEL_TIMEOUT, 'end the cancelled goal')
        return Reply(ended.result().result,
                     ended.result().status == GoalStatus.STATUS_CANCELED)

    def _finish(self, client: ActionClient, done: Callable[[], bool],
                timeout: float | None = None, what: str = '') -> None:
        """
        Spin until the server has done something.

        :raises NoAnswer: the server went away, or took too long.
        """
        begin = seen = time.monotonic()
        while not done():
            self._executor.spin_once(timeout_sec=_PERIOD)
            now = time.monotonic()
            if client.server_is_ready():
                seen = now
            elif now - seen > _GONE_AFTER:
                raise NoAnswer('the node went away before it answered; its log may say why')
            if timeout is not None and now - begin > timeout:
                raise NoAnswer(f'the node did not {what} within {timeout:g} s')
