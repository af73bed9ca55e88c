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
How a camera moves, in few words.

Angles are about the camera's own axes, as where is up is not known of most videos: who looks down
and turns the head by 30 degrees turns the picture's middle by fewer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
import math

from lego_ros.training.descriptors.clip import Clip, Span
import numpy as np

LEAST_ANGLE = 5.0
"""Degrees within a step that are told; a head is never quite still."""
STEP = 1.0
"""Seconds that a step has at most."""
MOST_STEPS = 32
"""In longer clips the steps are longer."""


@dataclass(frozen=True)
class Step:
    """
    How a camera moved between two moments.

    The camera's axes: x to the right, y down, z forward (OpenCV's).

    :param start: seconds from the clip's beginning.
    :param end: likewise.
    :param turn: (3, 3) what leads from the later camera's axes to the earlier's.
    :param moved: (3,) by how much, along the earlier camera's axes, where a length of 1 is the
        least that is worth telling.
    """

    start: float
    end: float
    turn: np.ndarray
    moved: np.ndarray


def moments(clip: Clip) -> list[float]:
    """
    Choose the moments between which a clip's steps lie.

    :param clip: the clip.
    :returns: seconds from its beginning, evenly from 0 to its end.
    """
    count = min(max(math.ceil(clip.duration / STEP), 1), MOST_STEPS)
    return [clip.duration * number / count for number in range(count + 1)]


def motion_spans(steps: Sequence[Step]) -> tuple[Span, ...]:
    """
    Put steps into words: "turns left 35 degrees, looks down 10 degrees, moves forward".

    Steps that follow on each other and are of one kind are put together and their angles added.

    :param steps: in the order of time.
    :returns: the spans; what moves neither turns nor moves is "still".
    """
    groups: list[list[Step]] = []
    for step in steps:
        last = groups[-1][-1] if groups else None
        if last is not None and _kind(last) == _kind(step) and step.start - last.end < 1e-6:
            groups[-1].append(step)
        else:
            groups.append([step])
    return tuple(Span(group[0].start, group[-1].end, _words(group)) for group in groups)


def _angles(step: Step) -> tuple[float, float]:
    """Tell by how many degrees the view goes to the right and up."""
    x, y, z = step.turn[:, 2]
    return math.degrees(math.atan2(x, z)), math.degrees(math.atan2(-y, math.hypot(x, z)))


def _told(value: float, low: str, high: str, least: float) -> str:
    return '' if abs(value) < least else high if value > 0 else low


def _kind(step: Step) -> tuple[str, str, str]:
    yaw, pitch = _angles(step)
    x, y, z = step.moved
    way = ''
    if np.linalg.norm(step.moved) >= 1:
        way = max(((abs(z), 'moves back' if z < 0 else 'moves forward'),
                   (abs(x), 'moves left' if x < 0 else 'moves right'),
                   (abs(y), 'moves up' if y < 0 else 'moves down')))[1]
    return (_told(yaw, 'turns left', 'turns right', LEAST_ANGLE),
            _told(pitch, 'looks down', 'looks up', LEAST_ANGLE), way)


def _words(group: Sequence[Step]) -> str:
    turn, tilt, way = _kind(group[0])
    yaw, pitch = (abs(sum(angles)) for angles in zip(*map(_angles, group), strict=True))
    parts = [f'{turn} {yaw:.0f} degrees'] if turn else []
    parts += [f'{tilt} {pitch:.0f} degrees'] if tilt else []
    parts += [way] if way else []
    return ', '.join(parts) or 'still'
