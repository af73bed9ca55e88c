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
Cross-attention over keys and values that were computed once per query.

The context does not change over the steps of a picture, so neither do the keys and values that the
UNet's cross-attention layers make of it. They travel in one flat tensor per branch, layer after
layer, each layer as (keys, values), each of these as (heads, tokens, channels of a head).

The null context is psi("") and then rows of exact zeros (:mod:`lego_ros.ldm.conditioning`). The
projections of Stable Diffusion have no bias, so a row of zeros has a key and a value of zeros: in
the softmax each counts ``exp(0)`` and adds nothing to the sum. ``n`` of them are therefore one key
of zeros whose logit is ``ln n``, exactly.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
import math

from diffusers import UNet2DConditionModel
from diffusers.models.attention_processor import Attention
from lego_ros.errors import ErrorCode, LegoError
import torch
from torch import nn, Tensor
from torch.nn import functional

# How far exp(logits of the zero keys) may be from the number of keys that they stand for. A key
# more is cheaper than the 0.4 % by which bfloat16 rounds a logit of 5.8.
_TOLERANCE = 1e-3


def cross_attention_layers(unet: UNet2DConditionModel) -> list[Attention]:
    """
    Find the layers that attend to the context, in the order in which they are packed.

    :param unet: the UNet.
    :returns: its cross-attention layers.
    :raises LegoError: BUNDLE_MISMATCH for a UNet whose layers are not Stable Diffusion's: those of
        a bias, a norm or a mask would make the cached keys and values wrong.
    """
    layers = {name: module for name, module in unet.named_modules()
              if isinstance(module, Attention) and module.is_cross_attention}
    wrong = [name for name, layer in layers.items() if not _is_plain(layer)]
    if wrong or not layers:
        raise LegoError(
            ErrorCode.BUNDLE_MISMATCH,
            'The UNet cannot run on cached keys and values: its cross-attention layers need '
            "projections to_k and to_v without bias, as Stable Diffusion's have, and no norms of "
            f'their own; {", ".join(wrong[:3]) or "it has none"}. Run it as it is instead.')
    return list(layers.values())


def zero_key_logits(count: int, dtype: torch.dtype) -> list[float]:
    """
    Find logits of keys of zeros that stand together for many keys of logit 0.

    ``ln count`` for one key, where the number format holds that well enough; else further keys
    make up for what rounding it down left out.

    :param count: the number of keys to stand for, at least 0.
    :param dtype: the format that the logits are rounded to.
    :returns: logits, the sum of whose exponentials is ``count`` within 0.1 % of it; far
        closer in float32.
    """
    logits: list[float] = []
    left = float(count)
    while left > _TOLERANCE * count:
        logits.append(_round_down(math.log(left), dtype))
        left -= math.exp(logits[-1])
    return logits


class KeysAndValues(nn.Module):
    """
    Compute the keys and values of all cross-attention layers.

    :param layers: from :func:`cross_attention_layers`.
    :param zero_keys: the number of keys of zeros that the null branch gets.
    """

    def __init__(self, layers: Sequence[Attention], zero_keys: int) -> None:
        super().__init__()
        self._heads = [layer.heads for layer in layers for _ in range(2)]
        self._zero_keys = zero_keys
        self.projections = nn.ModuleList(
            projection for layer in layers for projection in (layer.to_k, layer.to_v))

    def forward(self, context: Tensor, null: Tensor) -> tuple[Tensor, Tensor]:
        """
        Pack the keys and values.

        :param context: C (B, T, D).
        :param null: psi("") (1, N, D).
        :returns: for :attr:`Branch.FULL` (B, :func:`packed_size` of T) and for the other two
            branches (1, :func:`packed_size` of N and the keys of zeros), in the layers' format.
        """
        # Rows of zeros become keys and values of zeros by the same projections.
        null = functional.pad(null, (0, 0, 0, self._zero_keys))
        return self._pack(context), self._pack(null)

    def _pack(self, context: Tensor) -> Tensor:
        context = context.to(next(self.parameters()).dtype)
        parts = [
            projection(context).unflatten(-1, (heads, -1)).transpose(1, 2).flatten(1)
            for heads, projection in zip(self._heads, self.projections, strict=True)]
        return torch.cat(parts, dim=1)


def packed_size(layers: Sequence[Attention], tokens: int) -> int:
    """
    Give the length of a row of packed keys and values.

    :param layers: from :func:`cross_attention_layers`.
    :param tokens: the number of keys.
    :returns: the number of values.
    """
    return sum(2 * tokens * layer.inner_dim for layer in layers)


