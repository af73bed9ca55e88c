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

"""Exports of two small episodes in each format, made once for all tests."""

import hashlib
import os
from pathlib import Path
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest

SEED, EPISODES, SIZE = 1387, 2, 64


def arguments(folder, form, *more, episodes=EPISODES, seed=SEED, workers=2):
    return [sys.executable, '-m', 'lego_ros.cli', 'sim', 'generate', '--episodes', str(episodes),
            '--seed', str(seed), '--format', form, '--out', str(folder), '--size', str(SIZE),
            '--workers', str(workers), *more]


def run(folder, form, *more, status=0, **others):
    """Run the command to its end; return both streams."""
    done = subprocess.run(arguments(folder, form, *more, **others), capture_output=True,
                          text=True, timeout=120)
    assert done.returncode == status, done.stderr
    return done


def break_off(folder, form, pattern, sign, *more, **others):
    """Run the command until a file is there, then send a signal to it; return it, ended."""
    process = subprocess.Popen(
        arguments(folder, form, *more, **others), stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, start_new_session=True)
    try:
        deadline = time.monotonic() + 60
        while not any(Path(folder).rglob(pattern)):
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline, f'no {pattern}'
            time.sleep(0.01)
        if sign is signal.SIGINT:
            # As a terminal does it: to the whole group.
            os.killpg(process.pid, sign)
        else:
            process.send_signal(sign)
        streams = process.communicate(timeout=60)
        await_end_of_group(process.pid)
    finally:
        process.kill()
    return process.returncode, *streams


def await_end_of_group(group):
    """Wait until the processes that drew have noticed that the first one is gone."""
    deadline = time.monotonic() + 30
    while True:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return
        assert time.monotonic() < deadline, 'processes outlive the command'
        time.sleep(0.01)


def contents(folder):
    """Hash every file of a folder."""
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(Path(folder).rglob('*')) if path.is_file()}


@pytest.fixture(scope='session')
def command():
    return SimpleNamespace(run=run, break_off=break_off, contents=contents,
                           arguments=arguments)


@pytest.fixture(scope='session')
def exports(tmp_path_factory):
    root = tmp_path_factory.mktemp('exports')
    running = [subprocess.Popen(arguments(root / form, form), stderr=subprocess.PIPE, text=True)
               for form in ('ego4d', 'epic', 'pairs')]
    for process in running:
        _, stderr = process.communicate(timeout=120)
        assert process.returncode == 0, stderr
    return root
