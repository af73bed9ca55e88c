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

"""The auto-encoder: its loss, its training, and the spread of its latents."""

from diffusers import AutoencoderKL
from lego_ros.errors import ErrorCode, LegoError
from lego_ros.training.foundations.vae import (
    build_vae,
    edge_loss,
    latent_spread,
    Pictures,
    psnr,
    train_vae,
    VaeObjective,
    VaeSettings,
)
from lego_ros.training.run.draws import Draw
from lego_ros.training.run.journal import read_metrics
from lego_ros.training.run.loop import Interrupted
import pytest
from safetensors.torch import load_file
import torch
from torch.nn import functional

SETTINGS = VaeSettings(epochs=None, steps=30, batch_size=4, lr=4e-3, warmup=0.0, log_every=5,
                       precision='fp32', ema=0.5, validate_every=30, checkpoint_every=20)


@pytest.fixture(scope='module')
def trained(splits, size, tmp_path_factory):
    root = tmp_path_factory.mktemp('vae')
    train, validation = splits
    return train_vae(SETTINGS, size, train.pairs, validation.pairs, root / 'vae',
                     root / 'runs'), root / 'runs'


def test_edges_that_blur_cost_more_than_a_tint():
    picture = torch.zeros(1, 3, 32, 32)
    picture[..., 16:] = 1
    blurred = functional.avg_pool2d(
        functional.pad(picture, (3, 3, 3, 3), 'replicate'), 7, stride=1)
    tint = float((blurred - picture).abs().mean())
    tinted = picture + tint
    assert functional.l1_loss(tinted, picture) == pytest.approx(tint, rel=1e-5)
    assert float(edge_loss(tinted, picture, 3)) == pytest.approx(0, abs=1e-6)
    assert float(edge_loss(blurred, picture, 3)) > 0.3 * tint
    assert float(edge_loss(picture, picture, 3)) == 0


def test_one_scale_is_the_mean_of_differences():
    error = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    down, across = torch.diff(error, dim=2).abs().mean(), torch.diff(error, dim=3).abs().mean()
    assert float(edge_loss(error, torch.zeros_like(error), 1)) == pytest.approx(
        float((down + across) / 2))


def test_psnr():
    picture = torch.zeros(2, 3, 4, 4)
    other = picture.clone()
    other[0] += 0.2
    assert psnr(other, picture) == pytest.approx([20.0, 106.02], abs=0.01)


def test_pictures_of_both_kinds_some_mirrored(splits):
    train, _ = splits
    pictures = Pictures(train.pairs, 64)
    assert len(pictures) == 2 * len(train.pairs)
    assert pictures.name(3) == f'{train.pairs[1].pair_id} target'
    expected = torch.from_numpy(train.pairs.picture(1, 'target')).permute(2, 0, 1) / 127.5 - 1
    drawn = [pictures[Draw(3, seed)] for seed in range(16)]
    plain = [each for each in drawn if torch.allclose(each, expected, atol=1e-6)]
    mirrored = [each for each in drawn if torch.allclose(each.flip(2), expected, atol=1e-6)]
    assert plain
    assert mirrored
    assert len(plain) + len(mirrored) == len(drawn)


def test_parts_of_pictures(splits):
    train, _ = splits
    parts = Pictures(train.pairs, 64, 16)
    whole = torch.stack([parts.picture(3), parts.picture(3, mirrored=True)])
    places = set()
    for seed in range(12):
        part = parts[Draw(3, seed)]
        assert torch.equal(part, parts[Draw(3, seed)])
        windows = whole.unfold(2, 16, 1).unfold(3, 16, 1).permute(0, 2, 3, 1, 4, 5)
        found = (windows == part).flatten(3).all(3).nonzero()
        assert len(found) >= 1
        places.add(tuple(found[0].tolist()))
    assert len(places) > 6
    assert {place[0] for place in places} == {0, 1}
    # More than there is: all of it.
    assert Pictures(train.pairs, 64, 128)[Draw(3, 0)].shape == (3, 64, 64)


