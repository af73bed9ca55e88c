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
Sizes of the action frame generator, and pipelines with fresh weights of such a size.

The *paper* size is Stable Diffusion 1.5 at 256 px wired to LLaVA-13B (LEGO, Sec. 3.2 and 3.3). The
*kitchen* and *tiny* sizes have the same structure: the one is trained from nothing within hours
on two CPU cores, the other answers within seconds on one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from diffusers import AutoencoderKL, EulerAncestralDiscreteScheduler, UNet2DConditionModel
from lego_ros.ldm.conditioning import LegoConditioning
from lego_ros.ldm.pipeline import LegoPipeline
import torch
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer


@dataclass(frozen=True)
class LdmSize:
    """
    The constructor arguments of every part of a pipeline.

    :param unet: of UNet2DConditionModel; ``in_channels`` is twice the latent's.
    :param vae: of AutoencoderKL.
    :param text: of CLIPTextConfig.
    :param conditioning: of LegoConditioning.
    """

    unet: dict[str, Any]
    vae: dict[str, Any]
    text: dict[str, Any]
    conditioning: dict[str, Any]


def scheduler_config() -> dict[str, Any]:
    """Give the noise schedule of Stable Diffusion: scaled-linear betas, T = 1000, epsilon."""
    return {
        'num_train_timesteps': 1000,
        'beta_start': 0.00085,
        'beta_end': 0.012,
        'beta_schedule': 'scaled_linear',
        'prediction_type': 'epsilon',
    }


def paper_unet_config() -> dict[str, Any]:
    """Give the UNet of Stable Diffusion 1.5 at 256 px, with 8 input channels."""
    return {
        'sample_size': 32,
        'in_channels': 8,
        'out_channels': 4,
        'block_out_channels': (320, 640, 1280, 1280),
        'layers_per_block': 2,
        # The number of heads in every block; diffusers kept this name for it.
        'attention_head_dim': 8,
        'cross_attention_dim': 768,
    }


def paper_vae_config() -> dict[str, Any]:
    """Give the auto-encoder of Stable Diffusion 1.5: factor 8, four latent channels."""
    return {
        'sample_size': 256,
        'latent_channels': 4,
        'block_out_channels': (128, 256, 512, 512),
        'down_block_types': ('DownEncoderBlock2D',) * 4,
        'up_block_types': ('UpDecoderBlock2D',) * 4,
        'layers_per_block': 2,
        'scaling_factor': 0.18215,
    }


def paper_text_config() -> dict[str, Any]:
    """Give the text encoder of CLIP ViT-L/14."""
    return {
        'vocab_size': 49408,
        'hidden_size': 768,
        'intermediate_size': 3072,
        'projection_dim': 768,
        'num_hidden_layers': 12,
        'num_attention_heads': 12,
        'max_position_embeddings': 77,
        'hidden_act': 'quick_gelu',
    }


def paper_conditioning_config() -> dict[str, Any]:
    """Give the conditioning between LLaVA-13B (ViT-L/14 at 224 px) and Stable Diffusion 1.5."""
    return {
        'vllm_hidden': 5120,
        'cross_attention_dim': 768,
        'image_tokens': 256,
        'text_tokens': 77,
        'layers': 2,
        'heads': 8,
        'ffn': 2048,
    }


def kitchen_unet_config() -> dict[str, Any]:
    """
    Give a UNet for latents of 16 x 16: 13.4 M parameters, 1.9 GFLOP per estimate.

    It attends to the context at 16 x 16 and 8 x 8, where actions can be seen, by heads of 32
    channels each. Groups of 16 channels or a multiple fill whole vector registers: with 32 groups
    the norms alone took 15 % of a training step on a CPU.
    """
    return {
        'sample_size': 16,
        'in_channels': 8,
        'out_channels': 4,
        'block_out_channels': (96, 192, 192),
        'down_block_types': ('CrossAttnDownBlock2D', 'CrossAttnDownBlock2D', 'DownBlock2D'),
        'up_block_types': ('UpBlock2D', 'CrossAttnUpBlock2D', 'CrossAttnUpBlock2D'),
        'layers_per_block': 1,
        'norm_num_groups': 6,
        'attention_head_dim': (3, 6, 6),
        'cross_attention_dim': 256,
    }


def kitchen_vae_config() -> dict[str, Any]:
    """
    Give an auto-encoder for 128 px with the paper's factor 8: 3.8 M parameters.

    Two groups of 16 channels or more fill whole vector registers: with 16 groups a training step
    took 1.5 times as long on a CPU. Without attention it is a convolution throughout and can be
    trained on parts of pictures.
    """
    return {
        'sample_size': 128,
        'latent_channels': 4,
        'block_out_channels': (32, 64, 128, 128),
        'down_block_types': ('DownEncoderBlock2D',) * 4,
        'up_block_types': ('UpDecoderBlock2D',) * 4,
        'layers_per_block': 1,
        'norm_num_groups': 2,
        'mid_block_add_attention': False,
        'scaling_factor': 0.18215,
    }


def kitchen_text_config() -> dict[str, Any]:
    """Give a text encoder with 48 positions: 3.2 M parameters without its vocabulary."""
    return {
        'hidden_size': 256,
        'intermediate_size': 1024,
        'projection_dim': 256,
        'num_hidden_layers': 4,
        'num_attention_heads': 8,
        'max_position_embeddings': 48,
        'hidden_act': 'quick_gelu',
    }


def kitchen_conditioning_config(vllm_hidden: int = 256, image_tokens: int = 64) -> dict[str, Any]:
    """
    Give a conditioning for the kitchen's UNet.

    :param vllm_hidden: channels of the VLLM that it is to be wired to.
    :param image_tokens: number of image tokens of that VLLM.
    """
    return {
        'vllm_hidden': vllm_hidden,
        'cross_attention_dim': 256,
        'image_tokens': image_tokens,
        'text_tokens': 48,
        'layers': 2,
        'heads': 8,
        'ffn': 512,
    }


