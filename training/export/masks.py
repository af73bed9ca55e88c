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

"""An episode's masks as VISOR's sparse annotations."""

from __future__ import annotations

from typing import Any

import cv2
from lego_ros.training.data.visor import HEIGHT, WIDTH
from lego_ros.training.export.epic_annotations import NOUN_CLASSES
from lego_ros.training.export.ids import epic_action, epic_video
from lego_ros.training.export.observation import Observer
from lego_ros.training.export.splits import annotated, noun_of
import numpy as np

_HAND_CLASSES = {'left': 300, 'right': 301}
EPIC_TICKS = 2
"""Frames of EPIC-KITCHENS' count (60 per second) for each of the kitchen's."""


def epic_frame(frame: int) -> int:
    """
    Return the first of EPIC-KITCHENS' frames that shows one of the kitchen's.

    :param frame: from 0 at 30 per second.
    :returns: from 1 at 60 per second.
    """
    return frame * EPIC_TICKS + 1


def visor_frames(observer: Observer) -> list[dict[str, Any]]:
    """
    Annotate an episode: the input, contact, target and post frame of each annotated action.

    :param observer: of the episode.
    :returns: the elements of ``video_annotations``, by time.
    """
    wanted: dict[int, int] = {}
    for number in annotated(observer.episode):
        action = observer.episode.actions[number]
        for frame in (action.pre - 15, action.contact, action.pnr, action.post):
            wanted.setdefault(frame, number)
    return [_frame(observer, frame, number) for frame, number in sorted(wanted.items())]


def frame_mapping(found: list[dict[str, Any]]) -> dict[str, str]:
    """
    Map VISOR's frames to EPIC-KITCHENS', which count alike here.

    :param found: from :func:`visor_frames`.
    :returns: VISOR's image name -> EPIC-KITCHENS' file name.
    """
    names = [element['image']['name'] for element in found]
    return {name: name.split('_', 2)[2] for name in names}


def _frame(observer: Observer, frame: int, number: int) -> dict[str, Any]:
    seed = observer.episode.seed
    video = epic_video(seed)
    choice = observer.episode.actions[number].choice
    name = f'{video}_frame_{epic_frame(frame):010d}.jpg'
    things = dict.fromkeys(
        entity for side in _HAND_CLASSES for entity in observer.touched(frame, side))
    things.update(dict.fromkeys((choice.target, choice.tool, choice.place)))
    nouns = {entity: _noun(entity) for entity in things}
    nouns[choice.target] = noun_of(choice)
    seen = [entity for entity in things if entity in observer.seen(frame)]
    return {
        'image': {'image_path': f'{video}/{name}', 'name': name,
                  'subsequence': epic_action(seed, number), 'video': video},
        'annotations': [
            *(_annotation(observer, frame, f'{side}_hand', f'{side} hand', _HAND_CLASSES[side],
                          _contact(observer, frame, side, seen))
              for side in observer.hands(frame)),
            *(_annotation(observer, frame, entity, nouns[entity],
                          NOUN_CLASSES.index(nouns[entity]), None) for entity in seen)]}


def _noun(entity: str) -> str:
    return entity.rsplit('_', 1)[-1]


def _contact(observer: Observer, frame: int, side: str, seen: list[str]) -> str:
    touched = observer.touched(frame, side)
    if not touched:
        return 'hand-not-in-contact'
    return next((_id(observer, frame, entity) for entity in touched if entity in seen),
                'none-of-the-above')


def _id(observer: Observer, frame: int, entity: str) -> str:
    return f'{epic_video(observer.episode.seed)}-{epic_frame(frame)}-{entity}'


def _annotation(observer: Observer, frame: int, entity: str, name: str, class_id: int,
                contact: str | None) -> dict[str, Any]:
    found: dict[str, Any] = {
        'id': _id(observer, frame, entity), 'name': name, 'class_id': class_id,
        'exhaustive': 'y', 'segments': polygons(observer.seen(frame)[entity].mask)}
    if contact is not None:
        found['in_contact_object'] = contact
    return found


def polygons(mask: np.ndarray) -> list[list[list[float]]]:
    """
    Draw a mask's outlines in VISOR's pixels.

    :param mask: (H, W) bool.
    :returns: a polygon of x, y for each part, in 1920 x 1080; holes are left out.
    """
    # Drawn at that size, where an outline through pixel centres is next to the mask's edge.
    large = cv2.resize(mask.astype(np.uint8), (WIDTH, HEIGHT), interpolation=cv2.INTER_NEAREST)
    outlines, _ = cv2.findContours(large, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    return [(outline.reshape(-1, 2).astype(float) + 0.5).tolist() for outline in outlines]
