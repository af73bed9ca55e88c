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
import struct
from types import SimpleNamespace
import zlib

import cv2
from hypothesis import example, given, settings
from hypothesis import strategies as st
from lego_ros.errors import ErrorCode, LegoError
from lego_ros.images import compressed
from lego_ros.images.compressed import decode_compressed
from lego_ros.images.raw import convert
from lego_ros.images.streams import check_stream
from lego_ros.ros.image_messages import encode_compressed
import numpy as np
import pytest

COMPRESSION_LABEL = 'rgb8; jpeg compressed bgr8'


def photo(height=48, width=64):
    """Make a smooth picture whose channels differ, so that JPEG keeps it and a swap shows."""
    y, x = np.mgrid[0:1:height * 1j, 0:1:width * 1j]
    return np.stack([220 * x, 90 + 60 * y, 200 * (1 - x) * y], axis=-1).astype(np.uint8)


def coded(pixels, extension, *parameters):
    """Compress pixels in OpenCV's order."""
    done, data = cv2.imencode(extension, pixels, parameters)
    assert done
    return data.tobytes()


def message(data, label='jpeg'):
    return SimpleNamespace(format=label, data=array.array('B', data))


JPEG = coded(photo()[..., ::-1], '.jpg')
PROGRESSIVE = coded(photo()[..., ::-1], '.jpg', cv2.IMWRITE_JPEG_PROGRESSIVE, 1)
RESTARTING = coded(photo()[..., ::-1], '.jpg', cv2.IMWRITE_JPEG_RST_INTERVAL, 1)
PNG = coded(photo()[..., ::-1], '.png')


def segment(marker, payload):
    return bytes([0xFF, marker]) + struct.pack('>H', len(payload) + 2) + payload


def chunk(kind, payload):
    return (struct.pack('>I', len(payload)) + kind + payload
            + struct.pack('>I', zlib.crc32(kind + payload)))


def refused(data, label='jpeg'):
    with pytest.raises(LegoError) as error:
        decode_compressed(message(data, label))
    return error.value


# What is decoded.

@pytest.mark.parametrize('data', [JPEG, PROGRESSIVE, RESTARTING],
                         ids=['baseline', 'progressive', 'restarting'])
@pytest.mark.parametrize('label', ['jpeg', 'jpg', '', COMPRESSION_LABEL,
                                   'bgr8; jpeg compressed bgr8', 'yuv422; jpeg compressed bgr8'])
def test_jpeg_is_decoded_to_rgb(data, label):
    picture = decode_compressed(message(data, label))
    assert picture.flags.c_contiguous
    assert np.abs(picture.astype(int) - photo()).max() <= 12


@settings(deadline=None)
@given(st.integers(1, 9), st.integers(1, 9), st.sampled_from([1, 3, 4]), st.sampled_from([8, 16]),
       st.randoms(use_true_random=False))
