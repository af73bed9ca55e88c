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

"""The simulated kitchen's annotator in a language model's place: its true sentences, by action."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from lego_ros.training.data.files import unusable
from lego_ros.training.data.records import parse_line, read_lines
from pydantic import BaseModel, ConfigDict, Field

_MAX_LINE = 1 << 22


class _Truth(BaseModel):
    """What of a line of the exporter's ``truth.jsonl`` is needed here."""

    model_config = ConfigDict(extra='ignore')

    schema_version: Literal['lego_ros/truth/2']
    action_id: Annotated[str, Field(min_length=1)]
    description: Annotated[str, Field(min_length=1)]


def read_truth(path: Path) -> dict[str, str]:
    """
    Read the annotator's descriptions.

    :param path: of the ``truth.jsonl`` that the kitchen's export wrote.
    :returns: one sentence by action id.
    :raises LegoError: SOURCE_UNREADABLE, naming file and line.
    """
    descriptions: dict[str, str] = {}
    try:
        for number, line in read_lines(path, _MAX_LINE):
            truth = parse_line(path, number, line, _Truth)
            if truth.action_id in descriptions:
                raise unusable(path, f'line {number}: {truth.action_id} is there twice')
            descriptions[truth.action_id] = truth.description
    except OSError as error:
        raise unusable(path, f"the annotator's truth cannot be read: {error}") from error
    if not descriptions:
        raise unusable(path, 'it is empty')
    return descriptions
