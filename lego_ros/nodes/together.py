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

"""All nodes in one process, for machines without ``ros2 launch``."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from lego_ros.nodes.camera_node import CameraNode
from lego_ros.nodes.lego_node import LegoNode
from lego_ros.nodes.program_node import ProgramNode
from lego_ros.nodes.recorder_node import RecorderNode
from lego_ros.ros.process import run_nodes
from rclpy.node import Node
from rclpy.parameter import Parameter


def run_together(params: Path | None = None, camera: str | None = None,
                 record: Path | None = None, bundle: Path | None = None,
                 namespace: str = '') -> int:
    """
    Run camera_node, lego_node, program_node and, if asked to, recorder_node until a signal.

    :param params: ROS parameter file for all of them; what is given here goes before it.
    :param camera: parameter ``source`` of camera_node; None = the file's or its default.
    :param record: folder to create for the bag; None = no recording.
    :param bundle: parameter ``bundle`` of lego_node and program_node; None = the file's or its
        default.
    :param namespace: of all nodes.
    :returns: exit status, as :func:`lego_ros.ros.process.run_nodes`.
    """
    def given(**values: object) -> list[Parameter]:
        return [Parameter(name, value=value) for name, value in values.items()
                if value is not None]

    text = None if bundle is None else str(bundle)
    answering = given(autostart=True, bundle=text)
    # These last: the others are ready when they begin to load.
    makers: list[Callable[[], Node]] = [
        partial(CameraNode, namespace=namespace, parameter_overrides=given(source=camera)),
        partial(LegoNode, namespace=namespace, parameter_overrides=answering),
        partial(ProgramNode, namespace=namespace, parameter_overrides=answering)]
    if record is not None:
        makers.insert(0, partial(
            RecorderNode, namespace=namespace, parameter_overrides=given(path=str(record))))
    arguments = [] if params is None else ['--ros-args', '--params-file', str(params)]
    return run_nodes(makers, arguments)