def unpack(packed: Tensor, layers: Sequence[Attention]) -> Iterator[tuple[Tensor, Tensor]]:
    """
    Take packed keys and values apart.

    :param packed: (B, size) from :class:`KeysAndValues`.
    :param layers: those that it was made for.
    :returns: for each layer its keys and values (B, heads, tokens, channels of a head).
    """
    tokens = packed.shape[1] // packed_size(layers, 1)
    sizes = [tokens * layer.inner_dim for layer in layers for _ in range(2)]
    parts = iter(packed.split(sizes, dim=1))
    for layer in layers:
        keys, values = (
            next(parts).unflatten(1, (layer.heads, tokens, layer.inner_dim // layer.heads))
            for _ in range(2))
        yield keys, values


class CachedCrossAttention:
    """
    The attention processor of one layer, for keys and values from outside.

    It holds nothing of a query: what a call needs comes with the call, where diffusers passes the
    context. That is a sequence with one item per layer of the UNet.

    :param layer: index of the layer in it.
    """

    def __init__(self, layer: int) -> None:
        self._layer = layer

    def __call__(self, attention: Attention, hidden_states: Tensor,
                 encoder_hidden_states: Sequence[LayerContext],
                 attention_mask: None = None) -> Tensor:
        """
        Attend.

        :param attention: the layer.
        :param hidden_states: (S, L, channels), S being B for :attr:`Branch.FULL` alone or 3B.
        :param encoder_hidden_states: what all layers attend to.
        :param attention_mask: None; the context has no padding.
        :returns: of the shape of ``hidden_states``.
        """
        context = encoder_hidden_states[self._layer]
        query = attention.to_q(hidden_states)
        attended = context.attend(query, attention.heads)
        return attention.to_out[0](attended)


class LayerContext:
    """
    What one layer attends to in a call.

    :param full: keys and values (B, heads, T, d) of :attr:`Branch.FULL`.
    :param null: those (1, heads, keys, d) of the other two branches, or None when the call is for
        :attr:`Branch.FULL` alone.
    :param null_logits: (keys,) to be added to the null branches' logits, or None.
    """

    def __init__(self, full: tuple[Tensor, Tensor], null: tuple[Tensor, Tensor] | None,
                 null_logits: Tensor | None) -> None:
        self._full = full
        self._null = null
        self._null_logits = null_logits

    def attend(self, query: Tensor, heads: int) -> Tensor:
        """
        Attend with all branches.

        :param query: (S, L, heads * d) in the order of :class:`lego_ros.ldm.guidance.Branch`.
        :param heads: the number of heads.
        :returns: of the same shape.
        """
        samples = self._full[0].shape[0]
        full = _attend(query[-samples:], self._full, heads)
        if self._null is None:
            return full
        # All samples of the null branches have the same keys: one long sequence of queries.
        null = query[:-samples].flatten(0, 1)[None]
        attended = _attend(null, self._null, heads, self._null_logits)
        return torch.cat([attended[0].unflatten(0, (2 * samples, -1)), full])


def _attend(query: Tensor, keys_values: tuple[Tensor, Tensor], heads: int,
            logits: Tensor | None = None) -> Tensor:
    """Attend with queries (S, L, heads * d) to keys and values (S, heads, T, d)."""
    query = query.unflatten(-1, (heads, -1)).transpose(1, 2)
    # For each query: CPU kernels want a mask of four dimensions, and OpenVINO's in bfloat16 reads
    # one of a single row wrongly.
    mask = None if logits is None else logits.expand(1, 1, query.shape[2], -1)
    attended = functional.scaled_dot_product_attention(query, *keys_values, attn_mask=mask)
    return attended.transpose(1, 2).flatten(2)


def _is_plain(layer: Attention) -> bool:
    norms = (layer.norm_q, layer.norm_k, layer.norm_cross, layer.group_norm, layer.spatial_norm)
    return (layer.to_k.bias is None and layer.to_v.bias is None
            and all(norm is None for norm in norms)
            and not layer.residual_connection and layer.rescale_output_factor == 1
            and layer.scale_qk)


def _round_down(value: float, dtype: torch.dtype) -> float:
    rounded = torch.tensor(value, dtype=torch.float64).to(dtype)
    if float(rounded) > value:
        rounded = torch.nextafter(rounded, torch.full_like(rounded, -math.inf))
    return float(rounded)
