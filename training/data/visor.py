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
VISOR's sparse masks as boxes, with what each hand touches.

Polygons are in pixels of 1920 x 1080. VISOR's frame numbers are not EPIC-KITCHENS': its
frame_mapping.json leads from one to the other.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
import json
import math
from pathlib import Path
import re
from typing import Any

from lego_ros.training.data.actions import Box, MAX_TEXT, normalised, Picture, Role
from lego_ros.training.data.files import unusable
from lego_ros.training.data.problems import ProblemLog, Reason
from lego_ros.training.data.records import first_fault
from pydantic import BaseModel, ConfigDict, ValidationError

WIDTH, HEIGHT = 1920, 1080
_HAND_ROLES: dict[int, Role] = {300: 'left_hand', 301: 'right_hand'}
_GLOVES = {303, 304}
_SIDES: dict[str, Role] = {'left hand': 'left_hand', 'right hand': 'right_hand'}
_FRAME = re.compile(r'frame_(\d{10})')
_MAX_FILE = 1 << 30


class Contact(str, Enum):
    """What is said about a hand's contact."""

    OBJECT = 'object'
    NONE = 'none'
    """The hand or glove touches nothing."""
    UNMASKED = 'none-of-the-above'
    """It touches something that has no mask."""
    INCONCLUSIVE = 'inconclusive'
    MISSING = 'missing'
    """Nothing is said, or of an object that the frame lacks."""


_CONTACTS = {
    'hand-not-in-contact': Contact.NONE, 'glove-not-in-contact': Contact.NONE,
    'none-of-the-above': Contact.UNMASKED, 'inconclusive': Contact.INCONCLUSIVE}


@dataclass(frozen=True)
class Entity:
    """
    One mask's box.

    :param entity_id: unique in its frame.
    :param name: such as "left hand" or "frying pan".
    :param class_id: number in noun_classes_v2.
    :param corners: x1, y1, x2, y2 in 0..1; None = the mask is empty.
    :param hands: which hands it is: the hand itself, or the hands that wear this glove.
    :param contact: what is said about its contact; MISSING for what is no hand or glove.
    :param touches: the touched entity's id; None = none, or see ``contact``.
    """

    entity_id: str
    name: str
    class_id: int
    corners: tuple[float, float, float, float] | None
    hands: tuple[Role, ...]
    contact: Contact
    touches: str | None


@dataclass(frozen=True)
class VisorFrame:
    """
    One annotated frame.

    :param video_id: such as ``P01_01``.
    :param name: of its image, such as ``P01_01_frame_0000000140.jpg``.
    :param number: the frame number in that name, in VISOR's count.
    :param entities: by id.
    """

    video_id: str
    name: str
    number: int
    entities: dict[str, Entity] = field(hash=False)

    def touched_by(self, entity: Entity) -> tuple[Contact, Entity | None]:
        """
        Find what a hand touches; a glove that it wears is seen through.

        :param entity: a hand or glove of this frame.
        :returns: what is said, and the object where it is one.
        """
        thing = self.entities[entity.touches] if entity.touches else None
        if thing is None or not set(entity.hands) & set(thing.hands):
            return entity.contact, thing
        # The hand "touches" the glove it is in; the glove's contact is the one meant.
        return thing.contact, self.entities[thing.touches] if thing.touches else None

    def boxes(self, picture: Picture) -> tuple[Box, ...]:
        """
        Return the hands and what they touch as boxes of a picture.

        :param picture: whose frame this is.
        :returns: each hand and worn glove, and each touched object once.
        """
        boxes: list[Box] = []
        touched: dict[str, Entity] = {}
        for entity in self.entities.values():
            for role in entity.hands:
                if entity.corners is not None:
                    boxes.append(Box(role, picture, entity.corners, entity.name))
                thing = self.touched_by(entity)[1]
                if thing is not None:
                    touched[thing.entity_id] = thing
        boxes += [Box('object', picture, thing.corners, thing.name)
                  for thing in touched.values() if thing.corners is not None]
        return tuple(boxes)


class _Json(BaseModel):
    model_config = ConfigDict(strict=True, allow_inf_nan=False, str_max_length=MAX_TEXT)


class _Image(_Json):
    name: str
    video: str


class _Annotation(_Json):
    id: str
    name: str
    class_id: int
    in_contact_object: str | None = None
    on_which_hand: list[str] | str | None = None
    segments: list[list[list[float]]]


class _Frame(_Json):
    image: _Image
    annotations: list[_Annotation]


def read_visor(path: Path, log: ProblemLog) -> Iterator[VisorFrame]:
    """
    Read a video's sparse masks.

    :param path: of ``<video>.json``, at most 1 GiB (the largest is some 100 MB).
    :param log: where malformed frames, empty masks and mended errors are reported.
    :returns: an iterator over the frames in the file's order.
    :raises LegoError: SOURCE_UNREADABLE, it is no VISOR file or cut off.
    """
    for index, raw in enumerate(_load(path, 'video_annotations', list)):
        row = f'video_annotations[{index}]'
        try:
            frame = _Frame.model_validate(raw)
            number = frame_number_of(frame.image.name)
        except ValidationError as error:
            log.add(Reason.MALFORMED, path, row, first_fault(error))
            continue
        except ValueError as error:
            log.add(Reason.MALFORMED, path, row, str(error))
            continue
        yield _frame(frame, number, raw, path, f'{row} {frame.image.name}', log)


