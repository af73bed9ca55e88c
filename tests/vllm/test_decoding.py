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
from lego_ros.vllm.decoding import decode, DecodeSettings
from lego_ros.vllm.prompt import encode_prompt
import pytest
import torch

GREEDY = DecodeSettings(temperature=0, max_new_tokens=40)


@pytest.fixture
def prompt(model, tokenizer):
    """Give a prompt as ids, pixels and embeddings (by transformers' own merging of both)."""
    before, after = encode_prompt('How does the person properly cut the onion?', tokenizer)
    ids = torch.tensor([[*before, *[tokenizer.image_token_id] * model.image_tokens, *after]])
    pixels = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(5))
    merged = []
    hook = model.model.language_model.register_forward_pre_hook(
        lambda _, args, kwargs: merged.append(kwargs['inputs_embeds']), with_kwargs=True
    )
    with torch.no_grad():
        model(input_ids=ids, pixel_values=pixels)
    hook.remove()
    return ids, pixels, merged[0]


def test_greedy_tokens_are_those_of_generate(model, prompt):
    ids, pixels, embeds = prompt
    generated = model.generate(
        input_ids=ids, pixel_values=pixels, do_sample=False, max_new_tokens=40, eos_token_id=None
    )[0, ids.shape[1]:]
    decoded = decode(model, embeds, None, GREEDY)
    assert decoded.token_ids == tuple(generated.tolist())
    assert decoded.stop == 'max_new_tokens'
    assert len(set(decoded.token_ids)) > 5  # not one token over and over


def test_the_states_are_those_of_one_full_pass_and_predict_their_tokens(model, prompt):
    ids, pixels, embeds = prompt
    decoded = decode(model, embeds, None, GREEDY)
    full = torch.cat([ids, torch.tensor([decoded.token_ids])], dim=1)
    with torch.no_grad():
        output = model(input_ids=full, pixel_values=pixels, output_hidden_states=True)
        logits = model.lm_head(decoded.states)
    positions = slice(ids.shape[1] - 1, -1)
    assert decoded.states.shape == (40, 64)
    torch.testing.assert_close(
        decoded.states, output.hidden_states[-1][0, positions], atol=1e-4, rtol=1e-4
    )
    torch.testing.assert_close(logits, output.logits[0, positions], atol=1e-4, rtol=1e-4)
    assert tuple(logits.argmax(-1).tolist()) == decoded.token_ids
    # After the final norm: each state has the norm's root mean square, here 1.
    torch.testing.assert_close(decoded.states.square().mean(-1), torch.ones(40), atol=1e-3, rtol=0)


def test_eos_ends_the_decode_and_is_its_last_token(model, prompt):
    free = decode(model, prompt[2], None, GREEDY).token_ids
    eos = free[6]
    first = free.index(eos)
    decoded = decode(model, prompt[2], eos, GREEDY)
    assert decoded.token_ids == free[:first + 1]
    assert decoded.stop == 'eos'
    assert len(decoded.states) == first + 1


def test_a_seed_repeats_and_another_seed_differs(model, prompt):
    def draw(seed, temperature):
        settings = DecodeSettings(temperature, max_new_tokens=20, seed=seed)
        return decode(model, prompt[2], None, settings).token_ids

    torch.manual_seed(0)
    first = draw(1, 1.0)
    torch.manual_seed(99)  # the global state has no say
    assert draw(1, 1.0) == first
    assert draw(2, 1.0) != first
    assert draw(1, 0) == draw(2, 0) == decode(model, prompt[2], None, GREEDY).token_ids[:20]
    assert draw(1, 1e-6) == draw(1, 0)


