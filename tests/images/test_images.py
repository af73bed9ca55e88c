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

from __future__ import annotations

import array
import gc
import subprocess
import sys
import tracemalloc
from types import SimpleNamespace

from hypothesis import given, settings
from hypothesis import strategies as st
from lego_ros.errors import ErrorCode, LegoError
from lego_ros.images.image_encodings import COLOR_ENCODINGS, find_encoding, MAX_PIXELS, MAX_SIDE
from lego_ros.images.raw import convert, decode_image, to_array
from lego_ros.ros.image_messages import encode_image
import numpy as np
import pytest

GENERIC = [f'{depth}C{channels}' for depth in ('8U', '8S', '16U', '16S', '32S', '32F', '64F')
           for channels in (1, 2, 3, 4)]


def message(encoding, height, width, data=None, *, step=None, big=0):
    if step is None:
        step = width * find_encoding(encoding).pixel_bytes
    if data is None:
        data = np.random.default_rng(7).bytes(step * height)
    return SimpleNamespace(height=height, width=width, encoding=encoding, is_bigendian=big,
                           step=step, data=array.array('B', data))


def of_array(pixels, encoding, big=0):
    """Put an array of native values into an unpadded message."""
    stored = pixels.astype(pixels.dtype.newbyteorder('>' if big else '<'))
    return message(encoding, *pixels.shape[:2], stored.tobytes(), big=big)


@st.composite
def messages(draw, encodings=tuple(COLOR_ENCODINGS), smallest=1):
    encoding = draw(st.sampled_from(encodings))
    height, width = draw(st.integers(smallest, 9)), draw(st.integers(smallest, 20))
    if find_encoding(encoding).layout in ('uyvy', 'yuyv'):
        width += width % 2
    size = height * width * find_encoding(encoding).pixel_bytes
    data = draw(st.binary(min_size=size, max_size=size))
    return message(encoding, height, width, data, big=draw(st.integers(0, 1)))


def padded(msg, padding):
    """Make the same message with the given bytes at the end of each row."""
    rows = np.frombuffer(msg.data, np.uint8).reshape(msg.height, msg.step)
    filler = np.broadcast_to(np.frombuffer(padding, np.uint8), (msg.height, len(padding)))
    step = msg.step + len(padding)
    return message(msg.encoding, msg.height, msg.width, np.hstack([rows, filler]).tobytes(),
                   step=step, big=msg.is_bigendian)


# What the values mean.

