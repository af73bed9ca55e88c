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
What an image message may hold: the encodings by name, and the sizes that are taken.

The names and meanings are those of sensor_msgs/image_encodings.hpp as far as cv_bridge converts
them, plus ``uyvy`` and ``yuyv``, the newer names of ``yuv422`` and ``yuv422_yuy2`` (sensor_msgs
since Iron).
"""

from __future__ import annotations

from dataclasses import dataclass
import re

from lego_ros.errors import ErrorCode, LegoError
import numpy as np

# Twice 8K (7680 x 4320, 33 million pixels): a header that asks for more is a fault or an attack.
MAX_SIDE = 16384
MAX_PIXELS = 64_000_000


@dataclass(frozen=True)
class Encoding:
    """
    How one pixel of an image message is stored.

    :param name: the string in the message's ``encoding``.
    :param dtype: type of one value, in this machine's byte order.
    :param channels: values per pixel; 4:2:2 formats count 2 (luma, and one of the two chromas).
    :param layout: what the values mean: ``rgb``, ``mono``, ``bayer_rggb``, ``uyvy`` and so on;
        empty for the generic encodings (``16UC1``, ``32FC3``), which carry no colour.
    """

    name: str
    dtype: np.dtype
    channels: int
    layout: str

    @property
    def pixel_bytes(self) -> int:
        """Size of one pixel in bytes."""
        return self.dtype.itemsize * self.channels


def _color_encodings() -> dict[str, Encoding]:
    """List every encoding that a picture can be made of, by name."""
    channels = {'rgb': 3, 'bgr': 3, 'rgba': 4, 'bgra': 4, 'mono': 1, 'bayer_rggb': 1,
                'bayer_bggr': 1, 'bayer_gbrg': 1, 'bayer_grbg': 1}
    found = [Encoding(f'{layout}{bits}', np.dtype(f'uint{bits}'), count, layout)
             for layout, count in channels.items() for bits in (8, 16)]
    packed = {'yuv422': 'uyvy', 'uyvy': 'uyvy', 'yuv422_yuy2': 'yuyv', 'yuyv': 'yuyv'}
    found += [Encoding(name, np.dtype('uint8'), 2, layout) for name, layout in packed.items()]
    return {encoding.name: encoding for encoding in found}


COLOR_ENCODINGS = _color_encodings()

_GENERIC = re.compile(r'(8U|8S|16U|16S|32S|32F|64F)(?:C([1-9][0-9]{0,2}))?')
_GENERIC_DTYPES = {'8U': 'uint8', '8S': 'int8', '16U': 'uint16', '16S': 'int16',
                   '32S': 'int32', '32F': 'float32', '64F': 'float64'}
# OpenCV's CV_CN_MAX; cv_bridge cannot represent more either.
_MAX_CHANNELS = 512


def find_encoding(name: str) -> Encoding:
    """
    Look an encoding up.

    :param name: the string in the message's ``encoding``; names are case-sensitive.
    :returns: its description.
    :raises LegoError: UNKNOWN_ENCODING for a name that cv_bridge does not know either.
    """
    if name in COLOR_ENCODINGS:
        return COLOR_ENCODINGS[name]
    generic = _GENERIC.fullmatch(name)
    if generic and int(generic[2] or 1) <= _MAX_CHANNELS:
        return Encoding(name, np.dtype(_GENERIC_DTYPES[generic[1]]), int(generic[2] or 1), '')
    raise LegoError(
        ErrorCode.UNKNOWN_ENCODING,
        f'The image encoding {name[:64]!r} is not known. Publish one of '
        f'{", ".join(COLOR_ENCODINGS)}. (8UC1 to 64FC4 are known too, but carry no colour.)')


def find_color_encoding(name: str) -> Encoding:
    """
    Look an encoding up that must carry colour or brightness.

    :param name: the string in the message's ``encoding``.
    :returns: its description.
    :raises LegoError: UNKNOWN_ENCODING, or NOT_A_COLOR_IMAGE for a generic encoding: its numbers
        may be a depth, a label or a colour, and cv_bridge refuses to guess as well.
    """
    encoding = find_encoding(name)
    if not encoding.layout:
        raise LegoError(
            ErrorCode.NOT_A_COLOR_IMAGE,
            f'An image with the encoding {name!r} (depth, labels or unnamed channels) is not a '
            'colour image. Connect a colour topic, or name the colours: rgb8, bgr8, mono8, ...')
    return encoding


def require_size(width: int, height: int) -> None:
    """
    Refuse a picture of no size or of an absurd one before any memory is spent on it.

    :param width: columns in pixels.
    :param height: rows in pixels.
    :raises LegoError: MALFORMED_IMAGE for zero, IMAGE_TOO_LARGE beyond ``MAX_SIDE`` or
        ``MAX_PIXELS``.
    """
    if width < 1 or height < 1:
        raise LegoError(ErrorCode.MALFORMED_IMAGE,
                        f'The image is empty: {width} x {height} pixels.')
    if max(width, height) > MAX_SIDE or width * height > MAX_PIXELS:
        raise LegoError(
            ErrorCode.IMAGE_TOO_LARGE,
            f'The image has {width} x {height} pixels; at most {MAX_SIDE} a side and '
            f'{MAX_PIXELS} altogether are taken. Publish a smaller one.')
