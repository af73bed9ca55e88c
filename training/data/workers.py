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

"""
Processes that work through a list of tasks and can be stopped at any moment.

Not concurrent.futures: its processes cannot be told to stop in the middle of a task, and one that
is killed does not say which task it had.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from itertools import islice
from multiprocessing import get_context, parent_process
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
import os
import signal
import threading
from typing import Any, Protocol

from lego_ros.errors import ErrorCode, LegoError

_LOOK = 0.1
"""Seconds between two looks at whether to stop."""


class Worker(Protocol):
    """What a process does with a task."""

    def __call__(self, task: Any, progress: Callable[[int], None]) -> None:
        """
        Do a task.

        :param task: as it was given.
        :param progress: to be called with the number of steps done.
        """
        ...


def run_tasks(tasks: Iterable[Any], count: int, start: Callable[[], Worker],
              on_progress: Callable[[int, bool], None], stop: threading.Event) -> bool:
    """
    Have tasks done by processes.

    The processes end with this one, however it ends.

    :param tasks: in the order in which they are begun; they and ``start`` are pickled.
    :param count: of processes.
    :param start: called once in each process; makes what does the tasks.
    :param on_progress: called here with the number of steps done since the last call, and whether
        their task is done.
    :param stop: set it to end the processes at once, whatever they are doing.
    :returns: True = all are done; False = stopped.
    :raises LegoError: what a task raised; INFERENCE_FAILED, a process died.
    :raises OSError: what a task raised.
    """
    waiting = iter(tasks)
    # A fork would copy locks that other threads hold.
    context = get_context('spawn')
    hands: dict[Connection, tuple[BaseProcess, str]] = {}
    try:
        for task in islice(waiting, count):
            here, there = context.Pipe()
            process: BaseProcess = context.Process(target=_serve, args=(there, start), daemon=True)
            process.start()
            there.close()
            hands[here] = process, str(task)
            _send(here, task)
        while hands:
            if stop.is_set():
                return False
            for connection in wait(list(hands), _LOOK):
                assert isinstance(connection, Connection)
                if _received(connection, *hands[connection], on_progress):
                    _go_on(connection, hands, waiting)
        return True
    finally:
        for process, _ in hands.values():
            process.kill()
        for connection, (process, _) in hands.items():
            process.join()
            connection.close()


def _go_on(connection: Connection, hands: dict[Connection, tuple[BaseProcess, str]],
           waiting: Iterator[Any]) -> None:
    process, _ = hands[connection]
    task = next(waiting, None)
    _send(connection, task)
    if task is not None:
        hands[connection] = process, str(task)
        return
    process.join()
    connection.close()
    del hands[connection]


def _send(connection: Connection, task: Any) -> None:
    # A process that died meanwhile is noticed, with its status, when it is next listened to.
    with suppress(BrokenPipeError):
        connection.send(task)


def _received(connection: Connection, process: BaseProcess, task: str,
              on_progress: Callable[[int, bool], None]) -> bool:
    """Take a message; True = the task is done."""
    try:
        message = connection.recv()
    except (EOFError, ConnectionResetError) as error:
        process.join()
        raise LegoError(
            ErrorCode.INFERENCE_FAILED,
            f'the process that was busy with {task} died with status {process.exitcode} (-9: '
            'killed, often for want of memory; try fewer workers)') from error
    if isinstance(message, int):
        on_progress(message, False)
        return False
    if isinstance(message, Exception):
        raise message
    on_progress(0, True)
    return True


def _serve(connection: Connection, start: Callable[[], Worker]) -> None:
    """Be one of the processes."""
    # Ctrl-C reaches the whole group of processes; the first one decides.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        worker = start()
        while (task := connection.recv()) is not None:
            worker(task, connection.send)
            connection.send(None)
    except LegoError as error:
        # Rebuilt: an exception is unpickled from its args, and this one's are not its parameters.
        connection.send(_Failure(error.code, error.message))
    except OSError as error:
        connection.send(OSError(error.errno, error.strerror, error.filename))


class _Failure(LegoError):
    """A LegoError that can be sent to another process."""

    def __reduce__(self) -> tuple[Any, ...]:
        return LegoError, (self.code, self.message)


def _end_with_parent() -> None:
    """End at once when the parent is gone: another run may be about to write the same files."""
    parent = parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os._exit(1)
