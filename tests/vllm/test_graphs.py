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

"""The VLLM's graphs against transformers' own modules, as they are and exported."""

from __future__ import annotations

from lego_ros.engines.export import parity
from lego_ros.errors import ErrorCode, LegoError
from lego_ros.vllm.decoder_graph import rotary_tables
from lego_ros.vllm.graphs import vllm_graphs
from lego_ros.vllm.llava import LegoLlava, llava_config, paper_llava_config
import pytest
import torch
from torch import nn
from transformers import CLIPVisionConfig, DynamicCache, LlamaConfig, LlamaModel
from transformers.models.llama.modeling_llama import apply_rotary_pos_emb

KINDS = {
    'plain': {},
    'grouped': {'num_key_value_heads': 2},
    'one key head': {'num_key_value_heads': 1},
    'biases': {'attention_bias': True, 'mlp_bias': True},
    'tied': {'tie_word_embeddings': True},
    'wide heads': {'head_dim': 24},
    'gelu': {'hidden_act': 'gelu'},
    'other base': {'rope_parameters': {'rope_type': 'default', 'rope_theta': 500000.}},
    'linear scaling': {'rope_parameters': {
        'rope_type': 'linear', 'rope_theta': 10000., 'factor': 4.}},
    'llama3 scaling': {'rope_parameters': {
        'rope_type': 'llama3', 'rope_theta': 10000., 'factor': 8., 'low_freq_factor': 1.,
        'high_freq_factor': 4., 'original_max_position_embeddings': 32}},
    'two-layer projector': {'projector': 'mlp'},
    'features with the class token': {'vision_feature_select_strategy': 'full'},
    'features of an early layer': {'vision_feature_layer': 1},
}


def make(projector='linear', vision_feature_select_strategy='default', vision_feature_layer=-2,
         **text):
    """Make a VLLM of two layers, with biases that are not zero."""
    vision = CLIPVisionConfig(
        hidden_size=16, intermediate_size=24, num_hidden_layers=3, num_attention_heads=2,
        image_size=28, patch_size=14, initializer_range=0.2)
    settings = {'vocab_size': 50, 'hidden_size': 32, 'intermediate_size': 48,
                'num_hidden_layers': 2, 'num_attention_heads': 4, 'initializer_range': 0.2,
                'max_position_embeddings': 64}
    config = llava_config(vision, LlamaConfig(**{**settings, **text}), 49, projector)
    config.vision_feature_layer = vision_feature_layer
    config.vision_feature_select_strategy = vision_feature_select_strategy
    torch.manual_seed(3)
    model = LegoLlava(config).eval().requires_grad_(False)
    for name, parameter in model.named_parameters():
        if name.endswith('.bias'):
            parameter.normal_(std=0.2)
    return model


def read(model, embeds, cache):
    """Put embeddings through transformers' language model: logits and state of the last."""
    state = model.model.language_model(
        inputs_embeds=embeds, past_key_values=cache, use_cache=True).last_hidden_state[:, -1]
    return model.lm_head(state), state


def close(given, wanted):
    assert given.dtype == torch.float32
    torch.testing.assert_close(given, wanted.float(), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize('kind', KINDS)
def test_prompt_and_tokens_are_read_as_transformers_reads_them(kind):
    model = make(**KINDS[kind])
    graphs = vllm_graphs(model, torch.float32, 64)
    config = model.model.language_model.config
    generator = torch.Generator().manual_seed(1)
    embeds = torch.randn(1, 9, 32, generator=generator)
    cache = DynamicCache(config=config)
    with torch.no_grad():
        logits, state, rows = graphs['prefill'].module(embeds)
        for given, wanted in zip((logits, state), read(model, embeds, cache), strict=True):
            close(given, wanted)
        for layer, kept in enumerate(cache.layers):
            close(rows[2 * layer], kept.keys[0])
            close(rows[2 * layer + 1], kept.values[0])
        # What lies beyond the length must not matter.
        buffer = torch.randn(*rows.shape[:2], 13, rows.shape[3], generator=generator)
        buffer[:, :, :9] = rows
        for length, token in enumerate((7, 7, 31), start=9):
            logits, state, row = graphs['step'].module(
                torch.tensor([token]), torch.tensor([length]), buffer)
            one = model.get_input_embeddings()(torch.tensor([[token]]))
            for given, wanted in zip((logits, state), read(model, one, cache), strict=True):
                close(given, wanted)
            buffer[:, :, length:length + 1] = row
        close(row[2], cache.layers[1].keys[0, :, -1:])
        close(row[3], cache.layers[1].values[0, :, -1:])


@pytest.mark.parametrize('kind', KINDS)
def test_frame_and_words_are_embedded_as_transformers_embeds_them(kind):
    model = make(**KINDS[kind])
    graphs = vllm_graphs(model, torch.float32, 64)
    pixels = torch.randn(1, 3, 28, 28, generator=torch.Generator().manual_seed(2))
    ids = torch.tensor([3, 0, 49, 3])
    with torch.no_grad():
        close(graphs['vision'].module(pixels)[0][0],
              model.get_image_features(pixel_values=pixels).pooler_output[0])
        close(graphs['embed'].module(ids)[0], model.get_input_embeddings()(ids))


@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16])
def test_what_the_networks_give_is_as_their_specs_say(dtype):
    graphs = vllm_graphs(make(num_key_value_heads=2), dtype, 64)
    assert list(graphs) == ['vision', 'embed', 'prefill', 'step']
    for name, graph in graphs.items():
        assert (graph.name, graph.module.training) == (name, False)
        sizes = {size: limits.typical for size, limits in graph.sizes.items()}
        for limits in graph.sizes.values():
            assert 1 <= limits.least <= limits.typical <= limits.most
        with torch.no_grad():
            outputs = graph.module(*graph.example)
        for specs, tensors in ((graph.inputs, graph.example), (graph.outputs, outputs)):
            for spec, tensor in zip(specs, tensors, strict=True):
                shape = tuple(sizes.get(size, size) for size in spec.shape)
                assert (tuple(tensor.shape), tensor.dtype) == (shape, spec.dtype), spec


