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

"""What the hands touch: EPIC-KITCHENS-100's hand-object detections, or VISOR's masks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from lego_ros.training.data.epic import frame_rate
from lego_ros.training.data.epic_classes import spoken
from lego_ros.training.data.files import unusable
from lego_ros.training.data.hand_objects import (
    FrameDetections,
    HandSide,
    HandState,
    read_hand_objects,
)
from lego_ros.training.data.layout import epic_hand_objects, visor_masks
from lego_ros.training.data.problems import ProblemLog
from lego_ros.training.data.visor import Contact, read_frame_mapping, read_visor, VisorFrame
from lego_ros.training.descriptors.clip import Clip, Part, runs

Corners = tuple[float, float, float, float]
Namer = Callable[[str, float, Corners], 'str | None']
"""Names a box by video, time and corners; ``Detections.name_at``."""
FLICKER = 0.25
"""Seconds for which a detector may miss a contact without its being told as two."""
LEAST = 0.1
"""Seconds that a contact lasts to be told; briefer ones are a detector's mistakes."""
SPARSE = 3.0
"""Seconds between VISOR's frames within which a contact is taken to last."""
NO_FILE = 'this video has no file of contacts'
NO_HANDS = 'no hands seen'
NO_FRAMES = 'no frame of this clip was looked at'
_STATES = {
    HandState.NONE: 'free', HandState.SELF: 'touches the person',
    HandState.OTHER_PERSON: 'touches somebody else',
    HandState.PORTABLE_OBJECT: 'holds a thing',
    HandState.STATIONARY_OBJECT: 'touches something fixed'}


class HandObjects:
    """
    Contacts as the hand-object detector saw them. It does not name things.

    :param folder: with ``<video>.pkl``, see ``layout.epic_hand_objects``.
    :param log: where malformed frames are reported.
    :param name: names the box that a hand touches; None = nobody can.
    :raises LegoError: SOURCE_UNREADABLE: there is no such folder.
    """

    def __init__(self, folder: Path, log: ProblemLog, name: Namer | None = None) -> None:
        if not folder.is_dir():
            raise unusable(folder, 'no such folder of hand-object detections')
        self._folder = folder
        self._log = log
        self._name = name

    def parts(self, video_id: str, clips: Sequence[Clip]) -> list[Part]:
        """See :meth:`Source.parts`."""
        path = epic_hand_objects(self._folder, video_id)
        if path is None:
            return [Part(note=NO_FILE) for _ in clips]
        rate = frame_rate(video_id)
        samples = sorted(
            ((frame.frame - 1) / rate, tuple(self._said(video_id, frame.above(), rate)))
            for frame in read_hand_objects(path, self._log))
        return [_part(samples, clip, FLICKER, LEAST) for clip in clips]

    def _said(self, video_id: str, frame: FrameDetections, rate: int) -> Iterator[str]:
        for hand in frame.hands:
            side = 'left' if hand.side is HandSide.LEFT else 'right'
            text = _STATES[hand.state]
            thing = frame.object_of(hand)
            if thing is not None and self._name is not None:
                name = self._name(video_id, (frame.frame - 1) / rate, thing.corners)
                text = text if name is None else f'{text.split()[0]} {name}'
            yield f'{side} hand {text}'


class VisorContacts:
    """
    Contacts as VISOR's annotators drew them, by name.

    :param folder: with ``frame_mapping.json`` and the masks, see ``layout.visor_masks``.
    :param log: where malformed frames are reported.
    :raises LegoError: SOURCE_UNREADABLE: the mapping cannot be read.
    """

    def __init__(self, folder: Path, log: ProblemLog) -> None:
        self._folder = folder
        self._log = log
        self._numbers = read_frame_mapping(folder / 'frame_mapping.json')

    def parts(self, video_id: str, clips: Sequence[Clip]) -> list[Part]:
        """See :meth:`Source.parts`."""
        path = visor_masks(self._folder, video_id)
        if path is None:
            return [Part(note=NO_FILE) for _ in clips]
        rate = frame_rate(video_id)
        samples = sorted(
            ((self._numbers[video_id, frame.name] - 1) / rate, tuple(visor_said(frame)))
            for frame in read_visor(path, self._log) if (video_id, frame.name) in self._numbers)
        return [_part(samples, clip, SPARSE, 0.0) for clip in clips]


def visor_said(frame: VisorFrame) -> Iterator[str]:
    """
    Say what each hand of a frame touches.

    :param frame: of VISOR.
    :returns: sentences; none of a hand about which nothing is known.
    """
    for entity in frame.entities.values():
        # A worn glove is its hand's contact, which is looked through where the hand is there.
        if len(entity.hands) != 1 or entity.corners is None:
            continue
        side = entity.hands[0].replace('_', ' ')
        contact, thing = frame.touched_by(entity)
        if thing is not None:
            yield f'{side} touches {spoken(thing.name)}'
        elif contact is Contact.UNMASKED:
            yield f'{side} touches a thing'
        elif contact is Contact.NONE:
            yield f'{side} free'


def _part(samples: Sequence[tuple[float, tuple[str, ...]]], clip: Clip, gap: float, least: float
          ) -> Part:
    inside = [(time - clip.start, said) for time, said in samples
              if clip.start <= time <= clip.end]
    if not inside:
        return Part(note=NO_FRAMES)
    if not any(said for _, said in inside):
        return Part(note=NO_HANDS)
    return Part(runs(inside, gap, least))
