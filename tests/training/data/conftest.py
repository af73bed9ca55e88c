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

"""Videos whose frames carry their number as a picture, and a record to put into manifests."""

from fractions import Fraction
from types import SimpleNamespace

import av
import numpy as np
import pytest

SIDE = 128
BLOCK = 32


def paint(number):
    """Draw a 16-bit number as a 4 x 4 grid of black and white blocks."""
    bits = [(number >> bit) & 1 for bit in range(16)]
    grid = np.array(bits, np.uint8).reshape(4, 4) * 255
    return np.repeat(np.kron(grid, np.ones((BLOCK, BLOCK), np.uint8))[..., None], 3, axis=2)


def read_number(rgb):
    """Read what paint() drew, whatever the coding did to it."""
    assert rgb.shape == (SIDE, SIDE, 3)
    blocks = rgb.mean(axis=2).reshape(4, BLOCK, 4, BLOCK).mean(axis=(1, 3))
    assert np.all((blocks < 90) | (blocks > 165)), 'the picture is damaged'
    return int(sum(1 << bit for bit, value in enumerate(blocks.ravel()) if value > 128))


def write_video(path, pts, time_base=Fraction(1, 600), gop=250, b_frames=2, options=None,
                container_options=None):
    """Encode frames painted 0, 1, 2, ... at these times, in ticks."""
    with av.open(str(path), 'w', options=container_options or {}) as container:
        stream = container.add_stream('libx264', rate=30, options={
            'crf': '23', 'bf': str(b_frames), 'g': str(gop), 'keyint_min': str(gop),
            'sc_threshold': '0', **(options or {})})
        stream.width = stream.height = SIDE
        stream.pix_fmt = 'yuv420p'
        stream.codec_context.time_base = time_base
        for number, tick in enumerate(pts):
            frame = av.VideoFrame.from_ndarray(paint(number), format='rgb24')
            frame.pts = tick
            frame.time_base = time_base
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


@pytest.fixture
def painted():
    return SimpleNamespace(paint=paint, read=read_number, write=write_video)


@pytest.fixture
def record():
    """Make a record with other values in some of its fields."""
    from lego_ros.training.data.manifest import PairRecord

    def picture(role, frame, time):
        return {
            'asked_time': time, 'asked_frame': None, 'asked_base': 1, 'asked_fps': 50.0,
            'asked_source': 'start_timestamp - 0.25 s', 'frame': frame, 'base': 0, 'fps': 50.0,
            'numbering': 'frames', 'time': time,
            'candidates': [{'frame': frame, 'time': time, 'quality': 0.5}],
            'path': f'pictures/ab/{role}.jpg', 'sha256': 'a' * 64, 'width': 256, 'height': 256}

    def make(**changes):
        values = {
            'pair_id': 'epic-kitchens-100/P03_101_0', 'dataset': 'epic-kitchens-100',
            'action_id': 'P03_101_0', 'video_id': 'P03_101', 'video': 'P03_101.MP4',
            'split': 'train', 'label': 'turn on tap', 'narration': 'turn on tap',
            'verb': 'turn-on', 'verb_class': 6, 'noun': 'tap', 'noun_class': 0, 'hand': 'left',
            'boxes': [{'role': 'left_hand', 'picture': 'target', 'box': [0.1, 0.2, 0.3, 0.4]}],
            'input': picture('input', 117, 2.35), 'target': picture('target', 167, 3.356),
            'quality_by': 'sharpness', 'similarity': 0.9, 'similarity_by': 'gist_cosine',
            'kept': True, 'reason': 'kept'}
        if 'action_id' in changes:
            values['pair_id'] = f'{values["dataset"]}/{changes["action_id"]}'
        return PairRecord.model_validate({**values, **changes})

    return make
