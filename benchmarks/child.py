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

"""Work in a process of its own, so that its memory can be told."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
import time
from typing import Any


@dataclass(frozen=True)
class Work:
    """
    What a piece of work took.

    :param seconds: of the clock, without starting Python.
    :param peak: bytes of main memory at most, with Python and its libraries.
    :param result: what it gave.
    """

    seconds: float
    peak: int
    result: Any


def in_child(work: Callable[..., Any], *arguments: Any) -> Work:
    """
    Do something in a fresh process.

    :param work: a function of a module.
    :param arguments: that it takes; they and what it gives must be plain data.
    :returns: what it took and gave.
    :raises Exception: whatever it raises.
    :raises concurrent.futures.process.BrokenProcessPool: it died, as for want of memory.
    """
    with ProcessPoolExecutor(1, mp_context=get_context('spawn')) as pool:
        return pool.submit(_measured, work, arguments).result()


def size_of(folder: Path) -> int:
    """
    Add up files.

    :param folder: that holds them, at any depth.
    :returns: bytes.
    """
    return sum(path.stat().st_size for path in folder.rglob('*') if path.is_file())


def _measured(work: Callable[..., Any], arguments: tuple[Any, ...]) -> Work:
    begin = time.perf_counter()
    result = work(*arguments)
    return Work(time.perf_counter() - begin, _peak(), result)


def _peak() -> int:
    """Read the most memory; getrusage would count what the parent had at the fork."""
    lines = Path('/proc/self/status').read_text().splitlines()
    kilobytes = next(line for line in lines if line.startswith('VmHWM:')).split()[1]
    return int(kilobytes) * 1024
