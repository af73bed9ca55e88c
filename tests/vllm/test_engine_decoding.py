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

"""The decode over engines gives what it gives over transformers, token by token."""

from __future__ import annotations

from lego_ros.engines.engine import Range
from lego_ros.errors import ErrorCode, LegoError
from lego_ros.vllm.decoding import decode, DecodeSettings
from lego_ros.vllm.engine_language import engine_vllm, EngineLanguage
from lego_ros.vllm.enrichment import Enricher, EnrichmentSettings
from lego_ros.vllm.language import TransformersLanguage
import numpy as np
import pytest
import torch
from transformers import CLIPImageProcessorPil

BACKENDS = ('torch', 'onnxruntime', 'openvino')
NAMES = ('vision', 'embed', 'prefill', 'step')
CAPACITY = 160
LEAST = 18
"""The shortest prompt: 16 image tokens and a word on both sides."""
LONG = DecodeSettings(temperature=0, max_new_tokens=1000)


class Watched:
    """An engine that remembers its runs."""

    def __init__(self, engine, sizes=None):
        self._engine = engine
        self.sizes = sizes or engine.sizes
        self.inputs, self.outputs, self.device = engine.inputs, engine.outputs, engine.device
        self.fed, self.gave = [], []

    def run(self, feeds, into=None):
        self.fed.append(dict(feeds))
        self.gave.append(self._engine.run(feeds, into))
        return self.gave[-1]


@pytest.fixture(scope='module', params=BACKENDS)
def backend(request):
    return request.param


@pytest.fixture(scope='module')
def engines(engine_of, backend):
    return {name: engine_of(backend, name) for name in NAMES}


@pytest.fixture(scope='module')
def vllm(engines, graphs):
    """Give the parts over engines that all tests of a backend use one after another."""
    return engine_vllm(engines)


def prompt(length, seed=0):
    return torch.randn(1, length, 64, generator=torch.Generator().manual_seed(seed))


def compare(given, wanted, tolerance=1e-4):
    assert given.token_ids == wanted.token_ids
    assert given.stop == wanted.stop
    assert given.states.shape == wanted.states.shape
    error = (given.states - wanted.states).abs().max() / wanted.states.abs().max()
    assert error.item() <= tolerance


@pytest.mark.parametrize('length', [LEAST, 60, 127, 128, CAPACITY - 1])
def test_the_likeliest_tokens_and_their_states_are_equal(vllm, engine_model, length):
    """Go on until the capacity is reached, over the edge of the first buffer."""
    given = decode(vllm.language, prompt(length), None, LONG)
    compare(given, decode(engine_model, prompt(length), None, LONG))
    assert len(given.token_ids) == CAPACITY - length
    assert given.stop == 'max_new_tokens'


@pytest.mark.parametrize('temperature', [0.2, 1.0])
@pytest.mark.parametrize('seed', [1, 2**64 - 1])
def test_drawn_tokens_and_their_states_are_equal(vllm, engine_model, temperature, seed):
    settings = DecodeSettings(temperature, max_new_tokens=50, seed=seed)
    given = decode(vllm.language, prompt(40), None, settings)
    compare(given, decode(engine_model, prompt(40), None, settings))
    assert len(set(given.token_ids)) > 5


def test_it_stops_where_transformers_stops(vllm, engine_model):
    free = decode(engine_model, prompt(30), None, LONG).token_ids
    for settings, eos, full in (
            (LONG, free[9], lambda ids: False), (LONG, None, lambda ids: len(ids) == 11),
            (DecodeSettings(0, 1), None, lambda ids: False), (LONG, free[0], lambda ids: True)):
        given, wanted = (decode(model, prompt(30), eos, settings, conditioning_full=full)
                         for model in (vllm.language, engine_model))
        compare(given, wanted)
        assert given.stop == wanted.stop
        assert len(given.token_ids) < CAPACITY - 30


@pytest.mark.parametrize('length', [CAPACITY, CAPACITY + 5])
def test_a_prompt_that_leaves_no_room_is_refused_alike(vllm, engine_model, length):
    said = []
    for model in (vllm.language, engine_model):
        with pytest.raises(LegoError) as caught:
            decode(model, prompt(length), None, LONG)
        assert caught.value.code is ErrorCode.QUERY_TOO_LONG
        said.append(caught.value.message)
    assert said[0] == said[1]


