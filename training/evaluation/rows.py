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

"""The figures of single held-out pairs, of which tables are made."""

from __future__ import annotations

from dataclasses import dataclass

from lego_ros.training.evaluation.descriptions import Verdict
from pydantic import BaseModel, ConfigDict


class DescribedRow(BaseModel):
    """What a VLLM said of a pair, and whether it is right."""

    model_config = ConfigDict(extra='forbid', frozen=True)

    pair_id: str
    scene: str
    """Pairs of one video show one scene."""
    vllm: str
    """``tuned`` or ``untuned``."""
    description: str
    verdict: Verdict


class FrameRow(BaseModel):
    """What a picture is like, and what can be read from it."""

    model_config = ConfigDict(extra='forbid', frozen=True)

    pair_id: str
    scene: str
    row: str
    """A variant, or a picture that was not drawn."""
    seed: int
    """Of the variant's training."""
    measures: dict[str, float]
    """See ``frames.MEASURES``."""
    read: dict[str, bool]
    """See ``reader.TrainedReader.read``."""


@dataclass(frozen=True)
class SplitRows:
    """
    All rows of a split.

    :param descriptions: of each VLLM and pair.
    :param frames: of each variant, seed and pair.
    """

    descriptions: list[DescribedRow]
    frames: list[FrameRow]
