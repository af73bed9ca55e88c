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

"""What the UNet is conditioned on: the rows of the paper's Tables 3 and 4, by one switch."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

VariantName = Literal['labels', 'description', 'image', 'text', 'joint', 'joint_untuned']


@dataclass(frozen=True)
class Variant:
    """
    A way to condition the UNet.

    :param words: what psi encodes: the action's label, or the VLLM's description.
    :param image: whether the context has the VLLM's image embedding, sigma(H_i).
    :param text: whether the context has the VLLM's text embedding, pi(mu(H_t)).
    :param tuned: whether the VLLM is the instruction-tuned one.
    """

    words: Literal['label', 'description']
    image: bool = False
    text: bool = False
    tuned: bool = True

    @property
    def enriched(self) -> bool:
        """Whether it needs an enrichment; labels come with the pairs."""
        return self.words == 'description'

    def context_tokens(self, text_tokens: int, image_tokens: int) -> int:
        """
        Give the length of the context that the UNet sees.

        :param text_tokens: N.
        :param image_tokens: M.
        :returns: N, with M for the image and N for the text embedding.
        """
        return text_tokens + self.image * image_tokens + self.text * text_tokens


VARIANTS: MappingProxyType[VariantName, Variant] = MappingProxyType({
    # InstructPix2Pix, trained end to end.
    'labels': Variant('label'),
    'description': Variant('description'),
    'image': Variant('description', image=True),
    'text': Variant('description', text=True),
    'joint': Variant('description', image=True, text=True),
    'joint_untuned': Variant('description', image=True, text=True, tuned=False),
})
