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

"""Signals that end a command, as something that can be waited for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
import signal
import threading
from typing import Any

from lego_ros.cli.text import CommandError

EXIT_INTERRUPTED = 130
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def interrupts() -> Iterator[threading.Event]:
    """
    Turn SIGINT, SIGTERM and SIGHUP into an event, so that the command can end in order.

    :returns: the event. Ctrl-C pressed again raises KeyboardInterrupt.
    """
    stop = threading.Event()

    def handle(number: int, frame: Any) -> None:
        if stop.is_set() and number == signal.SIGINT:
            raise KeyboardInterrupt
        stop.set()

    before = {number: signal.signal(number, handle) for number in _SIGNALS}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def stoppable(out: Path) -> Iterator[threading.Event]:
    """
    Let signals stop work of lego_ros.training that goes on from where it was.

    :param out: folder of the work, for the message.
    :returns: the event that tells the work to stop.
    :raises CommandError: it was stopped.
    """
    from lego_ros.training.run.loop import Interrupted

    with interrupts() as stop:
        try:
            yield stop
        except Interrupted as error:
            raise CommandError(
                f'stopped; the same command goes on in {out}', EXIT_INTERRUPTED) from error
