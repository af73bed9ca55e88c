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
Compressed image messages to arrays, as image_transport's compressed plugin does it.

Its ``format`` is ``<encoding of the source>; <codec> compressed <encoding of the content>``;
drivers that pass a webcam's JPEG through write just ``jpeg``.
"""

from __future__ import annotations

from typing import Any, Protocol

import cv2
from lego_ros.errors import ErrorCode, LegoError
from lego_ros.images.image_encodings import COLOR_ENCODINGS, find_color_encoding
from lego_ros.images.raw import convert
from lego_ros.images.streams import check_stream
import numpy as np


class CompressedImageMessage(Protocol):
    """The fields of sensor_msgs/CompressedImage that hold the picture; ``data`` is a buffer."""

    format: str  # noqa: A003 - the message's field
    data: Any


def decode_compressed(msg: CompressedImageMessage) -> np.ndarray:
    """
    Turn a compressed image message into the picture that the models take.

    The size is read, and the stream checked for being whole, before it is decoded. As in
    image_transport an EXIF rotation is not applied: the camera's calibration is for the picture
    as it was taken.

    :param msg: a sensor_msgs/CompressedImage with a JPEG or PNG, 8 or 16 bits, with or without
        alpha, and for PNG also a raw Bayer picture.
    :returns: uint8 RGB array (height, width, 3), C-contiguous.
    :raises LegoError: UNKNOWN_ENCODING for another codec; NOT_A_COLOR_IMAGE for a compressed
        depth or label image; MALFORMED_IMAGE; IMAGE_TOO_LARGE.
    """
    source, _, content = msg.format.partition(';')
    source = source.strip()
    # A source that is known and generic is depth or labels; any other name, a bare codec or an
    # encoding of the driver's own, says nothing against colour.
    if content and source not in COLOR_ENCODINGS and source[:1].isdigit():
        find_color_encoding(source)
    data = memoryview(msg.data).cast('B')
    check_stream(data, msg.format)
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        raise LegoError(ErrorCode.MALFORMED_IMAGE,
                        f'The compressed image cannot be decoded: {error.err}.') from error
    if pixels is None:
        raise LegoError(ErrorCode.MALFORMED_IMAGE,
                        'The compressed image cannot be decoded: its coded data are broken or '
                        'of a rare kind (arithmetic, lossless or 12-bit JPEG).')
    return convert(pixels, _content_encoding(pixels, source, content), 'rgb8')


def _content_encoding(pixels: np.ndarray, source: str, content: str) -> str:
    """
    Tell what the decoder's values mean.

    image_transport's subscriber: values are in OpenCV's order, blue first, unless a colour source
    was not marked ``compressed bgr``; then the publisher had coded its red as OpenCV's blue.

    :param pixels: uint8 or uint16 array of 1, 3 or 4 channels from the decoder.
    :param source: the encoding before the semicolon of ``format``.
    :param content: what follows the semicolon.
    :returns: the name of an encoding.
    """
    bits = 8 * pixels.dtype.itemsize
    origin = COLOR_ENCODINGS.get(source)
    layout = origin.layout if content and origin else ''
    if pixels.ndim == 2:
        # A Bayer source keeps its mosaic in a PNG; in a JPEG it is made grey, and says so.
        mosaic = layout.startswith('bayer') and 'compressed mono' not in content
        return f'{layout if mosaic else "mono"}{bits}'
    swapped = (layout and layout != 'mono' and not layout.startswith('bayer')
               and 'compressed bgr' not in content)
    return f'{"rgb" if swapped else "bgr"}{"a" if pixels.shape[2] == 4 else ""}{bits}'
