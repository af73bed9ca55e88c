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

from dataclasses import replace
import json
import resource
import shutil

from accelerate.state import AcceleratorState
from diffusers import UNet2DConditionModel
from lego_ros.errors import ErrorCode, LegoError
from lego_ros.ldm.config import tiny_unet_config
from lego_ros.ldm.pipeline import LegoPipeline
from lego_ros.training.ldm.finetune import finetune
from lego_ros.training.ldm.networks import make_networks, read_record, save_networks
from lego_ros.training.ldm.projector import load_projector
from lego_ros.training.ldm.settings import LdmSettings
from lego_ros.training.run.checkpoints import checkpoints
from lego_ros.training.run.identity import module_sha256
from lego_ros.training.run.journal import read_metrics
from lego_ros.training.run.loop import Interrupted
import numpy as np
from pydantic import ValidationError
import pytest
from safetensors.torch import load_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
import torch


def result_weights(result):
    found = {}
    for name in ('unet', 'conditioning'):
        state = load_file(result / name / 'diffusion_pytorch_model.safetensors')
        found.update({f'{name}.{key}': value for key, value in state.items()})
    return found


def after(n):
    """Make a stop that says yes from the n-th time on that it is asked."""
    asked = iter(range(1, 10_000))
    return lambda: next(asked) >= n


@pytest.fixture(scope='module')
def whole(world, tmp_path_factory):
    """Give the settings and the folder of a run that went through."""
    folder = tmp_path_factory.mktemp('whole') / 'joint'
    settings = LdmSettings.model_validate({
        'size': 'tiny', 'resolution': 64, 'shown': {'loss_pairs': 3, 'grid_pairs': 2, 'steps': 2},
        'loop': {'steps': 4, 'batch_size': 4, 'lr': 1e-3, 'ema': 0.99, 'checkpoint_every': 2,
                 'validate_every': 2, 'log_every': 1}})
    assert finetune(settings, world.sources, folder) == folder / 'result'
    return settings, folder


def test_what_is_trained_has_changed_and_the_rest_has_not(world, whole):
    settings, folder = whole
    index = type('Index', (), {'hidden': 64, 'image_tokens': 16})
    unet, conditioning = make_networks(
        settings, world.pipeline.vae, world.pipeline.text_encoder, index)
    before = {**{f'unet.{key}': value for key, value in unet.state_dict().items()},
              **{f'conditioning.{key}': value for key, value in conditioning.state_dict().items()}}
    trained = result_weights(folder / 'result')
    assert trained.keys() == before.keys()
    still = [name for name, value in trained.items() if torch.equal(value, before[name])]
    # A bias of the keys moves all scores of a row alike, which softmax does not see.
    assert not [name for name in still if not name.endswith('bias')]
    for part in ('sigma', 'mu', 'pi'):
        moved = [name for name in trained if f'conditioning.{part}' in name and name not in still]
        assert moved, part
    record = read_record(folder / 'result')
    assert record['vae'] == module_sha256(world.pipeline.vae)
    assert record['text_encoder'] == module_sha256(world.pipeline.text_encoder)
    assert record['variant'] == 'joint'
    assert record['loop']['steps'] == 4


def test_the_result_draws_through_the_pipeline(world, whole):
    _, folder = whole
    parts = shutil.copytree(world.sources.vae, folder.parent / 'bundle')
    for name in ('unet', 'conditioning'):
        shutil.rmtree(parts / name)
        shutil.copytree(folder / 'result' / name, parts / name)
    pipeline = LegoPipeline.from_pretrained(parts)
    assert pipeline.resolution == 64
    image = pipeline(
        np.zeros((64, 64, 3), np.uint8), 'open the drawer', image_embeds=torch.randn(1, 16, 64),
        text_embeds=torch.randn(1, 9, 64), num_inference_steps=2).images
    assert image.shape == (1, 64, 64, 3)
    assert np.isfinite(image).all()


def test_the_result_is_the_average(whole):
    _, folder = whole
    last = checkpoints(folder)[-1][1]
    averaged = load_file(last / 'ema_0.safetensors')
    trained = result_weights(folder / 'result')
    sizes = sorted(value.numel() for value in averaged.values())
    assert sizes == sorted(value.numel() for value in trained.values())
    first = trained['unet.conv_in.weight']
    assert any(torch.equal(value, first) for value in averaged.values()
               if value.shape == first.shape)


