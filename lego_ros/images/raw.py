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
Raw image messages to arrays, as cv_bridge does it.

The package does not use cv_bridge itself: it is not on PyPI for ROS 2, and its binary module is
tied to the numpy that it was built with (a numpy 2 beside Humble's or Jazzy's breaks it).
The results are the same, held by golden vectors that the real cv_bridge made
(tests/images/make_cv_bridge_golden.py). It differs only where cv_bridge hands out
a wrong picture without a word: a Bayer image under 3 x 3 (all black) and a 4:2:2 image of odd
width (its last column is never written) are errors here.

Messages are taken by their fields, so plain objects and rosbags' messages work as well.
"""

from __future__ import annotations

from typing import Any, Protocol

import cv2
from lego_ros.errors import ErrorCode, LegoError
from lego_ros.images.image_encodings import (
    COLOR_ENCODINGS,
    Encoding,
    find_color_encoding,
    find_encoding,
    require_size,
)
import numpy as np

# How OpenCV's conversion constants spell a layout. ROS names a Bayer pattern by its first two
# rows from the first pixel on, OpenCV by the second row's from the second pixel on.
_OPENCV_NAMES = {
    'rgb': 'RGB2{}', 'bgr': 'BGR2{}', 'rgba': 'RGBA2{}', 'bgra': 'BGRA2{}', 'mono': 'GRAY2{}',
    'bayer_rggb': 'BayerBG2{}', 'bayer_bggr': 'BayerRG2{}',
    'bayer_gbrg': 'BayerGR2{}', 'bayer_grbg': 'BayerGB2{}',
    'uyvy': 'YUV2{}_UYVY', 'yuyv': 'YUV2{}_YUY2',
}
_TARGETS = {'rgb8': 'RGB', 'bgr8': 'BGR', 'mono8': 'GRAY'}


class ImageMessage(Protocol):
    """The fields of sensor_msgs/Image that hold the picture; ``data`` is any buffer of bytes."""

    height: int
    width: int
    encoding: str
    is_bigendian: Any
    step: int
    data: Any


def decode_image(msg: ImageMessage) -> np.ndarray:
    """
    Turn an image message into the picture that the models take.

    :param msg: a sensor_msgs/Image in any colour, mono, Bayer or 4:2:2 encoding.
    :returns: uint8 RGB array (height, width, 3), C-contiguous and read-only. Of an ``rgb8`` image
        without padding it is the message's own memory, which it keeps alive: a message that is
        decoded must not be written to.
    :raises LegoError: UNKNOWN_ENCODING, NOT_A_COLOR_IMAGE, MALFORMED_IMAGE or IMAGE_TOO_LARGE.
    """
    find_color_encoding(msg.encoding)
    pixels = to_array(msg)
    if msg.encoding == 'rgb8' and pixels.flags.c_contiguous:
        return pixels
    picture = convert(pixels, msg.encoding, 'rgb8')
    picture.flags.writeable = False
    return picture


def to_array(msg: ImageMessage) -> np.ndarray:
    """
    View the pixels of an image message without a copy.

    :param msg: a sensor_msgs/Image of any known encoding, generic ones included.
    :returns: read-only array (height, width) for one channel, else (height, width, channels), in
        the message's byte order; rows lie ``step`` bytes apart. It keeps the message's buffer.
    :raises LegoError: UNKNOWN_ENCODING; IMAGE_TOO_LARGE; MALFORMED_IMAGE when the size is zero,
        ``step`` is shorter than a row or the data are not ``step * height`` bytes.
    """
    encoding = find_encoding(msg.encoding)
    require_size(msg.width, msg.height)
    row_bytes = msg.width * encoding.pixel_bytes
    if msg.step < row_bytes:
        raise LegoError(
            ErrorCode.MALFORMED_IMAGE,
            f'The image step is {msg.step} bytes, but a row of {msg.width} {encoding.name} pixels '
            f'takes at least {row_bytes}.')
    size = memoryview(msg.data).nbytes
    if size != msg.step * msg.height:
        raise LegoError(
            ErrorCode.MALFORMED_IMAGE,
            f'The image data are {size} bytes, but {msg.height} rows of {msg.step} bytes are '
            f'{msg.step * msg.height}.')
    shape: tuple[int, ...] = (msg.height, msg.width)
    strides: tuple[int, ...] = (msg.step, encoding.pixel_bytes)
    if encoding.channels > 1:
        shape += (encoding.channels,)
        strides += (encoding.dtype.itemsize,)
    pixels: np.ndarray = np.ndarray(
        shape, encoding.dtype.newbyteorder('>' if msg.is_bigendian else '<'),
        # Of all ways this one alone keeps an array.array from being resized under the pixels.
        np.frombuffer(msg.data, np.uint8), strides=strides)
    pixels.flags.writeable = False
    return pixels


def convert(pixels: np.ndarray, source: str, target: str) -> np.ndarray:
    """
    Convert pixels as cv_bridge's ``cvtColor2`` does.

    A 16-bit picture is converted in 16 bits and then scaled by 255 / 65535 with rounding; alpha is
    dropped; Bayer is demosaiced bilinearly; 4:2:2 is BT.601 in the limited range.

    :param pixels: array (height, width) or (height, width, channels) as ``to_array`` gives it, in
        any byte order and with any strides.
    :param source: its encoding.
    :param target: ``rgb8``, ``bgr8`` or ``mono8``.
    :returns: a new C-contiguous uint8 array, (height, width, 3) or for ``mono8`` (height, width).
    :raises LegoError: UNKNOWN_ENCODING or NOT_A_COLOR_IMAGE for the source; MALFORMED_IMAGE for a
        Bayer image under 3 x 3 and a 4:2:2 image of odd width.
    :raises ValueError: another target, or pixels that are not of the source encoding.
    """
    encoding = find_color_encoding(source)
    if target not in _TARGETS:
        raise ValueError(f'The target encoding {target!r} is not one of {", ".join(_TARGETS)}.')
    expected = (*pixels.shape[:2], encoding.channels)[:2 if encoding.channels == 1 else 3]
    if pixels.shape != expected or pixels.dtype.newbyteorder('=') != encoding.dtype:
        raise ValueError(f'{pixels.dtype} {pixels.shape} is not an array of {source} pixels.')
    _check_pattern(encoding, *pixels.shape[:2])

    deep = encoding.dtype.itemsize > 1
    # OpenCV wants native, aligned values; it takes padded rows as they are.
    pixels = np.require(pixels, encoding.dtype, 'A')
    if encoding.layout != COLOR_ENCODINGS[target].layout:
        name = _OPENCV_NAMES[encoding.layout].format(_TARGETS[target])
        pixels = cv2.cvtColor(pixels, getattr(cv2, f'COLOR_{name}'))
    elif not deep:
        pixels = np.array(pixels, order='C')
    return cv2.convertScaleAbs(pixels, alpha=255 / 65535) if deep else pixels


def _check_pattern(encoding: Encoding, height: int, width: int) -> None:
    """Refuse sizes for which OpenCV leaves pixels of a mosaic or a 4:2:2 picture unset."""
    if encoding.layout.startswith('bayer') and min(height, width) < 3:
        raise LegoError(
            ErrorCode.MALFORMED_IMAGE,
            f'A {encoding.name} image of {width} x {height} pixels has no colours to interpolate: '
            'at least 3 x 3 are needed.')
    if encoding.layout in ('uyvy', 'yuyv') and width % 2:
        raise LegoError(
            ErrorCode.MALFORMED_IMAGE,
            f'A {encoding.name} image stores its pixels in pairs, but this one is {width} wide: '
            'the width must be even.')
