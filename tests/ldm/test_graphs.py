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

from typing import Any

from diffusers import AutoencoderKL, EulerAncestralDiscreteScheduler, UNet2DConditionModel
from lego_ros.errors import ErrorCode, LegoError
from lego_ros.ldm.cached_attention import KeysAndValues, LayerContext, unpack
from lego_ros.ldm.conditioning import LegoConditioning
from lego_ros.ldm.config import (
    build_pipeline,
    paper_size,
    paper_unet_config,
    scheduler_config,
    tiny_size,
    tiny_unet_config,
)
from lego_ros.ldm.graphs import ContextTokens, ldm_graphs
from lego_ros.ldm.pipeline import LegoPipeline
from lego_ros.ldm.unet_graph import GuidedUNet, SteppedUNet
import numpy as np
import pytest
import torch
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

# Stable Diffusion 1.5's blocks, two layers in each of four levels, with fewer channels.
SHRUNK_PAPER = {**paper_unet_config(), 'sample_size': 8, 'block_out_channels': (16, 32, 32, 32),
                'attention_head_dim': 2, 'norm_num_groups': 8, 'cross_attention_dim': 32}
UNETS = {
    'tiny': tiny_unet_config(), 'paper, shrunk': SHRUNK_PAPER,
    # 12 does not halve evenly on its way through four levels.
    'uneven': {**SHRUNK_PAPER, 'sample_size': 12}}


@pytest.mark.parametrize('name', UNETS)
@pytest.mark.parametrize('zeros', [0, 30])
@torch.no_grad()
def test_what_is_computed_beforehand_changes_nothing(name: str, zeros: int) -> None:
    """In float64: keys and values, the zeros' one key and the time embeddings are exact."""
    torch.manual_seed(1)
    unet = UNet2DConditionModel(**UNETS[name]).eval().double()
    side, channels = unet.config.sample_size, unet.config.cross_attention_dim
    text, batch = 9, 2
    psi = torch.randn(1, text, channels).double()
    context = torch.randn(batch, text + zeros, channels).double()
    sample = torch.randn(3 * batch, 8, side, side).double()
    null = torch.nn.functional.pad(psi, (0, 0, 0, zeros)).expand(2 * batch, -1, -1)

    stepped = SteppedUNet(unet, torch.float64)
    guided = GuidedUNet(stepped, text, zeros)
    full, null_packed = KeysAndValues(stepped.layers, guided.zero_keys)(context, psi)
    pairs = list(unpack(full, stepped.layers))
    for timestep in (999., 431.25, 0.):
        time = torch.tensor([timestep])
        expected = unet(sample, time, torch.cat([null, context])).sample
        shifts = stepped.time_shifts(time)
        assert shifts.shape == (1, stepped.shifts)
        noise = stepped(sample, shifts, [
            LayerContext(pair, null_pair, guided.get_buffer('_logits') if zeros else None)
            for pair, null_pair in zip(
                pairs, unpack(null_packed, stepped.layers), strict=True)])
        torch.testing.assert_close(noise, expected, rtol=0, atol=1e-12)
        alone = stepped(sample[-batch:], shifts, [LayerContext(pair, None, None)
                                                  for pair in pairs])
        torch.testing.assert_close(alone, expected[-batch:], rtol=0, atol=1e-12)


@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize('tokens', [
    ContextTokens(), ContextTokens(image=False), ContextTokens(text=False),
    ContextTokens(image=False, text=False)])
@torch.no_grad()
def test_graphs_take_and_give_what_they_say(
    pipeline: LegoPipeline, dtype: torch.dtype, tokens: ContextTokens,
) -> None:
    graphs = ldm_graphs(pipeline, dtype, batch=2, tokens=tokens)
    assert ('conditioning' in graphs) == (tokens.image or tokens.text)
    for name, graph in graphs.items():
        assert graph.name == name
        assert [(each.dtype, tuple(each.shape)) for each in graph.example] == [
            (spec.dtype, spec.shape) for spec in graph.inputs]
        outputs = graph.module(*graph.example)
        assert [(each.dtype, tuple(each.shape)) for each in outputs] == [
            (spec.dtype, spec.shape) for spec in graph.outputs]
        assert {weight.dtype for weight in graph.module.parameters()} == {dtype}


