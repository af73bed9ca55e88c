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

"""The settings of fine-tuning; the defaults are the paper's."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from lego_ros.ldm.guidance import GUIDANCE_SCALE, IMAGE_GUIDANCE_SCALE
from lego_ros.ldm.view import View
from lego_ros.training.ldm.objective import DROP
from lego_ros.training.ldm.variants import VariantName
from lego_ros.training.run.settings import LoopSettings
from pydantic import BaseModel, ConfigDict, Field

Positive = Annotated[int, Field(gt=0)]
Scale = Annotated[float, Field(ge=0)]


def paper_loop() -> LoopSettings:
    """
    Give the paper's loop (Sec. 4.1).

    The weight decay is what AdamW does in the released code, which names none.
    """
    return LoopSettings(steps=20_000, batch_size=256, lr=1e-4, weight_decay=0.01, ema=0.9999)


class ShownSettings(BaseModel):
    """What is shown at each validation."""

    model_config = ConfigDict(extra='forbid', frozen=True, allow_inf_nan=False)

    loss_pairs: Positive = 256
    """Held-out pairs for the loss."""
    grid_pairs: Annotated[int, Field(ge=0, le=16)] = 4
    """Held-out pairs that a picture is drawn for; 0 = no pictures."""
    steps: Annotated[int, Field(ge=2, le=1000)] = 20
    """Denoising steps."""
    image_guidance_scale: Scale = IMAGE_GUIDANCE_SCALE
    guidance_scale: Scale = GUIDANCE_SCALE


class LdmSettings(BaseModel):
    """
    The section ``ldm`` of a recipe.

    :raises ValidationError: a value out of range, or a key that is not known.
    """

    model_config = ConfigDict(extra='forbid', frozen=True, allow_inf_nan=False)

    loop: LoopSettings = Field(default_factory=paper_loop)
    variant: VariantName = 'joint'
    size: Literal['paper', 'kitchen', 'tiny'] = 'paper'
    """Of the UNet where it starts from nothing, and of pi."""
    resolution: Positive = 256
    """Side of the pictures in pixels."""
    view: View = View.WHOLE
    """The LDM's field of view; the VLLM's must have been of the same view."""
    start: Path | None = None
    """Folder of a diffusers pipeline whose UNet is to begin with, such as Stable Diffusion 1.5;
    null = from nothing."""
    flip: bool = True
    """Whether half of the samples are mirrored, words and features too."""
    drop: Annotated[float, Field(ge=0, le=1 / 3)] = DROP
    """Chance of each: no image, no context, neither."""
    compile: bool = False
    """Whether torch.compile makes the UNet faster; it takes minutes at first, and needs a C++
    compiler on a CPU. What is computed stays the same but for the rounding of sums."""
    shown: ShownSettings = Field(default_factory=ShownSettings)
