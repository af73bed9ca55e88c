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

"""Stable Diffusion 1.5 or InstructPix2Pix as diffusers saves it: a folder for each part."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from diffusers import AutoencoderKL, EulerAncestralDiscreteScheduler, UNet2DConditionModel
from lego_ros.bundle.importing.compvis import text_weights
from lego_ros.bundle.importing.matching import fill
from lego_ros.bundle.importing.parts import LdmParts, load_clip_tokenizer, sees_the_frame
from lego_ros.bundle.importing.weights import read_folder, read_json, understanding
from lego_ros.errors import ErrorCode, LegoError
from lego_ros.ldm.config import scheduler_config
import torch
from transformers import CLIPTextConfig, CLIPTextModel

# Stable Diffusion's published auto-encoder has the names of diffusers before 0.13.
_OLD_VAE_NAMES = {'query': 'to_q', 'key': 'to_k', 'value': 'to_v', 'proj_attn': 'to_out.0'}
_USED = {'unet', 'vae', 'text_encoder', 'tokenizer', 'scheduler'}


def read_diffusers_folder(
    folder: Path, resolution: int, tokenizer: Path | None = None,
) -> LdmParts:
    """
    Read a pipeline; the weights stay on disk.

    :param folder: with ``unet``, ``vae``, ``text_encoder``, ``tokenizer`` and ``scheduler``.
    :param resolution: side in pixels at which it shall be used, a multiple of the auto-encoder's
        factor.
    :param tokenizer: a folder to take instead of ``tokenizer``.
    :returns: the parts, with new input channels of the UNet where it had none for the frame.
    :raises LegoError: SOURCE_UNREADABLE, BUNDLE_UNSAFE, BUNDLE_MISMATCH for other networks,
        INVALID_SETTING for a resolution that does not fit.
    """
    vae_config = _config(folder / 'vae', '_class_name', 'AutoencoderKL')
    unet_config = _config(folder / 'unet', '_class_name', 'UNet2DConditionModel')
    text_config = _config(folder / 'text_encoder', 'model_type', 'clip_text_model')
    with torch.device('meta'):
        with understanding(folder / 'vae' / 'config.json'):
            vae = AutoencoderKL.from_config(vae_config)
            side = latent_side(resolution, vae.config)
        with understanding(folder / 'unet' / 'config.json'):
            unet = UNet2DConditionModel.from_config({**unet_config, 'sample_size': side})
        with understanding(folder / 'text_encoder' / 'config.json'):
            text = CLIPTextModel(CLIPTextConfig.from_dict(text_config))
    name = folder.resolve().name
    fill(unet, read_folder(folder / 'unet'), f"'{folder / 'unet'}'")
    fill(vae, _modern_vae(read_folder(folder / 'vae')), f"'{folder / 'vae'}'")
    fill(text, text_weights(read_folder(folder / 'text_encoder'), ''),
         f"'{folder / 'text_encoder'}'")
    unet, unet_origin = sees_the_frame(unet, f'{name}/unet')
    unused = sorted(p.name for p in folder.iterdir() if p.is_dir() and p.name not in _USED)
    return LdmParts(
        unet=unet, vae=vae, text_encoder=text,
        tokenizer=load_clip_tokenizer(tokenizer or folder / 'tokenizer'),
        scheduler=_scheduler(folder / 'scheduler'),
        conditioning=None,
        origins={
            'UNet': unet_origin,
            'auto-encoder': f'{name}/vae',
            'text encoder': f'{name}/text_encoder',
            **({'not used': ', '.join(unused)} if unused else {}),
        })


def latent_side(resolution: int, vae_config: Mapping[str, Any]) -> int:
    """
    Give the side of the UNet's latents.

    :param resolution: of the pictures, in pixels.
    :param vae_config: of AutoencoderKL.
    :returns: in latent pixels.
    :raises LegoError: INVALID_SETTING when the resolution is no multiple of the factor.
    """
    factor = 2 ** (len(vae_config['block_out_channels']) - 1)
    if resolution % factor:
        raise LegoError(
            ErrorCode.INVALID_SETTING,
            f'The resolution must be a multiple of {factor}, not {resolution}')
    return resolution // factor


def _config(folder: Path, key: str, expected: str) -> dict[str, Any]:
    config = read_json(folder / 'config.json')
    if config.get(key) != expected:
        raise LegoError(
            ErrorCode.BUNDLE_MISMATCH,
            f"'{folder}' holds {str(config.get(key))[:60]!r}; {expected!r} can be imported")
    return config


def _modern_vae(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    renamed = {}
    for name, tensor in weights.items():
        parts = name.split('.')
        if 'attentions' in parts and len(parts) > 1:
            parts[-2] = _OLD_VAE_NAMES.get(parts[-2], parts[-2])
        renamed['.'.join(parts)] = tensor
    return renamed


def _scheduler(folder: Path) -> EulerAncestralDiscreteScheduler:
    """Take the noise schedule from the source and the sampler from LEGO."""
    config = read_json(folder / 'scheduler_config.json')
    default = scheduler_config()
    with understanding(folder / 'scheduler_config.json'):
        return EulerAncestralDiscreteScheduler(
            **{**default, **{name: config[name] for name in default if name in config}})
