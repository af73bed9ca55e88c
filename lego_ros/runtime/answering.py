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

"""The way of a query: take a frame, describe, and depict or write a program."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from lego_ros.errors import ErrorCode, LegoError
from lego_ros.programs.checking import check
from lego_ros.programs.parsing import parse
from lego_ros.programs.tree import Program
from lego_ros.programs.violation import Violation
from lego_ros.runtime.cancel import CancelToken
from lego_ros.runtime.model import ActionModel, AnswerSettings, Description
from lego_ros.runtime.timings import StageTimer
from lego_ros.vllm.written import WrittenProgram
import numpy as np

Source = TypeVar('Source')


@dataclass(frozen=True, eq=False)
class Frame(Generic[Source]):
    """
    A decoded camera frame.

    :param rgb: (H, W, 3) uint8.
    :param source: whatever the caller needs to trace it back, e.g. its message header.
    :param age: when it was taken, in nanoseconds.
    """

    rgb: np.ndarray
    source: Source
    age: int = 0


@dataclass
class Progress(Generic[Source]):
    """
    Whom to tell how an answer is coming along; called in the worker's thread.

    :param stage: called with stage, step and number of steps (0 = not known).
    :param described: called once, between the two halves.
    :param written: called with the number of tokens of a program and their text so far.
    """

    stage: Callable[[str, int, int], None] = lambda stage, step, steps: None
    described: Callable[[Frame[Source], Description, StageTimer], None] = (
        lambda frame, description, timer: None)
    written: Callable[[int, str], None] = lambda count, text: None


@dataclass(frozen=True, eq=False)
class Answer(Generic[Source]):
    """
    What comes out of a question for an action frame.

    :param frame: what it was asked about.
    :param description: what the VLLM said.
    :param picture: (h, w, 3) uint8, the action frame.
    :param timer: how long each stage took.
    """

    frame: Frame[Source]
    description: Description
    picture: np.ndarray
    timer: StageTimer = field(default_factory=StageTimer)


@dataclass(frozen=True, eq=False)
class ProgramAnswer(Generic[Source]):
    """
    What comes out of a question for an action program.

    :param frame: what it was asked about.
    :param description: R, from which it was written.
    :param program: as the model wrote it.
    :param violations: what the checker found; empty = it can be done.
    :param confidence: see :class:`lego_ros.vllm.written.WrittenProgram`.
    :param timer: how long each stage took.
    """

    frame: Frame[Source]
    description: str
    program: Program
    violations: tuple[Violation, ...]
    confidence: float
    timer: StageTimer


def answer(model: ActionModel, action: str, take_frame: Callable[[], Frame[Source]],
           settings: AnswerSettings, token: CancelToken,
           progress: Progress[Source] | None = None) -> Answer[Source]:
    """
    Answer one query.

    :param model: what describes and depicts.
    :param action: the action phrase.
    :param take_frame: takes and decodes the newest frame, at the last moment.
    :param settings: seed, steps, scales, temperature, mode.
    :param token: stops the answer between two tokens or denoising steps.
    :param progress: whom to tell.
    :returns: description and picture.
    :raises LegoError: whatever went wrong; every failure has a code.
    """
    progress = progress or Progress()
    timer = StageTimer()
    with _classified():
        frame = _take(take_frame, token, progress, timer)
        description = _describe(model, frame, action, settings, token, progress, timer)
        progress.described(frame, description, timer)
        progress.stage('depict', 0, settings.steps_taken)
        with timer.stage('depict'):
            picture = model.depict(
                frame.rgb, description, settings, token.check,
                lambda step, steps: progress.stage('depict', step, steps))
        token.check()
    return Answer(frame, description, picture, timer)


def answer_by_program(model: ActionModel, action: str, take_frame: Callable[[], Frame[Source]],
                      description: str, settings: AnswerSettings, token: CancelToken,
                      progress: Progress[Source]) -> ProgramAnswer[Source]:
    """
    Answer one query by an action program (LEAP).

    :param model: what describes and writes.
    :param action: the action phrase.
    :param take_frame: decodes the frame that was seen when the query came.
    :param description: R, where it is known; empty = it is made first.
    :param settings: seed and temperature.
    :param token: stops the answer between two tokens.
    :param progress: whom to tell.
    :returns: the program, checked.
    :raises LegoError: whatever went wrong; every failure has a code. PROGRAM_INVALID: the model
        did not come to the end of a program.
    """
    timer = StageTimer()
    with _classified():
        frame = _take(take_frame, token, progress, timer)
        if not description:
            description = _describe(
                model, frame, action, settings, token, progress, timer).text
        progress.stage('write', 0, 0)
        with timer.stage('write'):
            written = model.write_program(
                frame.rgb, action, description, settings, token.check, progress.written)
        token.check()
        progress.stage('check', 0, 0)
        with timer.stage('check'):
            program = _read(written)
            violations = check(program)
    return ProgramAnswer(frame, description, program, violations, written.confidence, timer)


@contextmanager
def _classified() -> Iterator[None]:
    try:
        yield
    except (MemoryError, RuntimeError, ValueError, ArithmeticError, OSError) as error:
        raise classify(error) from error


def _take(take_frame: Callable[[], Frame[Source]], token: CancelToken,
          progress: Progress[Source], timer: StageTimer) -> Frame[Source]:
    token.check()
    progress.stage('decode', 0, 1)
    with timer.stage('decode'):
        frame = take_frame()
    token.check()
    return frame


def _describe(model: ActionModel, frame: Frame[Source], action: str, settings: AnswerSettings,
              token: CancelToken, progress: Progress[Source], timer: StageTimer) -> Description:
    progress.stage('describe', 0, 0)
    with timer.stage('describe'):
        description = model.describe(
            frame.rgb, action, settings, token.check,
            lambda step, steps: progress.stage('describe', step, steps))
    token.check()
    return description


def _read(written: WrittenProgram) -> Program:
    if not written.ended:
        raise LegoError(
            ErrorCode.PROGRAM_INVALID,
            'the model did not end the program within the tokens that it may take; it may not '
            'have been tuned to write programs. What it wrote ends: '
            f'{written.text[-120:]!r}')
    return parse(written.text)


def classify(error: BaseException) -> LegoError:
    """
    Give a failure of the libraries below a code.

    :param error: what was raised.
    :returns: OUT_OF_MEMORY or INFERENCE_FAILED, with the cause in the message.
    """
    if isinstance(error, LegoError):
        return error
    # torch.OutOfMemoryError is a RuntimeError; the CPU allocator raises a plain one.
    text = f'{type(error).__name__}: {error}'
    if (isinstance(error, MemoryError) or 'OutOfMemory' in type(error).__name__
            or 'out of memory' in str(error) or "can't allocate memory" in str(error)):
        return LegoError(
            ErrorCode.OUT_OF_MEMORY,
            f'not enough memory ({text[:300]}); close other users of the '
            'device, or load a smaller bundle or a lower precision')
    return LegoError(
        ErrorCode.INFERENCE_FAILED,
        f'a model failed ({text[:600]}); the log has the traceback')
