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

"""What an enrichment depends on, and how many do the work."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from lego_ros.ldm.view import View
from pydantic import BaseModel, ConfigDict, Field

Positive = Annotated[int, Field(gt=0)]


class EnrichSettings(BaseModel):
    """
    The section ``enrichment`` of a recipe.

    :raises ValidationError: a value out of range, or a key that is not known.
    """

    model_config = ConfigDict(extra='forbid', frozen=True)

    flipped: bool = False
    """Whether each pair's mirrored frame is described too."""
    view: View = View.WHOLE
    """The part of a frame that the VLLM sees."""
    text_tokens: Positive = 77
    """N."""
    max_new_tokens: Positive = 1024
    shard_pairs: Positive = 256
    workers: Annotated[int, Field(ge=0)] = 0
    """Ray workers; 0 = in this process, without Ray."""
    threads: Positive = 1
    """Of each worker. Sums are rounded differently with other numbers of threads."""


class EnrichSources(BaseModel):
    """Where everything is that an enrichment needs; plain values, for workers elsewhere."""

    model_config = ConfigDict(extra='forbid', frozen=True)

    dataset: Path
    """Folder of the pairs."""
    split: str
    """Which of them."""
    vllm: Path
    """Folder of the VLLM."""
    text: Path
    """Folder that holds the LDM's ``tokenizer``."""
