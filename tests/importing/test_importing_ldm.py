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

"""Stable Diffusion, InstructPix2Pix and LEGO, from single files and from diffusers folders."""

from __future__ import annotations

import json

from lego_ros.bundle.importing.diffusers_folder import read_diffusers_folder
from lego_ros.bundle.importing.single_file import read_single_file
from lego_ros.errors import ErrorCode, LegoError
import pytest
from safetensors.torch import load_file, save_file
import torch

UNET = 'model.diffusion_model.'


def run(unet, sample, context):
    with torch.no_grad():
        return unet(sample, torch.tensor(500), encoder_hidden_states=context).sample


@pytest.fixture
def inputs():
    generator = torch.Generator().manual_seed(2)
    return (torch.randn(1, 8, 8, 8, generator=generator),
            torch.randn(1, 20, 32, generator=generator))


@pytest.fixture
def read(tmp_path, spec, clip_tokenizer):
    """Write a state dict and read it as a checkpoint for 64 px."""
    def write_and_read(state, name='x.ckpt'):
        path = tmp_path / name
        if path.suffix == '.safetensors':
            save_file(state, path)
        else:
            torch.save({'state_dict': state}, path)
        return read_single_file(path, spec.size, 64, clip_tokenizer)
    return write_and_read


@pytest.mark.parametrize('name', ['lego.ckpt', 'lego.safetensors'])
def test_a_lego_checkpoint_computes_what_it_was_made_from(
        read, lego_state, pipeline, inputs, name):
    parts = read(lego_state, name)
    assert torch.equal(run(parts.unet, *inputs), run(pipeline.unet, *inputs))
    frame = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(1)) * 2 - 1
    ids = torch.tensor([pipeline.tokenizer('open the drawer').input_ids])
    with torch.no_grad():
        latent = parts.vae.encode(frame).latent_dist.mode()
        assert torch.equal(latent, pipeline.vae.encode(frame).latent_dist.mode())
        assert torch.equal(parts.vae.decode(latent).sample, pipeline.vae.decode(latent).sample)
    found, expected = parts.text_encoder.state_dict(), pipeline.text_encoder.state_dict()
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in found)
    assert ids.max() < parts.text_encoder.config.vocab_size
    wires = pipeline.conditioning.state_dict()
    assert parts.conditioning.keys() == wires.keys()
    assert all(torch.equal(parts.conditioning[name], wires[name]) for name in wires)


def test_the_ema_is_taken_and_not_the_last_training_step(read, lego_state, pipeline):
    parts = read(lego_state)
    trained = lego_state[UNET + 'input_blocks.0.0.weight']
    assert not torch.equal(parts.unet.conv_in.weight, trained)
    assert torch.equal(parts.unet.conv_in.weight, pipeline.unet.conv_in.weight)
    without = {name: one for name, one in lego_state.items() if not name.startswith('model_ema.')}
    parts = read(without)
    assert torch.equal(parts.unet.conv_in.weight, trained)
    assert 'no EMA' in parts.origins['UNet']


def test_instruct_pix2pix_keeps_its_eight_channels(read, lego_state, pipeline):
    wires = ('projection_img', 'projection_txt', 'self_attn_mix')
    parts = read({name: one for name, one in lego_state.items() if not name.startswith(wires)})
    assert parts.conditioning is None
    assert torch.equal(parts.unet.conv_in.weight, pipeline.unet.conv_in.weight)
    assert '8 input channels as they are' in parts.origins['UNet']


def test_stable_diffusion_gets_four_channels_and_is_blind_to_the_frame(
        read, lego_state, spec, unet4, inputs):
    """As v1-5-pruned-emaonly: no EMA besides, and the two numbers of one."""
    state = {name: one for name, one in lego_state.items()
             if name.startswith(('first_stage_model', 'cond_stage_model'))}
    state.update(spec.export(spec.small_unet(4), unet4.state_dict()))
    state.update({'model_ema.decay': torch.tensor(1.), 'model_ema.num_updates': torch.tensor(1)})
    unet = read(state, 'v1-5.safetensors').unet
    assert unet.config.in_channels == 8
    sample, context = inputs
    expected = run(unet4, sample[:, :4], context)
    torch.testing.assert_close(run(unet, sample, context), expected)
    other = torch.cat([sample[:, :4], -3 * sample[:, 4:]], dim=1)
    assert torch.equal(run(unet, other, context), run(unet, sample, context))


