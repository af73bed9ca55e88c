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

"""What a bundle writes of held-out frames, in the way of program_node; kept pair by pair."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from lego_ros.errors import ErrorCode, LegoError
from lego_ros.files import write_whole
from lego_ros.programs.parsing import parse
from lego_ros.programs.tree import Program
from lego_ros.runtime.answering import answer_by_program, Frame, Progress
from lego_ros.runtime.cancel import CancelToken
from lego_ros.runtime.lego_model import LegoModel
from lego_ros.runtime.model import AnswerSettings, Description
from lego_ros.runtime.networks import PROGRAM
from lego_ros.training.data.dataset import Pair, PairDataset
from lego_ros.training.data.files import unusable
from lego_ros.training.data.records import first_fault
from lego_ros.training.run.identity import values_sha256
from lego_ros.training.run.loop import Interrupted
from lego_ros.vllm.written import WrittenProgram
from pydantic import BaseModel, ConfigDict, ValidationError
from tqdm import tqdm

_FAILED = (ErrorCode.PROGRAM_INVALID, ErrorCode.QUERY_TOO_LONG)
"""Ends of an answer that are the model's doing; anything else ends the evaluation."""


class WrittenAnswer(BaseModel):
    """What was said and written about a pair's frame."""

    model_config = ConfigDict(extra='forbid', frozen=True)

    pair_id: str
    description: str
    text: str
    """As the model wrote it; where there is a problem, it is no program."""
    problem: str
    """Why there is no program, or ''."""
    confidence: float
    decode_seconds: float
    mask_seconds: float

    @property
    def program(self) -> Program | None:
        """Read the program; None = there is none."""
        return None if self.problem else parse(self.text)


class ProgramModel(LegoModel):
    """
    A bundle, which remembers what it said last; of a failed answer nothing else tells it.

    :param bundle: its folder.
    :raises LegoError: BUNDLE_MISMATCH: it was not tuned to write programs; and what loading
        raises.
    """

    def __init__(self, bundle: Path) -> None:
        if bundle.is_dir() and not (bundle / PROGRAM).is_dir():
            raise LegoError(
                ErrorCode.BUNDLE_MISMATCH,
                f"'{bundle}' has no folder {PROGRAM}/: it was not tuned to write programs. "
                'lego-ros train kitchen makes bundles that are')
        super().__init__(bundle)
        self._forget()

    def describe(self, *args: Any, **more: Any) -> Description:
        """See :meth:`LegoModel.describe`."""
        description = super().describe(*args, **more)
        self._said = description.text
        return description

    def write_program(self, *args: Any, **more: Any) -> WrittenProgram:
        """See :meth:`LegoModel.write_program`."""
        self._written = super().write_program(*args, **more)
        return self._written

    def answer(self, pairs: PairDataset, index: int, settings: AnswerSettings) -> WrittenAnswer:
        """
        Answer as program_node does, about a pair's input frame.

        :param pairs: of a split.
        :param index: of the pair.
        :param settings: seed and temperature.
        :returns: the answer, also where no program came of it.
        :raises LegoError: the picture or the networks failed.
        """
        pair, problem = pairs[index], ''
        self._forget()
        try:
            answer_by_program(self, pair.label, lambda: Frame(pairs.picture(index), None), '',
                              settings, CancelToken(), Progress())
        except LegoError as error:
            if error.code not in _FAILED:
                raise
            problem = error.message
        written = self._written
        return WrittenAnswer(
            pair_id=pair.pair_id, description=self._said, text=written.text, problem=problem,
            confidence=written.confidence, decode_seconds=written.decode_seconds,
            mask_seconds=written.mask_seconds)

    def _forget(self) -> None:
        self._said, self._written = '', WrittenProgram('', False, 0.)


def write_programs(model: ProgramModel, pairs: PairDataset, indices: Sequence[int],
                   settings: AnswerSettings, folder: Path, *, stop: Callable[[], bool]
                   ) -> list[WrittenAnswer]:
    """
    Ask for the programs of some pairs, but of those that an earlier call asked for.

    :param model: that writes.
    :param pairs: of a split.
    :param indices: of those that are asked about.
    :param settings: seed and temperature.
    :param folder: for the answers; those of other models and settings lie beside them.
    :param stop: asked before each.
    :returns: an answer for each.
    :raises Interrupted: ``stop`` said so.
    :raises LegoError: RECORDING_FAILED: an answer cannot be written; SOURCE_UNREADABLE: one that
        is there is damaged; and what answering raises.
    """
    identity = values_sha256([model.info.fingerprint, settings.seed, settings.temperature])
    place = folder / identity[:16] / pairs.split
    found: list[WrittenAnswer] = []
    for index in tqdm(indices, desc=f'programs, {pairs.split}', unit='program'):
        path = place / f'{_key(pairs[index])}.json'
        if not path.is_file():
            if stop():
                raise Interrupted(len(found))
            _save(path, model.answer(pairs, index, settings))
        found.append(_load(path))
    return found


def _key(pair: Pair) -> str:
    return values_sha256([pair.pair_id, pair.label, pair.input_sha256])[:24]


def _load(path: Path) -> WrittenAnswer:
    try:
        return WrittenAnswer.model_validate_json(path.read_bytes())
    except OSError as error:
        raise unusable(path, f'it cannot be read: {error}') from error
    except ValidationError as error:
        raise unusable(path, f'it is damaged ({first_fault(error)}); delete it, and the same '
                       'command writes it anew') from error


def _save(path: Path, answer: WrittenAnswer) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, answer.model_dump_json(indent=1).encode(), durable=False)
    except OSError as error:
        raise LegoError(
            ErrorCode.RECORDING_FAILED,
            f"'{path}' cannot be written: {error}. Make room; the same command goes on") from error
