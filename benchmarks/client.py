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

"""The asker: sends queries to lego_node and takes the time until the answer is there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
import time
from types import TracebackType
from typing import Any
import uuid

from benchmarks.processes import Process
from lego_ros.action import GenerateActionFrame
from lego_ros.errors import ErrorCode
from lego_ros.msg import ActionFrame, ActionQuery, QueryOutcome
from lego_ros.ros.qos import QUERY_QOS, RESULT_QOS
import rclpy
from rclpy.action import ActionClient
from rclpy.executors import SingleThreadedExecutor
from rclpy.signals import SignalHandlerOptions

_QUESTION = 'How do I open the drawer?'


@dataclass(frozen=True, eq=False)
class Answer:
    """
    What came back.

    :param seconds: from just before the query was published, or the goal sent, until the answer
        was in this process, deserialised.
    :param message: the answer.
    """

    seconds: float
    message: ActionFrame

    @property
    def frame_age(self) -> float:
        """Age of the camera frame at the moment it was used, in seconds."""
        age = self.message.provenance.frame_age
        return age.sec + age.nanosec * 1e-9

    @property
    def stages(self) -> dict[str, float]:
        """Seconds that each stage took in the node."""
        return {stage.stage: stage.duration.sec + stage.duration.nanosec * 1e-9
                for stage in self.message.provenance.stages}


class Asker:
    """
    A node that asks, and a context manager that ends it.

    :param server: the process that answers; it must not end.
    """

    def __init__(self, server: Process) -> None:
        self._server = server
        self._context = rclpy.Context()
        # No handlers of rclpy's: Ctrl-C is a KeyboardInterrupt, which ends the children.
        rclpy.init(context=self._context, signal_handler_options=SignalHandlerOptions.NO)
        # Without what makes its own executor slower: the time of lego_node is measured.
        self._node = rclpy.create_node(
            'asker', context=self._context, start_parameter_services=False, enable_rosout=False)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self._node)
        self._query_id = ''
        self._arrived: tuple[float, ActionFrame] | None = None
        self._refused: QueryOutcome | None = None
        self._queries = self._node.create_publisher(ActionQuery, 'action_query', QUERY_QOS)
        self._node.create_subscription(ActionFrame, 'action_frame', self._on_frame, RESULT_QOS)
        self._node.create_subscription(
            QueryOutcome, 'query_outcome', self._on_outcome, RESULT_QOS)
        self._goals = ActionClient(self._node, GenerateActionFrame, 'generate_action_frame')

    def __enter__(self) -> Asker:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self._executor.shutdown()
        self._goals.destroy()
        self._node.destroy_node()
        rclpy.shutdown(context=self._context)

    def wait_for_server(self, seconds: float = 60., answer_within: float = 10.) -> None:
        """
        Ask until the first answer comes, by both ways.

        :param seconds: how long to go on asking.
        :param answer_within: how long one answer may take.
        :raises RuntimeError: the server ended, or gives no answer in time.
        """
        end = time.monotonic() + seconds
        while not (self._queries.get_subscription_count()
                   and self._node.count_publishers('action_frame')):
            if time.monotonic() > end:
                raise RuntimeError(f'no server within {seconds:g} s')
            self.rest(0.2)
        # The other side may find this one a little later.
        self.rest(0.5)
        while self._try(answer_within) is None:
            if time.monotonic() > end:
                raise self._no_answer(seconds)
            # Loading, or no camera frame yet.
            self.rest(0.2)
        if not self._goals.wait_for_server(max(1., end - time.monotonic())):
            raise RuntimeError(f'no action server within {seconds:g} s')

    def ask(self, seconds: float = 10.) -> Answer:
        """
        Publish a query and wait for its action frame.

        :param seconds: how long at most.
        :returns: the answer.
        :raises RuntimeError: it was refused, or none came in time.
        """
        answer = self._try(seconds)
        if answer is None:
            raise self._no_answer(seconds)
        return answer

    def ask_goal(self, seconds: float = 10.) -> Answer:
        """
        Send a goal and wait for its result.

        :param seconds: how long at most.
        :returns: the answer.
        :raises RuntimeError: it was refused, or none came in time.
        """
        goal = GenerateActionFrame.Goal(query=_query())
        arrived: list[tuple[float, Any]] = []
        end = time.monotonic() + seconds

        def on_result(future: Any) -> None:
            arrived.append((time.monotonic(), future.result().result))

        start = time.monotonic()
        accepted = self._goals.send_goal_async(goal)
        accepted.add_done_callback(
            lambda future: future.result().get_result_async().add_done_callback(on_result))
        self._spin(lambda: bool(arrived), end)
        if not arrived:
            raise RuntimeError(f'no result within {seconds:g} s')
        then, result = arrived[0]
        if result.error_code != ErrorCode.NONE:
            raise RuntimeError(f'the goal ended with {result.error_msg}')
        return Answer(then - start, result.action_frame)

    def rest(self, seconds: float) -> None:
        """
        Wait, and take what still comes in.

        :param seconds: how long.
        :raises RuntimeError: the server ended.
        """
        self._spin(lambda: False, time.monotonic() + seconds)

    def _try(self, seconds: float) -> Answer | None:
        self._arrived = self._refused = None
        query = _query()
        self._query_id = query.query_id
        start = time.monotonic()
        self._queries.publish(query)
        self._spin(lambda: bool(self._arrived or self._refused), start + seconds)
        if self._arrived is None:
            return None
        then, message = self._arrived
        return Answer(then - start, message)

    def _no_answer(self, seconds: float) -> RuntimeError:
        why = self._refused.error_msg if self._refused else 'nothing came'
        return RuntimeError(f'no answer within {seconds:g} s: {why}')

    def _spin(self, done: Callable[[], bool], end: float) -> None:
        self._server.check()
        while not done() and (left := end - time.monotonic()) > 0:
            self._executor.spin_once(left)

    def _on_frame(self, message: ActionFrame) -> None:
        now = time.monotonic()
        if message.query_id == self._query_id:
            self._arrived = now, message

    def _on_outcome(self, message: QueryOutcome) -> None:
        if message.query_id == self._query_id and message.error_code != ErrorCode.NONE:
            self._refused = message


def _query() -> ActionQuery:
    return ActionQuery(query_id=uuid.uuid4().hex, text=_QUESTION)
