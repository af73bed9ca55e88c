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

"""Clips, and files of the datasets that they come from."""

import json
import struct

from lego_ros.training.data.problems import ProblemLog
from lego_ros.training.descriptors.clip import Clip
from lego_ros.training.export.detections import pickled
import pytest


@pytest.fixture
def log():
    return ProblemLog()


@pytest.fixture
def clip():
    """Make a clip; it begins 10 s into its video by default."""
    def make(start=10.0, end=14.0, **changes):
        return Clip(**{'clip_id': 'P01_101_0', 'video_id': 'P01_101', 'start': start, 'end': end,
                       'label': 'open drawer', 'nouns': ('drawer',), **changes})

    return make


def varint(value):
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7f | 0x80)
        value >>= 7
    return bytes([*out, value])


def number(field, value):
    return varint(field << 3) + varint(value)


def real(field, value):
    return varint(field << 3 | 5) + struct.pack('<f', value)


def chunk(field, content):
    return varint(field << 3 | 2) + varint(len(content)) + content


def box(corners):
    return b''.join(real(index, value) for index, value in enumerate(corners, 1))


@pytest.fixture
def hand_objects(tmp_path):
    """Write <video>.pkl: frame number -> hands as (side, state, score), each at its object."""
    def write(frames, video_id='P01_101', thing=(0.4, 0.4, 0.6, 0.6)):
        messages = []
        for frame, hands in frames.items():
            message = chunk(1, video_id.encode()) + number(2, frame)
            for side, state, score in hands:
                message += chunk(3, chunk(1, box((0.4, 0.4, 0.6, 0.6))) + real(2, score)
                                 + number(3, state) + chunk(4, real(1, 0.0) + real(2, 0.0))
                                 + number(5, side))
            if hands:
                message += chunk(4, chunk(1, box(thing)) + real(2, 0.9))
            messages.append(message)
        (tmp_path / f'{video_id}.pkl').write_bytes(pickled(messages))
        return tmp_path

    return write


@pytest.fixture
def visor(tmp_path):
    """Write VISOR: seconds -> (id, name, class, contact) of each mask, with its mapping."""
    def write(frames, video_id='P01_101', unmapped=()):
        names, annotated = {}, []
        for count, (seconds, masks) in enumerate(frames.items(), 1):
            name = f'{video_id}_frame_{count:010d}.jpg'
            if seconds not in unmapped:
                names[name] = f'frame_{round(seconds * 50) + 1:010d}.jpg'
            annotated.append({
                'image': {'name': name, 'video': video_id},
                'annotations': [{
                    'id': key, 'name': noun, 'class_id': number, 'in_contact_object': contact,
                    'segments': [[[10.0, 10.0], [90.0, 10.0], [90.0, 90.0]]]}
                    for key, noun, number, contact in masks]})
        (tmp_path / 'frame_mapping.json').write_text(json.dumps({video_id: names}))
        folder = tmp_path / 'train'
        folder.mkdir()
        (folder / f'{video_id}.json').write_text(json.dumps({'video_annotations': annotated}))
        return tmp_path

    return write
