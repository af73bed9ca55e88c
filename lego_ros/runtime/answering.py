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

"""The way of a query: take a frame, describe, depict."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from lego_ros.errors import ErrorCode, LegoError
from lego_ros.runtime.cancel import CancelToken
from lego_ros.runtime.model import ActionModel, AnswerSettings, Description
from lego_ros.runtime.timings import StageTimer
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
    """

    stage: Callable[[str, int, int], None] = lambda stage, step, steps: None
    described: Callable[[Frame[Source], Description, StageTimer], None] = (
        lambda frame, description, timer: None)


@dataclass(frozen=True, eq=False)
class Answer(Generic[Source]):
    """
    What comes out.

    :param frame: what it was asked about.
    :param description: what the VLLM said.
    :param picture: (h, w, 3) uint8, the action frame.
    :param timer: how long each stage took.
    """

    frame: Frame[Source]
    description: Description
    picture: np.ndarray
    timer: StageTimer = field(default_factory=StageTimer)


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
    try:
        token.check()
        progress.stage('decode', 0, 1)
        with timer.stage('decode'):
            frame = take_frame()
        token.check()
        progress.stage('describe', 0, 0)
        with timer.stage('describe'):
            description = model.describe(
                frame.rgb, action, settings, token.check,
                lambda step, steps: progress.stage('describe', step, steps))
        token.check()
        progress.described(frame, description, timer)
        progress.stage('depict', 0, settings.steps_taken)
        with timer.stage('depict'):
            picture = model.depict(
                frame.rgb, description, settings, token.check,
                lambda step, steps: progress.stage('depict', step, steps))
        token.check()
    except (MemoryError, RuntimeError, ValueError, ArithmeticError, OSError) as error:
        raise classify(error) from error
    return Answer(frame, description, picture, timer)


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
