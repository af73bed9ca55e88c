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

from __future__ import annotations

from dataclasses import replace

from diffusers import AutoencoderKL, UNet2DConditionModel
from lego_ros.errors import ErrorCode, LegoError
from lego_ros.ldm.conditioning import LegoConditioning
from lego_ros.ldm.config import (
    build_pipeline,
    expand_unet_input,
    paper_size,
    scheduler_config,
    tiny_size,
    tiny_unet_config,
)
import pytest
import torch
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

# Stable Diffusion 1.5's UNet has 859,520,964 parameters; four more input channels of its first
# 3 x 3 convolution to 320 channels make 4 * 320 * 9 more.
PAPER_UNET_PARAMETERS = 859_520_964 + 11_520


def count(module: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def test_paper_unet_has_the_parameters_of_stable_diffusion_and_four_channels() -> None:
    with torch.device('meta'):
        unet = UNet2DConditionModel(**paper_size().unet)
    assert count(unet) == PAPER_UNET_PARAMETERS == 859_532_484
    heads = {block.heads for name, block in unet.named_modules() if name.endswith('attn2')}
    assert heads == {8}


def test_paper_unet_comes_out_of_expanding_stable_diffusion() -> None:
    with torch.device('meta'):
        stable = UNet2DConditionModel(**{**paper_size().unet, 'in_channels': 4})
    assert count(stable) == 859_520_964
    assert count(expand_unet_input(stable)) == PAPER_UNET_PARAMETERS


def test_paper_parts_have_the_published_sizes() -> None:
    size = paper_size()
    with torch.device('meta'):
        vae = AutoencoderKL(**size.vae)
        text = CLIPTextModel(CLIPTextConfig(**size.text))
        conditioning = LegoConditioning(**size.conditioning)
    assert count(vae) == 83_653_863
    assert count(text) == 123_060_480
    attention = 4 * 768 * 768 + 4 * 768
    feed_forward = 2 * 768 * 2048 + 2048 + 768
    assert count(conditioning.pi) == 2 * (attention + feed_forward + 2 * 2 * 768)
    assert count(conditioning.sigma) == count(conditioning.mu) == 5120 * 768 + 768


def test_paper_unet_takes_a_context_of_410_tokens() -> None:
    size = paper_size()
    with torch.device('meta'):
        unet = UNet2DConditionModel(**size.unet)
        conditioning = LegoConditioning(**size.conditioning).eval()
        context = conditioning(
            torch.zeros(3, 77, 768), torch.zeros(3, 256, 5120), torch.zeros(3, 77, 5120))
        assert context.shape == (3, 410, 768)
        null = conditioning.null_context(torch.zeros(3, 77, 768), True, True)
        assert null.shape == context.shape
        noise = unet(torch.zeros(3, 8, 32, 32), torch.tensor(5.0), context).sample
    assert noise.shape == (3, 4, 32, 32)


def test_noise_schedule_is_stable_diffusions(tokenizer: CLIPTokenizer) -> None:
    scheduler = build_pipeline(tiny_size(), tokenizer).scheduler
    assert dict(scheduler.config).items() >= scheduler_config().items()
    # (0.00085 ** 0.5 + i / 999 * (0.012 ** 0.5 - 0.00085 ** 0.5)) ** 2, at both ends.
    assert scheduler.betas[[0, -1]].tolist() == pytest.approx([0.00085, 0.012])
    # k-diffusion's largest noise level for this model.
    assert float(scheduler.sigmas.max()) == pytest.approx(14.6146, abs=1e-4)


def test_expanded_unet_ignores_the_new_channels_and_else_equals_the_old() -> None:
    torch.manual_seed(0)
    old = UNet2DConditionModel(**{**tiny_unet_config(), 'in_channels': 4}).eval()
    new = expand_unet_input(old)
    assert new.config.in_channels == new.conv_in.in_channels == 8
    assert not new.training
    assert torch.count_nonzero(new.conv_in.weight[:, 4:]) == 0
    noisy, frame = torch.randn(2, 4, 8, 8), torch.randn(2, 4, 8, 8)
    context = torch.randn(2, 5, 32)
    with torch.no_grad():
        expected = old(noisy, 500, context).sample
        found = new(torch.cat([noisy, frame], 1), 500, context).sample
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)
    new(torch.cat([noisy, frame], 1), 500, context).sample.sum().backward()
    assert torch.count_nonzero(new.conv_in.weight.grad[:, 4:]) > 0


def test_a_unet_that_is_expanded_already_is_refused() -> None:
    with pytest.raises(ValueError, match='got 8 and 4'):
        expand_unet_input(UNet2DConditionModel(**tiny_unet_config()))


def test_weights_depend_on_the_seed_alone(tokenizer: CLIPTokenizer) -> None:
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    first = build_pipeline(tiny_size(), tokenizer, seed=3)
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.manual_seed(2)
    again, other = (build_pipeline(tiny_size(), tokenizer, seed=seed) for seed in (3, 4))
    for name in ('vae', 'text_encoder', 'unet', 'conditioning'):
        part = getattr(first, name)
        assert not part.training
        pairs = list(zip(part.parameters(), getattr(again, name).parameters(), strict=True))
        assert all(torch.equal(one, two) for one, two in pairs)
        assert any(not torch.equal(one, two) for one, two in zip(
            part.parameters(), getattr(other, name).parameters(), strict=True))


@pytest.mark.parametrize(('part', 'change', 'named'), [
    ('unet', {'in_channels': 4}, 'input channels of the UNet are 4, should be 8'),
    ('unet', {'cross_attention_dim': 48}, 'context channels of the UNet are 48, should be 32'),
    ('text', {'hidden_size': 48}, 'channels of the text encoder are 48, should be 32'),
    ('text', {'max_position_embeddings': 76}, 'positions of the text encoder are 76'),
])
def test_parts_that_do_not_fit_are_named(
    tokenizer: CLIPTokenizer, part: str, change: dict[str, int], named: str,
) -> None:
    size = tiny_size()
    size = replace(size, **{part: {**getattr(size, part), **change}})
    with pytest.raises(LegoError, match=named) as caught:
        build_pipeline(size, tokenizer)
    assert caught.value.code is ErrorCode.BUNDLE_MISMATCH
