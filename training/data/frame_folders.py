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

"""EPIC-KITCHENS' extracted frames: a folder of ``frame_%010d.jpg``, counted from 1."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
from lego_ros.training.data.actions import Moment
from lego_ros.training.data.epic import shown_frame
from lego_ros.training.data.frames import MAX_PIXELS, Shot, Window
from lego_ros.training.data.problems import ProblemLog, Reason
import numpy as np

KNOWN_BAD = frozenset({'P01_109', 'P27_103'})
"""Videos whose published frames are not theirs; extract them from the video instead."""


class FolderFrames:
    """
    The frames in a folder; frame n is the picture at (n - 1) / fps seconds.

    :param path: of the folder, named after the video.
    :param fps: frames per second at which they were extracted: see ``epic.frame_rate``.
    :param name: what it is called in messages and manifests; None = the path.
    """

    base = 1
    numbering = 'frame_%010d.jpg'

    def __init__(self, path: Path, fps: float, name: str | None = None) -> None:
        self._path = path
        self.name = name or str(path)
        self.fps = fps

    def windows(self, wanted: Sequence[Window], log: ProblemLog
                ) -> Iterator[tuple[Window, list[Shot]]]:
        """
        Read the windows in the order of their centres, each picture once at most in a row.

        :param wanted: in any order.
        :param log: where windows whose centre is not there are reported.
        :returns: an iterator: window and its frames; neighbours that are not there are left out.
        """
        if self._path.name in KNOWN_BAD:
            self._report_all(wanted, log, Reason.KNOWN_ERROR, 'the published frames are wrong')
            return
        if not self._path.is_dir():
            self._report_all(wanted, log, Reason.MISSING_VIDEO, 'there is no such folder')
            return
        last = self._last()
        cache: dict[int, np.ndarray | None] = {}
        for centre, _, window in sorted(
                (self._number(window.moment), order, window)
                for order, window in enumerate(wanted)):
            if not 1 <= centre <= last:
                log.add(Reason.OUT_OF_VIDEO, self.name, window.key,
                        f'frame {centre} is not among 1 to {last}')
                continue
            numbers = range(centre - window.before, centre + window.after + 1)
            cache = {number: cache[number] if number in cache else self._read(number)
                     for number in numbers}
            if cache[centre] is None:
                log.add(Reason.MISSING_FRAME, self.name, window.key,
                        f'{frame_name(centre)} is not there or cannot be decoded')
                continue
            yield window, [
                Shot(rgb, number, (number - 1) / self.fps, number - centre)
                for number, rgb in cache.items() if rgb is not None]

    def _number(self, moment: Moment) -> int:
        if moment.number is not None:
            return moment.number - moment.base + 1
        return shown_frame(moment.time, self.fps)

    def _last(self) -> int:
        names = [path.stem[6:] for path in self._path.glob('frame_*.jpg')]
        return max((int(name) for name in names if name.isdigit()), default=0)

    def _read(self, number: int) -> np.ndarray | None:
        try:
            data = (self._path / frame_name(number)).read_bytes() if number >= 1 else b''
        except OSError:
            # The caller reports it where it matters: a neighbour may be missing.
            return None
        bgr = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) if data else None
        if bgr is None or bgr.shape[0] * bgr.shape[1] > MAX_PIXELS:
            return None
        return cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)

    def _report_all(self, wanted: Sequence[Window], log: ProblemLog, reason: Reason, detail: str
                    ) -> None:
        for window in wanted:
            log.add(reason, self.name, window.key, detail)


def frame_name(number: int) -> str:
    """
    Name the file of a frame.

    :param number: from 1.
    :returns: the name.
    """
    return f'frame_{number:010d}.jpg'
