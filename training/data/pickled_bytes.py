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
A pickled list of byte strings, read without the pickle module.

Unpickling a foreign file runs whatever the file says. This reads the list with an interpreter
of its own that knows only the opcodes of which such a list consists; it can make bytes and one
list and nothing else, and names the opcode that it refuses.
"""

from __future__ import annotations

import io
from pathlib import Path
import pickletools
from typing import Any, IO

from lego_ros.training.data.files import unusable

_PUSH = {'SHORT_BINBYTES', 'BINBYTES', 'BINBYTES8'}
_STORE = {'BINPUT', 'LONG_BINPUT', 'PUT'}
_LOAD = {'BINGET', 'LONG_BINGET', 'GET'}
_NOTHING = {'PROTO', 'FRAME'}


class _Mark:
    """Where a run of list elements begins."""


def read_pickled_bytes(path: Path, max_size: int = 1 << 31) -> list[bytes]:
    """
    Read a pickle that holds a list of byte strings.

    :param path: of the file, any protocol that has byte strings (3 to 5).
    :param max_size: largest file that is read, in bytes.
    :returns: the byte strings.
    :raises LegoError: SOURCE_UNREADABLE: no such file, too large, cut off, or it holds anything
        but a list of byte strings; nothing of it has been executed.
    """
    try:
        if path.stat().st_size > max_size:
            raise unusable(path, f'larger than {max_size} bytes; it is not read')
        # From memory, where a read of more than there is gives what there is: a file of a few
        # bytes may claim a string of petabytes.
        with io.BytesIO(path.read_bytes()) as file:
            values = _interpret(file)
            if file.read(1):
                raise ValueError('bytes follow the end of the pickle')
            return values
    except OSError as error:
        raise unusable(path, f'the detections cannot be read: {error}') from error
    except ValueError as error:
        raise unusable(
            path, f'not a pickled list of byte strings, so it is not loaded: {error}') from error


def _interpret(file: IO[bytes]) -> list[bytes]:
    stack: list = []
    memo: dict[int, object] = {}
    for opcode, argument, offset in pickletools.genops(file):
        name, position = opcode.name, offset or 0
        if name in _NOTHING:
            continue
        if name in _PUSH:
            stack.append(argument)
        elif name == 'EMPTY_LIST':
            stack.append([])
        elif name == 'MARK':
            stack.append(_Mark)
        elif name == 'LIST':
            stack.append(_since_mark(stack, position))
        elif name == 'APPENDS':
            _extend(stack, _since_mark(stack, position), position)
        elif name == 'APPEND':
            _extend(stack, [_pop(stack, position)], position)
        elif name == 'MEMOIZE':
            memo[len(memo)] = _top(stack, position)
        elif name in _STORE:
            memo[_index(argument)] = _top(stack, position)
        elif name in _LOAD:
            if _index(argument) not in memo:
                raise ValueError(f'{name} at byte {position} names nothing stored')
            stack.append(memo[_index(argument)])
        elif name == 'STOP':
            return _result(stack)
        else:
            raise ValueError(f'opcode {name} at byte {position} is refused')
    raise ValueError('it ends without STOP')


def _index(argument: Any) -> int:
    return int(argument)


def _top(stack: list, position: int) -> object:
    if not stack:
        raise ValueError(f'an empty stack at byte {position}')
    return stack[-1]


def _pop(stack: list, position: int) -> object:
    _top(stack, position)
    return stack.pop()


def _since_mark(stack: list, position: int) -> list:
    for index in range(len(stack) - 1, -1, -1):
        if stack[index] is _Mark:
            values = stack[index + 1:]
            del stack[index:]
            return values
    raise ValueError(f'no MARK before byte {position}')


def _extend(stack: list, values: list, position: int) -> None:
    target = _top(stack, position)
    if not isinstance(target, list):
        raise ValueError(f'an element at byte {position} without a list')
    if not all(type(value) is bytes for value in values):
        raise ValueError(f'an element before byte {position} is no byte string')
    target.extend(values)


def _result(stack: list) -> list[bytes]:
    if len(stack) != 1 or not isinstance(stack[0], list):
        raise ValueError('what it holds is no list')
    if not all(type(value) is bytes for value in stack[0]):
        raise ValueError('an element is no byte string')
    return stack[0]
