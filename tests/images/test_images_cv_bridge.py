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
The converter against the real cv_bridge: its recorded pictures, and itself where installed.

Equality is exact but for one case: 8-bit Bayer to mono may differ by one step, since the vector
code of OpenCV 4.6 (which made the recorded pictures) rounds down where its own scalar code, and
the vector code of later versions, round to the nearest.
"""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

from lego_ros.errors import ErrorCode, LegoError
from lego_ros.images.image_encodings import COLOR_ENCODINGS, find_encoding
from lego_ros.images.raw import convert, decode_image, to_array
import numpy as np
import pytest

GOLDEN = Path(__file__).parent / 'data' / 'cv_bridge_golden.npz'
TARGETS = ('rgb8', 'bgr8', 'mono8')
# This cv_bridge is older than the name; the same picture, stored in another order, is below.
NOT_RECORDED = {'yuv422_yuy2', 'yuyv', 'uyvy'}


def load():
    with np.load(GOLDEN, allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


VECTORS = load()
PICTURES = sorted(name.rpartition('/')[0] for name in VECTORS if name.endswith('/source'))


def message(encoding, height, width, data):
    return SimpleNamespace(height=height, width=width, encoding=encoding, is_bigendian=0,
                           step=len(data) // height, data=data)


def recorded(name, encoding=None, reorder=None):
    source_encoding, size = name.split('/')
    height, width = (int(number) for number in size.split('x'))
    data = VECTORS[f'{name}/source']
    if reorder:
        data = data.reshape(-1, len(reorder))[:, reorder].ravel()
    return message(encoding or source_encoding, height, width, data.tobytes())


def assert_same(picture, expected, encoding, target):
    assert picture.shape == expected.shape
    assert picture.dtype == expected.dtype
    loose = target == 'mono8' and encoding.startswith('bayer') and encoding.endswith('8')
    assert np.abs(picture.astype(int) - expected).max() <= int(loose)


@pytest.mark.parametrize('target', TARGETS)
@pytest.mark.parametrize('name', PICTURES)
def test_recorded_pictures(name, target):
    msg = recorded(name)
    assert_same(convert(to_array(msg), msg.encoding, target), VECTORS[f'{name}/{target}'],
                msg.encoding, target)


def test_narrow_bayer_to_mono_is_exact():
    # At 8 columns no version's vector code runs: what remains is the arithmetic itself.
    names = [name for name in PICTURES if name.startswith('bayer') and name.endswith('/6x8')]
    assert len(names) == 8
    for name in names:
        msg = recorded(name)
        assert np.array_equal(convert(to_array(msg), msg.encoding, 'mono8'),
                              VECTORS[f'{name}/mono8'])


@pytest.mark.parametrize('target', TARGETS)
@pytest.mark.parametrize(('encoding', 'reorder'), [
    ('uyvy', [0, 1]), ('yuv422_yuy2', [1, 0]), ('yuyv', [1, 0]),
])
@pytest.mark.parametrize('name', [name for name in PICTURES if name.startswith('yuv422/')])
def test_other_names_of_422(name, encoding, reorder, target):
    msg = recorded(name, encoding, reorder)
    assert np.array_equal(convert(to_array(msg), encoding, target), VECTORS[f'{name}/{target}'])


def test_every_encoding_is_recorded():
    assert {name.split('/')[0] for name in PICTURES} == set(COLOR_ENCODINGS) - NOT_RECORDED


def test_what_cv_bridge_refuses_is_refused():
    assert len(VECTORS['refused']) == 28
    for encoding in VECTORS['refused']:
        data = bytes(find_encoding(str(encoding)).pixel_bytes)
        with pytest.raises(LegoError) as error:
            decode_image(message(str(encoding), 1, 1, data))
        assert error.value.code is ErrorCode.NOT_A_COLOR_IMAGE


@pytest.fixture(scope='module')
def bridge():
    try:
        import cv_bridge.boost.cv_bridge_boost  # what cv_bridge loads late
    except ImportError as error:
        pytest.skip(f'no cv_bridge that works with this Python and numpy: {error}')
    return cv_bridge


@pytest.mark.parametrize('encoding', COLOR_ENCODINGS)
def test_live_cv_bridge(bridge, encoding):
    random = np.random.default_rng(11)
    pixel_bytes = find_encoding(encoding).pixel_bytes
    for height, width in ((3, 4), (48, 64), (33, 130)):
        msg = message(encoding, height, width, random.bytes(height * width * pixel_bytes))
        for msg.is_bigendian in (0, 1):
            for target in TARGETS:
                try:
                    expected = bridge.CvBridge().imgmsg_to_cv2(msg, target)
                except bridge.CvBridgeError as error:
                    if 'Unrecognized' in str(error) and encoding in NOT_RECORDED:
                        pytest.skip(f'this cv_bridge does not know {encoding}')
                    raise
                assert_same(convert(to_array(msg), encoding, target), expected, encoding, target)
