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
One file with everything, by the names of CompVis: Stable Diffusion, InstructPix2Pix or LEGO.

Facts read in the public code of LEGO (its diffusion model, its EMA and its inference script):

- the UNet is ``model.diffusion_model.*`` and has 8 input channels;
- its EMA is ``model_ema.*``, where a name has lost its dots and its first ``model.``
  (``diffusion_modelinput_blocks00weight``), beside ``decay`` and ``num_updates``; pictures are
  drawn with the EMA;
- the auto-encoder is ``first_stage_model.*`` and the text encoder
  ``cond_stage_model.transformer.*``, both frozen and without EMA;
- sigma is ``projection_img``, mu ``projection_txt`` and pi ``self_attn_mix``;
- twelve buffers of the noise schedule stand beside them; they follow from the schedule.
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

from diffusers import AutoencoderKL, EulerAncestralDiscreteScheduler, UNet2DConditionModel
from lego_ros.bundle.importing import compvis
from lego_ros.bundle.importing.diffusers_folder import latent_side
from lego_ros.bundle.importing.matching import check, fill
from lego_ros.bundle.importing.parts import LdmParts, load_clip_tokenizer, sees_the_frame
from lego_ros.bundle.importing.weights import read_weights
from lego_ros.errors import ErrorCode, LegoError
from lego_ros.ldm.config import LdmSize, scheduler_config
import torch
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

EMA = 'model_ema.'
CONDITIONING = {'projection_img.': 'sigma.', 'projection_txt.': 'mu.', 'self_attn_mix.': 'pi.'}
_NOT_NEEDED = {
    'betas', 'alphas_cumprod', 'alphas_cumprod_prev', 'sqrt_alphas_cumprod',
    'sqrt_one_minus_alphas_cumprod', 'log_one_minus_alphas_cumprod', 'sqrt_recip_alphas_cumprod',
    'sqrt_recipm1_alphas_cumprod', 'posterior_variance', 'posterior_log_variance_clipped',
    'posterior_mean_coef1', 'posterior_mean_coef2', 'scale_factor', 'logvar',
    'model_ema.decay', 'model_ema.num_updates',
}


def read_single_file(
    path: Path, size: LdmSize, resolution: int, tokenizer_folder: Path | None,
) -> LdmParts:
    """
    Read a checkpoint; the weights stay on disk.

    :param path: ``.safetensors`` or ``.ckpt``.
    :param size: of the networks; such a file does not tell it. The UNet's input channels and the
        text encoder's vocabulary are taken from the weights.
    :param resolution: side in pixels at which it shall be used.
    :param tokenizer_folder: CLIP's tokenizer, which such a file does not hold.
    :returns: the parts: the EMA of the UNet where there is one, new input channels where it had
        none for the frame, and sigma, mu and pi of a LEGO checkpoint.
    :raises LegoError: SOURCE_UNREADABLE, BUNDLE_UNSAFE, BUNDLE_MISMATCH with the weights that are
        missing, unknown or of another shape, INVALID_SETTING without a tokenizer.
    """
    if tokenizer_folder is None:
        raise LegoError(
            ErrorCode.INVALID_SETTING,
            f"'{path}' holds no tokenizer; give the folder of CLIP ViT-L/14's (such as that of "
            'openai/clip-vit-large-patch14) by --clip-tokenizer')
    tokenizer = load_clip_tokenizer(tokenizer_folder)
    groups = _grouped(read_weights(path), path)
    weights, which = _inference_unet(groups[compvis.UNET], groups[EMA], path)
    unet = _unet(weights, size, latent_side(resolution, size.vae), path)
    with torch.device('meta'):
        vae = AutoencoderKL(**size.vae)
    fill(vae, compvis.vae_weights(groups[compvis.VAE], vae.config),
         f"the auto-encoder in '{path}'")
    text = _text_encoder(compvis.text_weights(groups[compvis.TEXT]), size, tokenizer, path)
    unet, unet_origin = sees_the_frame(unet, f'{path.name}, {which}')
    conditioning = {
        CONDITIONING[group] + name.removeprefix(group): tensor
        for group in CONDITIONING for name, tensor in groups[group].items()}
    return LdmParts(
        unet=unet, vae=vae, text_encoder=text, tokenizer=tokenizer,
        scheduler=EulerAncestralDiscreteScheduler(**scheduler_config()),
        conditioning=conditioning or None,
        origins={
            'UNet': unet_origin,
            'auto-encoder': f'{path.name}, first_stage_model',
            'text encoder': f'{path.name}, cond_stage_model',
        })


def _grouped(
    weights: dict[str, torch.Tensor], path: Path,
) -> defaultdict[str, dict[str, torch.Tensor]]:
    """Sort the weights by the network that they belong to; refuse what belongs to none."""
    groups: defaultdict[str, dict[str, torch.Tensor]] = defaultdict(dict)
    unknown = []
    for name, tensor in weights.items():
        group = next((prefix for prefix in (compvis.UNET, EMA, compvis.VAE, compvis.TEXT,
                                            *CONDITIONING) if name.startswith(prefix)), None)
        if name in _NOT_NEEDED:
            continue
        if group is None:
            unknown.append(name)
        else:
            groups[group][name] = tensor
    check(f"'{path}'", {
        'unknown': sorted(unknown),
        'missing': [f'{prefix}*' for prefix in (compvis.UNET, compvis.VAE, compvis.TEXT)
                    if not groups[prefix]]})
    return groups


def _inference_unet(
    trained: dict[str, torch.Tensor], ema: dict[str, torch.Tensor], path: Path,
) -> tuple[dict[str, torch.Tensor], str]:
    """Give the UNet to draw pictures with, by the names of the one that was trained."""
    if not ema:
        return trained, 'UNet (the file has no EMA)'
    flat: dict[str, str] = {}
    for name in trained:
        key = EMA + name.removeprefix('model.').replace('.', '')
        if key in flat:
            raise LegoError(
                ErrorCode.BUNDLE_MISMATCH,
                f"In '{path}' the EMA's {key!r} stands for {flat[key]!r} and for {name!r}")
        flat[key] = name
    check(f"the UNet's EMA in '{path}'", {
        'missing': sorted(flat.keys() - ema.keys()),
        'unknown': sorted(ema.keys() - flat.keys())})
    return {flat[key]: tensor for key, tensor in ema.items()}, "the UNet's EMA"


def _unet(
    weights: dict[str, torch.Tensor], size: LdmSize, side: int, path: Path,
) -> UNet2DConditionModel:
    first = weights.get(compvis.UNET + 'input_blocks.0.0.weight')
    channels = size.unet['in_channels'] if first is None or first.ndim < 2 else first.shape[1]
    with torch.device('meta'):
        unet = UNet2DConditionModel(
            **{**size.unet, 'in_channels': channels, 'sample_size': side})
    return fill(unet, compvis.unet_weights(weights, unet.config), f"the UNet in '{path}'")


def _text_encoder(
    weights: dict[str, torch.Tensor], size: LdmSize, tokenizer: CLIPTokenizer, path: Path,
) -> CLIPTextModel:
    words = weights.get('embeddings.token_embedding.weight')
    config = CLIPTextConfig(**{
        **size.text,
        'vocab_size': len(tokenizer) if words is None else words.shape[0],
        'bos_token_id': tokenizer.bos_token_id,
        'eos_token_id': tokenizer.eos_token_id,
        'pad_token_id': tokenizer.pad_token_id,
    })
    with torch.device('meta'):
        text = CLIPTextModel(config)
    return fill(text, weights, f"the text encoder in '{path}'")
