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

from lego_ros.errors import ErrorCode, LegoError
from lego_ros.ldm.conditioning import fit_rows, LegoConditioning
import pytest
import torch
from torch import nn

HIDDEN, D, M, N = 24, 16, 5, 7


@pytest.fixture
def conditioning() -> LegoConditioning:
    torch.manual_seed(4)
    made = LegoConditioning(vllm_hidden=HIDDEN, cross_attention_dim=D, image_tokens=M,
                            text_tokens=N, layers=2, heads=4, ffn=32).eval()
    # Zero biases, as after initialisation, would hide a wrong place of the zeros.
    with torch.no_grad():
        for linear in (made.sigma, made.mu):
            linear.bias.uniform_(-1, 1)
    return made


def inputs(batch: int = 2, rows: int = N) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    noise = torch.Generator().manual_seed(6)
    return (torch.randn(batch, N, D, generator=noise),
            torch.randn(batch, M, HIDDEN, generator=noise),
            torch.randn(batch, rows, HIDDEN, generator=noise))


def pi_by_hand(tokens: torch.Tensor, pi: nn.TransformerEncoder) -> torch.Tensor:
    """Compute x + attention(norm(x)), then x + ffn(norm(x)), per layer, and nothing else."""
    for layer in pi.layers:
        normed = layer.norm1(tokens)
        heads = layer.self_attn.num_heads
        projections = torch.einsum('bnd,kd->bnk', normed, layer.self_attn.in_proj_weight)
        projections = projections + layer.self_attn.in_proj_bias
        query, key, value = (
            part.unflatten(-1, (heads, -1)).transpose(1, 2)
            for part in projections.chunk(3, dim=-1))
        weights = (query @ key.transpose(-1, -2) / query.shape[-1] ** 0.5).softmax(-1)
        mixed = (weights @ value).transpose(1, 2).flatten(2)
        tokens = tokens + layer.self_attn.out_proj(mixed)
        tokens = tokens + layer.linear2(torch.relu(layer.linear1(layer.norm2(tokens))))
    return tokens