def test_its_loss_falls_and_pictures_come_back(trained, splits, size):
    folder, run = trained
    rows = read_metrics(run)
    untrained = build_vae(size, SETTINGS.seed).eval()
    vae = AutoencoderKL.from_pretrained(folder, local_files_only=True).eval()
    train, _ = splits
    pictures = torch.stack([Pictures(train.pairs, 64).picture(index) for index in range(4)])

    def quality(model):
        with torch.no_grad():
            restored = model.decode(model.encode(pictures).latent_dist.mode()).sample
        return sum(psnr(restored, pictures)) / 4

    def loss(model):
        torch.manual_seed(0)
        with torch.no_grad():
            return VaeObjective(model, SETTINGS)(pictures)[0].item()

    assert loss(vae) < 0.85 * loss(untrained)
    assert quality(vae) > quality(untrained) + 1
    assert rows[-1]['validation/psnr'] >= rows[-1]['validation/psnr_worst'] > 5


def test_scaled_latents_have_unit_spread(trained, splits):
    folder, _ = trained
    train, _ = splits
    vae = AutoencoderKL.from_pretrained(folder, local_files_only=True).eval()
    assert vae.config.scaling_factor != 0.18215
    pictures = torch.stack([
        Pictures(train.pairs, 64).picture(index) for index in range(2 * len(train.pairs))])
    with torch.no_grad():
        torch.manual_seed(5)
        latents = vae.encode(pictures).latent_dist.sample() * vae.config.scaling_factor
    assert float(latents.std()) == pytest.approx(1.0, abs=0.05)


def test_latents_that_say_nothing(splits, size):
    train, _ = splits
    vae = build_vae(size, 0).eval()
    with torch.no_grad():
        for weight in vae.quant_conv.parameters():
            weight.zero_()
        # Mean 0 and the smallest variance that diffusers allows.
        vae.quant_conv.bias[4:] = -30
    with pytest.raises(LegoError, match='say nothing of the picture') as caught:
        latent_spread(vae, Pictures(train.pairs, 64))
    assert caught.value.code is ErrorCode.INFERENCE_FAILED


def test_an_interrupted_training_ends_the_same(trained, splits, size, tmp_path):
    train, validation = splits
    asked = iter(range(1, 100))
    places = tmp_path / 'vae', tmp_path / 'runs'
    with pytest.raises(Interrupted):
        train_vae(SETTINGS, size, train.pairs, validation.pairs, *places,
                  stop=lambda: next(asked) == 7)
    train_vae(SETTINGS, size, train.pairs, validation.pairs, *places)
    name = 'diffusion_pytorch_model.safetensors'
    whole, resumed = load_file(trained[0] / name), load_file(places[0] / name)
    assert all(torch.equal(whole[key], resumed[key]) for key in whole)


def test_a_weight_of_the_parts_counts(size):
    pictures = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    vae = build_vae(size, 0)

    def loss(**changes):
        torch.manual_seed(0)
        return VaeObjective(vae, VaeSettings(**changes))(pictures)

    plain, parts = loss(squares=0, edges=0, kl=0)
    assert plain.item() == pytest.approx(float(parts['values']))
    whole, parts = loss(squares=2.0, edges=3.0, kl=0.5)
    assert whole.item() == pytest.approx(
        float(parts['values'] + 2 * parts['squares'] + 3 * parts['edges'] + 0.5 * parts['kl']),
        rel=1e-5)


def test_a_result_that_cannot_be_written(trained, splits, size, tmp_path):
    (tmp_path / 'file').write_text('')
    train, validation = splits
    with pytest.raises(LegoError, match=r'RECORDING_FAILED.*Not a directory'):
        train_vae(SETTINGS, size, train.pairs, validation.pairs, tmp_path / 'file/vae',
                  trained[1])
