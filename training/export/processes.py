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

"""Episodes made side by side in processes of their own, each with its own OpenGL."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from itertools import islice
import multiprocessing
from multiprocessing.synchronize import Event as ProcessEvent
import os
import signal
import threading
from typing import Any, TypeVar

from lego_ros.errors import ErrorCode, LegoError

Result = TypeVar('Result')
_POLL = 0.2
_TERMINAL = {signal.SIGINT, signal.SIGHUP}
_stop: ProcessEvent | None = None


class Stopped(Exception):
    """The work is to end; raised where a process looks whether it should."""


def check() -> None:
    """
    Look whether the work is to end; tasks do so often.

    :raises Stopped: it is.
    """
    if _stop is not None and _stop.is_set():
        raise Stopped


def run_all(task: Callable[[int], Result], items: Sequence[int], workers: int,
            stop: threading.Event, on_result: Callable[[Result], None]) -> bool:
    """
    Run a task for each item in processes.

    :param task: a function of a module, or a partial of one.
    :param items: in the order in which they are begun.
    :param workers: how many processes.
    :param stop: ends the work when it is set: tasks under way give up at their next
        :func:`check`.
    :param on_result: called here with each result, in the order of completion.
    :returns: whether all items were done; False = stopped.
    :raises LegoError: SOURCE_UNREADABLE where a process died; or what a task raises.
    """
    # Spawned: a fork would copy locks and OpenGL's state.
    context = multiprocessing.get_context('spawn')
    ending = context.Event()
    waiting = iter(items)
    running: set[Future[Result]] = set()
    with ProcessPoolExecutor(workers, context, _begin, (ending,)) as pool:
        try:
            while True:
                # A few more than there are processes: results and memory stay bounded.
                for item in islice(waiting, 2 * workers - len(running)):
                    with _terminal_signals_blocked():
                        running.add(pool.submit(task, item))
                if not running:
                    return True
                done, running = wait(running, _POLL, FIRST_COMPLETED)
                if stop.is_set():
                    return False
                for future in done:
                    on_result(future.result())
        except BrokenProcessPool as error:
            if stop.is_set():
                return False
            raise LegoError(
                ErrorCode.SOURCE_UNREADABLE, 'a process that draws the kitchen was killed, or '
                'ran out of memory; the same command goes on where it was (with fewer '
                '--workers, it needs less memory)') from error
        finally:
            ending.set()
            for future in running:
                future.cancel()


@contextmanager
def _terminal_signals_blocked() -> Iterator[None]:
    """Let processes begin with Ctrl-C blocked: the terminal sends it to them too."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _TERMINAL)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _begin(ending: ProcessEvent) -> None:
    global _stop
    _stop = ending
    # Mesa would start a thread per core in each process; the processes are side by side already,
    # and with one thread alone, nothing of a picture can hang on the order of threads.
    os.environ.setdefault('LP_NUM_THREADS', '0')
    # A pool's processes wait for ever for work from a parent that was killed.
    threading.Thread(target=_die_with_parent, daemon=True).start()


def _die_with_parent() -> Any:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
