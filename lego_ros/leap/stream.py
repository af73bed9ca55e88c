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
The last seconds of a camera, as networks see them: few frames, small, in constant memory.

A camera drops frames, and its clock may jump. What is sampled is chosen by the frames' stamps: a
moment shows the last frame at or before it, as in training.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
import threading
from typing import Generic, TypeVar

import numpy as np

Source = TypeVar('Source')

LATE = 500_000_000
"""Nanoseconds by which a frame may come after a newer one, or a clock be set back a little."""


@dataclass(frozen=True)
class Sight:
    """
    What a network looks at.

    :param clips: Q, one after the other, the last of which ends now.
    :param span: length of each, nanoseconds.
    :param frames: T of each.
    :param side: of the square frames, pixels.
    """

    clips: int
    span: int
    frames: int
    side: int

    @property
    def spacing(self) -> int:
        """Give the least time between two frames that stay: two come to each that is shown."""
        return max(1, self.span // (2 * self.frames))

    @property
    def capacity(self) -> int:
        """Give how many frames, so far apart but for the newest, cover all clips."""
        return -(-self.clips * self.span // self.spacing) + 3


class FrameRing:
    """
    The frames that one network may be shown. Not thread-safe.

    :param sight: of the network.
    """

    def __init__(self, sight: Sight) -> None:
        self.sight = sight
        side = sight.side
        self._stamps = np.zeros(sight.capacity, np.int64)
        self._frames = np.zeros((sight.capacity, side, side, 3), np.uint8)
        self._begin = self._count = 0

    def __len__(self) -> int:
        """Give the number of frames."""
        return self._count

    @property
    def nbytes(self) -> int:
        """Give the memory that it takes, bytes, full or not."""
        return self._frames.nbytes + self._stamps.nbytes

    def add(self, stamp: int, square: np.ndarray) -> None:
        """
        Keep a frame: it takes the place of the newest where that is too near to the one before.

        :param stamp: of the frame, nanoseconds; newer than all before.
        :param square: (side, side, 3) uint8 RGB; copied.
        """
        size = len(self._stamps)
        last, before = ((self._begin + self._count - back) % size for back in (1, 2))
        if self._count > 1 and self._stamps[last] - self._stamps[before] < self.sight.spacing:
            place = last
        else:
            place = (last + 1) % size
            if self._count < size:
                self._count += 1
            else:
                self._begin = (self._begin + 1) % size
        self._stamps[place], self._frames[place] = stamp, square

    def clear(self) -> None:
        """Forget all frames."""
        self._begin = self._count = 0

    def clips(self, now: int) -> list[np.ndarray | None]:
        """
        Choose the frames of the clips: the middle of each of T stretches of equal length.

        What lies before the first frame shows the first frame, as in training.

        :param now: where the last clip ends, nanoseconds.
        :returns: (T, side, side, 3) uint8 of each clip, the oldest first; None where it ends
            before the first frame. The last one is never None.
        :raises ValueError: there is no frame.
        """
        if not self._count:
            raise ValueError('the ring is empty')
        sight = self.sight
        places = (self._begin + np.arange(self._count)) % len(self._stamps)
        stamps = self._stamps[places]
        found: list[np.ndarray | None] = []
        for age in reversed(range(sight.clips)):
            end = now - age * sight.span
            if age and end <= stamps[0]:
                found.append(None)
                continue
            middles = (np.arange(sight.frames) + 0.5) * (sight.span / sight.frames)
            times = end - sight.span + middles.astype(np.int64)
            shown = np.searchsorted(stamps, times, side='right') - 1
            found.append(self._frames[places[np.maximum(shown, 0)]])
        return found


@dataclass(frozen=True)
class Look(Generic[Source]):
    """
    What the camera's last seconds are, at one moment.

    :param stamp: of the newest frame, nanoseconds; the clips end there.
    :param source: the newest frame's.
    :param clips: of each network, see :meth:`FrameRing.clips`.
    """

    stamp: int
    source: Source
    clips: tuple[list[np.ndarray | None], ...]


@dataclass
class StreamFigures:
    """What happened to the frames of a stream."""

    kept: int = 0
    late: int = 0
    breaks: int = 0
    """How often it began anew: the clock jumped back, or no frame came for too long."""


class Stream(Generic[Source]):
    """
    A camera's last seconds for several networks. Thread-safe; one thread alone offers frames.

    A frame that comes a little late is left out. After a longer jump back, as of a bag that
    begins again or a clock that is set, and after a break, what was before does not lie right
    before what is now: the stream begins anew, as a video begins.

    :param sights: of the networks.
    :param longest_break: between two frames of one stream, nanoseconds.
    """

    def __init__(self, sights: Sequence[Sight], longest_break: int) -> None:
        self._rings = [FrameRing(sight) for sight in sights]
        self._longest_break = longest_break
        self._lock = threading.Lock()
        self._newest: tuple[int, Source] | None = None
        self._seen: int | None = None
        self._figures = StreamFigures()

    @property
    def spacing(self) -> int:
        """Give the least time between two frames that stay, nanoseconds."""
        return min(ring.sight.spacing for ring in self._rings)

    @property
    def nbytes(self) -> int:
        """Give the memory that it takes, bytes."""
        return sum(ring.nbytes for ring in self._rings)

    @property
    def newest(self) -> int | None:
        """Give the stamp of the newest frame, nanoseconds; None = there is none."""
        with self._lock:
            return None if self._newest is None else self._newest[0]

    def figures(self) -> StreamFigures:
        """
        Tell what happened to the frames.

        :returns: a copy of the counts.
        """
        with self._lock:
            return StreamFigures(**vars(self._figures))

    def offer(self, stamp: int, source: Source,
              squares: Callable[[Sequence[int]], Sequence[np.ndarray]]) -> bool:
        """
        Keep a frame.

        :param stamp: of its acquisition, nanoseconds.
        :param source: told with what is recognised; its header, for one.
        :param squares: decodes it to squares of the sides given; only called where it is newer
            than all before. What it raises goes to the caller, and the frame is left out.
        :returns: whether it was kept.
        """
        with self._lock:
            if not self._goes_on(stamp):
                return False
        pictures = squares([ring.sight.side for ring in self._rings])
        with self._lock:
            for ring, picture in zip(self._rings, pictures, strict=True):
                ring.add(stamp, picture)
            self._newest = stamp, source
            self._figures.kept += 1
        return True

    def look(self) -> Look[Source] | None:
        """
        Give what the networks are to see now.

        :returns: copies; None where there is no frame.
        """
        with self._lock:
            if self._newest is None:
                return None
            stamp, source = self._newest
            return Look(stamp, source, tuple(ring.clips(stamp) for ring in self._rings))

    def _goes_on(self, stamp: int) -> bool:
        """Tell whether a frame is newer than all others; begin anew where time has jumped."""
        seen = self._seen
        if seen is not None and seen - LATE < stamp <= seen:
            self._figures.late += stamp < seen
            return False
        self._seen = stamp
        if seen is not None and not 0 < stamp - seen <= self._longest_break:
            for ring in self._rings:
                ring.clear()
            self._newest = None
            self._figures.breaks += 1
        return True
