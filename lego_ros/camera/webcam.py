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

"""A webcam as frames."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
import time

import cv2
from lego_ros.camera.frames import Frame, FrameSource, Picture, unreadable

_DEFAULT_FPS = 30.0


class WebcamSource(FrameSource):
    """
    A camera that OpenCV reads.

    :param name: for log lines.
    :param capture: the opened device; the source releases it.
    :raises LegoError: SOURCE_UNREADABLE when no picture comes from it.
    """

    live = True

    def __init__(self, name: str, capture: cv2.VideoCapture) -> None:
        self._capture = capture
        taken, bgr = capture.read()
        if not taken:
            capture.release()
            raise unreadable(name, 'no picture comes from the webcam. Is it connected, may this '
                             'user read it (group video), does another program use it?')
        height, width = bgr.shape[:2]
        # Drivers that do not know say 0 or, by an old habit, a million.
        fps = capture.get(cv2.CAP_PROP_FPS)
        super().__init__(name, (width, height), fps if 0 < fps <= 1000 else _DEFAULT_FPS)

    def frames(self) -> Iterator[Frame]:
        """Wait for each picture; it ends only by an error."""
        start = time.monotonic()
        while True:
            taken, bgr = self._capture.read()
            if not taken:
                raise unreadable(self.name, 'the webcam stopped sending pictures.')
            picture = Picture(partial(cv2.cvtColor, bgr, cv2.COLOR_BGR2RGB))
            yield Frame(picture, time.monotonic() - start, 1 / self.fps)

    def close(self) -> None:
        """Release the device."""
        self._capture.release()


def open_webcam(name: str, device: int | str, size: tuple[int, int], fps: float) -> WebcamSource:
    """
    Open a webcam.

    :param name: for log lines.
    :param device: its number, or its path such as /dev/video0.
    :param size: width and height to ask for; 0 = as the driver likes.
    :param fps: frames per second to ask for; 0 = as the driver likes.
    :returns: the source.
    :raises LegoError: SOURCE_UNREADABLE.
    """
    capture = cv2.VideoCapture(device)
    for wanted, value in ((cv2.CAP_PROP_FRAME_WIDTH, size[0]),
                          (cv2.CAP_PROP_FRAME_HEIGHT, size[1]), (cv2.CAP_PROP_FPS, fps)):
        if value:
            capture.set(wanted, value)
    # A driver's own queue of old pictures would be latency; not all of them can do without.
    capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)
    return WebcamSource(name, capture)
