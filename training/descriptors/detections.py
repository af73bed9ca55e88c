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
Objects that a detector found, from a file of its own form: JSON Lines, a frame to a line.

    {"video_id": "P01_01", "time": 3.2, "objects": [
        {"name": "knife", "score": 0.93, "box": [0.31, 0.40, 0.52, 0.61]}]}

``time`` is in seconds from the video's beginning; a box is x1, y1, x2, y2 in 0..1 of width and
height from the top left. Whatever detector one has is brought into this form by a few lines of
Python; a frame in which nothing was found has a line too, with no objects.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any

from lego_ros.training.data.files import unusable
from lego_ros.training.data.records import parse_line, read_lines
from lego_ros.training.descriptors.clip import Clip, Part, runs
from pydantic import BaseModel, ConfigDict, Field, model_validator

MAX_LINE = 1 << 20
THRESHOLD = 0.5
"""Least score of an object that is told."""
LEAST_OVERLAP = 0.3
"""Intersection over union from which two boxes are taken for the same thing."""
NOT_LOOKED_AT = 'no frame of this clip was looked at'
Corners = tuple[float, float, float, float]
Unit = Annotated[float, Field(ge=0.0, le=1.0)]


class _Record(BaseModel):
    model_config = ConfigDict(extra='forbid', frozen=True, allow_inf_nan=False)


class DetectedThing(_Record):
    """One object of a frame."""

    name: Annotated[str, Field(min_length=1, max_length=100)]
    score: Unit
    box: tuple[Unit, Unit, Unit, Unit]

    @model_validator(mode='after')
    def _has_area(self) -> DetectedThing:
        if self.box[2] <= self.box[0] or self.box[3] <= self.box[1]:
            raise ValueError('the box has no area: x1, y1, x2, y2 with x1 < x2 and y1 < y2')
        return self


class DetectedFrame(_Record):
    """A line of the file."""

    video_id: Annotated[str, Field(min_length=1)]
    time: Annotated[float, Field(ge=0.0)]
    objects: Annotated[tuple[DetectedThing, ...], Field(max_length=1000)]


class Detections:
    """
    Objects of frames.

    :param path: of the file.
    :raises LegoError: SOURCE_UNREADABLE, naming file and line.
    """

    def __init__(self, path: Path) -> None:
        self._frames: dict[str, list[DetectedFrame]] = {}
        try:
            for number, line in read_lines(path, MAX_LINE):
                frame = parse_line(path, number, line, DetectedFrame)
                self._frames.setdefault(frame.video_id, []).append(frame)
        except OSError as error:
            raise unusable(path, f'the detections cannot be read: {error}') from error
        for frames in self._frames.values():
            frames.sort(key=_time)

    def parts(self, video_id: str, clips: Sequence[Clip]) -> list[Part]:
        """See :meth:`Source.parts`."""
        frames = self._frames.get(video_id, [])
        found = []
        for clip in clips:
            inside = frames[bisect_left(frames, clip.start, key=_time):
                            bisect_left(frames, clip.end, key=_time)]
            found.append(objects_part([(frame.time - clip.start, [
                thing.name for thing in frame.objects if thing.score >= THRESHOLD])
                for frame in inside]))
        return found

    def name_at(self, video_id: str, time: float, box: Corners) -> str | None:
        """
        Name a box that another detector has found, one without names.

        :param video_id: which video.
        :param time: seconds from its beginning.
        :param box: x1, y1, x2, y2 in 0..1.
        :returns: the object's name that lies there in the nearest frame within half a second;
            None = none does.
        """
        frames = self._frames.get(video_id, [])
        place = bisect_left(frames, time, key=_time)
        near = min(frames[max(place - 1, 0):place + 1], default=None,
                   key=lambda frame: abs(frame.time - time))
        if near is None or abs(near.time - time) > 0.5:
            return None
        overlap, name = max(((_overlap(thing.box, box), thing.name) for thing in near.objects
                             if thing.score >= THRESHOLD), default=(0.0, None))
        return name if overlap >= LEAST_OVERLAP else None


def objects_part(samples: Sequence[tuple[float, Iterable[str]]]) -> Part:
    """
    Put what was found in frames into words.

    :param samples: seconds from the clip's beginning, ascending, and names: one for each object.
    :returns: a span for each kind of object; several of a kind at once are counted: "mug x 2".
    """
    if not samples:
        return Part(note=NOT_LOOKED_AT)
    steps = [later[0] - earlier[0] for earlier, later in pairwise(samples)]
    # One frame in which a detector misses a thing does not end its span.
    return Part(runs([(time, _counted(names)) for time, names in samples],
                     2 * max(steps, default=0.0)))


def _counted(names: Iterable[str]) -> list[str]:
    return [name if count == 1 else f'{name} x {count}'
            for name, count in sorted(Counter(' '.join(name.split()) for name in names).items())]


def _time(frame: Any) -> float:
    return frame.time


def _overlap(one: Corners, other: Corners) -> float:
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    if width <= 0 or height <= 0:
        return 0.0
    areas = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (one, other))
    return width * height / (areas - width * height)
