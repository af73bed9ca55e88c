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

"""What the commands read from and write to a terminal."""

from __future__ import annotations

import argparse
from collections.abc import Callable
import re
from typing import TypeVar

_Number = TypeVar('_Number', int, float)


class CommandError(Exception):
    """
    A command cannot go on.

    :param message: what was wrong and what to do about it.
    :param status: exit status.
    """

    def __init__(self, message: str, status: int = 1) -> None:
        super().__init__(message)
        self.status = status


def printable(text: str) -> str:
    """
    Make a text from elsewhere safe for a terminal.

    :param text: it may hold escape sequences.
    :returns: the text with a replacement character for everything but letters, signs, spaces and
        line ends.
    """
    return ''.join(c if c.isprintable() or c == '\n' else '\N{REPLACEMENT CHARACTER}'
                   for c in text)


def whole(low: int, high: int) -> Callable[[str], int]:
    """
    Read a whole number.

    :param low: the least.
    :param high: the greatest.
    :returns: a type for argparse.
    """
    return _within(int, 'whole number', low, high)


def real(low: float, high: float) -> Callable[[str], float]:
    """
    Read a real number.

    :param low: the least.
    :param high: the greatest, finite.
    :returns: a type for argparse.
    """
    return _within(float, 'number', low, high)


def _within(convert: Callable[[str], _Number], kind: str, low: _Number, high: _Number
            ) -> Callable[[str], _Number]:
    def read(text: str) -> _Number:
        value = convert(text)
        # In this form it refuses NaN too.
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f'must be from {low} to {high}, not {text}')
        return value
    # What argparse calls it where convert refuses the text.
    read.__name__ = kind
    return read


def namespace(text: str) -> str:
    """
    Read a ROS namespace.

    :param text: with or without the first ``/``; empty = the root.
    :returns: the text.
    :raises argparse.ArgumentTypeError: it is none.
    """
    if not re.fullmatch(r'/?|/?[A-Za-z_]\w*(/[A-Za-z_]\w*)*', text, re.ASCII):
        raise argparse.ArgumentTypeError(
            f'{text!r} is no namespace: letters, digits and _, parted by /')
    return text