def test_png_is_decoded_as_the_raw_image_would_be(height, width, channels, bits, random):
    shape = (height, width) if channels == 1 else (height, width, channels)
    pixels = np.frombuffer(random.randbytes(height * width * channels * bits // 8),
                           f'uint{bits}').reshape(shape)
    encoding = {1: 'mono', 3: 'bgr', 4: 'bgra'}[channels] + str(bits)
    for label in ('png', f'{encoding}; png compressed {encoding if channels > 1 else ""}'):
        picture = decode_compressed(message(coded(pixels, '.png'), label))
        assert np.array_equal(picture, convert(pixels, encoding, 'rgb8'))


@pytest.mark.parametrize(('label', 'swapped'), [
    ('rgb8; png compressed bgr8', False), ('rgba8; png compressed bgr8', False),
    ('bgr8; png compressed rgb8', True), ('rgb8; png compressed rgb8', True),
    ('rgb8; png compressed', True), ('mono8; png compressed rgb8', False),
    ('of a driver; png compressed', False), ('rgb8', False),
])
def test_order_of_channels_follows_the_label_as_in_image_transport(label, swapped):
    picture = decode_compressed(message(PNG, label))
    assert np.array_equal(picture, photo()[..., ::-1] if swapped else photo())


@pytest.mark.parametrize('bits', [8, 16])
def test_bayer_png_is_demosaiced_and_grey_jpeg_of_bayer_is_not(bits):
    mosaic = np.random.default_rng(1).integers(0, 2 ** bits, (6, 8)).astype(f'uint{bits}')
    picture = decode_compressed(message(coded(mosaic, '.png'),
                                        f'bayer_gbrg{bits}; png compressed '))
    assert np.array_equal(picture, convert(mosaic, f'bayer_gbrg{bits}', 'rgb8'))
    grey = decode_compressed(message(coded(photo()[..., 0], '.jpg'),
                                     f'bayer_gbrg{bits}; jpeg compressed mono8'))
    assert (grey[..., 0] == grey[..., 2]).all()


def test_bytes_tell_the_codec_not_the_label():
    assert np.array_equal(decode_compressed(message(PNG, 'jpeg')), photo())


def test_exif_rotation_is_not_applied():
    # One TIFF entry: orientation (0x0112) = 6, a quarter turn.
    exif = b'Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0'
    rotated = JPEG[:2] + segment(0xE1, exif) + JPEG[2:]
    assert cv2.imdecode(np.frombuffer(rotated, np.uint8), cv2.IMREAD_COLOR).shape == (64, 48, 3)
    assert decode_compressed(message(rotated)).shape == (48, 64, 3)


def test_padding_after_the_end_and_before_markers_is_taken():
    expected = decode_compressed(message(JPEG))
    assert np.array_equal(decode_compressed(message(JPEG + bytes(7))), expected)
    assert np.array_equal(decode_compressed(message(JPEG + JPEG)), expected)
    filled = JPEG[:2] + b'\xff\xff' + JPEG[2:]
    assert np.array_equal(decode_compressed(message(filled)), expected)
    assert np.array_equal(decode_compressed(message(PNG + bytes(7))), photo())


@pytest.mark.parametrize('make', [bytes, bytearray, memoryview,
                                  lambda data: np.frombuffer(data, np.uint8)])
def test_any_buffer_will_do(make):
    picture = decode_compressed(SimpleNamespace(format='png', data=make(PNG)))
    assert np.array_equal(picture, photo())


# What is refused.

@pytest.mark.parametrize('data', [JPEG, PROGRESSIVE, RESTARTING, PNG],
                         ids=['jpeg', 'progressive', 'restarting', 'png'])
def test_every_cut_is_found(data):
    for end in range(len(data)):
        error = refused(data[:end])
        assert error.code is ErrorCode.MALFORMED_IMAGE
        assert 'cut off' in error.message or (end < 8 and 'do not begin' in error.message)


def test_end_marker_inside_a_thumbnail_does_not_hide_a_cut():
    with_thumbnail = JPEG[:2] + segment(0xE1, b'Exif\0\0' + JPEG) + JPEG[2:]
    assert decode_compressed(message(with_thumbnail)).shape == (48, 64, 3)
    assert 'cut off' in refused(with_thumbnail[:-2]).message


@settings(deadline=None)
@given(st.integers(0, 8 * len(PNG) - 1))
def test_every_flipped_bit_of_a_png_is_found(bit):
    data = bytearray(PNG)
    data[bit // 8] ^= 1 << bit % 8
    assert refused(data).code is ErrorCode.MALFORMED_IMAGE


@settings(deadline=None, max_examples=300)
@given(st.sampled_from([JPEG, PROGRESSIVE, PNG]),
       st.lists(st.tuples(st.integers(0, 10 ** 6), st.integers(0, 255)), min_size=1, max_size=6))
def test_damage_is_a_named_error_or_a_picture(data, damage):
    data = bytearray(data)
    for position, value in damage:
        data[position % len(data)] = value
    try:
        picture = decode_compressed(message(data, 'jpeg'))
    except LegoError:
        return
    assert picture.dtype == np.uint8
    assert picture.shape[2] == 3


@settings(deadline=None)
@given(st.sampled_from([b'', b'\xff\xd8\xff', b'\xff\xd8\xff\xc0\0\x11\x08', PNG[:8], PNG[:33],
                        b'II*\0', b'RIFF', b'BM', b'P6\n1 1\n255\n', b'\x76\x2f\x31\x01']),
       st.binary(max_size=300), st.text(max_size=20) | st.just('jpeg'))
@example(b'\xff\xd8\xff\xda', b'', 'jpeg')
@example(b'\xff\xd8\xff\xd9', b'', 'jpeg')
@example(b'\xff\xd8\xff\x01\xff\xe0\0\0', b'', 'jpeg')
@example(b'\xff\xd8\xff\xda\0\2\xff\xd9', b'', 'jpeg')
def test_garbage_is_a_named_error(start, rest, label):
    refused(start + rest, label)


def jpeg_of_size(width, height):
    """Write another size into the frame header, and nothing else."""
    position = JPEG.index(b'\xff\xc0')
    return JPEG[:position + 5] + struct.pack('>HH', height, width) + JPEG[position + 9:]


def png_of_size(width, height):
    header = struct.pack('>IIBBBBB', width, height, 8, 2, 0, 0, 0)
    return PNG[:8] + chunk(b'IHDR', header) + PNG[33:]


@pytest.mark.parametrize(('data', 'code'), [
    (jpeg_of_size(65500, 65500), ErrorCode.IMAGE_TOO_LARGE),
    (jpeg_of_size(16384, 16384), ErrorCode.IMAGE_TOO_LARGE),
    (png_of_size(2 ** 31 - 1, 2 ** 31 - 1), ErrorCode.IMAGE_TOO_LARGE),
    (png_of_size(16385, 1), ErrorCode.IMAGE_TOO_LARGE),
    (jpeg_of_size(64, 0), ErrorCode.MALFORMED_IMAGE),
    (png_of_size(0, 48), ErrorCode.MALFORMED_IMAGE),
])
def test_size_is_refused_before_anything_is_decoded(data, code, monkeypatch):
    monkeypatch.setattr(compressed.cv2, 'imdecode',
                        lambda *_: pytest.fail('the decoder was called'))
    assert refused(data).code is code


def test_header_size_is_the_decoded_size():
    for data in (JPEG, PROGRESSIVE, RESTARTING, PNG):
        assert check_stream(memoryview(data), '') == (64, 48)


def test_two_frame_headers_are_refused():
    small = JPEG[JPEG.index(b'\xff\xc0'):JPEG.index(b'\xff\xc4')]
    data = JPEG[:2] + small + JPEG[2:]
    assert 'two frame headers' in refused(data).message


def test_frame_without_a_scan_is_refused():
    assert 'FFD9' in refused(JPEG[:JPEG.index(b'\xff\xda')] + JPEG[-2:]).message


def test_endless_scans_are_refused():
    position = PROGRESSIVE.rindex(b'\xff\xda')
    data = PROGRESSIVE[:position] + 120 * PROGRESSIVE[position:-2] + PROGRESSIVE[-2:]
    assert 'scans' in refused(data).message


def test_coded_data_of_the_wrong_length_are_refused():
    # All checksums are right, the compressed rows are not.
    header = struct.pack('>IIBBBBB', 64, 48, 8, 2, 0, 0, 0)
    data = (PNG[:8] + chunk(b'IHDR', header) + chunk(b'IDAT', b'not a zlib stream')
            + chunk(b'IEND', b''))
    assert refused(data, 'png').code is ErrorCode.MALFORMED_IMAGE


@pytest.mark.parametrize('label', ['16UC1; png compressed ', '32FC1; compressedDepth png',
                                   '16UC1; compressedDepth', '8UC3; png compressed '])
def test_compressed_depth_is_not_a_color_image(label):
    error = refused(PNG, label)
    assert error.code is ErrorCode.NOT_A_COLOR_IMAGE
    assert label.split(';')[0] in error.message


@pytest.mark.parametrize('label', ['h264', 'bgr8; tiff compressed ', 'webp', ''])
def test_other_codecs_are_named(label):
    error = refused(coded(photo(), '.tiff'), label)
    assert error.code is ErrorCode.UNKNOWN_ENCODING
    assert repr(label) in error.message


def test_no_data_is_malformed():
    error = refused(b'', COMPRESSION_LABEL)
    assert error.code is ErrorCode.MALFORMED_IMAGE
    assert '0 bytes' in error.message


# Messages made.

def test_encoded_picture_returns_nearly_as_it_was():
    pytest.importorskip('sensor_msgs.msg', reason='needs the ROS messages')
    from std_msgs.msg import Header

    header = Header(frame_id='camera_optical')
    sizes = {}
    for quality in (30, 95):
        msg = encode_compressed(photo(), header, quality)
        assert msg.format == COMPRESSION_LABEL
        assert msg.header == header
        assert isinstance(msg.data, array.array)
        sizes[quality] = len(msg.data)
        assert np.abs(decode_compressed(msg).astype(int) - photo()).max() <= 60 - quality // 2
    assert sizes[30] < sizes[95]
    flipped = encode_compressed(photo()[:, ::-1], header)
    assert np.abs(decode_compressed(flipped).astype(int) - photo()[:, ::-1]).max() <= 12


@pytest.mark.parametrize(('picture', 'quality', 'reason'), [
    (photo(), 0, 'quality 0'), (photo(), 101, 'quality 101'),
    (photo()[..., 0], 90, 'RGB picture'), (photo().astype(np.float32), 90, 'RGB picture'),
])
def test_encode_refuses_what_does_not_fit(picture, quality, reason):
    pytest.importorskip('sensor_msgs.msg', reason='needs the ROS messages')
    with pytest.raises(ValueError, match=reason):
        encode_compressed(picture, None, quality)
