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

"""What the nodes ask of a model, whatever engine runs it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
import math
from typing import Any, Protocol

from lego_ros.errors import ErrorCode, LegoError
from lego_ros.vllm.written import WrittenProgram
import numpy as np

Check = Callable[[], None]
"""Called between tokens and steps; raises LegoError to stop."""

OnStep = Callable[[int, int], None]
"""Called with the number of tokens or steps done and to do (0 = not known)."""

OnText = Callable[[int, str], None]
"""Called with the number of tokens written and their text so far."""


@dataclass(frozen=True)
class ModelInfo:
    """
    What is loaded; the fields are those of msg/EngineInfo.

    :param fingerprint: SHA-256 over everything that decides the numbers, hexadecimal.
    :param height: of the square that the models draw, in pixels; likewise ``width``.
    :param image_tokens: M; ``text_tokens`` is N, ``conditioning_channels`` D (Eq. 1).
    :param parameters: number of weights over all networks.
    :param steps: default denoising steps; ``image_scale`` s_x and ``text_scale`` s_c likewise.
    """

    bundle: str
    bundle_version: str
    bundle_sha256: str
    trained: bool
    training_data: str
    backend: str
    device: str
    precision: str
    fingerprint: str
    height: int
    width: int
    image_tokens: int
    text_tokens: int
    conditioning_channels: int
    parameters: int
    steps: int
    image_scale: float
    text_scale: float


@dataclass(frozen=True)
class ModelChoice:
    """
    Which model is asked for; the fields are the node's parameters of these names.

    :param bundle: its folder; empty = the one that comes with the package.
    :param device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
    :param precision: float32, bfloat16 or float16.
    :param backend: what runs the networks.
    :param engine_cache: folder of engines that were built; empty = the user's.
    """

    bundle: str = ''
    device: str = 'auto'
    precision: str = 'float32'
    backend: str = 'torch'
    engine_cache: str = ''


ENGINE_BACKENDS = ('onnxruntime', 'openvino', 'tensorrt', 'tensorrt_rtx')
"""What runs networks by engines that were built; ``torch`` runs them as they are."""

PRECISIONS = ('float32', 'bfloat16', 'float16')
"""Number formats of weights and activations."""

MODES = ('exact', 'fast')
"""How the action frame is drawn: by all denoising steps, or nearly the same picture by few."""

FAST_STEPS = 20
"""Denoising steps of the fast mode, where the exact mode has as many or more."""


@dataclass(frozen=True)
class AnswerSettings:
    """
    How one query is answered.

    :param seed: of the VLLM's sampling and of the noise, 0 to 2**64 - 1.
    :param steps: denoising steps of the exact mode, 1 to 1000.
    :param image_scale: s_x, above 0 and at most 50.
    :param text_scale: s_c, likewise.
    :param temperature: of the VLLM's sampling, 0 (greedy) to 2.
    :param mode: of :data:`MODES`; ``fast`` gives nearly the exact mode's picture of this seed.
    :raises LegoError: INVALID_SETTING.
    """

    seed: int
    steps: int = 100
    image_scale: float = 1.5
    text_scale: float = 7.5
    temperature: float = 0.2
    mode: str = 'exact'

    def __post_init__(self) -> None:
        """Check the ranges."""
        self._require('seed', 0, 2**64 - 1)
        self._require('steps', 1, 1000)
        self._require('image_scale', 0, 50)
        self._require('text_scale', 0, 50)
        self._require('temperature', 0, 2)
        if self.mode not in MODES:
            raise LegoError(
                ErrorCode.INVALID_SETTING,
                f"mode must be one of {', '.join(MODES)}, not '{self.mode}'")

    @property
    def steps_taken(self) -> int:
        """Denoising steps that are run: fewer than ``steps`` in the fast mode."""
        return min(FAST_STEPS, self.steps) if self.mode == 'fast' else self.steps

    def _require(self, name: str, low: float, high: float) -> None:
        value = getattr(self, name)
        if not math.isfinite(value) or not low <= value <= high:
            raise LegoError(
                ErrorCode.INVALID_SETTING, f'{name} must be from {low} to {high}, not {value}')


@dataclass(frozen=True, eq=False)
class Description:
    """
    The VLLM's answer.

    :param text: R.
    :param embeddings: what :meth:`ActionModel.depict` needs besides the text; its own business.
    """

    text: str
    embeddings: Any = None


class ActionModel(Protocol):
    """Describes and depicts actions, and writes their programs. Used from one thread only."""

    info: ModelInfo

    def warm_up(self) -> None:
        """Run everything once, so that the first query is as quick as the next."""

    def describe(self, rgb: np.ndarray, action: str, settings: AnswerSettings, check: Check,
                 on_token: OnStep) -> Description:
        """
        Say how the action is done in this frame (LEGO, Sec. 3.1).

        :param rgb: (H, W, 3) uint8, the whole camera frame.
        :param action: the action phrase.
        :param settings: seed and temperature count.
        :param check: called between tokens.
        :param on_token: called after each token.
        """

    def depict(self, rgb: np.ndarray, description: Description, settings: AnswerSettings,
               check: Check, on_step: OnStep) -> np.ndarray:
        """
        Draw the described action in this frame (LEGO, Sec. 3.2).

        :param rgb: (H, W, 3) uint8, the whole camera frame.
        :param description: from :meth:`describe`.
        :param settings: seed, steps, scales and mode count.
        :param check: called between denoising steps.
        :param on_step: called after each denoising step, of ``settings.steps_taken``.
        :returns: the action frame, (h, w, 3) uint8.
        """

    def write_program(self, rgb: np.ndarray, action: str, description: str,
                      settings: AnswerSettings, check: Check, on_text: OnText) -> WrittenProgram:
        """
        Write the program of the described action in this frame (LEAP).

        :param rgb: (H, W, 3) uint8, the whole camera frame.
        :param action: the action phrase.
        :param description: R.
        :param settings: seed and temperature count.
        :param check: called between tokens.
        :param on_text: called after each token.
        """

    def close(self) -> None:
        """Free the memory of host and device."""
