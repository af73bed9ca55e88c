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

"""What the demo asks about the simulated kitchen, and when: just before somebody does it."""

from __future__ import annotations

from dataclasses import dataclass
import math
from typing import Any

from lego_ros.camera.sim import FPS, Kitchen

# As LEGO takes its input frames from Ego4D: half a second before the action's PRE frame.
_BEFORE = 15


@dataclass(frozen=True)
class Scene:
    """
    One action of a kitchen that is played in a loop.

    :param source: full name of the camera's source.
    :param action: e.g. ``open left drawer``.
    :param question: e.g. ``How do I open the left drawer?``.
    :param pre: frame at which the action begins.
    :param frames: of the loop, 30 per second.
    """

    source: str
    action: str
    question: str
    pre: int
    frames: int

    @staticmethod
    def of(source: str) -> Scene:
        """
        Choose the action: the first, or the first of the verb that the source names.

        :param source: as a user writes it, ``sim...``.
        :returns: what to ask.
        :raises LegoError: SOURCE_UNREADABLE, INVALID_SETTING: it names no kitchen.
        """
        kitchen = Kitchen.read(source)
        episode = kitchen.episode()
        action = next(action for action in episode.actions
                      if action.choice.verb == (kitchen.verb or action.choice.verb))
        # '#C C turns over the glass' tells articles and places, the label does not.
        told = action.narration.removeprefix('#C C ').split(' ', 1)[1]
        return Scene(kitchen.name, action.label,
                     f'How do I {action.choice.verb.split(" ")[0]} {told}?', action.pre,
                     episode.frame_count)

    def next_moment(self, begun: float, now: float) -> float:
        """
        Find when the action is about to begin.

        :param begun: when the first frame was shown, seconds of any clock.
        :param now: the same clock.
        :returns: the first such time that is not before ``now``.
        """
        moment = begun + (self.pre - _BEFORE) / FPS
        round_trip = self.frames / FPS
        return moment + max(0, math.ceil((now - moment) / round_trip)) * round_trip

    def frame_at(self, begun: float, stamp: float) -> int:
        """
        Tell which frame of the episode was due.

        :param begun: when the first frame was shown, seconds.
        :param stamp: of an image, seconds of the same clock.
        :returns: its number, 0 to ``frames`` - 1.
        """
        return math.floor((stamp - begun) * FPS + 1e-3) % self.frames

    def report(self, frame: int) -> dict[str, Any]:
        """
        Describe it in report.json.

        :param frame: which was asked about.
        :returns: plain data.
        """
        return {'source': self.source, 'action': self.action, 'action_begins_at_frame': self.pre,
                'frame': frame, 'frames': self.frames}
