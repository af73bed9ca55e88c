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
The language model as two networks of fixed shapes: the prompt at once, then token by token.

transformers' Llama grows its cache by one row a token, so no two steps have the same shapes.
Here the caller owns a buffer of a size that stays, says how many of its rows count, and writes
the new row that each step gives. That suits compiled engines and CUDA graphs, and no step copies
the cache. The weights are the model's own.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import nn, Tensor
from torch.nn.functional import linear, scaled_dot_product_attention
from transformers import LlamaModel
from transformers.models.llama.modeling_llama import LlamaDecoderLayer, LlamaRMSNorm


class Decoder(nn.Module):
    """
    What both networks share: the weights and the rotary tables.

    :param llama: the language model, as :func:`lego_ros.vllm.graphs.check_supported` wants it.
    :param head: gives logits from states.
    :param capacity: number of positions; at most what the model knows.
    """

    cos: Tensor
    sin: Tensor

    def __init__(self, llama: LlamaModel, head: nn.Linear, capacity: int) -> None:
        super().__init__()
        config = llama.config
        self.layers = llama.layers
        self.norm = llama.norm
        self.head = head
        self.dtype = head.weight.dtype
        self.heads: int = config.num_attention_heads
        self.kv_heads: int = config.num_key_value_heads
        self.head_size: int = llama.layers[0].self_attn.head_dim
        cos, sin = rotary_tables(llama, capacity)
        self.register_buffer('cos', cos.to(head.weight), persistent=False)
        self.register_buffer('sin', sin.to(head.weight), persistent=False)

    def project(self, layer: LlamaDecoderLayer, hidden: Tensor, cos: Tensor, sin: Tensor
                ) -> tuple[Tensor, Tensor, Tensor]:
        """
        Give a layer's queries, keys and values, rotated to their positions.

        :param layer: of the model.
        :param hidden: (T, hidden) its input.
        :param cos: (T, 1, d) of the positions.
        :param sin: (T, 1, d) of the positions.
        :returns: (T, heads, d), (T, kv_heads, d) and (T, kv_heads, d).
        """
        attention = layer.self_attn
        normal = _normalise(hidden, layer.input_layernorm)
        joined = _together(normal, attention.q_proj, attention.k_proj, attention.v_proj)
        joined = joined.unflatten(-1, (self.heads + 2 * self.kv_heads, self.head_size))
        turning, values = joined.split([self.heads + self.kv_heads, self.kv_heads], dim=1)
        first, second = turning.chunk(2, dim=-1)
        turned = turning * cos + torch.cat([second, first], dim=-1) * sin
        queries, keys = turned.split([self.heads, self.kv_heads], dim=1)
        return queries, keys, values

    def finish(self, layer: LlamaDecoderLayer, hidden: Tensor, attended: Tensor) -> Tensor:
        """
        Do the rest of a layer.

        :param layer: of the model.
        :param hidden: (T, hidden) its input.
        :param attended: (T, heads x d) what its heads found.
        :returns: (T, hidden) its output.
        """
        hidden = hidden + layer.self_attn.o_proj(attended)
        normal = _normalise(hidden, layer.post_attention_layernorm)
        mlp = layer.mlp
        gate, up = _together(normal, mlp.gate_proj, mlp.up_proj).chunk(2, dim=-1)
        return hidden + cast(Tensor, mlp.down_proj(mlp.act_fn(gate) * up))

    def predict(self, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """
        Give what the last layer's output predicts.

        :param hidden: (1, hidden).
        :returns: logits (1, vocab) and state (1, hidden), float32.
        """
        state = _normalise(hidden, self.norm)
        return self.head(state).float(), state.float()


class Prefill(Decoder):
    """The prompt at once."""

    def forward(self, inputs_embeds: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """
        Read the prompt.

        :param inputs_embeds: (1, P, hidden) float32.
        :returns: logits (1, vocab) and state (1, hidden) at its last position, float32; cache
            (2 x layers, kv_heads, P, d), each layer's keys followed by its values.
        """
        hidden = inputs_embeds[0].to(self.dtype)
        length = hidden.shape[0]
        cos, sin = self.cos[:length, None], self.sin[:length, None]
        cache = []
        for number, layer in enumerate(self.layers):
            queries, keys, values = self.project(layer, hidden, cos, sin)
            # Of the last layer only the last position is asked for; it sees all others.
            last = number == len(self.layers) - 1
            if last:
                queries, hidden = queries[-1:], hidden[-1:]
            queries, keys, values = (part.transpose(0, 1) for part in (queries, keys, values))
            cache += [keys, values]
            groups = self.heads // self.kv_heads
            if groups > 1:
                keys, values = (part.repeat_interleave(groups, dim=0) for part in (keys, values))
            attended = scaled_dot_product_attention(
                queries[None], keys[None], values[None], is_causal=not last)[0]
            hidden = self.finish(layer, hidden, attended.transpose(0, 1).flatten(1))
        return *self.predict(hidden), torch.stack(cache)


class Step(Decoder):
    """
    One token.

    :param llama: see :class:`Decoder`.
    :param head: see :class:`Decoder`.
    :param capacity: see :class:`Decoder`.
    """

    def __init__(self, llama: LlamaModel, head: nn.Linear, capacity: int) -> None:
        super().__init__(llama, head, capacity)
        self.embed = llama.embed_tokens

    def forward(self, token: Tensor, length: Tensor, cache: Tensor
                ) -> tuple[Tensor, Tensor, Tensor]:
        """
        Read one token after those that the buffer holds.

        Keys and values are one tensor, for each tensor of a call costs an engine time.

        :param token: (1,) int64.
        :param length: (1,) int64, how many rows of the buffer count; the token's position.
        :param cache: (2 x layers, kv_heads, L, d), each layer's keys followed by its values; rows
            from ``length`` on may hold anything finite.
        :returns: logits (1, vocab) and state (1, hidden), float32; the token's row of the cache
            (2 x layers, kv_heads, 1, d).
        """
        hidden = self.embed(token)
        cos, sin = (table.index_select(0, length)[:, None] for table in (self.cos, self.sin))
        beyond = torch.arange(cache.shape[2], device=cache.device) >= length
        mask = torch.zeros_like(beyond, dtype=torch.float32).masked_fill(beyond, -torch.inf)
        row = []
        for number, layer in enumerate(self.layers):
            query, key, value = (part.view(self.kv_heads, -1, self.head_size)
                                 for part in self.project(layer, hidden, cos, sin))
            attended = self._attend(
                query, key, value, cache[2 * number], cache[2 * number + 1], mask)
            hidden = self.finish(layer, hidden, attended.view(1, -1))
            row += [key, value]
        return *self.predict(hidden), torch.stack(row)

    def _attend(self, query: Tensor, key: Tensor, value: Tensor, keys: Tensor, values: Tensor,
                mask: Tensor) -> Tensor:
        """
        Attend to the buffer's rows and to the new one, without joining them.

        :param query: (kv_heads, heads / kv_heads, d).
        :param key: (kv_heads, 1, d).
        :param value: (kv_heads, 1, d).
        :param keys: (kv_heads, L, d).
        :param values: (kv_heads, L, d).
        :param mask: (L,) 0 or minus infinity.
        :returns: (kv_heads, heads / kv_heads, d).
        """
        query = query * self.head_size**-0.5
        scores = torch.cat([(query @ keys.transpose(1, 2)).float() + mask,
                            (query * key).float().sum(-1, keepdim=True)], dim=-1)
        weights = scores.softmax(-1).to(self.dtype)
        old, new = weights.split([keys.shape[1], 1], dim=-1)
        return old @ values + new * value


def rotary_tables(llama: LlamaModel, capacity: int) -> tuple[Tensor, Tensor]:
    """
    Compute the rotation of each position.

    :param llama: the language model.
    :param capacity: number of positions.
    :returns: cosine and sine (capacity, d) float32, for ``x * cos + swapped(x) * sin``, where
        swapped exchanges the halves of x: the first half of the sine has the minus sign.
    """
    # Made anew: a model converted to half precision has rounded frequencies.
    rotary = type(llama.rotary_emb)(llama.config)
    with torch.no_grad():
        cos, sin = rotary(torch.zeros(1), torch.arange(capacity)[None])
    first, second = sin[0].chunk(2, dim=-1)
    return cos[0], torch.cat([-first, second], dim=-1)


def _normalise(hidden: Tensor, norm: LlamaRMSNorm) -> Tensor:
    """
    Divide by the root mean square, in float32.

    Written as a division, which ONNX Runtime and OpenVINO know as one operation.
    """
    full = hidden.float()
    scale = torch.sqrt(full.pow(2).mean(-1, keepdim=True) + norm.variance_epsilon)
    return norm.weight * (full / scale).to(hidden.dtype)


def _together(inputs: Tensor, *layers: nn.Linear) -> Tensor:
    """
    Apply linear layers to the same input and join their outputs.

    An engine joins the weights once, when it is loaded, and runs one product. PyTorch would join
    them at each run.
    """
    if not torch.compiler.is_exporting():
        return torch.cat([layer(inputs) for layer in layers], dim=-1)
    biases = tuple(layer.bias for layer in layers if layer.bias is not None)
    return linear(inputs, torch.cat(tuple(layer.weight for layer in layers)),
                  torch.cat(biases) if biases else None)
