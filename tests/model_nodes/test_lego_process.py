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

"""lego_node as a process of its own: signals, whatever it is doing, and bad start values."""

from __future__ import annotations

from collections.abc import Iterator
import os
from pathlib import Path
import signal
import subprocess
import sys
import threading
import time

import pytest

pytestmark = pytest.mark.ros

ROOT = Path(__file__).parents[2]
FORBIDDEN = ('Traceback', 'cannot schedule', 'context is invalid', 'never retrieved',
             'never awaited', 'terminate called', 'Failed to')


class Process:
    """The node's process and what it says."""

    def __init__(self, *arguments: str, **parameters: object) -> None:
        words = [word for name, value in parameters.items()
                 for word in ('-p', f'{name}:={value}')]
        # The wheels' bootstrapper must run again in a new process.
        environment = {name: value for name, value in os.environ.items()
                       if name != '_ROS_WHEELS_BOOTSTRAP_COMPLETE'}
        self.process = subprocess.Popen(
            [sys.executable, '-m', 'lego_ros.nodes.lego_node', *arguments, '--ros-args',
             *words],
            cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            text=True)
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.lines.append(line)

    def wait_for(self, words: str, seconds: float = 60.) -> None:
        """Wait until it says something."""
        deadline = time.monotonic() + seconds
        while not any(words in line for line in self.lines):
            assert time.monotonic() < deadline, self.text
            assert self.process.poll() is None, self.text
            time.sleep(0.02)

    def end(self) -> int:
        """Wait for its end; the exit status."""
        status = self.process.wait(60)
        self._reader.join()
        return status

    @property
    def text(self) -> str:
        return ''.join(self.lines)


@pytest.fixture
def run() -> Iterator[type[Process]]:
    started: list[Process] = []

    def start(**parameters):
        started.append(Process(**parameters))
        return started[-1]
    yield start
    for node in started:
        if node.process.poll() is None:
            node.process.kill()
        node.end()


def test_signal_while_a_bundle_loads(run, tiny_bundle):
    """It ends with status 0 and without tracebacks, and does not load to the end."""
    node = run(bundle=tiny_bundle, device='cpu', autostart='true')
    # Importing torch in the worker's thread takes seconds: the process is in it now.
    wait_for_module(node, 'libtorch')
    node.process.send_signal(signal.SIGTERM)
    assert node.end() == 0, node.text
    assert 'it shuts down' in node.text
    assert 'ready on' not in node.text
    for words in FORBIDDEN:
        assert words not in node.text


def wait_for_module(node, name, seconds=60.):
    """Wait until a process has mapped a library."""
    deadline = time.monotonic() + seconds
    while name not in Path(f'/proc/{node.process.pid}/maps').read_text():
        assert node.process.poll() is None, node.text
        assert time.monotonic() < deadline, node.text
        time.sleep(0.02)


def test_signal_while_active(run, tiny_bundle):
    node = run(bundle=tiny_bundle, device='cpu', autostart='true')
    node.wait_for('ready on cpu')
    node.process.send_signal(signal.SIGINT)
    assert node.end() == 0, node.text
    for words in FORBIDDEN:
        assert words not in node.text


def test_parameter_out_of_range_at_start(run):
    """The reason in a line on stderr and exit status 2; no traceback."""
    node = run(steps=5000)
    assert node.end() == 2
    assert 'steps' in node.text
    assert '1000' in node.text
    assert 'Traceback' not in node.text


def test_a_node_for_each_camera(tmp_path):
    from lego_ros.bundle.making import make_tiny

    make_tiny(tmp_path / 'tiny')
    process = Process('--namespaces', 'left', 'right', autostart=True,
                      bundle=tmp_path / 'tiny')
    try:
        process.wait_for('[left.lego_node]: bundle tiny')
        process.wait_for('[right.lego_node]: bundle tiny')
        process.process.send_signal(signal.SIGINT)
        assert process.end() == 0
    finally:
        process.process.kill()
        process.end()
    assert not any(words in process.text for words in FORBIDDEN)


def test_a_program_node_beside_takes_after_lego_node(tmp_path):
    """As launch starts them: the name and the parameters are lego_node's alone."""
    from lego_ros.bundle.making import make_tiny

    make_tiny(tmp_path / 'tiny')
    parameters = tmp_path / 'parameters.yaml'
    parameters.write_text(f"""/lego_node:
  ros__parameters:
    bundle: {tmp_path / 'tiny'}
    autostart: true
""")
    process = Process('--programs', '--ros-args', '--params-file', str(parameters),
                      '-r', '__node:=lego_node')
    try:
        process.wait_for('[lego_node]: bundle tiny')
        process.wait_for('[program_node]: bundle tiny')
        process.process.send_signal(signal.SIGINT)
        assert process.end() == 0
    finally:
        process.process.kill()
        process.end()
    assert not any(words in process.text for words in FORBIDDEN)


@pytest.mark.parametrize(('arguments', 'words'), [
    (('--namespaces', 'not a name'), 'not a name'), (('--namespaces',), 'at least one'),
    (('--namespace', 'x', '--left'), '--left')])
def test_bad_arguments(arguments, words):
    process = Process(*arguments)
    assert process.end() == 2
    assert words in process.text
    assert 'Traceback' not in process.text
