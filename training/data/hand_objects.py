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
EPIC-KITCHENS-100's hand-object detections: hands, what they touch, and objects in each frame.

``<video>.pkl`` is a pickled list of protocol buffers. Their layout follows the public definition
in epic-kitchens/epic-kitchens-100-hand-object-bboxes (types.proto): Detections{1 video_id,
2 frame_number, 3 hands, 4 objects}; hand{1 bbox, 2 score, 3 state, 4 object_offset, 5 side};
object{1 bbox, 2 score}; bbox{1 left, 2 top, 3 right, 4 bottom}; offset{1 x, 2 y}.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
import math
from pathlib import Path

from lego_ros.training.data.actions import Box, normalised, Picture, Role
from lego_ros.training.data.pickled_bytes import read_pickled_bytes
from lego_ros.training.data.problems import ProblemLog, Reason
from lego_ros.training.data.wire import Message

SUGGESTED_THRESHOLD = 0.5
"""For both scores, by the authors; the files hold hands from 0.1 and objects from 0.01."""


class HandState(IntEnum):
    """What a hand touches."""

    NONE = 0
    SELF = 1
    OTHER_PERSON = 2
    PORTABLE_OBJECT = 3
    STATIONARY_OBJECT = 4


class HandSide(IntEnum):
    """Which hand it is."""

    LEFT = 0
    RIGHT = 1


@dataclass(frozen=True)
class DetectedObject:
    """
    An object, of no named class.

    :param corners: left, top, right, bottom in 0..1.
    :param score: 0..1.
    """

    corners: tuple[float, float, float, float]
    score: float


@dataclass(frozen=True)
class DetectedHand:
    """
    A hand.

    :param corners: left, top, right, bottom in 0..1.
    :param score: 0..1.
    :param state: what it touches.
    :param side: which hand.
    :param offset: x, y from its centre to its object's, in 0..1 of width and height.
    """

    corners: tuple[float, float, float, float]
    score: float
    state: HandState
    side: HandSide
    offset: tuple[float, float]


@dataclass(frozen=True)
class FrameDetections:
    """
    One frame's detections.

    :param video_id: such as ``P01_01``.
    :param frame: its number, from 1.
    :param hands: in the file's order.
    :param objects: in the file's order.
    """

    video_id: str
    frame: int
    hands: tuple[DetectedHand, ...]
    objects: tuple[DetectedObject, ...]

    def above(self, hand_threshold: float = SUGGESTED_THRESHOLD,
              object_threshold: float = SUGGESTED_THRESHOLD) -> FrameDetections:
        """
        Leave out what the detector was not sure of.

        :param hand_threshold: lowest score of a hand that stays.
        :param object_threshold: lowest score of an object that stays.
        :returns: the rest.
        """
        return FrameDetections(
            self.video_id, self.frame,
            tuple(hand for hand in self.hands if hand.score >= hand_threshold),
            tuple(thing for thing in self.objects if thing.score >= object_threshold))

    def object_of(self, hand: DetectedHand) -> DetectedObject | None:
        """
        Find the object that a hand holds or touches.

        It is the one whose centre is nearest to the hand's centre plus its offset.

        :param hand: one of the hands.
        :returns: the object; None = the hand touches no object (nothing, itself or a person), or
            the frame has none.
        """
        if hand.state not in (HandState.PORTABLE_OBJECT, HandState.STATIONARY_OBJECT):
            return None
        x, y = (a + b for a, b in zip(_centre(hand.corners), hand.offset, strict=True))
        return min(
            self.objects, default=None,
            key=lambda thing: math.dist(_centre(thing.corners), (x, y)))

    def boxes(self, picture: Picture) -> tuple[Box, ...]:
        """
        Return the hands and what they touch as boxes of a picture.

        :param picture: whose frame this is.
        :returns: each hand, and each touched object once.
        """
        boxes = []
        touched = []
        for hand in self.hands:
            role: Role = 'left_hand' if hand.side is HandSide.LEFT else 'right_hand'
            boxes.append(Box(role, picture, hand.corners, None, hand.score))
            thing = self.object_of(hand)
            if thing is not None and thing not in touched:
                touched.append(thing)
        return tuple(boxes) + tuple(
            Box('object', picture, thing.corners, None, thing.score) for thing in touched)


def read_hand_objects(path: Path, log: ProblemLog) -> Iterator[FrameDetections]:
    """
    Read a video's detections.

    :param path: of ``<video>.pkl``.
    :param log: where malformed frames and boxes without area are reported.
    :returns: an iterator over the frames.
    :raises LegoError: SOURCE_UNREADABLE, see :func:`pickled_bytes.read_pickled_bytes`.
    """
    for index, data in enumerate(read_pickled_bytes(path)):
        row = f'element {index}'
        try:
            yield _frame(Message(data), path, row, log)
        except ValueError as error:
            log.add(Reason.MALFORMED, path, row, str(error))


def _frame(message: Message, path: Path, row: str, log: ProblemLog) -> FrameDetections:
    video_id = message.text(1)
    frame = message.int32(2)
    if not video_id or frame < 1:
        raise ValueError(f'video_id {video_id!r}, frame_number {frame}; frames count from 1')
    hands = []
    for entry in message.messages(3):
        corners = _corners(entry, path, row, log)
        offset = entry.message(4)
        if corners is not None:
            hands.append(DetectedHand(
                corners, _score(entry), HandState(entry.int32(3)), HandSide(entry.int32(5)),
                (_finite(offset, 1), _finite(offset, 2)) if offset else (0.0, 0.0)))
    objects = []
    for entry in message.messages(4):
        corners = _corners(entry, path, row, log)
        if corners is not None:
            objects.append(DetectedObject(corners, _score(entry)))
    return FrameDetections(video_id, frame, tuple(hands), tuple(objects))


def _corners(entry: Message, path: Path, row: str, log: ProblemLog
             ) -> tuple[float, float, float, float] | None:
    box = entry.message(1)
    if box is None:
        raise ValueError('a detection has no bbox')
    raw = (_finite(box, 1), _finite(box, 2), _finite(box, 3), _finite(box, 4))
    corners = normalised(raw, 1.0, 1.0)
    if corners is None:
        log.add(Reason.BAD_BOX, path, row, f'a box without area: {raw}')
    return corners


def _score(entry: Message) -> float:
    score = _finite(entry, 2)
    if not 0.0 <= score <= 1.0:
        raise ValueError(f'a score of {score}')
    return score


def _finite(message: Message, number: int) -> float:
    value = message.float32(number)
    if not math.isfinite(value):
        raise ValueError(f'field {number} is {value}')
    return value


def _centre(corners: tuple[float, float, float, float]) -> tuple[float, float]:
    return (corners[0] + corners[2]) / 2, (corners[1] + corners[3]) / 2