def test_validation_shows_loss_pictures_and_words(world, whole):
    _, folder = whole
    rows = [row for row in read_metrics(folder) if 'validation/loss' in row]
    assert [row['step'] for row in rows] == [2, 4]
    assert 0.2 < rows[0]['validation/loss'] < 5
    assert rows[0]['validation/loss'] != rows[1]['validation/loss']
    board = EventAccumulator(str(folder / 'tensorboard'))
    board.Reload()
    image = board.Images(board.Tags()['images'][0])[-1]
    assert (image.width, image.height) == (3 * 64 + 8, 2 * 64 + 4)
    words = board.Tensors(board.Tags()['tensors'][0])[-1].tensor_proto.string_val[0].decode()
    assert 'Seen: The person opens the drawer' in words


@pytest.mark.parametrize('asked', [1, 5, 6, 8])
def test_a_run_that_was_broken_off_ends_like_one_that_was_not(world, whole, tmp_path, asked):
    # It is broken off while the caches are made, and in training.
    settings, folder = whole
    sources = replace(world.sources, cache=tmp_path / 'cache')
    broken = 0
    for _ in range(12):
        try:
            finetune(settings, sources, tmp_path / 'joint', stop=after(asked))
            break
        except Interrupted:
            broken += 1
    assert broken or asked > 5
    again = result_weights(tmp_path / 'joint' / 'result')
    assert all(torch.equal(value, again[name])
               for name, value in result_weights(folder / 'result').items())


def test_a_finished_run_is_not_done_again(world, whole, monkeypatch):
    settings, folder = whole
    monkeypatch.setattr('lego_ros.training.ldm.finetune.train', None)
    assert finetune(settings, world.sources, folder) == folder / 'result'


def test_a_lost_result_is_written_again(world, whole, tmp_path):
    settings, folder = whole
    copy = shutil.copytree(folder, tmp_path / 'joint')
    (copy / 'result' / 'training.json').write_text('{')
    finetune(settings, world.sources, copy)
    again = result_weights(copy / 'result')
    assert all(torch.equal(value, again[name])
               for name, value in result_weights(folder / 'result').items())
    assert read_record(copy / 'result') == read_record(folder / 'result')


@pytest.mark.parametrize(('changes', 'named'), [
    ({'variant': 'text'}, 'variant'), ({'drop': 0.1}, 'drop'), ({'flip': False}, 'flip')])
def test_a_checkpoint_of_another_run_is_refused(world, whole, tmp_path, changes, named):
    settings, folder = whole
    copy = shutil.copytree(folder, tmp_path / 'run')
    with pytest.raises(LegoError, match=named) as error:
        finetune(settings.model_copy(update=changes), world.sources, copy)
    assert error.value.code is ErrorCode.INVALID_SETTING
    assert result_weights(copy / 'result')


@pytest.fixture
def other_precision():
    """Let this test train in another precision than the others of this process."""
    AcceleratorState._reset_state(reset_partial_state=True)
    yield
    AcceleratorState._reset_state(reset_partial_state=True)


@pytest.mark.usefixtures('other_precision')
@pytest.mark.parametrize('variant', ['labels', 'description', 'image', 'text'])
def test_each_variant_trains(world, settings, tmp_path, variant):
    made = settings({'steps': 2, 'validate_every': 2, 'precision': 'bf16'}, variant=variant,
                    shown={'loss_pairs': 1, 'grid_pairs': 1, 'steps': 2})
    sources = world.sources if variant != 'labels' else replace(
        world.sources, enrichment=None, held_out_enrichment=None, vllm=None)
    result = finetune(made, sources, tmp_path / variant)
    assert json.loads((result / 'training.json').read_text())['variant'] == variant
    figures = read_metrics(tmp_path / variant)[-1]
    assert np.isfinite(figures['validation/loss'])


def test_a_loss_that_is_not_finite_ends_the_run_with_the_last_checkpoint(
        world, settings, tmp_path):
    made = settings({'steps': 4, 'checkpoint_every': 1, 'lr': 1e36, 'max_grad_norm': None})
    sources = replace(world.sources, held_out=None)
    with pytest.raises(LegoError, match='kitchen/train') as error:
        finetune(made, sources, tmp_path)
    assert error.value.code is ErrorCode.INFERENCE_FAILED
    assert checkpoints(tmp_path)
    assert not (tmp_path / 'result').exists()


