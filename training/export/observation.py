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

"""What is seen in a frame, with the parts that things play in an action."""

from __future__ import annotations

from functools import lru_cache

from lego_ros.sim.actions.base import Choice
from lego_ros.sim.episode import Episode, FrameTruth
from lego_ros.sim.render import Renderer, Seen
from lego_ros.sim.vocabulary import HANDS
import numpy as np

Corners = tuple[float, float, float, float]


class Observer:
    """
    Looks at frames of an episode: the picture, and the masks and boxes in it.

    :param episode: which.
    :param renderer: of this episode.
    :param size: of the pictures it draws, side [px].
    """

    def __init__(self, episode: Episode, renderer: Renderer, size: int) -> None:
        self.episode = episode
        self.size = size
        self._renderer = renderer
        # Each mask is a picture of its own; few frames are looked at, most of them twice.
        self.seen = lru_cache(maxsize=512)(self._seen)

    def picture(self, frame: int) -> np.ndarray:
        """
        Draw a frame.

        :param frame: its number; after the last it stands still.
        :returns: (H, W, 3) uint8 RGB.
        """
        return self._renderer.rgb(min(frame, self.episode.frame_count - 1))

    def truth(self, frame: int) -> FrameTruth:
        """
        Return what is true at a frame.

        :param frame: its number.
        :returns: the truth.
        """
        return self.episode.truth(frame)

    def _seen(self, frame: int) -> dict[str, Seen]:
        return self._renderer.seen(frame)

    def corners(self, frame: int, name: str) -> Corners | None:
        """
        Return the box of a thing.

        :param frame: which.
        :param name: entity, see ``Renderer.seen``.
        :returns: x1, y1, x2, y2 in 0..1 of the picture; None = it is not seen.
        """
        seen = self.seen(frame).get(name)
        if seen is None:
            return None
        x, y, width, height = (value / self.size for value in seen.box)
        return x, y, x + width, y + height

    def hands(self, frame: int) -> list[str]:
        """
        List the hands in view.

        :param frame: which.
        :returns: of ``left`` and ``right``.
        """
        return [side for side in HANDS if f'{side}_hand' in self.seen(frame)]

    def changed(self, frame: int, choice: Choice) -> str | None:
        """
        Name the entity that an action changes.

        :param frame: which.
        :param choice: the action.
        :returns: the spill for wiping while it is seen, else the target; None = not seen.
        """
        seen = self.seen(frame)
        if choice.verb == 'wipe' and 'stain' in seen:
            return 'stain'
        return choice.target if choice.target in seen else None

    def touched(self, frame: int, side: str) -> list[str]:
        """
        List what a hand touches.

        :param frame: which.
        :param side: which hand.
        :returns: entities, in view or not.
        """
        return list(self.truth(frame).touching[side])
