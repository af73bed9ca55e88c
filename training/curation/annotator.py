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
from typing import Annotated

from lego_ros.training.export.truth_lines import read_truth, TruthLine
from pydantic import Field


class _Described(TruthLine):
    description: Annotated[str, Field(min_length=1)]


def read_annotator(path: Path) -> dict[str, str]:
    """
    Read the annotator's descriptions.

    :param path: of the ``truth.jsonl`` that the kitchen's export wrote.
    :returns: one sentence by action id.
    :raises LegoError: SOURCE_UNREADABLE, naming file and line.
    """
    return {action: truth.description
            for action, truth in read_truth(path, _Described).items()}
