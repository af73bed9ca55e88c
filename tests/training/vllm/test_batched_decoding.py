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

"""Many responses decoded together equal those that the run time decodes one by one."""

from lego_ros.errors import ErrorCode, LegoError
from lego_ros.training.vllm import decoding
from lego_ros.training.vllm.decoding import answer, decode_rows
from lego_ros.vllm.decoding import decode, DecodeSettings
from lego_ros.vllm.prompt import encode_prompt
from lego_ros.vllm.templates import question
import pytest
import torch

ROWS, PROMPT, LIMIT = 6, 9, 12


@pytest.fixture(scope='module')
def model(make_vllm):
    return make_vllm(seed=1)


@pytest.fixture(scope='module')
def embeds():
    return torch.randn(ROWS, PROMPT, 64, generator=torch.Generator().manual_seed(2))


def never(tokens):
    return False


def one_by_one(model, embeds, eos, limit=LIMIT, full=never):
    return [decode(model, row[None], eos, DecodeSettings(0.0, limit), conditioning_full=full)
            for row in embeds]


def assert_same(found, wanted):
    assert len(found) == len(wanted)
    for one, other in zip(found, wanted, strict=True):
        assert one.token_ids == other.token_ids
        assert one.stop == other.stop
        assert one.states.shape == other.states.shape
        torch.testing.assert_close(one.states, other.states, rtol=1e-4, atol=1e-4)


def test_rows_equal_the_run_time_decode(model, embeds):
    wanted = one_by_one(model, embeds, None)
    assert len({response.token_ids for response in wanted}) == ROWS
    assert_same(decode_rows(model, embeds, None, LIMIT), wanted)


def test_rows_that_end_at_different_lengths(model, embeds):
    free = one_by_one(model, embeds, None)
    # One row's third token ends answers; another row is full after its fifth.
    eos = free[0].token_ids[2]
    last = free[3].token_ids[:5]

    def full(tokens):
        return tuple(tokens) == last

    wanted = one_by_one(model, embeds, eos, full=full)
    assert len({len(response.token_ids) for response in wanted}) >= 3
    assert {response.stop for response in wanted} == {'eos', 'conditioning_full', 'max_new_tokens'}
    assert_same(decode_rows(model, embeds, eos, LIMIT, full), wanted)


def test_one_row_and_one_token(model, embeds):
    assert_same(decode_rows(model, embeds[:1], None, 1), one_by_one(model, embeds[:1], None, 1))


def test_the_positions_that_are_left_bound_the_answer(make_vllm, embeds):
    small = make_vllm(seed=1, positions=PROMPT + 3)
    wanted = one_by_one(small, embeds, None)
    assert {len(response.token_ids) for response in wanted} == {3}
    assert_same(decode_rows(small, embeds, None, LIMIT), wanted)
    with pytest.raises(LegoError) as error:
        decode_rows(make_vllm(positions=PROMPT), embeds, None, LIMIT)
    assert error.value.code is ErrorCode.QUERY_TOO_LONG


def test_damaged_weights_are_told(make_vllm, embeds):
    broken = make_vllm()
    with torch.no_grad():
        broken.lm_head.weight[4] = torch.nan
    with pytest.raises(LegoError, match='not finite') as error:
        decode_rows(broken, embeds, None, LIMIT)
    assert error.value.code is ErrorCode.INFERENCE_FAILED


def test_labels_of_different_lengths_in_portions(model, vllm_tokenizer, monkeypatch):
    monkeypatch.setattr(decoding, 'BATCH', 2)
    labels = ['open left drawer', 'cut tomato', 'take mug', 'open left drawer',
              'wash the large plate and the other mug', 'open left drawer']
    vision = torch.randn(len(labels), 16, 32, generator=torch.Generator().manual_seed(4))
    prompts = [encode_prompt(question(label), vllm_tokenizer) for label in labels]
    assert 1 < len({len(after) for _, after in prompts}) < len(labels)
    look_up = model.get_input_embeddings()
    wanted = []
    for (before, after), seen in zip(prompts, vision, strict=True):
        row = torch.cat([look_up(torch.tensor(before)),
                         model.model.multi_modal_projector(seen), look_up(torch.tensor(after))])
        wanted += one_by_one(model, row[None], vllm_tokenizer.eos_token_id)
    assert_same(answer(
        model, vllm_tokenizer, [question(label) for label in labels], vision, LIMIT), wanted)
