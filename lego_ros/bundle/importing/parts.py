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

"""What the sources are read into: networks whose weights are still on disk."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from diffusers import AutoencoderKL, EulerAncestralDiscreteScheduler, UNet2DConditionModel
from lego_ros.bundle.importing.weights import understanding, unreadable
from lego_ros.errors import ErrorCode, LegoError
from lego_ros.ldm.config import expand_unet_input
from lego_ros.vllm.llava import LegoLlava
import torch
from transformers import (
    CLIPImageProcessorPil,
    CLIPTextModel,
    CLIPTokenizer,
    PreTrainedTokenizerBase,
)


@dataclass(frozen=True)
class LdmParts:
    """
    The parts of the action frame generator.

    :param unet: with twice the latent's channels at its input.
    :param conditioning: weights by the names of LegoConditioning, or None for fresh ones.
    :param origins: part by part, where it came from, for people.
    """

    unet: UNet2DConditionModel
    vae: AutoencoderKL
    text_encoder: CLIPTextModel
    tokenizer: CLIPTokenizer
    scheduler: EulerAncestralDiscreteScheduler
    conditioning: dict[str, torch.Tensor] | None
    origins: dict[str, str]


@dataclass(frozen=True)
class VllmParts:
    """
    The VLLM with what it needs.

    :param origins: part by part, where it came from, for people.
    """

    model: LegoLlava
    tokenizer: PreTrainedTokenizerBase
    processor: CLIPImageProcessorPil
    origins: dict[str, str]


def sees_the_frame(unet: UNet2DConditionModel, source: str) -> tuple[UNet2DConditionModel, str]:
    """
    Make sure that a UNet has the input frame's latent at its input.

    :param unet: with as many input as output channels, or twice as many.
    :param source: for the report and the error.
    :returns: the UNet, widened by zero weights where it saw no frame, and what was done.
    :raises LegoError: BUNDLE_MISMATCH for another number of channels.
    """
    latent, found = unet.config.out_channels, unet.config.in_channels
    if found == 2 * latent:
        return unet, f'{source}, {found} input channels as they are'
    if found == latent:
        return expand_unet_input(unet), f'{source}, {latent} new input channels of zeros'
    raise LegoError(
        ErrorCode.BUNDLE_MISMATCH,
        f'The UNet of {source} has {found} input channels; {latent} (text to image) or '
        f'{2 * latent} (InstructPix2Pix, LEGO) can be used')


def load_clip_tokenizer(folder: Path) -> CLIPTokenizer:
    """
    Load the tokenizer of the text encoder.

    :param folder: with tokenizer.json, or vocab.json and merges.txt.
    :returns: the tokenizer.
    :raises LegoError: SOURCE_UNREADABLE.
    """
    # Without the files transformers makes an empty tokenizer instead of an error.
    if not ((folder / 'tokenizer.json').is_file()
            or all((folder / name).is_file() for name in ('vocab.json', 'merges.txt'))):
        raise unreadable(folder, 'a CLIP tokenizer needs tokenizer.json, or vocab.json and '
                                 'merges.txt')
    with understanding(folder):
        return CLIPTokenizer.from_pretrained(folder, local_files_only=True)
