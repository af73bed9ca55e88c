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
Size and wholeness of a JPEG or PNG stream, read from its structure before anything is decoded.

A decoder alone is not enough: it allocates what the header asks for, and OpenCV 4.6 hands out a
truncated JPEG as a picture, the missing part filled up, without a word (4.14 does not). PNG
carries checksums, so any damage is found. JPEG has none: what is found is a stream that is cut
off or structurally broken, not flipped bits inside the coded data.
"""

from __future__ import annotations

import re
from typing import NoReturn
import zlib

from lego_ros.errors import ErrorCode, LegoError
from lego_ros.images.image_encodings import require_size

_JPEG_START = b'\xff\xd8\xff'
_PNG_START = b'\x89PNG\r\n\x1a\n'

# ITU-T T.81, table B.1. Inside coded data an FF is followed by a stuffed 00 or a restart marker.
_MARKER = re.compile(rb'\xff[^\x00\xff\xd0-\xd7]')
_TEM = 0x01
_SOI = 0xD8
_EOI = 0xD9
_SOS = 0xDA
_FRAME_HEADERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
# Every scan of a progressive JPEG passes over the whole picture; real ones have about ten.
_MAX_SCANS = 100


def check_stream(data: memoryview, label: str) -> tuple[int, int]:
    """
    Check size and wholeness by the codec that the first bytes tell; the label may be wrong.

    :param data: the stream as bytes.
    :param label: the message's ``format``, for the error message.
    :returns: width and height in pixels.
    :raises LegoError: MALFORMED_IMAGE, IMAGE_TOO_LARGE; UNKNOWN_ENCODING when neither the bytes
        nor the label are of JPEG or PNG.
    """
    if data[:len(_JPEG_START)] == _JPEG_START:
        return _check_jpeg(data)
    if data[:len(_PNG_START)] == _PNG_START:
        return _check_png(data)
    if any(codec in label.lower() for codec in ('jpeg', 'jpg', 'png')):
        _refuse(f'{len(data)} bytes labelled {label[:64]!r} do not begin like a JPEG or a PNG')
    raise LegoError(
        ErrorCode.UNKNOWN_ENCODING,
        f'The compressed image format {label[:64]!r} is not known. Publish jpeg or png.')


def _check_jpeg(data: memoryview) -> tuple[int, int]:
    """
    Walk over the segments of a JPEG from SOI to EOI (ITU-T T.81, annex B).

    :param data: the stream as bytes; what follows EOI (the padding of webcams) is ignored.
    :returns: width and height in pixels.
    :raises LegoError: MALFORMED_IMAGE, IMAGE_TOO_LARGE.
    """
    size = None
    scans = 0
    position = 2
    while match := _MARKER.search(data, position):
        position = match.end()
        marker = data[position - 1]
        if marker == _EOI and size and scans:
            return size
        if marker == _TEM:
            continue
        if marker in (_SOI, _EOI):
            _refuse(f'the JPEG has a misplaced marker FF{marker:02X} at byte {position - 2}')
        # A length counts its own two bytes; a smaller one is left to the decoder to refuse.
        length = max(2, int.from_bytes(data[position:position + 2], 'big'))
        if position + length > len(data):
            break
        if marker in _FRAME_HEADERS:
            if size or length < 8:
                _refuse('the JPEG has two frame headers or a broken one')
            height, width = (int.from_bytes(data[position + at:position + at + 2], 'big')
                             for at in (3, 5))
            require_size(width, height)
            size = (width, height)
        scans += marker == _SOS
        if scans > _MAX_SCANS:
            _refuse(f'the JPEG has more than {_MAX_SCANS} scans')
        position += length
    _refuse(f'the JPEG of {len(data)} bytes is cut off')


def _check_png(data: memoryview) -> tuple[int, int]:
    """
    Walk over the chunks of a PNG from IHDR to IEND and check each one's CRC (ISO/IEC 15948, 5).

    :param data: the stream as bytes; what follows IEND is ignored.
    :returns: width and height in pixels.
    :raises LegoError: MALFORMED_IMAGE, IMAGE_TOO_LARGE.
    """
    size = None
    position = len(_PNG_START)
    while position + 12 <= len(data):
        length = int.from_bytes(data[position:position + 4], 'big')
        kind = bytes(data[position + 4:position + 8])
        end = position + 12 + length
        if end > len(data):
            break
        if zlib.crc32(data[position + 4:end - 4]) != int.from_bytes(data[end - 4:end], 'big'):
            _refuse(f'the checksum of the PNG chunk at byte {position} is wrong')
        if (kind == b'IHDR') != (size is None) or (size is None and length != 13):
            _refuse('the PNG does not begin with one image header')
        if size is None:
            width, height = (int.from_bytes(data[position + at:position + at + 4], 'big')
                             for at in (8, 12))
            require_size(width, height)
            size = (width, height)
        if kind == b'IEND':
            return size
        position = end
    _refuse(f'the PNG of {len(data)} bytes is cut off')


def _refuse(reason: str) -> NoReturn:
    """Raise MALFORMED_IMAGE for a compressed image."""
    raise LegoError(ErrorCode.MALFORMED_IMAGE,
                    f'The compressed image cannot be used: {reason}.')
