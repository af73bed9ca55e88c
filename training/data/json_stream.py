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
One large array of a JSON file, element by element.

Ego4D's fho_main.json is about 1.5 GB; ``json.load`` makes some 10 GB of objects of it. Here only
one element is in memory at a time. The standard library's decoder does the decoding, so that
numbers and strings come out as ``json.load`` would give them.
"""

from __future__ import annotations

from collections.abc import Iterator
from json import JSONDecodeError, JSONDecoder
from pathlib import Path
from typing import Any, TextIO

_BLOCK = 1 << 20
_SPACE = ' \t\r\n'
# The decoder's own messages point at most this far before the place where the text ran out,
# except for strings: it points at their opening quote.
_NEAR_END = 16


class JsonStreamError(Exception):
    """
    The text is not what JSON allows.

    :param message: what was found.
    :param position: characters from the beginning of the file.
    :param truncated: whether the file simply ended too early.
    """

    def __init__(self, message: str, position: int, truncated: bool) -> None:
        super().__init__(f'{message} (character {position})')
        self.position = position
        self.truncated = truncated


def elements_of(path: Path, key: str, max_element: int = 1 << 28) -> Iterator[Any]:
    """
    Yield the elements of an array that is a member of the file's top-level object.

    Memory: one element and its text, at most ``max_element`` characters, whatever the file's
    size. Elements before a fault in the file are yielded.

    :param path: of the JSON file, UTF-8.
    :param key: of the array.
    :param max_element: longest element that is accepted, in characters.
    :returns: an iterator over the decoded elements.
    :raises JsonStreamError: not JSON, cut off, no such array, or an element too long.
    :raises OSError: the file cannot be read.
    :raises UnicodeDecodeError: it is not UTF-8.
    """
    with open(path, encoding='utf-8-sig') as file:
        text = _Text(file, max_element)
        text.expect('{')
        found = False
        if text.peek() == '}':
            text.expect('}')
        else:
            while True:
                name = text.value()
                text.expect(':')
                if name == key:
                    if found:
                        raise text.error(f'{key!r} is there twice')
                    found = True
                    yield from _array(text)
                else:
                    text.value()
                if text.expect(',}') == '}':
                    break
        if text.peek():
            raise text.error('text after the end of the object')
        if not found:
            raise text.error(f'the file has no {key!r}')


def _array(text: _Text) -> Iterator[Any]:
    text.expect('[')
    if text.peek() == ']':
        text.expect(']')
        return
    while True:
        yield text.value()
        if text.expect(',]') == ']':
            return


class _Text:
    """A window on the file's text that grows until the next value is whole."""

    def __init__(self, file: TextIO, max_element: int) -> None:
        self._file = file
        self._max = max_element
        self._decoder = JSONDecoder()
        self._buffer = ''
        self._start = 0
        """Where in the buffer the text not yet used begins."""
        self._before = 0
        """Characters of the file before the buffer."""

    def error(self, message: str, truncated: bool = False) -> JsonStreamError:
        return JsonStreamError(message, self._before + self._start, truncated)

    def peek(self) -> str:
        """Return the next character that is no white space; '' = the file's end."""
        while True:
            while self._start < len(self._buffer) and self._buffer[self._start] in _SPACE:
                self._start += 1
            if self._start < len(self._buffer):
                return self._buffer[self._start]
            if not self._grow(_BLOCK):
                return ''

    def expect(self, allowed: str) -> str:
        found = self.peek()
        if not found or found not in allowed:
            wanted = ' or '.join(repr(character) for character in allowed)
            raise self.error(f'expected {wanted}, found {found!r}', truncated=not found)
        self._start += 1
        return found

    def value(self) -> Any:
        """Decode the next value, whatever it is."""
        if not self.peek():
            raise self.error('expected a value', truncated=True)
        while True:
            try:
                value, end = self._decoder.raw_decode(self._buffer, self._start)
            except JSONDecodeError as error:
                near = error.pos >= len(self._buffer) - _NEAR_END
                if not near and not error.msg.startswith('Unterminated string'):
                    raise JsonStreamError(
                        error.msg, self._before + error.pos, truncated=False) from error
                # Twice the text each time: the retries cost no more than the last one.
                at = self._before + error.pos
                if not self._grow(max(_BLOCK, len(self._buffer) - self._start)):
                    raise JsonStreamError(error.msg, at, truncated=True) from error
            except RecursionError as error:
                raise self.error('nested too deeply') from error
            else:
                # A number could go on behind the buffer's end, by '.5' or 'e-5'.
                length = end - self._start
                if end + 3 <= len(self._buffer) or not self._grow(_BLOCK):
                    self._start += length
                    return value

    def _grow(self, size: int) -> bool:
        """Read on; False = the file's end."""
        self._before += self._start
        self._buffer = self._buffer[self._start:]
        self._start = 0
        if len(self._buffer) > self._max:
            raise self.error(f'a value is longer than {self._max} characters')
        block = self._file.read(size)
        self._buffer += block
        return bool(block)