def drop(state, name):
    del state[name]


def add(state, name):
    state[name] = torch.ones(2)


def reshape(state, name):
    state[name] = torch.ones(3, 3)


def integers(state, name):
    state[name] = state[name].to(torch.int64)


@pytest.mark.parametrize(('damage', 'name', 'told'), [
    (drop, 'model_ema.diffusion_modelinput_blocks00weight', 'missing'),
    (add, 'model_ema.diffusion_modelsomething', 'unknown'),
    (drop, 'first_stage_model.encoder.mid.attn_1.q.weight', 'encoder.mid_block.attentions.0.to_q'),
    (add, 'first_stage_model.encoder.surplus.weight', 'unknown'),
    (reshape, 'first_stage_model.quant_conv.weight', 'quant_conv.weight (3, 3) instead of'),
    (drop, 'cond_stage_model.transformer.text_model.final_layer_norm.bias', 'final_layer_norm.b'),
    (add, 'cond_stage_model.model.ln_final.weight', 'unknown'),
    (add, 'control_model.input_hint_block.0.weight', 'unknown'),
    (integers, 'first_stage_model.quant_conv.weight', 'floating-point'),
])
def test_damage_is_named(read, lego_state, damage, name, told):
    damage(lego_state, name)
    with pytest.raises(LegoError) as caught:
        read(lego_state)
    assert caught.value.code is ErrorCode.BUNDLE_MISMATCH
    assert told in caught.value.message
    if damage is add:
        assert name in caught.value.message


@pytest.mark.parametrize(('damage', 'name', 'told'), [
    (drop, 'input_blocks.1.0.in_layers.2.weight', 'down_blocks.0.resnets.0.conv1.weight'),
    (drop, 'output_blocks.1.1.conv.bias', 'output_blocks.1.1.conv.bias'),
    (add, 'label_emb.0.0.weight', 'label_emb.0.0.weight'),
    (add, 'input_blocks.1.2.weight', 'input_blocks.1.2.weight'),
    (reshape, 'middle_block.1.proj_in.weight', 'mid_block.attentions.0.proj_in.weight (3, 3)'),
    (reshape, 'input_blocks.0.0.weight', 'conv_in.weight'),
])
def test_damage_to_a_unet_without_ema_is_named(read, lego_state, damage, name, told):
    state = {old: one for old, one in lego_state.items() if not old.startswith('model_ema.')}
    damage(state, UNET + name)
    with pytest.raises(LegoError) as caught:
        read(state)
    assert caught.value.code is ErrorCode.BUNDLE_MISMATCH
    assert told in caught.value.message


def test_a_checkpoint_of_something_else_and_one_without_a_tokenizer(read, tmp_path, spec):
    with pytest.raises(LegoError, match=r'missing: model.diffusion_model.\*'):
        read({'model.embed_tokens.weight': torch.ones(2, 2)})
    with pytest.raises(LegoError, match='--clip-tokenizer') as caught:
        read_single_file(tmp_path / 'x.ckpt', spec.size, 64, None)
    assert caught.value.code is ErrorCode.INVALID_SETTING
    with pytest.raises(LegoError, match='merges'):
        read_single_file(tmp_path / 'x.ckpt', spec.size, 64, tmp_path)


