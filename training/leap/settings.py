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

"""How LEAP's network is trained: the section ``train`` of its recipes."""

from __future__ import annotations

from types import MappingProxyType
from typing import Annotated, Literal

from lego_ros.leap.config import LeapConfig
from lego_ros.training.foundations.settings import Transformer
from lego_ros.training.leap.losses import LossWeights
from lego_ros.training.leap.sampling import AnticipationSettings
from pydantic import Field

Losses = Literal['ce', 'ce+t', 'ce+pc', 'all']
WEIGHTS: MappingProxyType[str, LossWeights] = MappingProxyType({
    'ce': LossWeights(steps=0, conditions=0), 'ce+t': LossWeights(conditions=0),
    'ce+pc': LossWeights(steps=0), 'all': LossWeights()})
"""Which of L_CE, L_T and L_PC are summed; those that are count alike, as LEAP's do."""


class LeapSettings(Transformer):
    """AdamW, its rate down to 0 along half a cosine; what is not LEAP's is the loop's own."""

    epochs: float | None = 20.0
    batch_size: Annotated[int, Field(gt=0)] = 32
    lr: Annotated[float, Field(gt=0)] = 5e-4
    warmup: Annotated[float, Field(ge=0, lt=1)] = 0.05
    checkpoint_every: Annotated[int, Field(gt=0)] = 200
    validate_every: Annotated[int, Field(gt=0)] = 500
    network: LeapConfig = LeapConfig()
    """Its ``task`` says what is trained, ``aggregated_clips`` how many clips it looks at."""
    start: str | None = None
    """File of the backbone's first weights, UniFormerV2's or CLIP's; null = drawn."""
    losses: Losses = 'all'
    anticipation: AnticipationSettings = AnticipationSettings()
    """What the task ``anticipation`` sees."""
    min_count: Annotated[int, Field(ge=1)] = 1
    """In how many programs a sub-verb, an object or a condition occurs that is a class."""
    validated: Annotated[int, Field(ge=1)] = 512
    """Clips of the validation split that a validation looks at, at most."""

    @property
    def clips(self) -> int:
        """Give how many clips a sample has."""
        return max(1, self.network.aggregated_clips)
