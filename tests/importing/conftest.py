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
Sources of the real names at a small size, and what the names should become.

The lists below are written down from the architectures (Stable Diffusion 1.5's UNetModel,
AutoencoderKL and CLIP in CompVis' code, and their counterparts in diffusers), not taken from the
code under test. Each entry is (name there, name in diffusers, shape there).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
import json
from pathlib import Path
from types import SimpleNamespace

from diffusers import UNet2DConditionModel
from lego_ros.bundle.environment import offline_and_quiet
from lego_ros.ldm.config import build_pipeline, LdmSize, tiny_size
from lego_ros.vllm.llava import LegoLlava, tiny_llava_config
from lego_ros.vllm.tokenizers import make_clip_tokenizer, make_llava_tokenizer
import pytest
import torch
from transformers import LlavaForConditionalGeneration

offline_and_quiet()
torch.set_num_threads(1)

TEXTS = ('the person opens the drawer with the right hand', 'How does one pour the water?')
Entry = tuple[str, str, tuple[int, ...]]


def both(there: str, here: str, weight: tuple[int, ...]) -> Iterator[Entry]:
    yield f'{there}.weight', f'{here}.weight', weight
    yield f'{there}.bias', f'{here}.bias', weight[:1]


def unet_block(there: str, here: str, c_in: int, c_out: int, time: int) -> Iterator[Entry]:
    yield from both(f'{there}.in_layers.0', f'{here}.norm1', (c_in,))
    yield from both(f'{there}.in_layers.2', f'{here}.conv1', (c_out, c_in, 3, 3))
    yield from both(f'{there}.emb_layers.1', f'{here}.time_emb_proj', (c_out, time))
    yield from both(f'{there}.out_layers.0', f'{here}.norm2', (c_out,))
    yield from both(f'{there}.out_layers.3', f'{here}.conv2', (c_out, c_out, 3, 3))
    if c_in != c_out:
        yield from both(f'{there}.skip_connection', f'{here}.conv_shortcut', (c_out, c_in, 1, 1))


def unet_attention(there: str, here: str, c: int, context: int) -> Iterator[Entry]:
    yield from both(f'{there}.norm', f'{here}.norm', (c,))
    yield from both(f'{there}.proj_in', f'{here}.proj_in', (c, c, 1, 1))
    yield from both(f'{there}.proj_out', f'{here}.proj_out', (c, c, 1, 1))
    there, here = f'{there}.transformer_blocks.0', f'{here}.transformer_blocks.0'
    for number, width in ((1, c), (2, context)):
        for part, fan in (('to_q', c), ('to_k', width), ('to_v', width)):
            name = f'attn{number}.{part}.weight'
            yield f'{there}.{name}', f'{here}.{name}', (c, fan)
        yield from both(f'{there}.attn{number}.to_out.0', f'{here}.attn{number}.to_out.0', (c, c))
    yield from both(f'{there}.ff.net.0.proj', f'{here}.ff.net.0.proj', (8 * c, c))
    yield from both(f'{there}.ff.net.2', f'{here}.ff.net.2', (c, 4 * c))
    for number in (1, 2, 3):
        yield from both(f'{there}.norm{number}', f'{here}.norm{number}', (c,))


def unet_entries(
    c_in: int, widths: tuple[int, ...], layers: int, attention: tuple[int, ...], context: int,
) -> list[Entry]:
    """List the UNet; ``attention`` names the levels that have it."""
    first, last = widths[0], len(widths) - 1
    time = 4 * first
    found = [
        *both('time_embed.0', 'time_embedding.linear_1', (time, first)),
        *both('time_embed.2', 'time_embedding.linear_2', (time, time)),
        *both('input_blocks.0.0', 'conv_in', (first, c_in, 3, 3)),
        *both('out.0', 'conv_norm_out', (first,)),
        *both('out.2', 'conv_out', (4, first, 3, 3))]
    skips, number, c = [first], 0, first
    for level, width in enumerate(widths):
        for layer in range(layers):
            number += 1
            there, here = f'input_blocks.{number}', f'down_blocks.{level}'
            found += unet_block(f'{there}.0', f'{here}.resnets.{layer}', c, width, time)
            if level in attention:
                found += unet_attention(f'{there}.1', f'{here}.attentions.{layer}', width, context)
            c = width
            skips.append(c)
        if level != last:
            number += 1
            found += both(f'input_blocks.{number}.0.op',
                          f'down_blocks.{level}.downsamplers.0.conv', (c, c, 3, 3))
            skips.append(c)
    found += unet_block('middle_block.0', 'mid_block.resnets.0', c, c, time)
    found += unet_attention('middle_block.1', 'mid_block.attentions.0', c, context)
    found += unet_block('middle_block.2', 'mid_block.resnets.1', c, c, time)
    number = 0
    for block, level in enumerate(reversed(range(len(widths)))):
        width = widths[level]
        for layer in range(layers + 1):
            there, here = f'output_blocks.{number}', f'up_blocks.{block}'
            found += unet_block(
                f'{there}.0', f'{here}.resnets.{layer}', c + skips.pop(), width, time)
            c = width
            if level in attention:
                found += unet_attention(f'{there}.1', f'{here}.attentions.{layer}', c, context)
            if level and layer == layers:
                place = 2 if level in attention else 1
                found += both(f'{there}.{place}.conv', f'{here}.upsamplers.0.conv', (c, c, 3, 3))
            number += 1
    return [(f'model.diffusion_model.{there}', here, shape) for there, here, shape in found]


def vae_block(there: str, here: str, c_in: int, c_out: int) -> Iterator[Entry]:
    yield from both(f'{there}.norm1', f'{here}.norm1', (c_in,))
    yield from both(f'{there}.conv1', f'{here}.conv1', (c_out, c_in, 3, 3))
    yield from both(f'{there}.norm2', f'{here}.norm2', (c_out,))
    yield from both(f'{there}.conv2', f'{here}.conv2', (c_out, c_out, 3, 3))
    if c_in != c_out:
        yield from both(f'{there}.nin_shortcut', f'{here}.conv_shortcut', (c_out, c_in, 1, 1))


def vae_middle(side: str, c: int) -> Iterator[Entry]:
    there, here = f'{side}.mid', f'{side}.mid_block'
    yield from vae_block(f'{there}.block_1', f'{here}.resnets.0', c, c)
    yield from vae_block(f'{there}.block_2', f'{here}.resnets.1', c, c)
    yield from both(f'{there}.attn_1.norm', f'{here}.attentions.0.group_norm', (c,))
    for old, new in (('q', 'to_q'), ('k', 'to_k'), ('v', 'to_v'), ('proj_out', 'to_out.0')):
        yield from both(f'{there}.attn_1.{old}', f'{here}.attentions.0.{new}', (c, c, 1, 1))


def vae_entries(widths: tuple[int, ...], layers: int) -> list[Entry]:
    """List the auto-encoder with four latent channels."""
    first, last = widths[0], widths[-1]
    top = len(widths) - 1
    found = [
        *both('encoder.conv_in', 'encoder.conv_in', (first, 3, 3, 3)),
        *vae_middle('encoder', last), *vae_middle('decoder', last),
        *both('encoder.norm_out', 'encoder.conv_norm_out', (last,)),
        *both('encoder.conv_out', 'encoder.conv_out', (8, last, 3, 3)),
        *both('decoder.conv_in', 'decoder.conv_in', (last, 4, 3, 3)),
        *both('decoder.norm_out', 'decoder.conv_norm_out', (first,)),
        *both('decoder.conv_out', 'decoder.conv_out', (3, first, 3, 3)),
        *both('quant_conv', 'quant_conv', (8, 8, 1, 1)),
        *both('post_quant_conv', 'post_quant_conv', (4, 4, 1, 1))]
    c = first
    for level, width in enumerate(widths):
        for layer in range(layers):
            found += vae_block(f'encoder.down.{level}.block.{layer}',
                               f'encoder.down_blocks.{level}.resnets.{layer}', c, width)
            c = width
        if level != top:
            found += both(f'encoder.down.{level}.downsample.conv',
                          f'encoder.down_blocks.{level}.downsamplers.0.conv', (c, c, 3, 3))
    for block, level in enumerate(reversed(range(len(widths)))):
        for layer in range(layers + 1):
            found += vae_block(f'decoder.up.{level}.block.{layer}',
                               f'decoder.up_blocks.{block}.resnets.{layer}', c, widths[level])
            c = widths[level]
        if level:
            found += both(f'decoder.up.{level}.upsample.conv',
                          f'decoder.up_blocks.{block}.upsamplers.0.conv', (c, c, 3, 3))
    return [(f'first_stage_model.{there}', here, shape) for there, here, shape in found]


def text_entries(words: int, d: int, ffn: int, layers: int) -> list[Entry]:
    """List CLIP's text encoder."""
    found = [('embeddings.token_embedding.weight', (words, d)),
             ('embeddings.position_embedding.weight', (77, d))]
    shapes = {
        **{f'self_attn.{part}_proj': (d, d) for part in 'qkv'}, 'self_attn.out_proj': (d, d),
        'layer_norm1': (d,), 'mlp.fc1': (ffn, d), 'mlp.fc2': (d, ffn), 'layer_norm2': (d,)}
    linear = {f'encoder.layers.{i}.{name}': shape
              for i in range(layers) for name, shape in shapes.items()}
    for name, shape in {**linear, 'final_layer_norm': (d,)}.items():
        found += [(f'{name}.weight', shape), (f'{name}.bias', shape[:1])]
    return [(f'cond_stage_model.transformer.text_model.{name}', name, shape)
            for name, shape in found]


def conditioning_entries(hidden: int, d: int, ffn: int) -> list[Entry]:
    """List sigma, mu and the two layers of pi; here they have LegoConditioning's names."""
    found = [*both('projection_img', 'sigma', (d, hidden)),
             *both('projection_txt', 'mu', (d, hidden))]
    for layer in (0, 1):
        there, here = f'self_attn_mix.layers.{layer}', f'pi.layers.{layer}'
        found += [
            (f'{there}.self_attn.in_proj_weight', f'{here}.self_attn.in_proj_weight', (3 * d, d)),
            (f'{there}.self_attn.in_proj_bias', f'{here}.self_attn.in_proj_bias', (3 * d,)),
            *both(f'{there}.self_attn.out_proj', f'{here}.self_attn.out_proj', (d, d)),
            *both(f'{there}.linear1', f'{here}.linear1', (ffn, d)),
            *both(f'{there}.linear2', f'{here}.linear2', (d, ffn)),
            *both(f'{there}.norm1', f'{here}.norm1', (d,)),
            *both(f'{there}.norm2', f'{here}.norm2', (d,))]
    return found


SCHEDULE = (
    'betas', 'alphas_cumprod', 'alphas_cumprod_prev', 'sqrt_alphas_cumprod',
    'sqrt_one_minus_alphas_cumprod', 'log_one_minus_alphas_cumprod', 'sqrt_recip_alphas_cumprod',
    'sqrt_recipm1_alphas_cumprod', 'posterior_variance', 'posterior_log_variance_clipped',
    'posterior_mean_coef1', 'posterior_mean_coef2')


def ema_name(name: str) -> str:
    return 'model_ema.' + name.replace('model.diffusion_model', 'diffusion_model').replace('.', '')


def export(entries: list[Entry], state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Name a network of diffusers as CompVis does; linear layers become 1 x 1 convolutions."""
    return {there: state[here].detach().reshape(shape).clone() for there, here, shape in entries}


def small_size() -> LdmSize:
    """Give three levels, the inner one without attention, as Stable Diffusion's fourth."""
    size = tiny_size()
    return replace(size, unet={
        **size.unet, 'block_out_channels': (32, 32, 64), 'layers_per_block': 1,
        'down_block_types': ('CrossAttnDownBlock2D', 'CrossAttnDownBlock2D', 'DownBlock2D'),
        'up_block_types': ('UpBlock2D', 'CrossAttnUpBlock2D', 'CrossAttnUpBlock2D')})


def small_unet_entries(c_in: int) -> list[Entry]:
    return unet_entries(c_in, (32, 32, 64), 1, (0, 1), 32)


@pytest.fixture(scope='session')
def spec() -> SimpleNamespace:
    """Give the lists to the tests."""
    return SimpleNamespace(
        unet=unet_entries, vae=vae_entries, text=text_entries, schedule=SCHEDULE,
        conditioning=conditioning_entries, ema_name=ema_name, size=small_size(),
        small_unet=small_unet_entries, export=export)


@pytest.fixture(scope='session')
def pipeline():
    return build_pipeline(small_size(), make_clip_tokenizer(TEXTS), seed=3)


@pytest.fixture(scope='session')
def unet4():
    """Make a text-to-image UNet like the pipeline's."""
    torch.manual_seed(5)
    return UNet2DConditionModel(**{**small_size().unet, 'in_channels': 4}).eval()


@pytest.fixture(scope='session')
def clip_tokenizer(tmp_path_factory, pipeline) -> Path:
    folder = tmp_path_factory.mktemp('clip') / 'tokenizer'
    pipeline.tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture
def lego_state(pipeline) -> dict[str, torch.Tensor]:
    """Name the pipeline as the authors' checkpoint does: the EMA is the pipeline's UNet."""
    generator = torch.Generator().manual_seed(9)
    unet = export(small_unet_entries(8), pipeline.unet.state_dict())
    text = pipeline.text_encoder.state_dict()
    words = text['embeddings.token_embedding.weight'].shape[0]
    return {
        **{name: torch.randn(one.shape, generator=generator) for name, one in unet.items()},
        **{ema_name(name): one for name, one in unet.items()},
        'model_ema.decay': torch.tensor(0.9999), 'model_ema.num_updates': torch.tensor(20000),
        **export(vae_entries((8, 16, 32, 32), 1), pipeline.vae.state_dict()),
        **export(text_entries(words, 32, 64, 2), text),
        'cond_stage_model.transformer.text_model.embeddings.position_ids':
            torch.arange(77)[None],
        **export(conditioning_entries(64, 32, 64), pipeline.conditioning.state_dict()),
        **{name: torch.linspace(0.1, 0.9, 1000) for name in SCHEDULE}}


@pytest.fixture(scope='session')
def llava_tokenizer():
    return make_llava_tokenizer(TEXTS)


def rewrite(folder: Path, **changes) -> None:
    """Change the configuration of a folder; None removes an entry."""
    path = folder / 'config.json'
    config = {**json.loads(path.read_text()), **changes}
    path.write_text(json.dumps({k: v for k, v in config.items() if v is not None}))


@pytest.fixture(scope='session')
def linear_llava(llava_tokenizer):
    torch.manual_seed(7)
    return LegoLlava(tiny_llava_config(len(llava_tokenizer))).eval()


@pytest.fixture(scope='session')
def mlp_llava(llava_tokenizer):
    """Make the LLaVA of transformers itself."""
    torch.manual_seed(8)
    config = tiny_llava_config(len(llava_tokenizer))
    del config.projector
    return LlavaForConditionalGeneration(config).eval()


@pytest.fixture(scope='session')
def vllm_folder(tmp_path_factory, linear_llava, llava_tokenizer) -> Path:
    folder = tmp_path_factory.mktemp('vllm') / 'llava-linear'
    linear_llava.save_pretrained(folder)
    llava_tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope='session')
def change_config():
    return rewrite