@pytest.fixture
def sd_folder(tmp_path, pipeline, unet4):
    """Write Stable Diffusion as it was published: old names in the VAE and text encoder."""
    folder = tmp_path / 'sd15'
    for name in ('vae', 'text_encoder'):
        getattr(pipeline, name).save_pretrained(folder / name)
    unet4.save_pretrained(folder / 'unet')
    (folder / 'tokenizer').mkdir()
    pipeline.tokenizer.backend_tokenizer.model.save(str(folder / 'tokenizer'))
    (folder / 'tokenizer' / 'tokenizer_config.json').write_text(json.dumps(
        {'model_max_length': 77, 'tokenizer_class': 'CLIPTokenizer'}))
    (folder / 'safety_checker').mkdir()
    (folder / 'scheduler').mkdir()
    (folder / 'scheduler' / 'scheduler_config.json').write_text(json.dumps({
        '_class_name': 'PNDMScheduler', 'beta_start': 0.00085, 'beta_end': 0.012,
        'beta_schedule': 'scaled_linear', 'num_train_timesteps': 500, 'skip_prk_steps': True,
        'steps_offset': 1}))
    path = folder / 'vae' / 'diffusion_pytorch_model.safetensors'
    old = {'to_q': 'query', 'to_k': 'key', 'to_v': 'value', 'to_out.0': 'proj_attn'}
    state = load_file(path)
    for new, name in old.items():
        state = {key.replace(f'attentions.0.{new}.', f'attentions.0.{name}.'): one
                 for key, one in state.items()}
    save_file(state, path)
    path = folder / 'text_encoder' / 'model.safetensors'
    state = {f'text_model.{key}': one for key, one in load_file(path).items()}
    save_file({**state, 'text_model.embeddings.position_ids': torch.arange(77)[None]}, path)
    return folder


def test_a_diffusers_folder(sd_folder, pipeline, unet4, inputs):
    parts = read_diffusers_folder(sd_folder, 128)
    assert parts.unet.config.sample_size == 16
    sample, context = inputs
    torch.testing.assert_close(
        run(parts.unet, sample, context), run(unet4, sample[:, :4], context))
    for name in ('vae', 'text_encoder'):
        state, expected = getattr(parts, name).state_dict(), getattr(pipeline, name)
        assert state.keys() == expected.state_dict().keys()
        assert all(torch.equal(state[k], v) for k, v in expected.state_dict().items())
    text = 'the person opens the drawer'
    assert parts.tokenizer(text).input_ids == pipeline.tokenizer(text).input_ids
    # The schedule is the source's, the sampler LEGO's.
    assert parts.scheduler.config.num_train_timesteps == 500
    assert parts.scheduler.config.timestep_spacing == 'linspace'
    assert parts.origins['not used'] == 'safety_checker'
    assert 'zeros' in parts.origins['UNet']


def test_instruct_pix2pix_in_a_diffusers_folder(sd_folder, pipeline, inputs):
    pipeline.unet.save_pretrained(sd_folder / 'unet')
    parts = read_diffusers_folder(sd_folder, 64)
    assert torch.equal(run(parts.unet, *inputs), run(pipeline.unet, *inputs))


@pytest.mark.parametrize(('part', 'changes', 'code', 'told'), [
    ('unet', {'_class_name': 'UNet3D'}, ErrorCode.BUNDLE_MISMATCH, "'UNet3D'"),
    ('unet', {'block_out_channels': [32, 32, 32]}, ErrorCode.BUNDLE_MISMATCH, 'another shape'),
    ('unet', {'in_channels': 9}, ErrorCode.BUNDLE_MISMATCH, 'conv_in.weight'),
    ('unet', {'layers_per_block': 3}, ErrorCode.BUNDLE_MISMATCH, 'missing'),
    ('unet', {'block_out_channels': 'x'}, ErrorCode.SOURCE_UNREADABLE, 'unet/config.json'),
    ('vae', {'block_out_channels': 'x'}, ErrorCode.SOURCE_UNREADABLE, 'vae/config.json'),
    ('text_encoder', {'model_type': 't5'}, ErrorCode.BUNDLE_MISMATCH, "'t5'"),
])
def test_a_diffusers_folder_of_something_else(
        sd_folder, change_config, part, changes, code, told):
    change_config(sd_folder / part, **changes)
    with pytest.raises(LegoError) as caught:
        read_diffusers_folder(sd_folder, 64)
    assert caught.value.code is code
    assert told in caught.value.message


def test_a_resolution_between_the_latents(sd_folder):
    with pytest.raises(LegoError, match='multiple of 8') as caught:
        read_diffusers_folder(sd_folder, 100)
    assert caught.value.code is ErrorCode.INVALID_SETTING


def test_an_inpainting_unet_is_refused(read, lego_state):
    state = {name: one for name, one in lego_state.items() if not name.startswith('model_ema.')}
    state[UNET + 'input_blocks.0.0.weight'] = torch.zeros(32, 9, 3, 3)
    with pytest.raises(LegoError, match=r'9 input channels; 4 .* or 8') as caught:
        read(state)
    assert caught.value.code is ErrorCode.BUNDLE_MISMATCH