def tiny_unet_config() -> dict[str, Any]:
    """Give a UNet for latents of 8 x 8 with the paper's kinds of blocks, two levels deep."""
    return {
        'sample_size': 8,
        'in_channels': 8,
        'out_channels': 4,
        'block_out_channels': (32, 32),
        'down_block_types': ('CrossAttnDownBlock2D', 'DownBlock2D'),
        'up_block_types': ('UpBlock2D', 'CrossAttnUpBlock2D'),
        'layers_per_block': 1,
        'attention_head_dim': 2,
        'norm_num_groups': 8,
        'cross_attention_dim': 32,
    }


def tiny_vae_config() -> dict[str, Any]:
    """Give an auto-encoder for 64 px with the paper's factor 8."""
    return {
        'sample_size': 64,
        'latent_channels': 4,
        'block_out_channels': (8, 16, 32, 32),
        'down_block_types': ('DownEncoderBlock2D',) * 4,
        'up_block_types': ('UpDecoderBlock2D',) * 4,
        'layers_per_block': 1,
        'norm_num_groups': 4,
        'scaling_factor': 0.18215,
    }


def tiny_text_config() -> dict[str, Any]:
    """Give a text encoder with the paper's 77 positions; the tokenizer brings its vocabulary."""
    return {
        'hidden_size': 32,
        'intermediate_size': 64,
        'projection_dim': 32,
        'num_hidden_layers': 2,
        'num_attention_heads': 2,
        'max_position_embeddings': 77,
        'hidden_act': 'quick_gelu',
    }


def tiny_conditioning_config(vllm_hidden: int = 64, image_tokens: int = 16) -> dict[str, Any]:
    """
    Give a conditioning for the tiny UNet.

    :param vllm_hidden: channels of the VLLM that it is to be wired to.
    :param image_tokens: number of image tokens of that VLLM.
    """
    return {
        'vllm_hidden': vllm_hidden,
        'cross_attention_dim': 32,
        'image_tokens': image_tokens,
        'text_tokens': 77,
        'layers': 2,
        'heads': 2,
        'ffn': 64,
    }


def paper_size() -> LdmSize:
    """Give the size of the paper."""
    return LdmSize(paper_unet_config(), paper_vae_config(), paper_text_config(),
                   paper_conditioning_config())


def kitchen_size(vllm_hidden: int = 256, image_tokens: int = 64) -> LdmSize:
    """Give the size that is trained from nothing on the simulated kitchen, at 128 px."""
    return LdmSize(kitchen_unet_config(), kitchen_vae_config(), kitchen_text_config(),
                   kitchen_conditioning_config(vllm_hidden, image_tokens))


def tiny_size(vllm_hidden: int = 64, image_tokens: int = 16) -> LdmSize:
    """Give the size for tests and for a demo without trained weights."""
    return LdmSize(tiny_unet_config(), tiny_vae_config(), tiny_text_config(),
                   tiny_conditioning_config(vllm_hidden, image_tokens))


def build_pipeline(size: LdmSize, tokenizer: CLIPTokenizer, seed: int = 0) -> LegoPipeline:
    """
    Make a pipeline with random weights, in evaluation mode.

    :param size: sizes of the parts; the text encoder's vocabulary is taken from the tokenizer.
    :param tokenizer: CLIP's, or one made like it.
    :param seed: the same seed gives the same weights; the global random state is left alone.
    :returns: the pipeline, float32 on the CPU, with the Euler-ancestral sampler.
    :raises LegoError: BUNDLE_MISMATCH when the sizes do not fit each other.
    """
    text = CLIPTextConfig(**{
        **size.text,
        'vocab_size': len(tokenizer),
        'bos_token_id': tokenizer.bos_token_id,
        'eos_token_id': tokenizer.eos_token_id,
        'pad_token_id': tokenizer.pad_token_id,
    })
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return LegoPipeline(
            vae=AutoencoderKL(**size.vae).eval(),
            text_encoder=CLIPTextModel(text).eval(),
            tokenizer=tokenizer,
            unet=UNet2DConditionModel(**size.unet).eval(),
            scheduler=EulerAncestralDiscreteScheduler(**scheduler_config()),
            conditioning=LegoConditioning(**size.conditioning).eval(),
        )


def expand_unet_input(unet: UNet2DConditionModel) -> UNet2DConditionModel:
    """
    Turn a text-to-image UNet into one that also sees the input frame's latent.

    The first convolution gets as many channels again, with zero weights, so that the new UNet
    starts out blind to the frame and otherwise equal to the old one (InstructPix2Pix, Sec. 3.2).

    :param unet: a UNet with as many input as output channels (Stable Diffusion's has 4).
    :returns: a UNet with twice the input channels. It shares all other tensors with the one
        given, so that the paper's 3.4 GB do not exist twice.
    :raises ValueError: when the UNet does not have as many input as output channels.
    """
    channels = unet.config.in_channels
    if channels != unet.config.out_channels:
        raise ValueError(
            f'Expected a UNet with as many input as output channels, got {channels} and '
            f'{unet.config.out_channels}.')
    state = unet.state_dict()
    weight = state['conv_in.weight']
    state['conv_in.weight'] = torch.cat([weight, torch.zeros_like(weight)], dim=1)
    with torch.device('meta'):
        wider = UNet2DConditionModel.from_config(
            {**unet.config, 'in_channels': 2 * channels})
    wider.load_state_dict(state, assign=True)
    return wider.train(unet.training)
