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

"""The networks that are trained, as they are before the first step, and saving them."""

from __future__ import annotations

import json
from pathlib import Path

from diffusers import AutoencoderKL, UNet2DConditionModel
from diffusers.models.attention_processor import AttnProcessor
from lego_ros.errors import ErrorCode, LegoError
from lego_ros.ldm.conditioning import LegoConditioning
from lego_ros.ldm.config import expand_unet_input, kitchen_size, LdmSize, paper_size, tiny_size
from lego_ros.ldm.loading import load_component
from lego_ros.training.data.files import replacing
from lego_ros.training.enrichment.shards import EnrichmentIndex
from lego_ros.training.ldm.settings import LdmSettings
import torch
from transformers import CLIPTextModel

RECORD = 'training.json'
"""Says what a result was trained on; beside ``unet`` and ``conditioning``."""
_SIZES = {'paper': paper_size, 'kitchen': kitchen_size, 'tiny': tiny_size}


def make_networks(settings: LdmSettings, vae: AutoencoderKL, text_encoder: CLIPTextModel,
                  index: EnrichmentIndex | None) -> tuple[UNet2DConditionModel, LegoConditioning]:
    """
    Make UNet and conditioning, wired to the frozen parts.

    :param settings: size, start and seed.
    :param vae: whose latents the UNet works on.
    :param text_encoder: psi.
    :param index: which VLLM's features there are; None = the size's own.
    :returns: UNet (of the start, or with fresh weights) and conditioning (Xavier), float32.
    :raises LegoError: INVALID_SETTING: the resolution does not fit; BUNDLE_NOT_FOUND,
        BUNDLE_INVALID, BUNDLE_MISMATCH: the start's UNet cannot be used.
    """
    size = _SIZES[settings.size]()
    channels = text_encoder.config.hidden_size
    wiring = {**size.conditioning, 'cross_attention_dim': channels,
              'text_tokens': text_encoder.config.max_position_embeddings}
    if index is not None:
        wiring.update(vllm_hidden=index.hidden, image_tokens=index.image_tokens)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.loop.seed)
        conditioning = LegoConditioning(**wiring)
        unet = _unet(settings, size, vae, channels)
    side = _latent_side(settings.resolution, vae, unet)
    # The side that the pipeline draws at; Stable Diffusion's UNet says 64, for 512 px.
    unet.register_to_config(sample_size=side)
    return unet, conditioning


def speed_up(unet: UNet2DConditionModel, device: torch.device) -> None:
    """
    Choose what trains fastest on a device; what is computed stays the same.

    Measured on AMX cores at the kitchen size: a third more images per second.

    :param unet: changed in place.
    :param device: that it is to be trained on.
    """
    unet.to(memory_format=torch.channels_last)
    if device.type == 'cpu':
        # The backward pass of PyTorch's fused attention is slow there for short sequences.
        unet.set_attn_processor(AttnProcessor())


def save_networks(folder: Path, unet: UNet2DConditionModel, conditioning: LegoConditioning,
                  record: dict) -> None:
    """
    Save the result, whole or not at all.

    :param folder: gets ``unet``, ``conditioning`` and ``training.json``.
    :param unet: as diffusers saves it.
    :param conditioning: likewise.
    :param record: JSON values for ``training.json``.
    :raises LegoError: RECORDING_FAILED: it cannot be written.
    """
    with replacing(folder, 'the trained networks') as part:
        for name, module in (('unet', unet), ('conditioning', conditioning)):
            # safetensors takes only the plain order of the channels.
            module.to(memory_format=torch.contiguous_format)
            module.save_pretrained(part / name, safe_serialization=True)
        (part / RECORD).write_text(json.dumps(record, indent=1) + '\n', encoding='utf-8')


def read_record(folder: Path) -> dict | None:
    """
    Read what a result was trained on.

    :param folder: of :func:`save_networks`.
    :returns: the record; None = there is no result, or a damaged one.
    """
    try:
        record = json.loads((folder / RECORD).read_text(encoding='utf-8'))
    except (OSError, ValueError):
        return None
    return record if isinstance(record, dict) else None


def _unet(settings: LdmSettings, size: LdmSize, vae: AutoencoderKL, channels: int
          ) -> UNet2DConditionModel:
    latent = vae.config.latent_channels
    if settings.start is None:
        return UNet2DConditionModel(**{
            **size.unet, 'in_channels': 2 * latent, 'out_channels': latent,
            'cross_attention_dim': channels})
    unet = load_component(settings.start, 'unet', None)
    return expand_unet_input(unet) if unet.config.in_channels == latent else unet


def _latent_side(resolution: int, vae: AutoencoderKL, unet: UNet2DConditionModel) -> int:
    factor = 2 ** (len(vae.config.block_out_channels) - 1)
    whole = factor * 2 ** (len(unet.config.block_out_channels) - 1)
    if resolution % whole:
        raise LegoError(
            ErrorCode.INVALID_SETTING,
            f'a resolution of {resolution} px does not fit auto-encoder and UNet: it must be a '
            f'multiple of {whole}')
    return resolution // factor
