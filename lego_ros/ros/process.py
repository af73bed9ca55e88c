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
import signal
import signal
import sys
import threading
import threading

import rclpy
from rclpy.exceptions import InvalidParameterTypeException, InvalidParameterValueException
from rclpy.executors import MultiThreadedExecutor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions

from lego_ros.errors import LegoError

EXIT_OK = 0
EXIT_BAD_INPUT = 2

# Waiting in the middleware, Python does not run its signal handlers.
_LOOK_FOR_SIGNALS = 0.1

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
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    # rclpy's own handlers end the context in the middle of a callback, which then fails. Here the
    # node ends first, with everything it has still to write and say.
    rclpy.init(args=None if args is None else list(args),
               signal_handler_options=SignalHandlerOptions.NO)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    executor = SingleThreadedExecutor()
    failure = None
    try:
        node = make()
        executor.add_node(node)
        while not stop.is_set() and failure is None:
            executor.spin_once(timeout_sec=_LOOK_FOR_SIGNALS)
            failure = getattr(node, 'failure', None)
        executor.remove_node(node)
        node.destroy_node()
    except (LegoError, InvalidParameterTypeException, InvalidParameterValueException) as error:
        failure = error
    finally:
        executor.shutdown()
        rclpy.try_shutdown()
    if failure is None:
        return EXIT_OK
    print(failure, file=sys.stderr)
    return EXIT_BAD_INPUT
