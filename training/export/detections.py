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
Hands and what they touch as EPIC-KITCHENS-100's hand-object detections: ``<video>.pkl``.

A pickled list of protocol buffers; ``hand_objects`` describes their fields. Here the kitchen is
the detector, so every score is 1.
"""

from __future__ import annotations

from collections.abc import Sequence
import struct

from lego_ros.training.data.hand_objects import HandSide, HandState
from lego_ros.training.data.wire import BYTES, FIXED32, VARINT
from lego_ros.training.export.ids import epic_video
from lego_ros.training.export.masks import epic_frame, EPIC_TICKS
from lego_ros.training.export.observation import Corners, Observer
from lego_ros.training.export.splits import annotated

NEAR = 3
"""Frames on each side of an input or target frame that are looked at."""
_SIDES = {'left': HandSide.LEFT, 'right': HandSide.RIGHT}


def detections(observer: Observer) -> bytes:
    """
    Detect hands and objects in the frames from which pairs are taken, and those near them.

    :param observer: of the episode.
    :returns: the file's content.
    """
    last = observer.episode.frame_count - 1
    wanted: set[int] = set()
    for number in annotated(observer.episode):
        action = observer.episode.actions[number]
        for frame in (action.pre - 15, action.pnr):
            wanted.update(range(max(0, frame - NEAR), min(last, frame + NEAR) + 1))
    messages = []
    for frame in sorted(wanted):
        body = _hands_and_objects(observer, frame)
        video = epic_video(observer.episode.seed)
        messages += [_field(1, video.encode()) + _number(2, epic_frame(frame) + tick) + body
                     for tick in range(EPIC_TICKS)]
    return pickled(messages)


def pickled(messages: Sequence[bytes]) -> bytes:
    """
    Write a list of byte strings as the pickle module would read it, without that module.

    :param messages: each shorter than 4 GiB.
    :returns: PROTO 3, EMPTY_LIST, MARK, BINBYTES for each, APPENDS, STOP.
    """
    strings = b''.join(b'B' + struct.pack('<I', len(message)) + message for message in messages)
    return b'\x80\x03](' + strings + b'e.'


def _hands_and_objects(observer: Observer, frame: int) -> bytes:
    found: dict[str, Corners] = {}
    hands = []
    for side in observer.hands(frame):
        corners = observer.corners(frame, f'{side}_hand')
        assert corners is not None
        touched = observer.touched(frame, side)
        boxes = [(name, observer.corners(frame, name)) for name in touched]
        seen = [(name, box) for name, box in boxes if box is not None]
        found.update(seen)
        state = HandState.NONE
        if touched:
            portable = touched[0] in observer.episode.scene.things
            state = HandState.PORTABLE_OBJECT if portable else HandState.STATIONARY_OBJECT
        hands.append(_hand(corners, state, _SIDES[side], seen[0][1] if seen else None))
    objects = [_field(1, _box(corners)) + _real(2, 1.0) for corners in found.values()]
    return b''.join([_field(3, hand) for hand in hands] + [_field(4, body) for body in objects])


def _hand(corners: Corners, state: HandState, side: HandSide, thing: Corners | None) -> bytes:
    message = _field(1, _box(corners)) + _real(2, 1.0) + _number(3, state)
    if thing is not None:
        x, y = ((thing[axis] + thing[axis + 2] - corners[axis] - corners[axis + 2]) / 2
                for axis in (0, 1))
        message += _field(4, _real(1, x) + _real(2, y))
    return message + _number(5, side)


def _box(corners: Sequence[float]) -> bytes:
    return b''.join(_real(number, value) for number, value in enumerate(corners, start=1))


def _varint(value: int) -> bytes:
    found = bytearray()
    while value > 0x7f:
        found.append(value & 0x7f | 0x80)
        value >>= 7
    return bytes([*found, value])


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3 | VARINT) + _varint(value)


def _real(field: int, value: float) -> bytes:
    return _varint(field << 3 | FIXED32) + struct.pack('<f', value)


def _field(field: int, content: bytes) -> bytes:
    return _varint(field << 3 | BYTES) + _varint(len(content)) + content
