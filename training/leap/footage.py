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
Frames of a video by their times, in any order, as training needs them.

A time means the last frame shown at or before it. ``data.frames`` decodes each video once from
its beginning, which suits a dataset that is prepared; here a few frames out of hours are wanted
again and again.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from functools import lru_cache
import math
from pathlib import Path
from typing import Protocol

import av
import cv2
from lego_ros.errors import LegoError
from lego_ros.training.data.files import unusable
from lego_ros.training.data.frame_folders import frame_name, KNOWN_BAD
from lego_ros.training.data.frames import MAX_PIXELS
from lego_ros.training.leap.clips import ClipRecord
import numpy as np

EARLY = 1e-6
"""Seconds by which a time computed in doubles may miss a frame's own."""
LATE = 1.0
"""Seconds by which an annotation may lie after the video's end; its last frame is then taken."""


class Footage(Protocol):
    """A video whose frames can be had."""

    def frames(self, times: Sequence[float], before: float = math.inf) -> list[np.ndarray]:
        """
        Read frames.

        :param times: seconds from the first frame, ascending; those before it give the first
            frame, those after the last one the last.
        :param before: no frame that is first shown at this time or later is read, not even one
            that is then thrown away.
        :returns: one (H, W, 3) uint8 for each time.
        :raises LegoError: SOURCE_UNREADABLE: nothing is shown before ``before``, the video ends
            more than a second before the first of the times, or a frame is missing or damaged.
        """
        ...


def open_footage(root: Path, clip: ClipRecord) -> Footage:
    """
    Open the video of a clip.

    :param root: of the clip set.
    :param clip: any of the video.
    :returns: its frames.
    """
    path = root / clip.footage
    return VideoFootage(path) if clip.fps is None else FolderFootage(path, clip.fps)


class FolderFootage:
    """
    A folder of ``frame_%010d.jpg``: frame n shows (n - 1) / fps seconds.

    :param path: of the folder.
    :param fps: frames per second.
    :raises LegoError: SOURCE_UNREADABLE: it has no frames, or is known to hold another video's.
    """

    def __init__(self, path: Path, fps: float) -> None:
        self._path, self._fps = path, fps
        self._last = _last_frame(path)

    def frames(self, times: Sequence[float], before: float = math.inf) -> list[np.ndarray]:
        """Read frames, see :class:`Footage`."""
        last = self._last
        if times[0] > last / self._fps + LATE:
            raise _ended(self._path, last / self._fps, times[0])
        if math.isfinite(before):
            # Frame n is first shown at (n - 1) / fps.
            last = min(last, math.ceil((before - EARLY) * self._fps))
        if last < 1:
            raise unusable(self._path, f'nothing is shown before {before} s')
        read: dict[int, np.ndarray] = {}
        numbers = [min(max(math.floor((time + EARLY) * self._fps) + 1, 1), last)
                   for time in times]
        for number in numbers:
            if number not in read:
                read[number] = self._read(number)
        return [read[number] for number in numbers]

    def _read(self, number: int) -> np.ndarray:
        path = self._path / frame_name(number)
        try:
            data = np.frombuffer(path.read_bytes(), np.uint8)
        except OSError as error:
            raise unusable(path, f'the frame cannot be read: {error.strerror}') from error
        bgr = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
        if bgr is None or bgr.shape[0] * bgr.shape[1] > MAX_PIXELS:
            raise unusable(path, 'it is no JPEG picture')
        return cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)


class VideoFootage:
    """
    A video file, decoded from the key frame before the first frame that is wanted.

    :param path: anything that FFmpeg reads, with time stamps.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def frames(self, times: Sequence[float], before: float = math.inf) -> list[np.ndarray]:
        """Read frames, see :class:`Footage`."""
        try:
            # Absolute: a name cannot be taken for an address on a network.
            with av.open(str(self._path.absolute())) as container:
                if not container.streams.video:
                    raise unusable(self._path, 'the file has no video stream')
                found = self._decode(container, times, before)
        except (av.FFmpegError, OSError, ValueError) as error:
            raise unusable(self._path, f'it cannot be decoded: {error}') from error
        if not found:
            raise unusable(self._path, f'nothing is shown before {before} s')
        return found

    def _decode(self, container: av.container.InputContainer, times: Sequence[float],
                before: float) -> list[np.ndarray]:
        stream = container.streams.video[0]
        base = stream.time_base
        if base is None:
            raise unusable(self._path, 'its frames have no times')
        first = stream.start_time or 0
        goal = max(0.0, min(times[0], before))
        container.seek(first + math.floor((goal + EARLY) / base), stream=stream)
        found: list[np.ndarray] = []
        shown: av.VideoFrame | None = None
        time = 0.0
        for frame in container.decode(stream):
            if frame.pts is None or frame.width * frame.height > MAX_PIXELS:
                raise unusable(self._path, 'a frame has no time, or is too large')
            time = float(Fraction(frame.pts - first) * base)
            if shown is None and time > goal + EARLY:
                raise unusable(self._path, f'its index is wrong: asked for {goal:.3f} s, FFmpeg '
                               f'gives {time:.3f} s; remux it (ffmpeg -i FILE -c copy NEW)')
            if time >= before - EARLY:
                break
            if shown is not None:
                self._take(shown, times, time, found)
            if len(found) == len(times):
                break
            shown = frame
        if not found and time + LATE < min(times[0], before):
            raise _ended(self._path, time, times[0])
        if shown is not None:
            self._take(shown, times, math.inf, found)
        return found

    @staticmethod
    def _take(shown: av.VideoFrame, times: Sequence[float], until: float,
              found: list[np.ndarray]) -> None:
        """Add a frame for each time at which it is shown."""
        picture: np.ndarray | None = None
        while len(found) < len(times) and times[len(found)] + EARLY < until:
            if picture is None:
                turns = round(shown.rotation / 90) % 4
                picture = np.ascontiguousarray(
                    np.rot90(shown.to_ndarray(format='rgb24'), turns))
            found.append(picture)


def _ended(path: Path, end: float, time: float) -> LegoError:
    return unusable(path, f'the video ends at {end:.2f} s, and a frame of {time:.2f} s is wanted: '
                    'it is cut off, or not the annotated one')


@lru_cache(maxsize=4096)
def _last_frame(path: Path) -> int:
    """Count a folder's frames once: it may hold 200,000."""
    if path.name in KNOWN_BAD:
        raise unusable(path, 'the published frames of this video are not its own; extract them '
                       'from the video')
    names = [file.stem[6:] for file in path.glob('frame_*.jpg')]
    last = max((int(name) for name in names if name.isdigit()), default=0)
    if not last:
        raise unusable(path, 'there are no frames, frame_0000000001.jpg and so on')
    return last
