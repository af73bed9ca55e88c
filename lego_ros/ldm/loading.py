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
Loading the parts of a pipeline from a folder that one may not trust.

diffusers' own loader imports whatever module ``model_index.json`` names, and transformers fills
missing weights with random ones. Here the classes are fixed, only safetensors are read, and every
weight must be there.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from diffusers import (
    AutoencoderKL,
    DDIMScheduler,
    DPMSolverMultistepScheduler,
    EulerAncestralDiscreteScheduler,
    EulerDiscreteScheduler,
    UNet2DConditionModel,
    UniPCMultistepScheduler,
)
from lego_ros.errors import ErrorCode, LegoError, telling
from lego_ros.ldm.conditioning import LegoConditioning
import torch
from transformers import CLIPTextModel, CLIPTokenizer

# Samplers whose noise, if any, comes from the caller's generators alone.
SCHEDULERS = {
    scheduler.__name__: scheduler for scheduler in (
        EulerAncestralDiscreteScheduler,
        EulerDiscreteScheduler,
        DDIMScheduler,
        DPMSolverMultistepScheduler,
        UniPCMultistepScheduler,
    )
}

# The class of each part with weights, and what its library calls the weights' type.
MODELS: dict[str, tuple[Any, str]] = {
    'vae': (AutoencoderKL, 'torch_dtype'),
    'text_encoder': (CLIPTextModel, 'dtype'),
    'unet': (UNet2DConditionModel, 'torch_dtype'),
    'conditioning': (LegoConditioning, 'torch_dtype'),
}


def load_component(folder: Path, name: str, dtype: torch.dtype | None) -> Any:
    """
    Load one part of a pipeline from its sub-folder.

    :param folder: what ``LegoPipeline.save_pretrained`` wrote.
    :param name: vae, text_encoder, tokenizer, unet, scheduler or conditioning.
    :param dtype: of the weights; None keeps float32.
    :returns: the part, in evaluation mode.
    :raises LegoError: BUNDLE_NOT_FOUND when there is no such sub-folder, BUNDLE_INVALID when a
        file is missing, unreadable or incomplete, BUNDLE_UNSAFE for a scheduler that is not known.
    """
    part = folder / name
    if not part.is_dir():
        raise LegoError(ErrorCode.BUNDLE_NOT_FOUND,
                        f'There is no folder {part}; name a folder that holds a saved pipeline.')
    with telling(ErrorCode.BUNDLE_INVALID, f'The {name} in {part} cannot be loaded'):
        if name == 'scheduler':
            return _load_scheduler(part)
        if name == 'tokenizer':
            return CLIPTokenizer.from_pretrained(part, local_files_only=True)
        return _load_model(part, name, dtype or torch.float32)


def check_components(
    vae: AutoencoderKL,
    text_encoder: CLIPTextModel,
    tokenizer: CLIPTokenizer,
    unet: UNet2DConditionModel,
    conditioning: LegoConditioning,
) -> None:
    """
    Check that the parts were made for each other.

    :raises LegoError: BUNDLE_MISMATCH with every size that does not fit.
    """
    size = conditioning.config
    latent = vae.config.latent_channels
    checks = {
        'input channels of the UNet': (unet.config.in_channels, 2 * latent),
        'output channels of the UNet': (unet.config.out_channels, latent),
        'context channels of the UNet': (
            unet.config.cross_attention_dim, size.cross_attention_dim),
        'channels of the text encoder': (
            text_encoder.config.hidden_size, size.cross_attention_dim),
    }
    wrong = [f'{name} are {found}, should be {wanted}'
             for name, (found, wanted) in checks.items() if found != wanted]
    positions = text_encoder.config.max_position_embeddings
    if positions < size.text_tokens:
        wrong.append(f'positions of the text encoder are {positions}, '
                     f'should be at least {size.text_tokens}')
    if len(tokenizer) > text_encoder.config.vocab_size:
        wrong.append(f'words of the tokenizer are {len(tokenizer)}, '
                     f'should be at most {text_encoder.config.vocab_size}')
    if wrong:
        raise LegoError(
            ErrorCode.BUNDLE_MISMATCH,
            f'The parts of the pipeline do not fit each other: {"; ".join(wrong)}.')


def _load_scheduler(part: Path) -> Any:
    config = json.loads((part / 'scheduler_config.json').read_text(encoding='utf-8'))
    name = config['_class_name']
    if name not in SCHEDULERS:
        raise LegoError(
            ErrorCode.BUNDLE_UNSAFE,
            f'The scheduler {name!r} in {part} is not one of {", ".join(SCHEDULERS)}.')
    return SCHEDULERS[name].from_pretrained(part, local_files_only=True)


def _load_model(part: Path, name: str, dtype: torch.dtype) -> torch.nn.Module:
    kind, dtype_name = MODELS[name]
    model, report = kind.from_pretrained(
        part, local_files_only=True, use_safetensors=True, output_loading_info=True,
        **{dtype_name: dtype})
    if report['missing_keys']:
        raise ValueError(f'weights are missing: {", ".join(sorted(report["missing_keys"])[:4])}')
    return model.eval()
