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

"""
From the names of CompVis' Stable Diffusion to those of diffusers.

The renaming itself is diffusers' (``loaders.single_file_utils``). It drops what it does not know
without a word, so it is not given the weights but tensors of the same shapes that hold their own
number (stride 0: no memory). What comes out tells which weight goes where, and in which shape;
what does not come out is handed on under its old name, for :func:`matching.fill` to refuse.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from diffusers.loaders.single_file_utils import (
    convert_ldm_unet_checkpoint,
    convert_ldm_vae_checkpoint,
)
from lego_ros.errors import ErrorCode, LegoError
import torch

Weights = Mapping[str, torch.Tensor]

UNET = 'model.diffusion_model.'
VAE = 'first_stage_model.'
TEXT = 'cond_stage_model.transformer.'
# Constants that the networks compute themselves; older versions saved them.
_TEXT_BUFFERS = {'embeddings.position_ids'}


def unet_weights(weights: Weights, config: Mapping[str, Any]) -> dict[str, torch.Tensor]:
    """
    Rename the UNet.

    :param weights: names that begin with :data:`UNET`.
    :param config: of UNet2DConditionModel.
    :returns: the weights by diffusers' names.
    :raises LegoError: BUNDLE_MISMATCH when one is missing whose twin is there.
    """
    return _renamed(weights, lambda numbered: convert_ldm_unet_checkpoint(numbered, config))


def vae_weights(weights: Weights, config: Mapping[str, Any]) -> dict[str, torch.Tensor]:
    """
    Rename the auto-encoder; its 1 x 1 convolutions in attention become matrices.

    :param weights: names that begin with :data:`VAE`.
    :param config: of AutoencoderKL.
    :returns: the weights by diffusers' names.
    :raises LegoError: BUNDLE_MISMATCH when one is missing whose twin is there.
    """
    return _renamed(weights, lambda numbered: convert_ldm_vae_checkpoint(numbered, config))


def text_weights(weights: Weights, prefix: str = TEXT) -> dict[str, torch.Tensor]:
    """
    Rename CLIP's text encoder.

    :param weights: names that begin with the prefix.
    :param prefix: what stands before transformers' own names.
    :returns: the weights by the names of transformers' CLIPTextModel.
    """
    renamed = {
        name.removeprefix(prefix).removeprefix('text_model.'): tensor
        for name, tensor in weights.items()}
    return {name: tensor for name, tensor in renamed.items() if name not in _TEXT_BUFFERS}


def _renamed(
    weights: Weights, convert: Callable[[dict[str, torch.Tensor]], dict[str, Any]],
) -> dict[str, torch.Tensor]:
    names = list(weights)
    numbered = {
        name: torch.tensor(number).expand(weights[name].shape)
        for number, name in enumerate(names)}
    try:
        converted = convert(numbered)
    except KeyError as error:
        raise LegoError(
            ErrorCode.BUNDLE_MISMATCH,
            f'The weights are of another architecture or damaged; 1 missing: {error.args[0]}'
        ) from error
    # A name that no source has comes out as None.
    numbers = {new: int(one[(0,) * one.ndim]) for new, one in converted.items() if one is not None}
    left = set(range(len(names))) - set(numbers.values())
    return {
        **{new: weights[names[number]].reshape(converted[new].shape)
           for new, number in numbers.items()},
        **{names[number]: weights[names[number]] for number in sorted(left)},
    }
