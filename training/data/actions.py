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

"""What every reader makes of its dataset: an action with its times, words and boxes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from lego_ros.training.data.problems import ProblemLog, Reason

MAX_TEXT = 10_000
"""Longest word, label or narration that is read, in characters."""
Role = Literal['left_hand', 'right_hand', 'object', 'tool']
Picture = Literal['input', 'target']


@dataclass(frozen=True)
class Box:
    """
    A box in one of the two pictures.

    :param role: what it holds.
    :param picture: which picture it belongs to.
    :param corners: x1, y1, x2, y2 from the top left, in 0..1 of width and height.
    :param name: the dataset's noun; None = it has none.
    :param score: of the detector in 0..1; None = drawn by a person.
    """

    role: Role
    picture: Picture
    corners: tuple[float, float, float, float]
    name: str | None = None
    score: float | None = None


@dataclass(frozen=True)
class Moment:
    """
    When a picture is to be taken.

    :param time: seconds from the video's first frame.
    :param number: frame number that the annotation gives; None = it gives a time.
    :param base: the number of the first frame, 0 or 1.
    :param fps: frames per second that the number counts in.
    :param source: which field or rule it comes from.
    """

    time: float
    number: int | None
    base: int
    fps: float
    source: str


@dataclass(frozen=True)
class Action:
    """
    One action of the wearer, from any dataset.

    :param dataset: its name: ``ego4d`` or ``epic-kitchens-100``.
    :param action_id: unique within the dataset.
    :param video_id: which video.
    :param split: train, validation, test or another name.
    :param narration: as the dataset has it.
    :param label: what the model is asked: "open the drawer".
    :param verb: the dataset's verb, without its synonyms.
    :param verb_class: number in the dataset's taxonomy; None = it has none.
    :param noun: the dataset's noun; None = none was given.
    :param noun_class: number in the dataset's taxonomy; None = it has none.
    :param before: when the input picture is to be taken.
    :param after: when the target picture is to be taken.
    :param boxes: of hands and objects.
    :param origin: file and row it was read from, for messages.
    """

    dataset: str
    action_id: str
    video_id: str
    split: str
    narration: str
    label: str
    verb: str
    verb_class: int | None
    noun: str | None
    noun_class: int | None
    before: Moment
    after: Moment
    boxes: tuple[Box, ...] = ()
    origin: tuple[str, str] = field(default=('', ''), compare=False)


def normalised(corners: tuple[float, float, float, float], width: float, height: float
               ) -> tuple[float, float, float, float] | None:
    """
    Bring a box in pixels to 0..1 and cut off what lies outside the picture.

    :param corners: x1, y1, x2, y2 [px].
    :param width: of the picture [px].
    :param height: of the picture [px].
    :returns: x1, y1, x2, y2 in 0..1; None = nothing of it lies in the picture.
    """
    x1, x2 = (min(max(value / width, 0.0), 1.0) for value in (corners[0], corners[2]))
    y1, y2 = (min(max(value / height, 0.0), 1.0) for value in (corners[1], corners[3]))
    return (x1, y1, x2, y2) if x2 > x1 and y2 > y1 else None


def note_bad_box(log: ProblemLog, origin: tuple[str, str], what: str) -> None:
    """
    Report a box that is left out while its action is kept.

    :param log: where it is reported.
    :param origin: file and row.
    :param what: which box, and what is wrong with it.
    """
    log.add(Reason.BAD_BOX, *origin, what)
