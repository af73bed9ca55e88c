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
The wire format of protocol buffers, as far as reading four kinds of fields needs it.

Written from the format's public description (protobuf.dev, "Encoding"), so that one small message
does not bring a compiler and a runtime library.
"""

from __future__ import annotations

from collections.abc import Iterator
import struct

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5


def fields(data: bytes) -> Iterator[tuple[int, int, int | bytes]]:
    """
    Take a message apart.

    :param data: the encoded message.
    :returns: an iterator over field number, wire type, and the value: an integer for VARINT
        (unsigned, 64 bits), otherwise the raw bytes.
    :raises ValueError: it is no message, or cut off.
    """
    position = 0
    while position < len(data):
        tag, position = _varint(data, position)
        number, kind = tag >> 3, tag & 7
        if not 0 < number < 1 << 29:
            raise ValueError(f'field number {number} at byte {position}')
        if kind == VARINT:
            value, position = _varint(data, position)
            yield number, kind, value
            continue
        if kind == BYTES:
            size, position = _varint(data, position)
        elif kind in (FIXED32, FIXED64):
            size = 4 if kind == FIXED32 else 8
        else:
            raise ValueError(f'wire type {kind} of field {number} at byte {position}')
        if size > len(data) - position:
            raise ValueError(f'field {number} is cut off: {size} bytes from {position} on')
        yield number, kind, data[position:position + size]
        position += size


def _varint(data: bytes, position: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if position >= len(data):
            raise ValueError(f'a number is cut off at byte {position}')
        byte = data[position]
        position += 1
        value |= (byte & 0x7f) << shift
        if byte < 0x80:
            return value & (1 << 64) - 1, position
    raise ValueError(f'a number of more than 10 bytes at byte {position}')


class Message:
    """
    A message's fields by number, with proto3's rules for absent and repeated ones.

    Fields that nobody asks for are left alone, as newer writers may add some.

    :param data: the encoded message.
    :raises ValueError: it is no message, or cut off.
    """

    def __init__(self, data: bytes) -> None:
        self._values: dict[int, list[tuple[int, int | bytes]]] = {}
        for number, kind, value in fields(data):
            self._values.setdefault(number, []).append((kind, value))

    def _all(self, number: int, kind: int) -> list:
        found = self._values.get(number, [])
        for actual, _ in found:
            if actual != kind:
                raise ValueError(f'field {number} has wire type {actual}, expected {kind}')
        return [value for _, value in found]

    def int32(self, number: int) -> int:
        """
        Return an int32 or enum field; the last one counts.

        :param number: of the field.
        :returns: its value; 0 = absent.
        :raises ValueError: it is of another type.
        """
        values = self._all(number, VARINT)
        low = values[-1] & 0xffffffff if values else 0
        return low - (1 << 32) if low >= 1 << 31 else low

    def float32(self, number: int) -> float:
        """
        Return a float field; the last one counts.

        :param number: of the field.
        :returns: its value; 0.0 = absent.
        :raises ValueError: it is of another type.
        """
        values = self._all(number, FIXED32)
        return struct.unpack('<f', values[-1])[0] if values else 0.0

    def text(self, number: int) -> str:
        """
        Return a string field; the last one counts.

        :param number: of the field.
        :returns: its value; '' = absent.
        :raises ValueError: it is of another type or not UTF-8.
        """
        values = self._all(number, BYTES)
        return values[-1].decode('utf-8') if values else ''

    def message(self, number: int) -> Message | None:
        """
        Return a message field; several are merged.

        :param number: of the field.
        :returns: the message; None = absent.
        :raises ValueError: it is of another type or no message.
        """
        values = self._all(number, BYTES)
        # Parsing the parts one after another is what merging means.
        return Message(b''.join(values)) if values else None

    def messages(self, number: int) -> list[Message]:
        """
        Return a repeated message field.

        :param number: of the field.
        :returns: the messages in their order.
        :raises ValueError: it is of another type or no messages.
        """
        return [Message(value) for value in self._all(number, BYTES)]