def test_tokens_are_drawn_from_the_softmax_at_the_temperature(model, prompt):
    """Compare the first token's frequencies over many seeds with its probabilities."""
    with torch.no_grad():
        state = model.model.language_model(inputs_embeds=prompt[2]).last_hidden_state[0, -1]
        probabilities = torch.softmax(model.lm_head(state) / 0.5, dim=-1)
    draws = 400
    counts = torch.zeros_like(probabilities)
    for seed in range(draws):
        settings = DecodeSettings(0.5, max_new_tokens=1, seed=seed)
        counts[decode(model, prompt[2], None, settings).token_ids[0]] += 1
    likely = probabilities.topk(3).indices
    spread = (probabilities * (1 - probabilities) / draws).sqrt()
    assert ((counts / draws - probabilities).abs() <= 5 * spread)[likely].all()
    assert probabilities[likely[0]] < 0.95  # else there is nothing to draw


@pytest.mark.parametrize('tokens', [0, 1, 7])
def test_a_check_that_raises_ends_the_decode_between_tokens(model, prompt, tokens):
    seen = []

    def check():
        if len(seen) == tokens:
            raise LegoError(ErrorCode.CANCELED, 'enough')

    with pytest.raises(LegoError, match='enough'):
        decode(model, prompt[2], None, GREEDY, check=check,
               on_token=lambda token_ids: seen.append(len(token_ids)))
    assert seen == list(range(1, tokens + 1))


def test_each_position_passes_the_model_once(model, prompt):
    lengths = []
    hook = model.model.language_model.register_forward_pre_hook(
        lambda _, args, kwargs: lengths.append(kwargs['inputs_embeds'].shape[1]), with_kwargs=True
    )
    decode(model, prompt[2], None, DecodeSettings(0, max_new_tokens=5))
    hook.remove()
    assert lengths == [prompt[2].shape[1], 1, 1, 1, 1]


def test_the_conditioning_being_full_ends_the_decode(model, prompt):
    free = decode(model, prompt[2], None, GREEDY).token_ids
    told = []

    def full(token_ids):
        told.append(tuple(token_ids))
        return len(token_ids) == 9

    decoded = decode(model, prompt[2], None, GREEDY, conditioning_full=full)
    assert decoded.stop == 'conditioning_full'
    assert decoded.token_ids == free[:9]
    assert told == [free[:count] for count in range(1, 10)]


def test_the_models_positions_bound_the_answer(model, prompt):
    config = model.model.language_model.config
    config.max_position_embeddings = prompt[2].shape[1] + 3
    decoded = decode(model, prompt[2], None, GREEDY)
    assert (len(decoded.token_ids), decoded.stop) == (3, 'max_new_tokens')
    config.max_position_embeddings = prompt[2].shape[1]
    with pytest.raises(LegoError, match='shorten the query') as caught:
        decode(model, prompt[2], None, GREEDY)
    assert caught.value.code is ErrorCode.QUERY_TOO_LONG


@pytest.mark.parametrize('temperature', [0, 0.2])
@pytest.mark.parametrize('value', [float('nan'), float('inf')])
def test_values_that_are_not_finite_are_reported(model, prompt, temperature, value):
    with torch.no_grad():
        model.lm_head.weight[11] = value
    with pytest.raises(LegoError, match='not finite') as caught:
        decode(model, prompt[2], None, DecodeSettings(temperature, max_new_tokens=2))
    assert caught.value.code is ErrorCode.INFERENCE_FAILED


@pytest.mark.parametrize('setting', [
    {'temperature': -0.1}, {'temperature': float('nan')}, {'temperature': float('inf')},
    {'max_new_tokens': 0}, {'seed': -1}, {'seed': 2**64},
])
def test_settings_out_of_range_are_refused_by_name(setting):
    (name, value), = setting.items()
    with pytest.raises(LegoError, match=f'{name} is {value}') as caught:
        DecodeSettings(**setting)
    assert caught.value.code is ErrorCode.INVALID_SETTING


def test_the_largest_seed_works(model, prompt):
    settings = DecodeSettings(1.0, max_new_tokens=1, seed=2**64 - 1)
    assert len(decode(model, prompt[2], None, settings).token_ids) == 1
