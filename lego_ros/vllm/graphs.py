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
The VLLM's networks as graphs, for engines to be built from.

``vision`` gives H_i, ``embed`` the embeddings of the prompt's words, ``prefill`` reads the prompt
and ``step`` one token after the other. Sizes and names are part of what is kept of built engines.
"""

from __future__ import annotations

import copy

from lego_ros.engines.engine import Range, TensorSpec
from lego_ros.engines.graph import Graph
from lego_ros.errors import ErrorCode, LegoError
from lego_ros.vllm.decoder_graph import Prefill, Step
from lego_ros.vllm.llava import LegoLlava
import torch
from torch import nn, Tensor
from transformers import CLIPVisionModel, LlamaModel

QUESTION_TOKENS = 40
"""About how many tokens the run-time question takes, with the prompt around it."""
_LEAST_CAPACITY = 128
# These change their frequencies with the length of the text; a table cannot.
_CHANGING_ROPE = ('dynamic', 'longrope')


def vllm_graphs(model: LegoLlava, dtype: torch.dtype, capacity: int) -> dict[str, Graph]:
    """
    Make the graphs ``vision``, ``embed``, ``prefill`` and ``step``.

    :param model: the VLLM, in evaluation mode on the CPU. Its weights are used as they are, not
        copied, unless ``dtype`` is another.
    :param dtype: number format of the networks: float32, bfloat16 or float16.
    :param capacity: the most positions of a prompt with its answer, more than the image tokens
        and at most what the model knows.
    :returns: the graphs by name.
    :raises LegoError: INVALID_SETTING: the capacity is out of range, or the model has a part that
        the graphs cannot stand for; the message names it.
    """
    model = _in_format(model, dtype)
    language = language_graphs(model, dtype, capacity)
    with torch.no_grad():
        return {'vision': _vision(model),
                'embed': _embed(model, language['prefill'].sizes['prompt']), **language}


def language_graphs(model: LegoLlava, dtype: torch.dtype, capacity: int, prefix: str = ''
                    ) -> dict[str, Graph]:
    """
    Make the graphs ``prefill`` and ``step`` alone.

    :param model: see :func:`vllm_graphs`, as for the others.
    :param dtype: number format.
    :param capacity: the most positions.
    :param prefix: of the graphs' names.
    :returns: the graphs by name.
    :raises LegoError: INVALID_SETTING.
    """
    check_supported(model)
    least = model.image_tokens + 2
    most = model.model.language_model.config.max_position_embeddings
    if not least < capacity <= most:
        raise LegoError(
            ErrorCode.INVALID_SETTING,
            f'a capacity of {capacity} positions is asked for; the model has {model.image_tokens} '
            f'image tokens and knows {most} positions: give {least + 1} to {most}')
    model = _in_format(model, dtype)
    llama, head = model.model.language_model, model.lm_head
    typical = min(model.image_tokens + QUESTION_TOKENS, capacity - 1)
    prompt = Range(least, typical, capacity - 1)
    positions = Range(min(_LEAST_CAPACITY, capacity), min(2 * _LEAST_CAPACITY, capacity), capacity)
    with torch.no_grad():
        return {graph.name: graph for graph in (
            _prefill(prefix, Prefill(llama, head, capacity), prompt),
            _step(prefix, Step(llama, head, capacity), positions, typical))}


def _in_format(model: LegoLlava, dtype: torch.dtype) -> LegoLlava:
    return model if model.dtype == dtype else copy.deepcopy(model).to(dtype)


def check_supported(model: LegoLlava) -> None:
    """
    Refuse a model that the graphs would not reproduce.

    :param model: the VLLM.
    :raises LegoError: INVALID_SETTING, with what is not supported.
    """
    llama, tower = model.model.language_model, model.model.vision_tower
    if type(llama) is not LlamaModel:
        raise _unsupported(f'its language model is a {type(llama).__name__}, not a LlamaModel')
    if type(tower) is not CLIPVisionModel:
        raise _unsupported(f'its vision tower is a {type(tower).__name__}, not a CLIPVisionModel')
    if not isinstance(model.config.vision_feature_layer, int):
        raise _unsupported('it joins the vision features of several layers')
    rope = llama.rotary_emb.rope_type
    if rope in _CHANGING_ROPE:
        raise _unsupported(f'its rotary embedding is of the type {rope!r}, which changes with the '
                           'length of the text')
    turned = 2 * len(llama.rotary_emb.inv_freq)
    if turned != llama.layers[0].self_attn.head_dim:
        raise _unsupported(f'its rotary embedding turns {turned} of the '
                           f'{llama.layers[0].self_attn.head_dim} values of a head')
    for name, module in llama.layers.named_modules():
        # What is quantised or has adapters beside it is more than its weight.
        if name.endswith('_proj') and type(module) is not nn.Linear:
            raise _unsupported(f'its layer {name} is a {type(module).__name__}, not a Linear')


def _unsupported(reason: str) -> LegoError:
    return LegoError(ErrorCode.INVALID_SETTING,
                     f'no engine can be made of this VLLM: {reason}; run it by PyTorch')


class Vision(nn.Module):
    """
    The vision tower up to the layer whose output is used, and the projector.

    :param model: the VLLM.
    """

    def __init__(self, model: LegoLlava) -> None:
        super().__init__()
        tower = model.model.vision_tower
        # Entry 0 of the hidden states is the input of the first layer.
        used = range(len(tower.encoder.layers) + 1)[model.config.vision_feature_layer]
        self.embeddings = tower.embeddings
        self.norm = tower.pre_layrnorm
        self.layers = tower.encoder.layers[:used]
        self.projector = model.model.multi_modal_projector
        self.first = 1 if model.config.vision_feature_select_strategy == 'default' else 0

    def forward(self, pixel_values: Tensor) -> tuple[Tensor]:
        """
        Look at a frame.

        :param pixel_values: (1, 3, S, S) float32.
        :returns: H_i (1, M, hidden) float32.
        """
        hidden = self.norm(self.embeddings(pixel_values))
        for layer in self.layers:
            hidden = layer(hidden, attention_mask=None)
        return (self.projector(hidden[:, self.first:]).float(),)


class Embed(nn.Module):
    """
    The embeddings of words.

    :param model: the VLLM.
    """

    def __init__(self, model: LegoLlava) -> None:
        super().__init__()
        self.table = model.get_input_embeddings()

    def forward(self, ids: Tensor) -> tuple[Tensor]:
        """
        Look words up.

        :param ids: (P,) int64.
        :returns: (P, hidden) float32.
        """
        return (self.table(ids).float(),)


def _vision(model: LegoLlava) -> Graph:
    """Make the graph of the vision tower and the projector."""
    side = model.config.vision_config.image_size
    hidden = model.config.text_config.hidden_size
    return Graph(
        'vision', Vision(model).eval(),
        (TensorSpec('pixel_values', torch.float32, (1, 3, side, side)),),
        (TensorSpec('image_embeds', torch.float32, (1, model.image_tokens, hidden)),),
        (torch.zeros(1, 3, side, side),))


def _embed(model: LegoLlava, prompt: Range) -> Graph:
    """Make the graph of the look-up; its size is that of the words around the image."""
    hidden = model.config.text_config.hidden_size
    words = Range(2, prompt.typical - model.image_tokens, prompt.most - model.image_tokens)
    return Graph(
        'embed', Embed(model).eval(),
        (TensorSpec('ids', torch.int64, ('words',)),),
        (TensorSpec('embeds', torch.float32, ('words', hidden)),),
        (torch.zeros(words.typical, dtype=torch.int64),), {'words': words})


def _prefill(prefix: str, module: Prefill, prompt: Range) -> Graph:
    """Make the graph of the prompt."""
    hidden = module.norm.weight.shape[0]
    return Graph(
        f'{prefix}prefill', module.eval(),
        (TensorSpec('inputs_embeds', torch.float32, (1, 'prompt', hidden)),),
        (*_predicted(module), _cache(module, 'cache', 'prompt')),
        (torch.zeros(1, prompt.typical, hidden),), {'prompt': prompt})


def _step(prefix: str, module: Step, positions: Range, length: int) -> Graph:
    """Make the graph of a token."""
    cache = torch.zeros(2 * len(module.layers), module.kv_heads, positions.typical,
                        module.head_size, dtype=module.dtype)
    return Graph(
        f'{prefix}step', module.eval(),
        (TensorSpec('token', torch.int64, (1,)), TensorSpec('length', torch.int64, (1,)),
         _cache(module, 'cache', 'capacity')),
        (*_predicted(module), _cache(module, 'row', 1)),
        (torch.zeros(1, dtype=torch.int64),
         torch.full((1,), min(length, positions.typical - 1)), cache),
        {'capacity': positions})


def _predicted(module: Prefill | Step) -> tuple[TensorSpec, TensorSpec]:
    return (TensorSpec('logits', torch.float32, (1, module.head.weight.shape[0])),
            TensorSpec('state', torch.float32, (1, module.norm.weight.shape[0])))


def _cache(module: Prefill | Step, name: str, rows: int | str) -> TensorSpec:
    return TensorSpec(
        name, module.dtype, (2 * len(module.layers), module.kv_heads, rows, module.head_size))