def test_logits_words_and_positions_are_equal(vllm, engine_model):
    theirs, ours = TransformersLanguage(engine_model), vllm.language
    assert theirs.positions == ours.positions == CAPACITY
    torch.testing.assert_close(ours.embed([5, 0, 9]), theirs.embed([5, 0, 9]))
    state = torch.empty(2, 1, 64)
    logits = [model.start(prompt(20), row)
              for model, row in zip((ours, theirs), state, strict=True)]
    torch.testing.assert_close(*logits, atol=1e-4, rtol=1e-4)
    logits = [model.advance(8, row) for model, row in zip((ours, theirs), state, strict=True)]
    torch.testing.assert_close(*logits, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(*state, atol=1e-4, rtol=1e-4)


def test_each_token_is_one_run_on_memory_that_stays(engines, graphs):
    watched = {name: Watched(engine) for name, engine in engines.items()}
    language = EngineLanguage(*(watched[name] for name in NAMES[1:]))
    decoded = decode(language, prompt(100), None, LONG)
    steps = watched['step'].fed
    assert len(watched['prefill'].fed) == 1
    assert len(steps) == len(decoded.token_ids) - 1 == 59
    assert not watched['embed'].fed
    assert [feeds['cache'].shape[2] for feeds in steps] == [128] * 28 + [160] * 31
    for name, places in (('token', 1), ('length', 1), ('cache', 2)):
        assert len({feeds[name].data_ptr() for feeds in steps}) == places
    for row, given in enumerate(watched['step'].gave, start=1):
        assert given['state'].data_ptr() == decoded.states[row].data_ptr()
    last = steps[-1]['cache']
    assert last[:, :, :159].abs().sum(dim=(0, 1, 3)).gt(0).all()
    assert last[:, :, 159:].eq(0).all()
    again = decode(language, prompt(100), None, LONG)  # the buffers are used again
    assert steps[-1]['cache'].data_ptr() == last.data_ptr()
    assert torch.equal(again.states, decoded.states)


def test_a_single_capacity_is_one_buffer(engines, engine_model):
    watched = Watched(engines['step'], {'capacity': Range(CAPACITY, CAPACITY, CAPACITY)})
    language = EngineLanguage(engines['embed'], engines['prefill'], watched)
    compare(decode(language, prompt(20), None, LONG),
            decode(engine_model, prompt(20), None, LONG))
    assert {feeds['cache'].shape[2] for feeds in watched.fed} == {CAPACITY}


def test_going_on_from_nothing_is_refused(engines, graphs):
    language = EngineLanguage(*(engines[name] for name in NAMES[1:]))
    with pytest.raises(RuntimeError, match='start'):
        language.advance(1, torch.empty(1, 64))


def test_what_was_read_before_does_not_matter(vllm):
    """Neither a longer text, nor one that was broken off, nor values that are not finite."""
    wanted = decode(vllm.language, prompt(30, seed=1), None, LONG)
    decode(vllm.language, prompt(150, seed=2), None, LONG)
    assert torch.equal(decode(vllm.language, prompt(30, seed=1), None, LONG).states,
                       wanted.states)

    broken = prompt(125, seed=3)
    broken[0, 124] = torch.nan
    with pytest.raises(LegoError, match='not finite') as caught:
        decode(vllm.language, broken, None, LONG)
    assert caught.value.code is ErrorCode.INFERENCE_FAILED

    def check():
        if checks.append(1) or len(checks) == 5:
            raise LegoError(ErrorCode.CANCELED, 'enough')

    checks = []
    with pytest.raises(LegoError, match='enough'):
        decode(vllm.language, prompt(90, seed=4), None, LONG, check=check)
    again = decode(vllm.language, prompt(30, seed=1), None, LONG)
    assert again.token_ids == wanted.token_ids
    assert torch.equal(again.states, wanted.states)


@pytest.fixture
def enrichers(vllm, engine_model, tokenizer, clip_tokenizer):
    """Give an enricher over the engines and one over transformers."""
    return [Enricher(model, tokenizer, CLIPImageProcessorPil(), clip_tokenizer, 12)
            for model in (vllm, engine_model)]


@pytest.mark.parametrize('settings', [
    EnrichmentSettings(temperature=0, max_new_tokens=9),
    EnrichmentSettings(temperature=0.7, seed=3), EnrichmentSettings(temperature=0, template=4),
])
def test_an_enrichment_is_equal_and_so_is_the_next(enrichers, image, settings):
    rng = np.random.default_rng(9)
    frames = (image, rng.integers(0, 256, (40, 40, 3), dtype=np.uint8), image)
    pairs = []
    for frame, action in zip(frames, ('cut', 'open the drawer', 'cut'), strict=True):
        ours, theirs = (enricher.enrich(frame, action, settings) for enricher in enrichers)
        for field in ('text', 'answered', 'question', 'text_rows', 'token_ids', 'stop'):
            assert getattr(ours, field) == getattr(theirs, field), field
        torch.testing.assert_close(ours.image_embeds, theirs.image_embeds, atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(ours.text_embeds, theirs.text_embeds, atol=1e-4, rtol=1e-4)
        pairs.append(ours)
    assert pairs[1].token_ids != pairs[0].token_ids
    assert torch.equal(pairs[2].text_embeds, pairs[0].text_embeds)
    assert torch.equal(pairs[2].image_embeds, pairs[0].image_embeds)


def test_half_precision_in_openvino_is_near(engine_of, graphs, engine_model):
    """The weights are random and strong; what is compared are states for the same tokens."""
    try:
        engines = {name: engine_of('openvino bfloat16', name) for name in NAMES}
    except LegoError as error:
        pytest.skip(error.message)
    language = engine_vllm(engines).language
    exact = TransformersLanguage(engine_model)
    states = torch.empty(2, 60, 64)
    for model, rows in zip((language, exact), states, strict=True):
        model.start(prompt(80), rows[:1])
        for row in range(1, 60):
            model.advance(row * 7 % 300, rows[row:row + 1])
    error = ((states[0] - states[1]).norm() / states[1].norm()).item()
    assert 1e-4 < error < 0.03
