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

"""An episode with its pictures, in the length that its annotations need."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
import math

from lego_ros.sim.episode import Episode
from lego_ros.sim.motion import FPS
from lego_ros.sim.render import Renderer
from lego_ros.training.export.epic_annotations import last_second
from lego_ros.training.export.observation import Observer
from lego_ros.training.export.processes import check
from lego_ros.training.export.splits import annotated, split_of
from lego_ros.training.export.truth import truth_of
import numpy as np


@dataclass(frozen=True)
class Scene:
    """
    An episode that is being exported.

    :param observer: draws it.
    :param split: which it belongs to.
    :param frames: of its video. EPIC-KITCHENS' times may end after the episode; then its last
        picture stands still, in every format alike.
    :param focal: focal length as a share of the picture's height.
    """

    observer: Observer
    split: str
    frames: int
    focal: float

    @classmethod
    def of(cls, episode: Episode, renderer: Renderer, size: int) -> Scene:
        """
        Look at an episode.

        :param episode: which.
        :param renderer: of this episode.
        :param size: of its pictures [px].
        :returns: the scene.
        """
        frames = max(episode.frame_count, math.ceil(last_second(episode) * FPS) + 1)
        return cls(Observer(episode, renderer, size), split_of(episode), frames,
                   renderer.intrinsics.focal / size)

    @property
    def episode(self) -> Episode:
        """Give the episode."""
        return self.observer.episode

    def pictures(self) -> Iterator[np.ndarray]:
        """
        Draw the video.

        :returns: an iterator over its pictures, (size, size, 3) uint8 RGB each.
        :raises Stopped: the work is to end.
        """
        for frame in range(self.frames):
            check()
            yield self.observer.picture(frame)

    def truth(self, action_id: Callable[[int], str], video_id: str) -> tuple[str, ...]:
        """
        Write down what is known of the annotated actions.

        :param action_id: names an action as the format's reader will, by its number.
        :param video_id: as the format's reader will give it.
        :returns: the lines of ``truth.jsonl``, without their ends.
        """
        return tuple(
            truth_of(self.observer, number, self.split, action_id(number), video_id,
                     self.focal).model_dump_json()
            for number in annotated(self.episode))
