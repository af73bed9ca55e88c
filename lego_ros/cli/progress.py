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

"""How far something has come, on the standard error stream."""

from __future__ import annotations

import sys
import time

from tqdm import tqdm

_COUNTED = '{desc} |{bar}| {n_fmt}/{total_fmt} [{elapsed}]'
_OPEN = '{desc} {n_fmt} [{elapsed}]'
_WAITING = '{desc} ... [{elapsed}]'


class Progress:
    """A bar for each stage on a terminal, a line for each stage elsewhere."""

    def __init__(self) -> None:
        self._stage = ''
        self._bar: tqdm | None = None
        self._begin = time.monotonic()

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def show(self, stage: str, done: int = 0, total: int = 0) -> None:
        """
        Show the state of things; also without news, to let the clock run.

        :param stage: what is being done.
        :param done: how much of it.
        :param total: how much there is; 0 = not known.
        """
        if not sys.stderr.isatty():
            if stage != self._stage:
                print(f'[{time.monotonic() - self._begin:5.1f} s] {stage}', file=sys.stderr,
                      flush=True)
            self._stage = stage
            return
        form = _COUNTED if total else _OPEN if done else _WAITING
        if stage != self._stage or self._bar is None:
            self.close()
            self._bar = tqdm(desc=stage, file=sys.stderr, dynamic_ncols=True, bar_format=form,
                             initial=done, total=total or None)
        self._stage = stage
        bar = self._bar
        bar.bar_format, bar.total, bar.n = form, total or None, done
        bar.refresh()

    def close(self) -> None:
        """End the last stage."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None
