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

"""Parameter tables: what a node can be told, with ranges, units and a check before each change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
import math
from typing import Any

from rcl_interfaces.msg import (
    FloatingPointRange,
    IntegerRange,
    ParameterDescriptor,
    SetParametersResult,
)
from rclpy.node import Node
import rclpy.parameter

Value = bool | int | float | str | list[str]


@dataclass(frozen=True)
class Parameter:
    """
    One parameter of a node.

    :param name: its ROS name.
    :param default: its value unless a file, a launch argument or a command says otherwise; its
        type is the parameter's type.
    :param description: what it does, for ``ros2 param describe`` and the README.
    :param unit: of the value, e.g. ``s``; empty = none.
    :param minimum: smallest allowed number; None = no limit.
    :param maximum: largest allowed number; None = no limit.
    :param choices: allowed strings; empty = any.
    :param read_only: can be given at start only.
    """

    name: str
    default: Value
    description: str
    unit: str = ''
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()
    read_only: bool = False

    def descriptor(self) -> ParameterDescriptor:
        """
        Describe the parameter to ROS.

        :returns: the descriptor; a range is set where both ends are known.
        """
        text = self.description + (f' [{self.unit}]' if self.unit else '')
        descriptor = ParameterDescriptor(
            name=self.name, description=text, read_only=self.read_only)
        if self.choices:
            descriptor.additional_constraints = 'one of: ' + ', '.join(self.choices)
        if self.minimum is not None and self.maximum is not None:
            if isinstance(self.default, float):
                descriptor.floating_point_range = [FloatingPointRange(
                    from_value=float(self.minimum), to_value=float(self.maximum))]
            else:
                descriptor.integer_range = [IntegerRange(
                    from_value=int(self.minimum), to_value=int(self.maximum), step=1)]
        return descriptor

    def complaint(self, value: Any) -> str:
        """
        Check a value.

        :param value: what the parameter shall become.
        :returns: why it may not be that; empty when it may.
        """
        if isinstance(value, float) and not math.isfinite(value):
            return f'{self.name} must be a finite number, not {value}'
        if self.minimum is not None and value < self.minimum:
            return f'{self.name} must be at least {self.minimum:g}, not {value:g}'
        if self.maximum is not None and value > self.maximum:
            return f'{self.name} must be at most {self.maximum:g}, not {value:g}'
        if self.choices and value not in self.choices:
            return f"{self.name} must be one of {', '.join(self.choices)}, not '{value}'"
        return ''


def declare(node: Node, table: Sequence[Parameter]) -> None:
    """
    Declare the parameters of a table and guard every later change.

    :param node: the node that gets them.
    :param table: its parameters.
    :raises rclpy.exceptions.InvalidParameterValueException: a start value is out of range.
    """
    by_name = {entry.name: entry for entry in table}

    def check(changes: list[rclpy.parameter.Parameter]) -> SetParametersResult:
        complaints = [
            by_name[change.name].complaint(change.value)
            for change in changes if change.name in by_name]
        complaints = [text for text in complaints if text]
        return SetParametersResult(successful=not complaints, reason='; '.join(complaints))

    # First the check, then the declarations: start values from files are checked as well.
    node.add_on_set_parameters_callback(check)
    for entry in table:
        node.declare_parameter(entry.name, entry.default, entry.descriptor())


def read(node: Node, table: Sequence[Parameter]) -> dict[str, Any]:
    """
    Read all parameters of a table at once.

    :param node: the node that has them.
    :param table: its parameters.
    :returns: name and present value.
    """
    return {entry.name: node.get_parameter(entry.name).value for entry in table}
