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

"""The nodes as a process of their own, which never outlives the command."""

from __future__ import annotations

from collections.abc import Sequence
import contextlib
import os
from pathlib import Path
import signal
import subprocess
import sys

from lego_ros.cli.environment import child_environment
from lego_ros.cli.text import CommandError

_LAST_WORDS = 3


class NodesProcess:
    """
    ``lego-ros up`` in a process group of its own.

    :param arguments: what follows ``up``.
    :param log: file for its output.
    """

    def __init__(self, arguments: Sequence[str], log: Path) -> None:
        self._log = log
        with log.open('wb') as output:
            # A session of its own: Ctrl-C is for the command, which ends the nodes in order.
            self._process = subprocess.Popen(
                [sys.executable, '-m', 'lego_ros.cli', 'up', *arguments],
                stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
                env=child_environment(), start_new_session=True)

    def check(self) -> None:
        """
        See whether the nodes still run.

        :raises CommandError: they do not, with their last words.
        """
        if self._process.poll() is not None:
            raise CommandError(
                f'the nodes ended ({self._ending()}): {self.last_words()}',
                status=max(self._process.returncode, 1))

    def last_words(self) -> str:
        """
        Give the end of the log.

        :returns: its last lines.
        """
        lines = self._log.read_text('utf-8', 'replace').splitlines()
        return '\n'.join(lines[-_LAST_WORDS:]) or 'they said nothing'

    def stop(self, patience: float) -> None:
        """
        End the nodes as Ctrl-C does, so that the bag is closed.

        :param patience: how long they may take, in seconds.
        :raises CommandError: they did not end by themselves, or not well.
        """
        if not self.end(patience):
            raise CommandError(
                f'the nodes did not end within {patience:g} s and were killed; see {self._log}')
        if self._process.returncode:
            raise CommandError(f'the nodes ended badly ({self._ending()}): {self.last_words()}')

    def end(self, patience: float) -> bool:
        """
        End the nodes, with force where that takes too long.

        :param patience: how long they may take, in seconds.
        :returns: whether they ended by themselves; afterwards none is left in any case.
        """
        try:
            if self._process.poll() is None:
                self._process.send_signal(signal.SIGINT)
            self._process.wait(patience)
            return True
        except subprocess.TimeoutExpired:
            return False
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def _ending(self) -> str:
        code = self._process.returncode
        return f'signal {-code}' if code < 0 else f'status {code}'