def frame_number_of(name: str) -> int:
    """
    Read the frame number out of an image's name.

    :param name: such as ``P01_01_frame_0000000140.jpg`` or ``frame_0000000140.jpg``.
    :returns: the number.
    :raises ValueError: the name has none.
    """
    match = _FRAME.search(name)
    if match is None:
        raise ValueError(f'image name {name!r} has no frame number')
    return int(match[1])


def read_frame_mapping(path: Path) -> dict[tuple[str, str], int]:
    """
    Read frame_mapping.json.

    :param path: of the file.
    :returns: EPIC-KITCHENS' frame number, from 1, by video id and VISOR's image name.
    :raises LegoError: SOURCE_UNREADABLE, naming the entry.
    """
    mapping = {}
    for video_id, names in _load(path, None, dict).items():
        if not isinstance(names, dict):
            raise unusable(path, f'{video_id}: expected names of frames')
        for name, epic in names.items():
            try:
                mapping[video_id, name] = frame_number_of(epic)
            except (ValueError, TypeError) as error:
                raise unusable(path, f'{video_id} {name}: {error}') from error
    return mapping


def _load(path: Path, key: str | None, kind: type) -> Any:
    try:
        if path.stat().st_size > _MAX_FILE:
            raise unusable(path, f'larger than {_MAX_FILE} bytes; it is not read')
        value = json.loads(path.read_text(encoding='utf-8'))
    except OSError as error:
        raise unusable(path, f'it cannot be read: {error}') from error
    except (ValueError, RecursionError) as error:
        raise unusable(path, f'it is no JSON; it may be cut off: {error}') from error
    if key is not None:
        value = value.get(key) if isinstance(value, dict) else None
    if not isinstance(value, kind):
        raise unusable(path, f'expected a {kind.__name__} {"in " + key if key else ""}'.rstrip())
    return value


def _frame(frame: _Frame, number: int, raw: Any, path: Path, row: str, log: ProblemLog
           ) -> VisorFrame:
    ids = {annotation.id for annotation in frame.annotations}
    entities: dict[str, Entity] = {}
    for annotation, raw_annotation in zip(frame.annotations, raw['annotations'], strict=True):
        if annotation.id in entities:
            log.add(Reason.DUPLICATE, path, row, f'{annotation.name}: id {annotation.id}')
            continue
        if annotation.class_id in _GLOVES and 'on_which_hand' not in raw_annotation:
            log.add(Reason.KNOWN_ERROR, path, row,
                    f'{annotation.name}: a glove without on_which_hand is taken as unworn')
        contact, touches = _contact(annotation.in_contact_object)
        if touches is not None and touches not in ids:
            log.add(Reason.UNKNOWN_CONTACT, path, row,
                    f'{annotation.name} touches {touches}, which the frame does not have')
            contact, touches = Contact.MISSING, None
        corners = _corners(annotation.segments)
        if corners is None:
            log.add(Reason.BAD_BOX, path, row, f'{annotation.name}: its mask is empty')
        hands = _hands(annotation, path, row, log)
        entities[annotation.id] = Entity(
            annotation.id, annotation.name, annotation.class_id, corners, hands, contact, touches)
    return VisorFrame(frame.image.video, frame.image.name, number, entities)


def _contact(value: str | None) -> tuple[Contact, str | None]:
    if not value:
        return Contact.MISSING, None
    if value in _CONTACTS:
        return _CONTACTS[value], None
    return Contact.OBJECT, value


def _hands(annotation: _Annotation, path: Path, row: str, log: ProblemLog) -> tuple[Role, ...]:
    if annotation.class_id in _HAND_ROLES:
        return (_HAND_ROLES[annotation.class_id],)
    worn = annotation.on_which_hand or []
    sides = []
    for side in [worn] if isinstance(worn, str) else worn:
        if side == 'rigth hand':
            log.add(Reason.KNOWN_ERROR, path, row, f'{annotation.name}: "rigth hand" is mended')
            side = 'right hand'
        if side in _SIDES:
            sides.append(_SIDES[side])
    return tuple(dict.fromkeys(sides))


def _corners(segments: list[list[list[float]]]) -> tuple[float, float, float, float] | None:
    points = [point for polygon in segments for point in polygon if len(point) == 2]
    if not points:
        return None
    low = [min(point[axis] for point in points) for axis in (0, 1)]
    high = [max(point[axis] for point in points) for axis in (0, 1)]
    if not all(math.isfinite(value) for value in (*low, *high)):
        return None
    return normalised((low[0], low[1], high[0], high[1]), WIDTH, HEIGHT)
