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

"""The processes of a benchmark: started, asked how they are doing, and ended in every case."""

from __future__ import annotations

from collections.abc import Callable
import json
import os
from pathlib import Path
import select
import signal
import subprocess
import sys
import threading
import time
from types import TracebackType
from typing import Any

import psutil

_ANSWER_WITHIN = 10.
_END_WITHIN = 10.


class Process:
    """
    A Python module that runs as a child; a context manager that ends it.

    :param module: its name, for ``python -m``.
    :param arguments: of its command line.
    :param log: file that its standard error stream is written to.
    """

    def __init__(self, module: str, *arguments: str, log: Path) -> None:
        self.module = module
        with log.open('w') as stream:
            # A session of its own: Ctrl-C reaches the parent alone, which ends the children in
            # order.
            self._process = subprocess.Popen(
                [sys.executable, '-m', module, *arguments], stdin=subprocess.PIPE,
                stdout=subprocess.PIPE, stderr=stream, start_new_session=True)
        self._figures = psutil.Process(self._process.pid)

    def __enter__(self) -> Process:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self._process.terminate()
        try:
            self._process.wait(_END_WITHIN)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            assert stream is not None
            stream.close()

    def check(self) -> None:
        """
        Make sure that it runs.

        :raises RuntimeError: it has ended.
        """
        status = self._process.poll()
        if status is not None:
            raise RuntimeError(f'{self.module} ended with exit status {status}')

    def report(self) -> dict[str, Any]:
        """
        Ask for figures; the process must have called :func:`answer_parent`.

        :returns: what its report function gives.
        :raises RuntimeError: it gives none.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self.check()
        self._process.stdin.write(b'?')
        self._process.stdin.flush()
        if not select.select([self._process.stdout], [], [], _ANSWER_WITHIN)[0]:
            raise RuntimeError(f'{self.module} does not answer')
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f'{self.module} has ended')
        return json.loads(line)

    def cpu_seconds(self) -> float:
        """
        Tell the processor time of all its threads so far, in user and kernel mode.

        :returns: seconds, in steps of a clock tick (10 ms).
        """
        times = self._figures.cpu_times()
        return times.user + times.system

    def memory_mib(self) -> float:
        """
        Tell how much memory it holds for itself.

        :returns: resident set in MiB, less what is shared: the shared-memory segments of the
            middleware become resident page by page as messages go through them.
        """
        memory = self._figures.memory_info()
        return (memory.rss - memory.shared) / 2**20


def answer_parent(report: Callable[[], dict[str, Any]]) -> None:
    """
    Answer :meth:`Process.report`, and end this process when its parent is gone.

    :param report: gives the figures; called in a thread of its own.
    """
    def serve() -> None:
        # Not sys.stdin, whose lock would be held when the interpreter ends.
        while os.read(0, 1):
            print(json.dumps(report()), flush=True)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=serve, name='parent', daemon=True).start()


def wait_for(condition: Callable[[], bool], what: str, seconds: float) -> None:
    """
    Wait until something holds.

    :param condition: asked ten times a second.
    :param what: is waited for.
    :param seconds: how long at most.
    :raises RuntimeError: it did not hold in time.
    """
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise RuntimeError(f'{what}: not within {seconds:g} s')
        time.sleep(0.1)
