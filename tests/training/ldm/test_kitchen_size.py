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

from diffusers import AutoencoderKL, UNet2DConditionModel
from lego_ros.ldm.conditioning import LegoConditioning
from lego_ros.ldm.config import build_pipeline, kitchen_size
from lego_ros.training.ldm.networks import speed_up
from lego_ros.vllm.tokenizers import make_clip_tokenizer
import numpy as np
import pytest
import torch
from transformers import CLIPTextConfig, CLIPTextModel

VLLM = 8.5e6
"""Parameters of ``kitchen_llava_config``."""


def count(module):
    return sum(weight.numel() for weight in module.parameters())


@pytest.fixture(scope='module')
def parts():
    size = kitchen_size()
    with torch.device('meta'):
        return {
            'unet': UNet2DConditionModel(**size.unet), 'vae': AutoencoderKL(**size.vae),
            'text': CLIPTextModel(CLIPTextConfig(**size.text, vocab_size=1024)),
            'conditioning': LegoConditioning(**size.conditioning)}


def test_parameters(parts):
    assert count(parts['unet']) == 13_446_916
    assert count(parts['vae']) == 3_751_687
    # Half of 64 MB in float16 is the VLLM's and the words'.
    assert sum(map(count, parts.values())) + VLLM < 32e6


def test_the_unet_attends_at_16_and_at_8(parts):
    unet = parts['unet']
    levels = [block for block in unet.down_blocks if hasattr(block, 'attentions')]
    assert levels == list(unet.down_blocks[:2])
    heads = {(block.heads, block.to_q.out_features // block.heads)
             for name, block in unet.named_modules() if name.endswith('attn2')}
    assert heads == {(3, 32), (6, 32)}


def test_it_answers_at_128_px():
    tokenizer = make_clip_tokenizer(['open the left drawer'], 600, max_length=48)
    pipeline = build_pipeline(kitchen_size(), tokenizer)
    assert pipeline.resolution == 128
    image = pipeline(
        np.zeros((128, 128, 3), np.uint8), 'open the left drawer',
        image_embeds=torch.zeros(1, 64, 256), text_embeds=torch.zeros(1, 48, 256),
        num_inference_steps=2).images
    assert image.shape == (1, 128, 128, 3)


def test_what_trains_faster_computes_the_same():
    torch.manual_seed(0)
    unet = UNet2DConditionModel(**kitchen_size().unet).eval()
    inputs = (torch.randn(2, 8, 16, 16), torch.tensor([3, 900]), torch.randn(2, 48, 256))
    with torch.no_grad():
        before = unet(*inputs).sample
        speed_up(unet, torch.device('cpu'))
        after = unet(*inputs).sample
    assert torch.allclose(before, after, atol=1e-4)
