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

"""
Periodic /diagnostics of one node.

diagnostic_updater's Python module does the same, but is not to be had from PyPI, where the test
environment's ROS 2 comes from.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.callback_groups import CallbackGroup
from rclpy.clock import Clock, ClockType
from rclpy.node import Node

OK = DiagnosticStatus.OK
WARN = DiagnosticStatus.WARN
ERROR = DiagnosticStatus.ERROR
STALE = DiagnosticStatus.STALE


@dataclass
class Status:
    """What one task reports: a level, a line for people, and figures."""

    level: bytes = OK
    message: str = 'ok'
    values: dict[str, Any] = field(default_factory=dict)

    def raise_to(self, level: bytes, message: str) -> None:
        """
        Report a problem; the worst one gives the line.

        :param level: WARN, ERROR or STALE.
        :param message: what is wrong and what to do.
        """
        if level > self.level:
            self.level, self.message = level, message


class Diagnostics:
    """
    Publish the status of a node's parts once a period and whenever asked.

    :param node: the node that reports.
    :param hardware_id: what it reports about, e.g. the bundle or the camera.
    :param period: seconds between reports, on a steady clock: also where simulated time stands.
    :param callback_group: of the timer; None = the node's default group.
    """

    def __init__(self, node: Node, hardware_id: str = '', period: float = 1.0,
                 callback_group: CallbackGroup | None = None) -> None:
        self.hardware_id = hardware_id
        self._node = node
        self._tasks: dict[str, Callable[[Status], None]] = {}
        self._publisher = node.create_publisher(DiagnosticArray, '/diagnostics', 10)
        self._timer = node.create_timer(
            period, self.publish, callback_group=callback_group,
            clock=Clock(clock_type=ClockType.STEADY_TIME))

    def add(self, name: str, task: Callable[[Status], None]) -> None:
        """
        Add one part to the report.

        :param name: of the part; the report says ``<node>: <name>``.
        :param task: fills in the status; called in the timer, so it must be quick.
        """
        self._tasks[name] = task

    def publish(self) -> None:
        """Report now."""
        array = DiagnosticArray()
        array.header.stamp = self._node.get_clock().now().to_msg()
        for name, task in self._tasks.items():
            status = Status()
            task(status)
            array.status.append(DiagnosticStatus(
                level=status.level,
                name=f'{self._node.get_fully_qualified_name()}: {name}',
                message=status.message,
                hardware_id=self.hardware_id,
                values=[KeyValue(key=key, value=str(value))
                        for key, value in status.values.items()]))
        self._publisher.publish(array)

    def destroy(self) -> None:
        """Stop reporting."""
        self._node.destroy_timer(self._timer)
        self._node.destroy_publisher(self._publisher)
