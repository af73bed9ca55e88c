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

import math

from diffusers import UNet2DConditionModel
from diffusers.models.attention_processor import Attention
from lego_ros.errors import ErrorCode, LegoError
from lego_ros.ldm.cached_attention import (
    CachedCrossAttention,
    cross_attention_layers,
    KeysAndValues,
    LayerContext,
    packed_size,
    unpack,
    zero_key_logits,
)
from lego_ros.ldm.config import paper_unet_config, tiny_unet_config
import pytest
import torch

# The context of a layer of Stable Diffusion 1.5: psi, and 256 image and 77 text tokens.
TEXT, ZEROS, CHANNELS = 77, 333, 768


def randn(*shape: int, seed: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def attend_from_cache(
    layer: Attention, queries: torch.Tensor, context: torch.Tensor, psi: torch.Tensor,
    logits: list[float],
) -> torch.Tensor:
    """Run a layer, given hidden states of three branches, on keys and values computed before."""
    full, null = KeysAndValues([layer], len(logits))(context, psi)
    assert full.shape[1] == packed_size([layer], context.shape[1])
    assert null.shape[1] == packed_size([layer], psi.shape[1] + len(logits))
    bias = torch.tensor([0.] * psi.shape[1] + logits, dtype=psi.dtype) if logits else None
    layer.set_processor(CachedCrossAttention(0))
    pair, = unpack(full, [layer])
    null_pair, = unpack(null, [layer])
    return layer(queries, encoder_hidden_states=[LayerContext(pair, null_pair, bias)])


@pytest.mark.parametrize('zeros', [0, 1, ZEROS])
@pytest.mark.parametrize('batch', [1, 2])
@torch.no_grad()
def test_tokens_of_zeros_are_one_key(zeros: int, batch: int) -> None:
    torch.manual_seed(0)
    layer = Attention(query_dim=320, cross_attention_dim=CHANNELS, heads=8, dim_head=40).double()
    queries = randn(3 * batch, 50, 320, seed=1)
    psi, context = randn(1, TEXT, CHANNELS, seed=2), randn(batch, TEXT + zeros, CHANNELS, seed=3)
    null = torch.cat([psi, torch.zeros(1, zeros, CHANNELS, dtype=psi.dtype)], dim=1)
    expected = layer(queries, torch.cat([null.expand(2 * batch, -1, -1), context]))

    logits = zero_key_logits(zeros, torch.float64)
    assert len(logits) == (zeros > 0)
    attended = attend_from_cache(layer, queries, context, psi, logits)
    torch.testing.assert_close(attended, expected, rtol=0, atol=1e-12)
    if zeros > 1:
        # The logit is what makes it so: a plain key of zeros counts once.
        plain = attend_from_cache(layer, queries, context, psi, [0.])
        assert (plain - expected)[:2 * batch].abs().max() > 1e-3


@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize('count', [1, 2, 64, 112, ZEROS, 653])
def test_logits_of_a_format_stand_for_the_number_of_keys(count: int, dtype: torch.dtype) -> None:
    logits = zero_key_logits(count, dtype)
    # The format holds them as they are.
    assert torch.tensor(logits, dtype=torch.float64).to(dtype).tolist() == logits
    assert sum(map(math.exp, logits)) == pytest.approx(
        count, rel=1e-6 if dtype == torch.float32 else 1e-3)
    assert len(logits) <= 2


def test_the_paper_unet_has_sixteen_layers_on_the_context() -> None:
    with torch.device('meta'):
        unet = UNet2DConditionModel(**paper_unet_config())
    layers = cross_attention_layers(unet)
    assert [layer.inner_dim for layer in layers] == (
        [320] * 2 + [640] * 2 + [1280] * 2 + [1280] * 3 + [640] * 3 + [320] * 3 + [1280])


@pytest.mark.parametrize('name', ['to_k', 'to_v'])
def test_a_unet_with_biased_keys_or_values_is_refused(name: str) -> None:
    unet = UNet2DConditionModel(**tiny_unet_config())
    layer = unet.up_blocks[1].attentions[0].transformer_blocks[0].attn2
    setattr(layer, name, torch.nn.Linear(32, 32))
    with pytest.raises(LegoError, match=r'up_blocks\.1\.attentions\.0.*attn2') as caught:
        cross_attention_layers(unet)
    assert caught.value.code is ErrorCode.BUNDLE_MISMATCH
