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

"""The names of CompVis become those of diffusers, at paper size and by value."""

from __future__ import annotations

from pathlib import Path

from diffusers import AutoencoderKL, UNet2DConditionModel
from lego_ros.bundle.importing import single_file
from lego_ros.bundle.importing.compvis import text_weights, unet_weights, vae_weights
from lego_ros.ldm.conditioning import LegoConditioning
from lego_ros.ldm.config import paper_size
import pytest
import torch
from transformers import CLIPTextConfig, CLIPTextModel


def shapes(state):
    return {name: tuple(tensor.shape) for name, tensor in state.items()}


def empty(entries):
    return {there: torch.empty(shape, device='meta') for there, _, shape in entries}


@pytest.fixture(scope='module')
def paper(spec):
    return {
        'unet': spec.unet(8, (320, 640, 1280, 1280), 2, (0, 1, 2), 768),
        'vae': spec.vae((128, 256, 512, 512), 2),
        'text': spec.text(49408, 768, 3072, 12),
        'conditioning': spec.conditioning(5120, 768, 2048)}


def test_the_written_down_lists_have_the_published_sizes(paper):
    assert {name: len(entries) for name, entries in paper.items()} == {
        'unet': 686, 'vae': 248, 'text': 196, 'conditioning': 28}
    count = sum(torch.Size(shape).numel() for _, _, shape in paper['unet'])
    # Stable Diffusion 1.5 has 859,520,964; four channels more in the first convolution.
    assert count == 859_520_964 + 320 * 4 * 9


def test_at_paper_size_every_name_and_shape_is_that_of_diffusers(paper):
    size = paper_size()
    with torch.device('meta'):
        unet, vae = UNet2DConditionModel(**size.unet), AutoencoderKL(**size.vae)
        text = CLIPTextModel(CLIPTextConfig(**size.text))
    assert shapes(unet_weights(empty(paper['unet']), unet.config)) == shapes(unet.state_dict())
    assert shapes(vae_weights(empty(paper['vae']), vae.config)) == shapes(vae.state_dict())
    assert shapes(text_weights(empty(paper['text']))) == shapes(text.state_dict())


@pytest.mark.parametrize('there', [
    'output_blocks.5.2.conv.weight', 'output_blocks.2.1.conv.bias',
    'input_blocks.10.0.in_layers.2.weight', 'time_embed.2.bias',
    'middle_block.1.transformer_blocks.0.attn2.to_k.weight'])
def test_each_weight_goes_where_the_list_says(spec, there):
    entries = spec.unet(8, (8, 8, 8, 8), 2, (0, 1, 2), 8)
    config = {'layers_per_block': 2}
    weights = {old: torch.full(shape, float(number))
               for number, (old, _, shape) in enumerate(entries)}
    converted = unet_weights(weights, config)
    for old, new, _ in entries:
        assert torch.equal(converted[new], weights[old]), old
    # The cases that are easily lost are in the list.
    assert f'model.diffusion_model.{there}' in weights
    assert len(converted) == len(entries)


def test_a_whole_lego_checkpoint_at_paper_size(monkeypatch, spec, paper, clip_tokenizer):
    """Its 7.7 GB stand on the meta device, so the file is not there to be read."""
    state = {name: tensor for entries in paper.values() for name, tensor in empty(entries).items()}
    unet = [name for name in state if name.startswith('model.diffusion_model.')]
    ema = {spec.ema_name(name): torch.empty_like(state[name]) for name in unet}
    assert 'model_ema.diffusion_modelinput_blocks00weight' in ema
    assert len(ema) == 686
    state.update(ema)
    state['cond_stage_model.transformer.text_model.embeddings.position_ids'] = torch.arange(77)
    state.update({name: torch.empty(1000) for name in spec.schedule})
    state.update({'model_ema.decay': torch.tensor(0.), 'model_ema.num_updates': torch.tensor(0)})
    monkeypatch.setattr(single_file, 'read_weights', lambda path: state)
    parts = single_file.read_single_file(Path('lego.ckpt'), paper_size(), 256, clip_tokenizer)
    assert parts.unet.config.in_channels == 8
    assert parts.unet.config.sample_size == 32
    with torch.device('meta'):
        wires = LegoConditioning(**paper_size().conditioning)
    assert shapes(parts.conditioning) == shapes(wires.state_dict())
    assert "the UNet's EMA" in parts.origins['UNet']
