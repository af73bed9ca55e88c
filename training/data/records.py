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

"""Reading JSON Lines into checked records, so that a bad line is named by file and number."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

from lego_ros.training.data.files import unusable
from pydantic import BaseModel, ValidationError

Record = TypeVar('Record', bound=BaseModel)


def read_lines(path: Path, longest: int) -> Iterator[tuple[int, bytes]]:
    """
    Read a file line by line, one in memory at a time.

    :param path: of the file.
    :param longest: the most bytes of a line.
    :returns: an iterator over the lines' numbers, from 1, and their bytes.
    :raises LegoError: SOURCE_UNREADABLE: a line is longer.
    :raises OSError: it cannot be read.
    """
    with open(path, 'rb') as file:
        number = 0
        while line := file.readline(longest + 1):
            number += 1
            if len(line) > longest:
                raise unusable(path, f'line {number} is longer than {longest} bytes')
            yield number, line


def parse_line(path: Path, number: int, line: bytes, model: type[Record]) -> Record:
    """
    Check a line.

    :param path: of its file, for the message.
    :param number: of the line, for the message.
    :param line: JSON.
    :param model: what it must be.
    :returns: the record.
    :raises LegoError: SOURCE_UNREADABLE, naming file, line, field and what is wrong there.
    """
    try:
        return model.model_validate_json(line)
    except ValidationError as error:
        raise unusable(path, f'line {number}: {first_fault(error)}') from error


def first_fault(error: ValidationError) -> str:
    """
    Say what is wrong first.

    :param error: of a pydantic model.
    :returns: field and fault; the field of a nested value with dots.
    """
    first = error.errors(include_url=False)[0]
    where = '.'.join(str(part) for part in first['loc'])
    return f'{where}: {first["msg"]}'