@pytest.mark.parametrize('bits', [8, 16])
@pytest.mark.parametrize('layout', ['rgb', 'bgr', 'rgba', 'bgra'])
def test_channels_come_out_in_the_order_red_green_blue(layout, bits):
    top = 2 ** bits - 1
    values = {'r': top, 'g': top // 5, 'b': 0, 'a': top // 3}
    pixels = np.array([[[values[c] for c in layout]]], f'uint{bits}')
    picture = decode_image(of_array(pixels, f'{layout}{bits}'))
    assert picture.tolist() == [[[255, 51, 0]]]


def test_every_16_bit_value_scales_by_255_over_65535_to_the_nearest():
    every = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    # 65535 / 255 is the odd number 257, so that no value lies halfway: integers can tell.
    nearest = ((every.astype(np.uint32) + 128) // 257).astype(np.uint8)
    assert np.array_equal(convert(every, 'mono16', 'mono8'), nearest)
    assert np.array_equal(decode_image(of_array(every, 'mono16')), np.dstack([nearest] * 3))


@pytest.mark.parametrize('bits', [8, 16])
@pytest.mark.parametrize('pattern', ['rggb', 'bggr', 'gbrg', 'grbg'])
@pytest.mark.parametrize('channel', [0, 1, 2])
def test_bayer_patterns_name_the_first_two_rows(pattern, channel, bits):
    # A scene of one pure colour lights only that colour's sites; ROS spells out the 2 x 2 tile.
    top = 2 ** bits - 1
    tile = np.array([top if c == 'rgb'[channel] else 0 for c in pattern], f'uint{bits}')
    picture = decode_image(of_array(np.tile(tile.reshape(2, 2), (4, 5)), f'bayer_{pattern}{bits}'))
    expected = np.zeros(3, np.uint8)
    expected[channel] = 255
    assert picture.shape == (8, 10, 3)
    assert (picture == expected).all()


@pytest.mark.parametrize(('encoding', 'data'), [
    ('yuv422', [90, 41, 240, 145]), ('uyvy', [90, 41, 240, 145]),
    ('yuv422_yuy2', [41, 90, 145, 240]), ('yuyv', [41, 90, 145, 240]),
])
def test_422_pairs_share_their_chroma(encoding, data):
    # U = 90, V = 240 with Y = 41 and 145. BT.601, limited range: R = 1.164 (Y - 16) + 1.596
    # (V - 128), G = ... - 0.813 (V - 128) - 0.392 (U - 128), B = ... + 2.017 (U - 128).
    luma, u, v = np.array([41, 145]), 90 - 128, 240 - 128
    exact = np.stack([1.164 * (luma - 16) + 1.596 * v,
                      1.164 * (luma - 16) - 0.813 * v - 0.392 * u,
                      1.164 * (luma - 16) + 2.017 * u], axis=-1).clip(0, 255)
    picture = decode_image(message(encoding, 1, 2, bytes(data)))
    assert np.abs(picture[0] - exact).max() <= 1
    assert convert(to_array(message(encoding, 1, 2, bytes(data))), encoding, 'mono8').tolist() == [
        [41, 145]]


@settings(deadline=None)
@given(messages(smallest=3), st.binary(max_size=9))
def test_padding_of_rows_does_not_matter(msg, padding):
    wide = padded(msg, padding)
    for target in ('rgb8', 'bgr8', 'mono8'):
        assert np.array_equal(convert(to_array(wide), msg.encoding, target),
                              convert(to_array(msg), msg.encoding, target))


@settings(deadline=None)
@given(messages(smallest=3))
def test_byte_order_does_not_matter(msg):
    bytes_per_value = find_encoding(msg.encoding).dtype.itemsize
    swapped = np.frombuffer(msg.data, np.uint8).reshape(-1, bytes_per_value)[:, ::-1].tobytes()
    other = message(msg.encoding, msg.height, msg.width, swapped, big=1 - msg.is_bigendian)
    assert np.array_equal(decode_image(other), decode_image(msg))


@settings(deadline=None)
@given(messages(smallest=3))
def test_rgb_bgr_and_mono_agree(msg):
    pixels = to_array(msg)
    rgb = convert(pixels, msg.encoding, 'rgb8')
    assert np.array_equal(convert(pixels, msg.encoding, 'bgr8'), rgb[..., ::-1])
    mono = convert(pixels, msg.encoding, 'mono8')
    if find_encoding(msg.encoding).layout in ('rgb', 'bgr', 'rgba', 'bgra', 'mono'):
        # BT.601 luma; half a step for each rounding, one more for the 16-bit scaling's own.
        assert np.abs(rgb @ np.array([0.299, 0.587, 0.114]) - mono).max() <= 1.5
    assert mono.shape == rgb.shape[:2]


@pytest.mark.parametrize('encoding', COLOR_ENCODINGS)
def test_one_pixel_is_a_picture_or_a_clear_error(encoding):
    msg = message(encoding, 1, 1)
    if find_encoding(encoding).layout.startswith(('bayer', 'uyvy', 'yuyv')):
        with pytest.raises(LegoError, match=r'at least 3 x 3|must be even') as error:
            decode_image(msg)
        assert error.value.code is ErrorCode.MALFORMED_IMAGE
    else:
        assert decode_image(msg).shape == (1, 1, 3)


# Arrays and memory.

@settings(deadline=None)
@given(messages(smallest=3))
def test_the_picture_is_whole_contiguous_and_read_only(msg):
    picture = decode_image(msg)
    assert picture.shape == (msg.height, msg.width, 3)
    assert picture.dtype == np.uint8
    assert picture.flags.c_contiguous
    with pytest.raises(ValueError, match='read-only'):
        picture[0, 0, 0] = 1


def test_plain_rgb_is_not_copied_and_outlives_its_message():
    msg = message('rgb8', 4, 5)
    values = np.array(msg.data)
    picture = decode_image(msg)
    assert np.shares_memory(picture, np.frombuffer(msg.data, np.uint8))
    # Its memory cannot be given back under the picture.
    with pytest.raises(BufferError):
        msg.data.pop()
    del msg
    gc.collect()
    assert np.array_equal(picture.ravel(), values)


@pytest.mark.parametrize('other', [
    padded(message('rgb8', 4, 5), b'xyz'), message('bgr8', 4, 5), message('rgb16', 4, 5)],
    ids=['padded', 'bgr8', 'rgb16'])
def test_other_pictures_are_not_shared_with_the_message(other):
    assert not np.shares_memory(decode_image(other), np.frombuffer(other.data, np.uint8))


def test_array_is_a_read_only_view_of_the_message():
    msg = padded(message('rgb8', 4, 5), b'xyz')
    pixels = to_array(msg)
    assert np.shares_memory(pixels, np.frombuffer(msg.data, np.uint8))
    assert not pixels.flags.writeable
    assert pixels.strides == (18, 3, 1)


@pytest.mark.parametrize('big', [0, 1])
@pytest.mark.parametrize('encoding', GENERIC)
def test_generic_encodings_become_arrays_of_their_type(encoding, big):
    kind = find_encoding(encoding)
    shape = (3, 4) if kind.channels == 1 else (3, 4, kind.channels)
    values = np.random.default_rng(3).integers(-100, 100, shape).astype(kind.dtype)
    pixels = to_array(padded(of_array(values, encoding, big), b'p'))
    assert np.array_equal(pixels, values)
    assert pixels.dtype.newbyteorder('=') == values.dtype


@pytest.mark.parametrize('make', [bytes, bytearray, memoryview, lambda data: np.frombuffer(
    data, np.uint8)])
def test_any_buffer_will_do(make):
    msg = message('bgr16', 3, 4)
    expected = decode_image(msg)
    msg.data = make(msg.data.tobytes())
    assert np.array_equal(decode_image(msg), expected)


@pytest.mark.parametrize(('encoding', 'copies'), [('rgb8', 0), ('bgr8', 1)])
def test_a_camera_frame_is_copied_once_at_most(encoding, copies):
    msg = message(encoding, 720, 1280)
    decode_image(msg)
    tracemalloc.start()
    decode_image(msg)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert copies <= peak / len(msg.data) < copies + 0.1


def test_modules_need_no_ros():
    code = ('import sys; import lego_ros.images.raw; import lego_ros.images.compressed; '
            'print([m for m in ("rclpy", "sensor_msgs", "cv_bridge") if m in sys.modules])')
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == '[]'


# What is refused.

@pytest.mark.parametrize(('msg', 'code', 'parts'), [
    (message('mono8', 0, 5), ErrorCode.MALFORMED_IMAGE, ['5 x 0']),
    (message('rgb8', 5, 0), ErrorCode.MALFORMED_IMAGE, ['0 x 5']),
    (message('rgb8', 4, 5, bytes(56), step=14), ErrorCode.MALFORMED_IMAGE, ['14', '15', 'rgb8']),
    (message('rgb16', 4, 5, bytes(60), step=15), ErrorCode.MALFORMED_IMAGE, ['15', '30']),
    (message('rgb8', 4, 5, bytes(59)), ErrorCode.MALFORMED_IMAGE, ['59', '60']),
    (message('rgb8', 4, 5, bytes(61)), ErrorCode.MALFORMED_IMAGE, ['61', '60']),
    (message('rgb8', 4, 5, b''), ErrorCode.MALFORMED_IMAGE, ['0 bytes', '60']),
    (message('bayer_rggb8', 2, 5), ErrorCode.MALFORMED_IMAGE, ['5 x 2', '3 x 3']),
    (message('yuv422', 2, 5), ErrorCode.MALFORMED_IMAGE, ['5 wide', 'even']),
    (message('rgb8', 1, MAX_SIDE + 1, b''), ErrorCode.IMAGE_TOO_LARGE, ['16385', '16384']),
    (message('rgb8', 2 ** 32 - 1, 2 ** 32 - 1, b''), ErrorCode.IMAGE_TOO_LARGE, ['4294967295']),
    (message('mono8', 8000, 8001, b''), ErrorCode.IMAGE_TOO_LARGE, ['8001 x 8000', '64000000']),
])
def test_malformed_messages_name_what_is_wrong(msg, code, parts):
    with pytest.raises(LegoError) as error:
        decode_image(msg)
    assert error.value.code is code
    assert all(part in error.value.message for part in parts), error.value.message


@pytest.mark.parametrize('encoding', [*GENERIC, '16U', '8UC5', '32FC512'])
def test_numbers_without_a_meaning_are_not_a_color_image(encoding):
    with pytest.raises(LegoError, match=encoding) as error:
        decode_image(message(encoding, 3, 4))
    assert error.value.code is ErrorCode.NOT_A_COLOR_IMAGE


@pytest.mark.parametrize('encoding', ['', 'RGB8', 'rgb8 ', 'nv12', '8UC', '8UC0', '8UC513',
                                      '16FC1', '8UC1\n', '٨UC1', 'x' * 10_000, '\x00'])
def test_unknown_encodings_are_named_with_what_is_known(encoding):
    msg = message('rgb8', 3, 4)
    msg.encoding = encoding
    with pytest.raises(LegoError) as error:
        decode_image(msg)
    assert error.value.code is ErrorCode.UNKNOWN_ENCODING
    assert repr(encoding[:64]) in error.value.message
    assert 'bayer_rggb8' in error.value.message
    assert len(error.value.message) < 600


@settings(deadline=None)
@given(st.builds(
    SimpleNamespace, height=st.integers(0, 6), width=st.integers(0, 6),
    encoding=st.sampled_from([*COLOR_ENCODINGS, *GENERIC]) | st.text(max_size=8),
    is_bigendian=st.integers(0, 255), step=st.integers(0, 60), data=st.binary(max_size=200)))
def test_no_message_raises_anything_else(msg):
    try:
        picture = decode_image(msg)
    except LegoError:
        return
    assert picture.shape == (msg.height, msg.width, 3)


def test_8k_is_taken():
    width, height = 7680, 4320
    assert width * height <= MAX_PIXELS
    msg = SimpleNamespace(height=height, width=width, encoding='mono8', is_bigendian=0, step=width,
                          data=np.full(width * height, 77, np.uint8))
    picture = decode_image(msg)
    assert picture.shape == (height, width, 3)
    assert (picture[::500, ::500] == 77).all()


@pytest.mark.parametrize(('pixels', 'source', 'target'), [
    (np.zeros((4, 5, 3), np.uint8), 'rgb8', 'rgb16'),
    (np.zeros((4, 5, 3), np.uint8), 'rgba8', 'rgb8'),
    (np.zeros((4, 5), np.uint8), 'rgb8', 'rgb8'),
    (np.zeros((4, 5, 1), np.uint8), 'mono8', 'rgb8'),
    (np.zeros((4, 5, 3), np.uint16), 'rgb8', 'rgb8'),
])
def test_convert_refuses_what_does_not_fit(pixels, source, target):
    with pytest.raises(ValueError, match='is not'):
        convert(pixels, source, target)


# Messages made.

def test_encoded_image_returns_as_it_was():
    pytest.importorskip('sensor_msgs.msg', reason='needs the ROS messages')
    from std_msgs.msg import Header

    header = Header(frame_id='camera_optical')
    header.stamp.sec = 12
    rgb = np.random.default_rng(5).integers(0, 256, (7, 10, 3), dtype=np.uint8)
    for picture in (rgb, rgb[::-1, ::2], np.asfortranarray(rgb), rgb[:1, :1]):
        msg = encode_image(picture, header)
        assert (msg.height, msg.width) == picture.shape[:2]
        assert (msg.encoding, msg.is_bigendian, msg.step) == ('rgb8', 0, 3 * msg.width)
        assert msg.header == header
        assert isinstance(msg.data, array.array)
        assert np.array_equal(decode_image(msg), picture)


def test_encoded_image_survives_the_wire():
    serialization = pytest.importorskip('rclpy.serialization', reason='needs rclpy')
    from sensor_msgs.msg import Image
    from std_msgs.msg import Header

    rgb = np.random.default_rng(6).integers(0, 256, (9, 11, 3), dtype=np.uint8)
    wire = serialization.serialize_message(encode_image(rgb, Header(frame_id='camera')))
    received = serialization.deserialize_message(wire, Image)
    assert received.header.frame_id == 'camera'
    assert np.array_equal(decode_image(received), rgb)


@pytest.mark.parametrize('picture', [
    np.zeros((4, 5), np.uint8), np.zeros((4, 5, 4), np.uint8), np.zeros((4, 5, 3), np.float32),
    np.zeros((0, 5, 3), np.uint8),
])
def test_encode_refuses_what_is_not_a_picture(picture):
    pytest.importorskip('sensor_msgs.msg', reason='needs the ROS messages')
    with pytest.raises(ValueError, match='is not a uint8 RGB picture'):
        encode_image(picture, None)
