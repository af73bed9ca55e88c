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
The newest frame of one camera, as it came over the wire.

Nothing is decoded, and nothing is even fetched, before a query needs a frame: a camera gives
thirty a second, a person asks once a minute.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
import threading
from typing import Any

from lego_ros.errors import ErrorCode, LegoError


@dataclass(frozen=True)
class RawFrame:
    """
    One frame as it was received.

    :param message: the message, with its picture still encoded as the camera sent it.
    :param stamp: acquisition time of the header, in nanoseconds of the node's clock.
    :param sequence: number that the publisher gave the message, from 1; 0 = not known.
    """

    message: Any
    stamp: int
    sequence: int = 0


@dataclass
class SlotFigures:
    """What went through a slot since it was made."""

    published: int = 0
    fetched: int = 0
    used: int = 0
    refused_stale: int = 0

    @property
    def skipped(self) -> int:
        """Frames that were published and never used: what a latest-frame slot is for."""
        return max(0, self.published - self.used)


class FrameSlot:
    """
    Holds one frame, the newest. Thread-safe.

    :param fetch: gives the newest frame that has come in since the last call, None if none has.
    """

    def __init__(self, fetch: Callable[[], RawFrame | None]) -> None:
        self._fetch = fetch
        self._lock = threading.Lock()
        self._frame: RawFrame | None = None
        self._figures = SlotFigures()

    def refresh(self) -> RawFrame | None:
        """
        Fetch what has come in.

        :returns: the newest frame; None if none has ever come.
        """
        with self._lock:
            while (frame := self._fetch()) is not None:
                self._count(frame)
                self._frame = frame
            return self._frame

    def take(self, clock: Callable[[], int], max_age: float) -> tuple[RawFrame, int]:
        """
        Use the newest frame.

        :param clock: gives the node clock in nanoseconds; read after the frame is there, or a
            frame that comes in between would have an age below zero.
        :param max_age: the oldest frame that will do, in seconds; 0 = any.
        :returns: the frame and its age in nanoseconds. The age is negative where the camera's
            clock is ahead of the node's.
        :raises LegoError: NO_FRAME, or STALE_FRAME with both figures.
        """
        frame = self.refresh()
        if frame is None:
            raise LegoError(
                ErrorCode.NO_FRAME,
                'no camera frame has arrived yet; check that the camera publishes on the topic '
                "that this node's 'image' is remapped to, and that the image_transport parameter "
                'fits (see /diagnostics)')
        age = clock() - frame.stamp
        if max_age > 0 and age > max_age * 1e9:
            with self._lock:
                self._figures.refused_stale += 1
            raise LegoError(
                ErrorCode.STALE_FRAME,
                f'the newest camera frame is {age / 1e9:.3g} s old and max_frame_age is '
                f'{max_age:g} s; check that the camera still publishes and that its clock and '
                "this node's (use_sim_time) agree")
        with self._lock:
            self._figures.used += 1
        return frame, age

    def note_used(self) -> None:
        """Count a frame of :meth:`refresh` as used."""
        with self._lock:
            self._figures.used += 1

    def figures(self) -> SlotFigures:
        """
        Tell what went through.

        :returns: a copy of the counts.
        """
        with self._lock:
            return SlotFigures(**vars(self._figures))

    def clear(self) -> None:
        """Forget the frame: it must not be answered from after a pause."""
        with self._lock:
            while self._fetch() is not None:
                pass
            self._frame = None

    def _count(self, frame: RawFrame) -> None:
        self._figures.fetched += 1
        # Publishers number their messages, so the frames that were replaced before anyone
        # looked are known without having been received in Python.
        last = self._frame.sequence if self._frame else 0
        gap = frame.sequence - last
        self._figures.published += gap if frame.sequence and last and gap > 0 else 1
