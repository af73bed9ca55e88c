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

"""A lifecycle node as rclpy means it, with what its LifecycleNode leaves open."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
import threading
import traceback
from typing import Any

from lego_ros.errors import ErrorCode, LegoError
from lego_ros.ros.awaiting import Awaiting
from lego_ros.runtime.answering import classify
from lifecycle_msgs.srv import ChangeState
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup, ReentrantCallbackGroup
from rclpy.clock import Clock, ClockType
from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.lifecycle import LifecycleNodeMixin, TransitionCallbackReturn
from rclpy.node import Node


class ManagedNode(LifecycleNodeMixin, Node):
    """
    A lifecycle node whose transitions may take long and whose mistakes do not end it.

    Transitions run in a thread of their own, one at a time: loading holds up neither
    diagnostics nor the question what state the node is in. A transition that is not possible is
    refused; rclpy raises in the service callback, which ends the process.

    :param name: of the node.
    :param kwargs: for rclpy's Node.
    """

    def __init__(self, name: str, **kwargs: Any) -> None:
        self.transitions = ReentrantCallbackGroup()
        Node.__init__(self, name, **kwargs)
        LifecycleNodeMixin.__init__(self, callback_group=self.transitions)
        self._change_state = self._service_change_state.callback
        # rclpy runs coroutines as callbacks too; its annotation does not say so.
        self._service_change_state.callback = self._change_aside  # type: ignore[assignment]
        self._changes = ThreadPoolExecutor(max_workers=1, thread_name_prefix='transition')
        self._change: Future | None = None
        self._awaiting = Awaiting(self, self.transitions)
        self._closing = False
        # Held during transitions, which another thread than the executor's may ask for (close).
        self._transition = threading.Lock()

    def autostart(self) -> None:
        """Configure and activate as soon as the node is spun."""
        # On the steady clock: with use_sim_time, ROS time may not have begun.
        self._autostart_timer = self.create_timer(
            0., self._on_autostart, callback_group=MutuallyExclusiveCallbackGroup(),
            clock=Clock(clock_type=ClockType.STEADY_TIME))

    async def _on_autostart(self) -> None:
        if not self.destroy_timer(self._autostart_timer):
            # The executor had it twice.
            return
        await self._end_of(self._changes.submit(self._start))

    def _guard(self, what: str, change: Callable[[], None], refused: Callable[[LegoError], None]
               ) -> TransitionCallbackReturn:
        """
        Make a change that may fail, and say why where it does.

        :param what: what the node is after it, such as ``configured``.
        :param change: raises where it fails; nothing is left half changed then.
        :param refused: told why.
        :returns: what the transition's callback returns.
        """
        try:
            with self._transition:
                self._check_open()
                change()
        # rclpy would swallow it; nothing may leave a half-changed node behind.
        except Exception as error:  # noqa: BLE001
            problem = classify(error)
            refused(problem)
            if self._closing:
                self.get_logger().info(f'the node is not {what}: it shuts down')
            else:
                detail = '' if isinstance(error, LegoError) else '\n' + traceback.format_exc()
                self.get_logger().error(f'the node cannot be {what}: {problem}{detail}')
            return TransitionCallbackReturn.FAILURE
        return TransitionCallbackReturn.SUCCESS

    def _check_open(self) -> None:
        """
        Go on, unless the node shuts down.

        :raises LegoError: NOT_ACTIVE, it does.
        """
        if self._closing:
            raise LegoError(ErrorCode.NOT_ACTIVE, 'the node shuts down')

    def _start(self) -> None:
        try:
            if self.trigger_configure() == TransitionCallbackReturn.SUCCESS:
                self.trigger_activate()
        except rclpy_implementation.RCLError as error:
            # Someone else was faster, a lifecycle manager for one.
            self.get_logger().warning(f'autostart left the node as it is: {error}')

    def destroy_node(self) -> None:
        """Leave the graph, after the transition that runs."""
        self._changes.shutdown(wait=True)
        super().destroy_node()

    async def _change_aside(self, request: ChangeState.Request,
                            response: ChangeState.Response) -> ChangeState.Response:
        if self._change is not None and not self._change.done():
            self.get_logger().error('another transition is under way')
            response.success = False
            return response
        return await self._end_of(
            self._changes.submit(self._refuse_impossible, request, response))

    async def _end_of(self, change: Future) -> Any:
        """
        Wait for a transition.

        :param change: the transition; what comes later is refused until it has ended.
        :returns: what it returns.
        :raises Exception: what it raises; as in rclpy that ends the executor, and so the process.
        """
        self._change = change
        await self._awaiting.end_of(change)
        return change.result()

    def _refuse_impossible(self, request: ChangeState.Request,
                           response: ChangeState.Response) -> ChangeState.Response:
        try:
            return self._change_state(request, response)
        except rclpy_implementation.RCLError as error:
            self.get_logger().error(
                f'transition {request.transition.label or request.transition.id} is not possible '
                f'in this state: {error}')
            response.success = False
            return response
