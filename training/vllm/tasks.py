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

"""What a VLLM is tuned to answer: how an action is done, in words or as a program."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
import re
from typing import Annotated, Protocol

from lego_ros.errors import ErrorCode, LegoError
from lego_ros.training.data.dataset import Pair
from lego_ros.training.data.flip import swap_sides
from lego_ros.training.export.truth_lines import read_truth, TruthLine
from lego_ros.training.run.identity import values_sha256
from lego_ros.vllm.templates import program_question, question, QUESTION_TEMPLATES
from pydantic import Field

# In programs "right" is always a side.
_SIDE = re.compile('(?<![a-z0-9])(left|right)(?![a-z0-9])')


class Task(Protocol):
    """Puts a question about a pair's frame, and knows its answer."""

    templates: int
    """In how many wordings it asks."""
    identity: dict[str, str]
    """What its answers are, beside the pairs."""

    def dialogue(self, pair: Pair, template: int, mirrored: bool) -> tuple[str, str]:
        """
        Ask.

        :param pair: that it is about.
        :param template: which wording; 0 is that of run time.
        :param mirrored: whether it is about the frame's mirror image.
        :returns: question and answer.
        :raises LegoError: there is no answer.
        """


class Describe(Task):
    """How the person does it, in detail (LEGO, Sec. 3.1)."""

    templates = len(QUESTION_TEMPLATES)

    def __init__(self) -> None:
        self.identity: dict[str, str] = {}

    def dialogue(self, pair: Pair, template: int, mirrored: bool) -> tuple[str, str]:
        """See :meth:`Task.dialogue`."""
        label, description = pair.label, pair.description
        if mirrored:
            label, description = swap_sides(label), swap_sides(description)
        return question(label, template), description


class WriteProgram(Task):
    """
    The action program, given its description (LEAP).

    :param programs: in their text form, by action id.
    """

    templates = 1

    def __init__(self, programs: Mapping[str, str]) -> None:
        self._programs = programs
        self.identity = {'programs': values_sha256(sorted(programs.items()))}

    def dialogue(self, pair: Pair, template: int, mirrored: bool) -> tuple[str, str]:
        """See :meth:`Task.dialogue`."""
        program = self._programs.get(pair.action_id)
        if program is None:
            raise LegoError(ErrorCode.SOURCE_UNREADABLE,
                            f'there is no program of the action {pair.action_id}')
        label, description = pair.label, pair.description
        if mirrored:
            label, description = swap_sides(label), swap_sides(description)
            program = _SIDE.sub(
                lambda side: 'left' if side[0] == 'right' else 'right', program)
        return program_question(label, description), program


class _Programmed(TruthLine):
    program: Annotated[str, Field(min_length=1)]


def read_programs(path: Path) -> dict[str, str]:
    """
    Read the kitchen's programs.

    :param path: of the ``truth.jsonl`` that the kitchen's export wrote.
    :returns: their text by action id.
    :raises LegoError: SOURCE_UNREADABLE, naming file and line.
    """
    return {action: truth.program for action, truth in read_truth(path, _Programmed).items()}
