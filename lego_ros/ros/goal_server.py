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

"""An action server whose goals are jobs of a worker: accepted, cancelled and ended as one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lego_ros.errors import ErrorCode
from lego_ros.ros import messages
from lego_ros.ros.awaiting import Awaiting
from lego_ros.runtime.answering import classify
from lego_ros.runtime.worker import Job
from rclpy.action import ActionServer, CancelResponse
from rclpy.action.server import ServerGoalHandle
from rclpy.node import Node


class GoalServer:
    """
    Every goal is accepted; one that cannot be started ends ABORTED and its result says why.

    A goal that its caller cancelled ends CANCELED, every other failure ABORTED.

    :param node: the node that serves.
    :param action: the action type; its result has ``error_code`` and ``error_msg``.
    :param name: of the action.
    :param start: starts a goal's job, or gives one that has ended already.
    :param cancel: asks a job to end early with CANCELED.
    :param answered: makes the result of a job that ended well from what it returned.
    """

    def __init__(self, node: Node, action: Any, name: str,
                 start: Callable[[ServerGoalHandle], Job], cancel: Callable[[Job], None],
                 answered: Callable[[Any], Any]) -> None:
        self._action = action
        self._start = start
        self._cancel = cancel
        self._answered = answered
        self._jobs: dict[bytes, Job] = {}
        # In the group of the action server, which is mutually exclusive: a goal cannot end while
        # its cancel request is being handled, that is before rclpy has made it CANCELING.
        self._awaiting = Awaiting(node, node.default_callback_group)
        self._server = ActionServer(
            node, action, name, self._execute, callback_group=node.default_callback_group,
            handle_accepted_callback=self._on_accepted, cancel_callback=self._on_cancel)

    def destroy(self) -> None:
        """Leave the graph; rclpy's ``destroy_node`` does not do it for action servers."""
        self._server.destroy()

    def _on_accepted(self, goal: ServerGoalHandle) -> None:
        # Here, not in the execute callback: a cancel request must find it.
        self._jobs[bytes(goal.goal_id.uuid)] = self._start(goal)
        goal.execute()

    def _on_cancel(self, goal: ServerGoalHandle) -> CancelResponse:
        job = self._jobs.get(bytes(goal.goal_id.uuid))
        if job is not None:
            self._cancel(job)
        return CancelResponse.ACCEPT

    async def _execute(self, goal: ServerGoalHandle) -> Any:
        done = self._jobs[bytes(goal.goal_id.uuid)].done
        await self._awaiting.end_of(done)
        del self._jobs[bytes(goal.goal_id.uuid)]
        error = done.exception()
        if error is None:
            goal.succeed()
            return self._answered(done.result())
        problem = classify(error)
        if problem.code == ErrorCode.CANCELED and goal.is_cancel_requested:
            goal.canceled()
        else:
            goal.abort()
        return self._action.Result(
            error_code=int(problem.code),
            error_msg=messages.bounded(problem.message, messages.MAX_ERROR_BYTES))
