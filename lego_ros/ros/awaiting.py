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

"""Coroutines of an executor that wait for work in other threads."""

from __future__ import annotations

from collections import deque
import concurrent.futures

from rclpy.callback_groups import CallbackGroup
from rclpy.node import Node
from rclpy.task import Future


class Awaiting:
    """
    Makes the end of other threads' work something that a callback can await.

    An rclpy future that ends in another thread does not wake the executor; a guard condition does.

    :param node: whose executor runs the coroutines.
    :param callback_group: of the release; coroutines go on after no other callback of it runs.
    """

    def __init__(self, node: Node, callback_group: CallbackGroup) -> None:
        self._ended: deque[Future] = deque()
        self._wake = node.create_guard_condition(self._release, callback_group=callback_group)

    def end_of(self, work: concurrent.futures.Future) -> Future:
        """
        Give what a coroutine awaits.

        :param work: in another thread.
        :returns: done when the work has ended, well or not; its result is None.
        """
        ended = Future()

        def wake(_: concurrent.futures.Future) -> None:
            self._ended.append(ended)
            self._wake.trigger()

        work.add_done_callback(wake)
        return ended

    def _release(self) -> None:
        while self._ended:
            self._ended.popleft().set_result(None)
