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
Frames out of videos, exactly: each video is decoded forwards once, however many frames are asked.

Seeking is what makes frames wrong (key frames, edit lists, B-frames, variable rates), so nothing
seeks. A time means the last frame shown at or before it; a number means the n-th frame shown.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
import heapq
from pathlib import Path
from typing import Protocol

import av
from lego_ros.training.data.actions import Moment
from lego_ros.training.data.problems import ProblemLog, Reason
import numpy as np

# A time computed in doubles may fall short of the frame's own by the last bits.
_EARLY = 1e-6
MAX_PIXELS = 1 << 27


@dataclass(frozen=True)
class Window:
    """
    Which frames are wanted around a moment.

    :param key: the caller's name for it.
    :param moment: the centre: its number where it has one, else its time.
    :param before: how many frames before the centre.
    :param after: how many frames after the centre.
    """

    key: str
    moment: Moment
    before: int = 0
    after: int = 0


@dataclass(frozen=True)
class Shot:
    """
    A frame as it was taken.

    :param rgb: (H, W, 3) uint8, upright.
    :param number: in the count of its source, see ``FrameReader``.
    :param time: seconds from the video's first frame.
    :param offset: frames from the window's centre; negative = before.
    """

    rgb: np.ndarray
    number: int
    time: float
    offset: int


class FrameReader(Protocol):
    """
    Where a video's frames come from.

    :param name: of the file or folder, for messages.
    :param base: number of the first frame.
    :param fps: frames per second, nominal.
    :param numbering: what counts the numbers of the shots.
    """

    name: str
    base: int
    fps: float
    numbering: str

    def windows(self, wanted: Sequence[Window], log: ProblemLog
                ) -> Iterator[tuple[Window, list[Shot]]]:
        """Yield each window with its frames; report those whose centre cannot be had."""
        ...


@dataclass
class _Decoded:
    """A decoded frame, turned into a picture when somebody wants it."""

    frame: av.VideoFrame
    index: int
    time: float
    rgb: np.ndarray | None = None

    def shot(self, centre: int) -> Shot:
        if self.rgb is None:
            turns = round(self.frame.rotation / 90) % 4
            self.rgb = np.ascontiguousarray(
                np.rot90(self.frame.to_ndarray(format='rgb24'), turns))
        return Shot(self.rgb, self.index, self.time, self.index - centre)


@dataclass
class _Open:
    """A window whose centre is known and whose frames are being gathered."""

    window: Window
    centre: int
    frames: list[_Decoded] = field(default_factory=list)

    @property
    def last(self) -> int:
        return self.centre + self.window.after

    def result(self) -> tuple[Window, list[Shot]]:
        return self.window, [decoded.shot(self.centre) for decoded in self.frames]


class VideoFrames:
    """
    The frames of a video file; numbers count the frames shown, from 0.

    :param path: anything that FFmpeg reads.
    :param name: what it is called in messages and manifests, such as its path within the data
        set; None = the path.
    """

    base = 0
    numbering = 'frames of the file in the order shown'

    def __init__(self, path: Path, name: str | None = None) -> None:
        self._path = path
        self.name = name or str(path)
        self.fps = 0.0
        """Nominal rate; known once the file was opened."""

    def windows(self, wanted: Sequence[Window], log: ProblemLog
                ) -> Iterator[tuple[Window, list[Shot]]]:
        """
        Decode the video once and yield the windows as they are complete.

        Numbers of moments that count from 1 are shifted. Windows at the video's ends have the
        frames that there are. A window whose centre is not in the video, cannot be decoded, or
        lies at another time than its number says (half a frame or more), is reported.

        :param wanted: in any order.
        :param log: where the windows that cannot be had are reported.
        :returns: an iterator in the order of completion: window and its frames.
        """
        gathering = _Gathering(wanted, self.name, log)
        if not self._path.is_file():
            gathering.fail(Reason.MISSING_VIDEO, 'there is no such file')
            return
        expected, broken = 0, ''
        try:
            # Absolute: a name cannot be taken for an address on a network.
            with av.open(str(self._path.absolute())) as container:
                if not container.streams.video:
                    gathering.fail(Reason.MALFORMED, 'the file has no video stream')
                    return
                stream = container.streams.video[0]
                stream.thread_type = 'AUTO'
                expected = stream.frames
                self.fps = _nominal_rate(stream)
                for decoded in _decode(container, stream):
                    yield from gathering.take(decoded)
                    if gathering.done:
                        return
        except (av.FFmpegError, OSError, ValueError) as error:
            broken = f': {error}'
        yield from gathering.finish(ended=not broken)
        reason = Reason.TRUNCATED if broken or gathering.count < expected else Reason.OUT_OF_VIDEO
        of = f' of {expected}' if expected else ''
        gathering.fail(reason, f'only {gathering.count}{of} frames can be read{broken}')


