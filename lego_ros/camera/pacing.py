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

"""When which frame is shown: at the source's own times, or at a fixed rate."""

from __future__ import annotations

from lego_ros.camera.frames import Frame
from lego_ros.camera.playback import Playback

PLAYED_SINCE = 'played since [s]'
"""Name of a figure in a camera's diagnostics: the stamp of its source's first frame."""

# How soon to look again when the reading thread has nothing ready, and the closest two looks.
_RETRY = 0.005
_CLOSEST = 0.0005


class Pacer:
    """
    Map a running clock to the frames of a playback.

    The source's time begins with the first frame that is ready. A clock that jumps back, as
    simulated time does when its bag is looped, does not take the playback back with it.

    :param playback: of a source that is not live.
    :param rate: frames per second; 0 = the source's own times.
    :param repeat: at a rate above the source's, hand out the last frame again.
    """

    def __init__(self, playback: Playback, rate: float, repeat: bool) -> None:
        self._playback = playback
        self._rate = rate
        self._repeat = repeat
        self.begun: float | None = None
        """The clock's seconds at the source's first frame; None = it was not shown yet."""
        self._last_now = 0.0
        self._shown: Frame | None = None

    def position(self, now: float) -> float:
        """
        Tell how far the playback is.

        :param now: the clock in seconds.
        :returns: seconds since the first frame; 0 before it.
        """
        if self.begun is None:
            return 0.0
        if now < self._last_now:
            self.begun += now - self._last_now
        self._last_now = now
        return now - self.begun

    def step(self, now: float) -> tuple[Frame | None, float]:
        """
        Take what is due.

        :param now: the clock in seconds.
        :returns: the frame to show, None = nothing new; seconds until the next step.
        """
        if self.begun is None:
            if not self._playback.ready:
                return None, _RETRY
            self.begun = self._last_now = now
        position = self.position(now)
        frame, upcoming = self._playback.take(position)
        if self._rate:
            if frame is None and self._repeat and not self._playback.ended:
                frame = self._shown
            self._shown = frame or self._shown
            upcoming = (int(position * self._rate + 1e-6) + 1) / self._rate
        return frame, _RETRY if upcoming is None else max(upcoming - position, _CLOSEST)
