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

"""How long the stages of an answer take."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
import threading
import time


class StageTimer:
    """The stages of one answer, in the order in which they ran."""

    def __init__(self) -> None:
        self.durations: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """
        Time a block, also when it raises; a stage that comes twice adds up.

        :param name: of the stage.
        """
        start = time.monotonic()
        try:
            yield
        finally:
            self.durations[name] = self.durations.get(name, 0.) + time.monotonic() - start


class StageHistory:
    """
    The last durations of every stage, for diagnostics. Thread-safe.

    :param size: how many answers are remembered.
    """

    def __init__(self, size: int = 100) -> None:
        self._size = size
        self._lock = threading.Lock()
        self._seconds: dict[str, deque[float]] = {}

    def add(self, durations: dict[str, float]) -> None:
        """
        Remember one answer.

        :param durations: seconds for each stage.
        """
        with self._lock:
            for name, seconds in durations.items():
                self._seconds.setdefault(name, deque(maxlen=self._size)).append(seconds)

    def summary(self) -> dict[str, tuple[float, float, float]]:
        """
        Summarize.

        :returns: for each stage the last, median and 99th-percentile duration in seconds.
        """
        with self._lock:
            return {
                name: (values[-1], percentile(values, 50), percentile(values, 99))
                for name, values in self._seconds.items()}


def percentile(values: Sequence[float], percent: float) -> float:
    """
    Nearest-rank percentile.

    :param values: at least one number.
    :param percent: 0 to 100.
    :returns: the smallest value that is not below ``percent`` % of them.
    """
    ordered = sorted(values)
    rank = -(-len(ordered) * percent // 100)
    return ordered[max(0, int(rank) - 1)]
