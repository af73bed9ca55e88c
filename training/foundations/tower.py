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

"""The vision tower up to the layer that the VLLM reads."""

from __future__ import annotations

from torch import Tensor
from transformers import CLIPVisionModel


def patch_states(tower: CLIPVisionModel, pixels: Tensor, layer: int) -> Tensor:
    """
    Run the tower.

    :param tower: any of CLIP's.
    :param pixels: (B, 3, side, side) float, scaled as by its image processor.
    :param layer: that is read; LLaVA's is -2.
    :returns: (B, M, hidden), the states of that layer without the class token.
    """
    return tower(pixels, output_hidden_states=True).hidden_states[layer][:, 1:]


def freeze_unread(tower: CLIPVisionModel, layer: int) -> None:
    """
    Leave out of the training what comes after the layer that is read: it has no part in it.

    :param tower: changed in place.
    :param layer: that is read, counted from the end: -2 is the last but one.
    """
    for unused in (*tower.encoder.layers[layer + 1:], tower.post_layernorm):
        unused.requires_grad_(False)