def _nominal_rate(stream: av.VideoStream) -> float:
    return float(stream.guessed_rate or stream.average_rate or 30)


def _decode(container: av.container.InputContainer, stream: av.VideoStream
            ) -> Iterator[_Decoded]:
    first = None
    time = 0.0
    step = 1 / _nominal_rate(stream)
    for index, frame in enumerate(container.decode(stream)):
        if frame.width * frame.height > MAX_PIXELS:
            raise ValueError(f'a frame of {frame.width} x {frame.height} pixels')
        if frame.pts is None or frame.time_base is None:
            # Raw streams have no times and run at their nominal rate.
            time = index * step
        else:
            first = frame.pts if first is None else first
            time = float((frame.pts - first) * frame.time_base)
        yield _Decoded(frame, index, time)


class _Gathering:
    """Which windows wait for their centre, and which for their last frames."""

    def __init__(self, wanted: Sequence[Window], name: str, log: ProblemLog) -> None:
        self._name = name
        self._log = log
        self._by_number: list[tuple[int, int, Window]] = []
        self._by_time: list[tuple[float, int, Window]] = []
        for order, window in enumerate(wanted):
            moment = window.moment
            if moment.number is None and moment.time >= 0:
                self._by_time.append((moment.time, order, window))
            elif moment.number is not None and moment.number >= moment.base:
                self._by_number.append((moment.number - moment.base, order, window))
            else:
                self._report(window, Reason.OUT_OF_VIDEO, 'before the first frame')
        heapq.heapify(self._by_number)
        heapq.heapify(self._by_time)
        self._open: list[_Open] = []
        # The centre of a time is known only when the next frame is there.
        depth = max((window.before for window in wanted), default=0) + 2
        self._recent: deque[_Decoded] = deque(maxlen=depth)
        self.count = 0
        self._end = 0.0
        """When the last frame ceases to be shown."""

    @property
    def done(self) -> bool:
        return not (self._by_number or self._by_time or self._open)

    def take(self, decoded: _Decoded) -> Iterator[tuple[Window, list[Shot]]]:
        """Take the next frame; yield the windows that it completes."""
        for opened in self._open:
            opened.frames.append(decoded)
        self._recent.append(decoded)
        self.count += 1
        if len(self._recent) > 1:
            step = decoded.time - self._recent[-2].time
            self._end = decoded.time + max(step, 0.0)
        while self._by_time and self._by_time[0][0] + _EARLY < decoded.time:
            self._start(heapq.heappop(self._by_time)[2], decoded.index - 1)
        while self._by_number and self._by_number[0][0] == decoded.index:
            self._start(heapq.heappop(self._by_number)[2], decoded.index)
        yield from self._complete(decoded.index)

    def _start(self, window: Window, centre: int) -> None:
        opened = _Open(window, centre, [
            decoded for decoded in self._recent
            if centre - window.before <= decoded.index <= centre + window.after])
        middle = next(decoded for decoded in self._recent if decoded.index == centre)
        moment = window.moment
        if middle.frame.is_corrupt:
            self._report(window, Reason.MISSING_FRAME, f'frame {centre} is damaged')
        elif moment.number is not None and abs(middle.time - moment.time) * moment.fps >= 0.5:
            self._report(
                window, Reason.FRAME_RATE,
                f'frame {moment.number} is shown at {middle.time:.3f} s, not {moment.time:.3f} s; '
                'the file is not the one whose frames were counted')
        else:
            self._open.append(opened)

    def _complete(self, index: int) -> Iterator[tuple[Window, list[Shot]]]:
        finished = [opened for opened in self._open if opened.last <= index]
        self._open = [opened for opened in self._open if opened.last > index]
        for opened in finished:
            yield opened.result()

    def finish(self, ended: bool) -> Iterator[tuple[Window, list[Shot]]]:
        """
        Yield the windows that have their centre, now that no more frames come.

        :param ended: whether the video came to its end rather than broke off.
        :returns: an iterator over them.
        """
        if self._recent and ended:
            # The last frame is shown until its time is over.
            while self._by_time and self._by_time[0][0] < max(self._end, _EARLY):
                self._start(heapq.heappop(self._by_time)[2], self._recent[-1].index)
        yield from (opened.result() for opened in self._open)
        self._open = []

    def fail(self, reason: Reason, detail: str) -> None:
        """Report every window whose centre was not found."""
        for _, _, window in sorted(self._by_number) + sorted(self._by_time):
            self._report(window, reason, detail)
        self._by_number, self._by_time = [], []

    def _report(self, window: Window, reason: Reason, detail: str) -> None:
        moment = window.moment
        what = f'{moment.time:.3f} s' if moment.number is None else f'frame {moment.number}'
        self._log.add(reason, self._name, window.key, f'{what}: {detail}')
