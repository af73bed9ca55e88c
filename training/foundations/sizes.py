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

"""The sizes in which foundations are trained."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from lego_ros.ldm.config import kitchen_size, LdmSize, tiny_size
from lego_ros.vllm.llava import kitchen_llava_config, tiny_llava_config
from transformers import LlavaConfig

SizeName = Literal['kitchen', 'tiny']


@dataclass(frozen=True)
class FoundationSize:
    """
    Sizes of all foundations, which fit each other.

    :param ldm: of the auto-encoder and the text encoder.
    :param llava: makes the VLLM's configuration from its number of tokens.
    :param vocabulary: tokens of either tokenizer, at most.
    """

    ldm: LdmSize
    llava: Callable[[int], LlavaConfig]
    vocabulary: int = 1024

    @property
    def text_tokens(self) -> int:
        """N, the tokens of a text for the LDM."""
        return int(self.ldm.text['max_position_embeddings'])

    @property
    def picture_side(self) -> int:
        """Side of the pictures that the auto-encoder is trained on [px]."""
        return int(self.ldm.vae['sample_size'])


def size_of(name: SizeName) -> FoundationSize:
    """
    Give the sizes by their name.

    :param name: ``kitchen``: 128 px, for two CPU cores and a few hours; ``tiny``: 64 px, for
        tests.
    :returns: the sizes.
    """
    if name == 'kitchen':
        return FoundationSize(kitchen_size(), kitchen_llava_config)
    return FoundationSize(tiny_size(), tiny_llava_config)
