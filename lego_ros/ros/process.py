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

"""Nodes as a process: from the command line to the exit status."""

from __future__ import annotations

from collections.abc import Callable, Sequence
import contextlib
import signal
import sys
import threading
import time

from lego_ros.errors import LegoError
from lego_ros.runtime.allocation import keep_freed_memory
import rclpy
from rclpy.exceptions import (
    InvalidHandle,
    InvalidParameterTypeException,
    InvalidParameterValueException,
)
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions

EXIT_OK = 0
EXIT_BAD_INPUT = 2

# How often the main thread looks whether a node has given up, in seconds.
_WATCH_PERIOD = 0.25
# How long the answers of ended goals may take to leave, in seconds.
_LAST_WORDS = 0.5


def run_node(make: Callable[[], Node], args: Sequence[str] | None = None) -> int:
    """
    Run one node; see :func:`run_nodes`.

    :param make: makes the node; may raise LegoError.
    :param args: the command line with ``--ros-args``; None = the process's own.
    :returns: exit status.
    """
    return run_nodes([make], args)


def run_nodes(makers: Sequence[Callable[[], Node]], args: Sequence[str] | None = None) -> int:
    """
    Run nodes until SIGINT or SIGTERM, or until one of them says that it cannot go on.

    A signal does not tear the middleware down under a running answer, as rclpy's own handlers do:
    first ``close()`` is called on the nodes that have it, and what they still say is sent.
    A node that can fail while it runs has an attribute ``failure``: None, or the LegoError.

    :param makers: make the nodes; may raise LegoError.
    :param args: the command line with ``--ros-args``; None = the process's own.
    :returns: exit status: 0 after a signal, 2 when a node could not start or go on. The reason is
        then on the standard error stream.
    """
    keep_freed_memory()
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    rclpy.init(args=None if args is None else list(args),
               signal_handler_options=SignalHandlerOptions.NO)
    # rclpy's MultiThreadedExecutor sleeps through messages: an echo between two processes took it
    # 128 ms in the median with two threads (rclpy 7.1.6), and this one 1.3 ms.
    executor = SingleThreadedExecutor()
    nodes: list[Node] = []
    try:
        for make in makers:
            node = make()
            nodes.append(node)
            executor.add_node(node)
        failure = _run(executor, nodes, stop)
    except (LegoError, InvalidParameterTypeException, InvalidParameterValueException) as error:
        failure = error
    finally:
        executor.shutdown()
        for node in nodes:
            node.destroy_node()
        rclpy.try_shutdown()
        # A second signal, forwarded by ros2 launch while Python exits, must not change the status.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
    if failure is None:
        return EXIT_OK
    print(failure, file=sys.stderr)
    return EXIT_BAD_INPUT


class Spinner:
    """
    Spins an executor in a thread of its own.

    :param executor: with its nodes.
    :param on_crash: called in the thread when a callback raised.
    """

    def __init__(self, executor: SingleThreadedExecutor,
                 on_crash: Callable[[], None] = lambda: None) -> None:
        self.crash: BaseException | None = None
        self._executor = executor
        self._on_crash = on_crash
        self._stop = False
        self._thread = threading.Thread(target=self._spin, name='executor', daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread and shut the executor down."""
        self._stop = True
        # Something to do, so that spin_once returns.
        self._executor.create_task(lambda: None)
        self._thread.join()
        self._executor.shutdown()

    def _spin(self) -> None:
        try:
            while not self._stop and self._executor.context.ok():
                # rclpy's executor stumbles over an entity that a callback in another thread
                # destroys while it goes through its list, as deactivating does with the
                # camera's subscription. Whatever else was ready is ready the next time.
                with contextlib.suppress(InvalidHandle):
                    self._executor.spin_once()
        except BaseException as error:  # noqa: BLE001 - whoever owns the spinner raises it again
            self.crash = error
            self._on_crash()


def _run(executor: SingleThreadedExecutor, nodes: list[Node], stop: threading.Event
         ) -> Exception | None:
    """Spin in a thread, so that the main thread is free to take signals."""
    spinner = Spinner(executor, stop.set)
    failure = None
    while failure is None and not stop.wait(_WATCH_PERIOD):
        failure = next(filter(None, (getattr(node, 'failure', None) for node in nodes)), None)
    try:
        if spinner.crash is None:
            for node in nodes:
                if hasattr(node, 'close'):
                    node.close()
            time.sleep(_LAST_WORDS)
    finally:
        spinner.stop()
    if spinner.crash is not None:
        raise spinner.crash
    return failure