@torch.no_grad()
def test_tokens_stand_in_the_order_of_equation_1(conditioning: LegoConditioning) -> None:
    psi, image, text = inputs()
    context = conditioning(psi, image, text)
    assert context.shape == (2, 2 * N + M, D)
    assert torch.equal(context[:, :N], psi)
    torch.testing.assert_close(
        context[:, N:N + M], image @ conditioning.sigma.weight.T + conditioning.sigma.bias)
    projected = text @ conditioning.mu.weight.T + conditioning.mu.bias
    torch.testing.assert_close(
        context[:, N + M:], pi_by_hand(projected, conditioning.pi), rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_pi_sees_no_position_and_every_token(conditioning: LegoConditioning) -> None:
    psi, image, text = inputs()
    order = torch.tensor([3, 0, 6, 2, 1, 5, 4])
    straight = conditioning(psi, image, text)[:, N + M:]
    shuffled = conditioning(psi, image, text[:, order])[:, N + M:]
    torch.testing.assert_close(shuffled, straight[:, order], rtol=1e-5, atol=1e-5)
    # Holistic: the last row, even a padding one, moves the first (no mask, not causal).
    changed = text.clone()
    changed[:, -1] = 0
    assert (conditioning(psi, image, changed)[:, N + M] - straight[:, 0]).abs().max() > 1e-3


@torch.no_grad()
@pytest.mark.parametrize('rows', [1, N - 1, N, N + 3])
def test_text_rows_are_cut_or_filled_with_zeros_before_mu(
    conditioning: LegoConditioning, rows: int,
) -> None:
    psi, image, text = inputs(rows=rows)
    by_hand = torch.zeros(2, N, HIDDEN)
    by_hand[:, :min(rows, N)] = text[:, :N]
    assert torch.equal(fit_rows(text, N), by_hand)
    context = conditioning(psi, image, text)
    assert context.shape == (2, 2 * N + M, D)
    torch.testing.assert_close(context, conditioning(psi, image, by_hand), rtol=0, atol=0)


@torch.no_grad()
@pytest.mark.parametrize('with_image', [False, True])
@pytest.mark.parametrize('with_text', [False, True])
def test_null_context_is_psi_and_exact_zeros(
    conditioning: LegoConditioning, with_image: bool, with_text: bool,
) -> None:
    psi, image, text = inputs()
    null = conditioning.null_context(psi, with_image, with_text)
    assert torch.equal(null[:, :N], psi)
    assert torch.count_nonzero(null[:, N:]) == 0
    full = conditioning(psi, image if with_image else None, text if with_text else None)
    assert null.shape == full.shape == (2, N + M * with_image + N * with_text, D)


@torch.no_grad()
def test_leaving_tokens_out_leaves_the_others_as_they_are(conditioning: LegoConditioning) -> None:
    psi, image, text = inputs()
    joint = conditioning(psi, image, text)
    assert torch.equal(conditioning(psi), psi)
    torch.testing.assert_close(conditioning(psi, image), joint[:, :N + M], rtol=0, atol=0)
    torch.testing.assert_close(
        conditioning(psi, None, text), torch.cat([psi, joint[:, N + M:]], 1), rtol=0, atol=0)


def test_structure_is_that_of_the_released_code() -> None:
    made = LegoConditioning(vllm_hidden=8, cross_attention_dim=16)
    assert len(made.pi.layers) == 2
    assert made.pi.norm is None
    for layer in made.pi.layers:
        assert layer.norm_first
        assert layer.self_attn.num_heads == 8
        assert layer.self_attn.embed_dim == 16
        assert layer.linear1.out_features == 2048
        assert layer.activation is torch.nn.functional.relu
        assert {layer.dropout.p, layer.dropout1.p, layer.dropout2.p,
                layer.self_attn.dropout} == {0.1}


def test_xavier_initialisation() -> None:
    torch.manual_seed(8)
    made = LegoConditioning(vllm_hidden=512, cross_attention_dim=256, heads=8, ffn=512)

    def check(weight: torch.Tensor) -> None:
        fan_out, fan_in = weight.shape
        bound = (6 / (fan_in + fan_out)) ** 0.5
        # Uniform on [-bound, bound]: it comes near the ends, its deviation is bound / sqrt 3.
        assert 0.99 * bound < weight.abs().max() <= bound
        assert abs(weight.std() * 3 ** 0.5 / bound - 1) < 0.02

    check(made.sigma.weight)
    check(made.mu.weight)
    for layer in made.pi.layers:
        check(layer.linear1.weight)
        check(layer.linear2.weight)
        check(layer.self_attn.out_proj.weight)
        for projection in layer.self_attn.in_proj_weight.chunk(3):
            check(projection)
    for name, parameter in made.named_parameters():
        if name.endswith('bias'):
            assert torch.count_nonzero(parameter) == 0, name
    first, second = made.pi.layers
    assert not torch.equal(first.linear1.weight, second.linear1.weight)
    assert not torch.equal(first.self_attn.in_proj_weight, second.self_attn.in_proj_weight)


@pytest.mark.parametrize(('part', 'shape', 'named'), [
    (0, (2, N, D + 1), 'CLIP text encoding'),
    (0, (2, N + 1, D), 'CLIP text encoding'),
    (1, (2, M, HIDDEN + 8), 'VLLM image embedding'),
    (1, (2, M + 1, HIDDEN), 'VLLM image embedding'),
    (2, (2, N, HIDDEN - 1), 'VLLM text embedding'),
])
def test_a_size_of_another_bundle_is_named(
    conditioning: LegoConditioning, part: int, shape: tuple[int, ...], named: str,
) -> None:
    given = list(inputs())
    given[part] = torch.zeros(shape)
    with pytest.raises(LegoError, match=named) as caught:
        conditioning(*given)
    assert caught.value.code is ErrorCode.BUNDLE_MISMATCH
    assert str(shape[1]) in caught.value.message
    assert str(shape[2]) in caught.value.message


def test_malformed_inputs_are_refused(conditioning: LegoConditioning) -> None:
    psi, image, text = inputs()
    with pytest.raises(ValueError, match=r'\(batch, tokens, channels\)'):
        conditioning(psi, image[0], text)
    with pytest.raises(ValueError, match=r'\[2, 1, 2\]'):
        conditioning(psi, image[:1], text)
    with pytest.raises(LegoError, match='CLIP text encoding'):
        conditioning.null_context(psi[:, :1], True, True)


def test_gradients_reach_sigma_mu_and_pi(conditioning: LegoConditioning) -> None:
    conditioning.train()(*inputs()).square().sum().backward()
    for name, parameter in conditioning.named_parameters():
        # A key's bias shifts all logits of a query alike, so only that part may stay at zero.
        assert parameter.grad is not None, name
        assert torch.count_nonzero(parameter.grad) > 0, name