def test_it_learns_a_few_samples_by_heart(world, settings, tmp_path):
    made = settings({'steps': 60, 'batch_size': 6, 'lr': 5e-3, 'ema': None, 'log_every': 10,
                     'checkpoint_every': 60, 'validate_every': 60}, flip=False, drop=0.0)
    sources = replace(world.sources, held_out=None, cache=tmp_path / 'cache')
    finetune(made, sources, tmp_path / 'run')
    losses = [row['loss'] for row in read_metrics(tmp_path / 'run') if 'loss' in row]
    # Guessing no noise at all costs 1; each of the means is over 60 draws of noise level.
    assert losses[0] > 0.5
    assert min(losses[-3:]) < 0.4 * losses[0], losses


def test_it_starts_from_stable_diffusion(world, settings, tmp_path):
    torch.manual_seed(9)
    stable = UNet2DConditionModel(**{**tiny_unet_config(), 'in_channels': 4, 'sample_size': 16})
    stable.save_pretrained(tmp_path / 'sd' / 'unet')
    unet, _ = make_networks(settings(start=str(tmp_path / 'sd')), world.pipeline.vae,
                            world.pipeline.text_encoder, None)
    assert unet.config.in_channels == 8
    assert unet.config.sample_size == 8
    assert torch.equal(unet.conv_in.weight[:, :4], stable.conv_in.weight)
    assert not unet.conv_in.weight[:, 4:].any()
    assert torch.equal(unet.mid_block.resnets[0].conv1.weight,
                       stable.mid_block.resnets[0].conv1.weight)


def test_sources_that_do_not_go_together_are_refused(world, settings, tmp_path):
    sources, run = world.sources, tmp_path / 'run'
    with pytest.raises(LegoError, match='name the enrichments'):
        finetune(settings(), replace(sources, enrichment=None), run)
    with pytest.raises(LegoError, match="VLLM's folder"):
        finetune(settings(), replace(sources, vllm=None), run)
    other = shutil.copytree(sources.vllm, tmp_path / 'vllm')
    (other / 'config.json').write_text((other / 'config.json').read_text() + ' ')
    with pytest.raises(LegoError, match='not the one that made the enrichment') as error:
        finetune(settings(), replace(sources, vllm=other), run)
    assert error.value.code is ErrorCode.BUNDLE_MISMATCH
    with pytest.raises(LegoError, match='multiple of 16'):
        finetune(settings(resolution=72), sources, run)
    with pytest.raises(LegoError, match='the split') as error:
        finetune(settings(), replace(sources, split='other'), run)
    with pytest.raises(LegoError) as error:
        finetune(settings(), replace(sources, vae=tmp_path), run)
    assert error.value.code is ErrorCode.BUNDLE_NOT_FOUND
    assert not run.exists()


def test_a_full_disk_keeps_the_old_result(world, whole, tmp_path):
    _, folder = whole
    copy = shutil.copytree(folder / 'result', tmp_path / 'result')
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    # A limit on the size of files stands in for a full disk.
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))
    try:
        with pytest.raises(LegoError, match='Make room') as error:
            save_networks(copy, world.pipeline.unet, world.pipeline.conditioning, {})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert error.value.code is ErrorCode.RECORDING_FAILED
    assert [path.name for path in tmp_path.iterdir()] == ['result']
    assert read_record(copy) == read_record(folder / 'result')


def test_the_projector_is_the_vllms(world, tmp_path):
    projector = load_projector(world.sources.vllm)
    vision = torch.randn(2, 16, 32)
    with torch.no_grad():
        assert torch.equal(projector(vision), world.llava.model.multi_modal_projector(vision))
    assert not any(weight.requires_grad for weight in projector.parameters())
    # As a large VLLM is saved: in several files with an index.
    world.llava.save_pretrained(tmp_path, max_shard_size='100KB')
    assert len(list(tmp_path.glob('*.safetensors'))) > 1
    assert torch.equal(load_projector(tmp_path).weight, projector.weight)
    for file in tmp_path.glob('*.safetensors'):
        file.unlink()
    with pytest.raises(LegoError, match='projector') as error:
        load_projector(tmp_path)
    assert error.value.code is ErrorCode.BUNDLE_INVALID


def test_the_defaults_are_the_papers():
    settings = LdmSettings()
    loop = settings.loop
    assert (loop.steps, loop.batch_size, loop.lr, loop.ema) == (20_000, 256, 1e-4, 0.9999)
    assert loop.schedule == 'constant'
    assert loop.warmup == 0
    assert settings.variant == 'joint'
    assert settings.drop == 0.05
    assert settings.resolution == 256
    with pytest.raises(ValidationError, match='variant'):
        LdmSettings(variant='all')
    with pytest.raises(ValidationError, match='extra'):
        LdmSettings.model_validate({'learning_rate': 1})
