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

"""The command as a user starts it, and a node for it to talk to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
import os
from pathlib import Path
import signal
import subprocess
import sys
import threading
import time

from lego_ros.bundle.making import make_tiny
from lego_ros.nodes.lego_node import LegoNode
from lego_ros.ros.process import Spinner
from lego_ros.runtime.instant_model import InstantModel
import numpy as np
import pytest
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter

ROOT = Path(__file__).parents[2]
TIMEOUT = 120.0


class Command:
    """A started command."""

    def __init__(self, arguments: tuple[str, ...], **environment: str) -> None:
        inherited = {name: value for name, value in os.environ.items()
                     if name != '_ROS_WHEELS_BOOTSTRAP_COMPLETE'}
        self.process = subprocess.Popen(
            [sys.executable, '-m', 'lego_ros.cli', *arguments], cwd=ROOT,
            env={**inherited, 'OMP_NUM_THREADS': '1', **environment},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def interrupt(self) -> None:
        """Do what Ctrl-C does."""
        self.process.send_signal(signal.SIGINT)

    def finish(self) -> tuple[int, str, str]:
        """Wait for its end: exit status, standard output, standard error."""
        out, err = self.process.communicate(timeout=TIMEOUT)
        return self.process.returncode, out, err


@pytest.fixture
def start() -> Iterator[Callable[..., Command]]:
    """Start ``lego-ros`` as a process."""
    commands: list[Command] = []

    def start(*arguments: str, **environment: str) -> Command:
        commands.append(Command(arguments, **environment))
        return commands[-1]
    yield start
    for command in commands:
        if command.process.poll() is None:
            command.process.kill()
        command.process.communicate()


@pytest.fixture(scope='session')
def tiny_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make the tiny bundle once."""
    folder = tmp_path_factory.mktemp('bundles') / 'tiny'
    make_tiny(folder, seed=1)
    return folder


class SteppedModel(InstantModel):
    """Draws for as long as it is not told to stop."""

    def __init__(self) -> None:
        self.drawing = threading.Event()

    def depict(self, rgb, description, settings, check, on_step) -> np.ndarray:
        deadline = time.monotonic() + TIMEOUT
        step = 0
        while time.monotonic() < deadline:
            check()
            step += 1
            on_step(step, 10**6)
            self.drawing.set()
            time.sleep(0.01)
        raise AssertionError('nobody cancelled it')


class Served:
    """A lego_node that is spun by a thread of its own."""

    def __init__(self, model: InstantModel, namespace: str) -> None:
        self.model = model
        self._context = rclpy.Context()
        rclpy.init(context=self._context, args=[])
        self._node = LegoNode(
            load_model=lambda *_: model, namespace=namespace, context=self._context,
            parameter_overrides=[Parameter('autostart', value=True)])
        executor = SingleThreadedExecutor(context=self._context)
        executor.add_node(self._node)
        self._spinner = Spinner(executor)

    def close(self) -> None:
        self._node.close()
        self._spinner.stop()
        self._node.destroy_node()
        self._context.try_shutdown()


@pytest.fixture
def serve() -> Iterator[Callable[..., Served]]:
    """Start a lego_node in this process, with a model that needs no bundle."""
    served: list[Served] = []

    def serve(model: InstantModel, namespace: str = '') -> Served:
        served.append(Served(model, namespace))
        return served[-1]
    yield serve
    for each in served:
        each.close()


@pytest.fixture
def stepped_model() -> SteppedModel:
    return SteppedModel()
