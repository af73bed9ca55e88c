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

"""Reading ``truth.jsonl``: each reader takes those fields of a line that it needs."""

from __future__ import annotations

from collections.abc import Set
from pathlib import Path
from typing import Annotated, Literal, TypeVar

from lego_ros.training.data.files import unusable
from lego_ros.training.data.records import parse_line, read_lines
from pydantic import BaseModel, ConfigDict, Field

TRUTH = 'truth.jsonl'
"""The file's name in a folder of the kitchen's data."""
MAX_LINE = 1 << 22
"""Bytes; a line of the kitchen has some 4,000."""
SCHEMA: Literal['lego_ros/truth/2'] = 'lego_ros/truth/2'
"""Changes with every change of ``truth.TruthRecord``."""


class TruthLine(BaseModel):
    """What every reader needs; a subclass adds fields of ``truth.TruthRecord``."""

    model_config = ConfigDict(extra='ignore', frozen=True)

    schema_version: Literal['lego_ros/truth/2']
    action_id: Annotated[str, Field(min_length=1)]


Line = TypeVar('Line', bound=TruthLine)


def read_truth(path: Path, model: type[Line], wanted: Set[str] | None = None) -> dict[str, Line]:
    """
    Read what is true of actions.

    :param path: of a ``truth.jsonl``.
    :param model: of a line.
    :param wanted: action ids; None = all there are.
    :returns: by action id, in the file's order.
    :raises LegoError: SOURCE_UNREADABLE: the file is missing, empty or damaged, or lacks one;
        names file and line.
    """
    found: dict[str, Line] = {}
    try:
        for number, line in read_lines(path, MAX_LINE):
            truth = parse_line(path, number, line, model)
            if truth.action_id in found:
                raise unusable(path, f'line {number}: {truth.action_id} is there twice')
            if wanted is None or truth.action_id in wanted:
                found[truth.action_id] = truth
    except OSError as error:
        raise unusable(path, f"the kitchen's truth cannot be read: {error}; lego-ros sim generate "
                       'writes it with the data') from error
    if missing := sorted((wanted or set()) - found.keys()):
        raise unusable(path, f'{missing[0]} is not in it; generate the data anew')
    if not found:
        raise unusable(path, 'it is empty')
    return found
