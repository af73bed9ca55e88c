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

"""Real rclpy over real Fast DDS: a context for each test, and waiting without sleeps."""

from __future__ import annotations

from collections.abc import Callable, Iterator
import os
from pathlib import Path
import subprocess
import sys
import time
from typing import Any

import pytest
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter

TIMEOUT = 20.0
_ROOT = Path(__file__).parents[2]


class Ros:
    """Nodes of one test, and the executor that spins them."""

    def __init__(self) -> None:
        self.context = rclpy.Context()
        rclpy.init(context=self.context)
        self.executor = SingleThreadedExecutor(context=self.context)
        self.nodes: list[Node] = []

    def start(self, node_class: Callable[..., Node], parameters: dict[str, Any] | None = None,
              **kwargs: Any) -> Any:
        """Start a node with the given parameters."""
        node = node_class(context=self.context, parameter_overrides=[
            Parameter(name, value=value) for name, value in (parameters or {}).items()], **kwargs)
        self.nodes.append(node)
        self.executor.add_node(node)
        return node

    def node(self, name: str, **kwargs: Any) -> Node:
        """Start a plain node."""
        return self.start(lambda **given: Node(name, **given), **kwargs)

    def stop(self, node: Node) -> None:
        """End one node."""
        self.executor.remove_node(node)
        self.nodes.remove(node)
        node.destroy_node()

    def wait(self, condition: Callable[[], Any], what: str = 'it never came true') -> None:
        """Spin until a condition holds."""
        deadline = time.monotonic() + TIMEOUT
        while not condition():
            assert time.monotonic() < deadline, what
            self.executor.spin_once(timeout_sec=0.02)

    def close(self) -> None:
        """End everything."""
        self.executor.shutdown()
        for node in self.nodes:
            node.destroy_node()
        self.context.try_shutdown()


@pytest.fixture
def ros() -> Iterator[Ros]:
    ros = Ros()
    yield ros
    ros.close()


@pytest.fixture
def start_process() -> Iterator[Callable[..., subprocess.Popen]]:
    """Run a node as a process of its own, as ``ros2 run`` does."""
    processes: list[subprocess.Popen] = []

    def start(module: str, parameters: dict[str, Any]) -> subprocess.Popen:
        given = [word for name, value in parameters.items()
                 for word in ('-p', f'{name}:={value}')]
        environment = {name: value for name, value in os.environ.items()
                       if name != '_ROS_WHEELS_BOOTSTRAP_COMPLETE'}
        processes.append(subprocess.Popen(
            [sys.executable, '-m', module, '--ros-args', *given], cwd=_ROOT, env=environment,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
        return processes[-1]
    yield start
    for process in processes:
        if process.poll() is None:
            process.kill()
        process.communicate()