def storages(module):
    return {weight.untyped_storage().data_ptr() for weight in module.parameters()}


def test_the_weights_are_the_models_own():
    model = make()
    graphs = vllm_graphs(model, torch.float32, 64)
    own = storages(model)
    assert all(storages(graph.module) <= own for graph in graphs.values())
    other = vllm_graphs(model, torch.bfloat16, 64)
    assert not any(storages(graph.module) & own for graph in other.values())
    shared = storages(other['prefill'].module) | storages(other['embed'].module)
    assert storages(other['step'].module) <= shared
    assert model.dtype == torch.float32


def test_half_precision_is_as_near_as_that_of_transformers():
    model = make(num_key_value_heads=2)
    embeds = torch.randn(1, 30, 32, generator=torch.Generator().manual_seed(4))
    graphs = vllm_graphs(model, torch.bfloat16, 64)

    def read_all(language, half):
        cache = DynamicCache(config=language.model.language_model.config)
        states = [read(language, embeds.to(half), cache)[1]]
        for token in range(20):
            one = language.get_input_embeddings()(torch.tensor([[token]]))
            states.append(read(language, one, cache)[1])
        return torch.cat(states).float()

    with torch.no_grad():
        exact = read_all(model, torch.float32)
        _, state, rows = graphs['prefill'].module(embeds)
        states = [state]
        buffer = torch.zeros(*rows.shape[:2], 64, rows.shape[3], dtype=torch.bfloat16)
        buffer[:, :, :30] = rows
        for token in range(20):
            _, state, row = graphs['step'].module(
                torch.tensor([token]), torch.tensor([30 + token]), buffer)
            buffer[:, :, 30 + token:31 + token] = row
            states.append(state)
        theirs = read_all(make(num_key_value_heads=2).to(torch.bfloat16), torch.bfloat16)

    def error(given):
        return ((given - exact).norm() / exact.norm()).item()

    assert 1e-4 < error(torch.cat(states)) < 0.02
    assert error(torch.cat(states)) < 1.3 * error(theirs)


@pytest.mark.parametrize('backend', ['onnxruntime', 'openvino'])
@pytest.mark.parametrize(('name', 'size', 'values'), [
    ('vision', '', [0]), ('embed', 'words', [2, 7, 143]),
    ('prefill', 'prompt', [18, 19, 100, 159]), ('step', 'capacity', [128, 131, 160])])
def test_exported_networks_give_the_same(graphs, engine_of, backend, name, size, values):
    graph, engine = graphs[name], engine_of(backend, name)
    assert (engine.inputs, engine.outputs) == (graph.inputs, graph.outputs)
    generator = torch.Generator().manual_seed(5)
    for value in values:
        feeds = {}
        for spec in graph.inputs:
            shape = [value if side == size else side for side in spec.shape]
            feeds[spec.name] = (
                torch.randn(shape, generator=generator) if spec.dtype == torch.float32
                else torch.randint(1, 100, shape, generator=generator))
        errors = parity(graph, engine, feeds)
        assert max(errors.values()) <= 1e-5, (value, errors)


