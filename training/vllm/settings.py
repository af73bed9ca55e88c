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

"""How the VLLM is tuned."""

from __future__ import annotations

from typing import Annotated, Literal

from lego_ros.ldm.view import View
from lego_ros.training.run.settings import LoopSettings
from pydantic import BaseModel, ConfigDict, Field


class LoraSettings(BaseModel):
    """Low-rank adapters in the place of the language model's own weights (Hu et al., 2021)."""

    model_config = ConfigDict(extra='forbid', frozen=True)

    rank: Annotated[int, Field(gt=0)] = 64
    alpha: Annotated[int, Field(gt=0)] = 128
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0


class TuneSettings(LoopSettings):
    """
    The section ``vllm`` of a recipe; the paper's, unless it says otherwise (LEGO, supplement F.2).

    :raises ValidationError: a value out of range, or a key that is not known.
    """

    epochs: Annotated[float, Field(gt=0)] | None = 3.0
    batch_size: Annotated[int, Field(gt=0)] = 128
    lr: Annotated[float, Field(gt=0)] = 2e-5
    schedule: Literal['constant', 'cosine'] = 'cosine'
    warmup: Annotated[float, Field(ge=0, lt=1)] = 0.03
    precision: Literal['fp32', 'bf16'] = 'bf16'
    frame: Literal['input', 'target'] = 'input'
    """Which frame is described: *forecast* sees the input, *description* the target."""
    view: View = View.WHOLE
    """The part of the frame that the VLLM sees."""
    flip: bool = False
    """Whether half of the samples are mirrored, words too; not in the paper. What the VLLM says of
    mirrored frames conditions the LDM where ``ldm.flip`` is on."""
    lora: LoraSettings | None = None
    """null = all weights of the language model are trained."""
    gradient_checkpointing: bool = False
    """Computes activations again instead of keeping them: less memory, a third more time."""
    compile: bool = False
    """Whether torch.compile makes the language model faster; it takes minutes at first, and needs
    a C++ compiler on a CPU. What is computed stays the same but for the rounding of sums."""


class ProgramSettings(TuneSettings):
    """
    The section ``programs`` of a recipe: the VLLM learns to write action programs (LEAP).

    It always learns by adapters: its own weights, and so H_i and H_t, stay what the LDM is
    trained with. All values are ours.

    :raises ValidationError: a value out of range, or a key that is not known.
    """

    lr: Annotated[float, Field(gt=0)] = 1e-3
    lora: LoraSettings = LoraSettings(rank=32, alpha=64)
