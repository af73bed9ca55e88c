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

"""Programs written token by token under the grammar."""

from lego_ros.errors import ErrorCode, LegoError
from lego_ros.programs.masks import ProgramMasks
from lego_ros.programs.parsing import parse
from lego_ros.vllm.decoding import decode, DecodeSettings
import pytest
from tokenizers import decoders, models, pre_tokenizers, Tokenizer, trainers
import torch
from transformers import PreTrainedTokenizerFast

TEXT = """objects drawer, knife
initially closed(drawer)
reach(drawer, right)
grasp(drawer, right) pre not open(drawer)
while not open(drawer) {
  pull_open(drawer, right)
}
"""
PAD = 11


@pytest.fixture(scope='module')
def tokenizer():
    """Byte pairs of a few programs: tokens that end within words and go across them."""
    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    raw.train_from_iterator([TEXT] * 4, trainers.BpeTrainer(
        vocab_size=400, special_tokens=['<s>', '</s>'],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    return PreTrainedTokenizerFast(tokenizer_object=raw, bos_token='<s>', eos_token='</s>')


@pytest.fixture(scope='module')
def masks(tokenizer):
    return ProgramMasks(tokenizer, len(tokenizer) + PAD)


class Babbler:
    """A language model that says anything, and ends as soon as it may."""

    positions = 4000

    def __init__(self, tokens, eos, seed):
        self._tokens, self._eos = tokens, eos
        self._draw = torch.Generator().manual_seed(seed)

    def start(self, prompt_embeds, state):
        return self.advance(0, state)

    def advance(self, token_id, state):
        logits = 3 * torch.randn(self._tokens, generator=self._draw)
        logits[self._eos] += 20
        return logits


def babble(tokenizer, masks, seed):
    model = Babbler(len(tokenizer) + PAD, tokenizer.eos_token_id, seed)
    settings = DecodeSettings(temperature=1.0, max_new_tokens=3000, seed=seed)
    return decode(model, torch.zeros(1, 1, 4), tokenizer.eos_token_id, settings,
                  mask=masks.new() if masks else None)


@pytest.mark.parametrize('seed', range(12))
def test_whatever_a_model_says_is_a_program(tokenizer, masks, seed):
    decoded = babble(tokenizer, masks, seed)
    assert decoded.stop == 'eos'
    parse(tokenizer.decode(decoded.token_ids[:-1]))


def test_without_the_mask_it_is_none(tokenizer):
    decoded = babble(tokenizer, None, 0)
    with pytest.raises(LegoError):
        parse(tokenizer.decode(decoded.token_ids, skip_special_tokens=True))


def test_a_program_may_be_written_as_it_is_printed(tokenizer, masks):
    mask = masks.new()
    logits = torch.zeros(len(tokenizer) + PAD)
    for token in tokenizer.encode(TEXT, add_special_tokens=False):
        assert mask.apply(logits)[token] == 0
        mask.accept(token)
    left = mask.apply(logits)
    assert left[tokenizer.eos_token_id] == 0
    # Rows of the model's head that no word belongs to.
    assert bool((left[len(tokenizer):] == -torch.inf).all())
    assert bool((logits == 0).all())


def test_an_answer_may_begin_with_a_space(tokenizer, masks):
    """As a model's does that was taught to answer after "ASSISTANT:"."""
    mask = masks.new()
    for token in tokenizer.encode(f' {TEXT}', add_special_tokens=False):
        assert mask.apply(torch.zeros(len(tokenizer) + PAD))[token] == 0
        mask.accept(token)


def test_masks_do_not_know_each_other(tokenizer, masks):
    one, other = masks.new(), masks.new()
    logits = torch.zeros(len(tokenizer) + PAD)
    before = other.apply(logits)
    one.accept(tokenizer.encode('objects', add_special_tokens=False)[0])
    assert torch.equal(other.apply(logits), before)
    assert not torch.equal(one.apply(logits), before)


def test_a_token_that_was_ruled_out_is_not_taken(tokenizer, masks):
    mask = masks.new()
    with pytest.raises(LegoError, match='cannot be followed') as caught:
        mask.accept(tokenizer.encode('}', add_special_tokens=False)[0])
    assert caught.value.code == ErrorCode.INFERENCE_FAILED


def test_log_probabilities_are_those_of_the_model(tokenizer, masks):
    decoded = babble(tokenizer, masks, 1)
    model = Babbler(len(tokenizer) + PAD, tokenizer.eos_token_id, 1)
    wanted = [float(model.advance(0, None).log_softmax(0)[token])
              for token in decoded.token_ids]
    assert decoded.log_probabilities == pytest.approx(wanted, abs=1e-5)


def test_a_slow_tokenizer_is_refused():
    with pytest.raises(LegoError, match=r'tokenizer\.json') as caught:
        ProgramMasks(object(), 10)
    assert caught.value.code == ErrorCode.BUNDLE_MISMATCH