@pytest.mark.parametrize('length', [0, 1, 127])
def test_a_step_sees_the_rows_up_to_its_length_and_no_more(graphs, engine_of, length):
    generator = torch.Generator().manual_seed(6)
    step = graphs['step']
    shape = [128 if side == 'capacity' else side for side in step.inputs[2].shape]
    cache = torch.randn(shape, generator=generator)
    for engine in (engine_of(backend, 'step') for backend in ('torch', 'onnxruntime', 'openvino')):
        feeds = {'token': torch.tensor([5]), 'length': torch.tensor([length]), 'cache': cache}
        plain = engine.run(feeds)['logits']
        feeds['cache'] = cache.clone()
        feeds['cache'][:, :, length:] = 1e3
        assert torch.equal(engine.run(feeds)['logits'], plain)
        if length:
            feeds['cache'][1::2, :, length - 1] += 1
            assert not torch.allclose(engine.run(feeds)['logits'], plain, atol=1e-4)


@pytest.mark.parametrize(('hidden', 'heads'), [(4096, 32), (5120, 40), (64, 4)])
def test_the_rotary_tables_turn_as_transformers_does(hidden, heads):
    with torch.device('meta'):
        llama = LlamaModel(LlamaConfig(
            hidden_size=hidden, num_attention_heads=heads, num_hidden_layers=1, vocab_size=8,
            intermediate_size=8, max_position_embeddings=4096))
    cos, sin = rotary_tables(llama, 4096)
    assert cos.shape == sin.shape == (4096, hidden // heads)
    x = torch.randn(4096, hidden // heads, generator=torch.Generator().manual_seed(7))
    rotary = type(llama.rotary_emb)(llama.config)
    wanted, _ = apply_rotary_pos_emb(
        x[None, None], x[None, None], *rotary(x, torch.arange(4096)[None]))
    swapped = torch.cat(x.chunk(2, dim=-1)[::-1], dim=-1)
    torch.testing.assert_close(x * cos + swapped * sin, wanted[0, 0])


def test_the_papers_size():
    with torch.device('meta'):
        model = LegoLlava(paper_llava_config()).to(torch.bfloat16).eval()
    graphs = vllm_graphs(model, torch.bfloat16, 1024)
    step = {spec.name: spec.shape for spec in (*graphs['step'].inputs, *graphs['step'].outputs)}
    assert step['cache'] == (80, 40, 'capacity', 128)
    assert step['row'] == (80, 40, 1, 128)
    assert (step['logits'], step['state']) == ((1, 32002), (1, 5120))
    assert graphs['vision'].outputs[0].shape == (1, 256, 5120)
    sizes = {name: limits for graph in graphs.values() for name, limits in graph.sizes.items()}
    assert (sizes['prompt'].least, sizes['prompt'].most) == (258, 1023)
    assert sizes['capacity'].most == 1024


@pytest.mark.parametrize('capacity', [0, 6, 65])
def test_a_capacity_out_of_range_is_refused(capacity):
    with pytest.raises(LegoError, match=f'{capacity} positions .* give 7 to 64') as caught:
        vllm_graphs(make(), torch.float32, capacity)
    assert caught.value.code is ErrorCode.INVALID_SETTING


class Adapted(nn.Linear):
    """A layer that does more than its weights tell."""


def adapt(model):
    attention = model.model.language_model.layers[1].self_attn
    attention.q_proj = Adapted(32, 32, bias=False)


def replace_language_model(model):
    model.model.language_model = nn.Identity()


def replace_vision_tower(model):
    model.model.vision_tower = nn.Identity()


def join_layers(model):
    model.config.vision_feature_layer = [-2, -1]


@pytest.mark.parametrize(('text', 'change', 'named'), [
    ({'rope_parameters': {'rope_type': 'dynamic', 'rope_theta': 10000., 'factor': 2.}}, None,
     "rotary embedding is of the type 'dynamic'"),
    ({'rope_parameters': {
        'rope_type': 'longrope', 'rope_theta': 10000., 'factor': 2., 'short_factor': [1.] * 4,
        'long_factor': [2.] * 4, 'original_max_position_embeddings': 32}}, None,
     "rotary embedding is of the type 'longrope'"),
    ({}, adapt, '1.self_attn.q_proj is a Adapted'),
    ({}, replace_language_model, 'language model is a Identity'),
    ({}, replace_vision_tower, 'vision tower is a Identity'),
    ({}, join_layers, 'vision features of several layers'),
])
def test_what_the_graphs_cannot_stand_for_is_refused_by_name(text, change, named):
    model = make(**text)
    if change:
        change(model)
    with pytest.raises(LegoError, match=named) as caught:
        vllm_graphs(model, model.dtype, 64)
    assert caught.value.code is ErrorCode.INVALID_SETTING
    assert 'PyTorch' in caught.value.message
