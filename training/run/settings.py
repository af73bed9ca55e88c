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

"""How long, how fast and in what portions a network is trained."""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Positive = Annotated[int, Field(gt=0)]
Count = Annotated[int, Field(ge=0)]


class LoopSettings(BaseModel):
    """
    The part of a recipe that ``train`` needs; every stage has one.

    :raises ValidationError: a value out of range, or a key that is not known.
    """

    model_config = ConfigDict(extra='forbid', frozen=True, allow_inf_nan=False)

    steps: Positive | None = None
    """Optimiser steps; or ``epochs``."""
    epochs: Annotated[float, Field(gt=0)] | None = None
    """Passes over the data; or ``steps``."""
    batch_size: Positive
    """Samples per optimiser step, over all processes."""
    micro_batch: Positive | None = None
    """Samples per forward pass and process; null = as many as fall to a process at once."""
    lr: Annotated[float, Field(gt=0)]
    schedule: Literal['constant', 'cosine'] = 'constant'
    """After the warm-up: as it is, or down to 0 along half a cosine."""
    warmup: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Part of all steps over which the rate rises from 0."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    betas: tuple[float, float] = (0.9, 0.999)
    max_grad_norm: Annotated[float, Field(gt=0)] | None = 1.0
    """Longer gradients are shortened to this length; null = never."""
    ema: Annotated[float, Field(gt=0, lt=1)] | None = None
    """Decay of the averaged weights, which are then the result; null = no average."""
    precision: Literal['fp32', 'bf16'] = 'fp32'
    """Of the forward pass; weights and optimiser stay in the model's own."""
    seed: Count = 0
    """Of the order of the data and of all that is drawn."""
    checkpoint_every: Positive = 1000
    """Optimiser steps."""
    validate_every: Positive = 1000
    """Optimiser steps."""
    log_every: Positive = 10
    """Optimiser steps that a logged figure is the mean of."""
    loaders: Count = 0
    """Processes per training process that prepare samples; 0 = none beside it."""

    @model_validator(mode='after')
    def _is_consistent(self) -> LoopSettings:
        if (self.steps is None) == (self.epochs is None):
            raise ValueError('give either steps or epochs')
        return self

    def total_steps(self, samples: int) -> int:
        """
        Give the number of optimiser steps.

        :param samples: in the data.
        :returns: ``steps``, or those of ``epochs``; an epoch's last portion is filled from the
            next epoch.
        """
        if self.steps is not None:
            return self.steps
        assert self.epochs is not None
        return max(1, math.ceil(self.epochs * samples / self.batch_size))

    def lr_at(self, step: int, total: int) -> float:
        """
        Give the learning rate of a step.

        :param step: 0 for the first.
        :param total: number of steps.
        :returns: the rate; the first step's is above 0.
        """
        rising = math.ceil(self.warmup * total)
        if step < rising:
            return self.lr * (step + 1) / rising
        if self.schedule == 'constant':
            return self.lr
        return self.lr * 0.5 * (1 + math.cos(math.pi * (step - rising) / max(1, total - rising)))