@torch.no_grad()
def test_paper_size_has_the_papers_shapes(tokenizer: CLIPTokenizer) -> None:
    size = paper_size()
    with torch.device('meta'):
        parts = {
            'vae': AutoencoderKL(**size.vae), 'unet': UNet2DConditionModel(**size.unet),
            'text_encoder': CLIPTextModel(CLIPTextConfig(**size.text)),
            'conditioning': LegoConditioning(**size.conditioning)}
    pipeline = LegoPipeline(
        **parts, tokenizer=tokenizer,
        scheduler=EulerAncestralDiscreteScheduler(**scheduler_config()))
    graphs = ldm_graphs(pipeline, torch.float16)
    shapes = {spec.name: spec.shape for spec in graphs['unet'].inputs}
    # 12,480 channels of keys in 16 layers, and as many of values; 77 + 256 + 77 tokens, and of the
    # null context 77 and the two that stand for 333 in half precision.
    assert shapes == {
        'sample': (3, 8, 32, 32), 'time_shifts': (1, 20160),
        'full': (1, 2 * 410 * 12480), 'null': (1, 2 * 79 * 12480)}
    for graph in graphs.values():
        outputs = graph.module.to('meta')(*(each.to('meta') for each in graph.example))
        assert [tuple(each.shape) for each in outputs] == [spec.shape for spec in graph.outputs]


def test_the_pipeline_stays_as_it_is_and_shares_its_weights(
    tokenizer: CLIPTokenizer, frame: np.ndarray,
) -> None:
    pipeline = build_pipeline(tiny_size(), tokenizer, seed=3)

    def draw() -> np.ndarray:
        return pipeline(frame, 'open it', num_inference_steps=2,
                        generator=torch.Generator().manual_seed(0)).images

    before, processors = draw(), dict(pipeline.unet.attn_processors)
    names = ('text_encoder', 'conditioning', 'unet', 'vae')
    own = {weight.data_ptr() for name in names for weight in getattr(pipeline, name).parameters()}
    shared = {weight.data_ptr() for graph in ldm_graphs(pipeline).values()
              for weight in graph.module.parameters()}
    assert shared == own
    for graph in ldm_graphs(pipeline, torch.bfloat16).values():
        assert not own & {weight.data_ptr() for weight in graph.module.parameters()}
        # What an engine does to its module must not reach the pipeline.
        graph.module.to(torch.float16)
    assert pipeline.unet.attn_processors == processors
    assert all(weight.dtype == torch.float32 for weight in pipeline.unet.parameters())
    assert np.array_equal(draw(), before)


@pytest.mark.parametrize('change', [
    {'class_embed_type': 'timestep'}, {'only_cross_attention': True},
    {'center_input_sample': True}, {'mid_block_type': None}])
def test_a_unet_of_another_kind_is_refused(change: dict[str, object]) -> None:
    unet = UNet2DConditionModel(**{**tiny_unet_config(), **change})
    with pytest.raises(LegoError, match='Stable Diffusion') as caught:
        SteppedUNet(unet, torch.float32)
    assert caught.value.code is ErrorCode.BUNDLE_MISMATCH


@pytest.mark.parametrize('given', [{'dtype': torch.float64}, {'batch': 0}])
def test_settings_of_no_graph_are_refused(
    pipeline: LegoPipeline, given: dict[str, Any],
) -> None:
    with pytest.raises(LegoError) as caught:
        ldm_graphs(pipeline, **given)
    assert caught.value.code is ErrorCode.INVALID_SETTING
