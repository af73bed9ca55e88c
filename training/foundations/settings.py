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

"""What the trainings that begin with nothing have in common."""

from __future__ import annotations

from typing import Annotated, Literal

from lego_ros.training.run.settings import LoopSettings
from pydantic import Field


class FromNothing(LoopSettings):
    """AdamW in bfloat16, its rate down to 0 along half a cosine after a short warm-up."""

    schedule: Literal['constant', 'cosine'] = 'cosine'
    warmup: Annotated[float, Field(ge=0, lt=1)] = 0.03
    precision: Literal['fp32', 'bf16'] = 'bf16'


class Transformer(FromNothing):
    """As transformers are trained: a quicker second moment, and weights that decay."""

    weight_decay: Annotated[float, Field(ge=0)] = 0.05
    betas: tuple[float, float] = (0.9, 0.98)
