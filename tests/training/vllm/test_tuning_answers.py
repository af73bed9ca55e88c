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

"""Dialogues as tokens, and the loss on their answers."""

from lego_ros.errors import ErrorCode, LegoError
from lego_ros.training.vllm.answers import encode_dialogue, lay_out
from lego_ros.training.vllm.objective import AnswerObjective
from lego_ros.vllm.decoding import decode, DecodeSettings
from lego_ros.vllm.prompt import chat_prompt, encode_prompt
from lego_ros.vllm.templates import question
import pytest
from tokenizers import decoders, models, normalizers, Tokenizer
import torch
from transformers import LlavaForConditionalGeneration, PreTrainedTokenizerFast

TEXTS = [
    (question('open left drawer'), 'The left hand pulls the handle.'),
    (question('wash the large plate', 3), 'Both hands hold the plate under the running tap.'),
    (question('cut tomato', 7), 'Yes.')]


def sentencepiece(merges):
    """Make a tokenizer that puts a space before each text, as Llama-2's does."""
    pieces = ['<unk>', '<s>', '</s>', '<image>', *(f'<0x{byte:02X}>' for byte in range(256))]
    pieces += ['▁', *(a + b for a, b in merges)]
    pieces += sorted({letter for pair in merges for part in pair for letter in part} - {'▁'})
    backend = Tokenizer(models.BPE(
        vocab={piece: index for index, piece in enumerate(dict.fromkeys(pieces))},
        merges=merges, unk_token='<unk>', byte_fallback=True))
    backend.normalizer = normalizers.Sequence(
        [normalizers.Prepend('▁'), normalizers.Replace(' ', '▁')])
    backend.decoder = decoders.Sequence([
        decoders.Replace('▁', ' '), decoders.ByteFallback(), decoders.Fuse(),
        decoders.Strip(' ', 1, 0)])
    return PreTrainedTokenizerFast(
        tokenizer_object=backend, unk_token='<unk>', bos_token='<s>', eos_token='</s>')


@pytest.fixture
def dialogues(vllm_tokenizer):
    return [encode_dialogue(*texts, vllm_tokenizer) for texts in TEXTS]


@pytest.fixture
def batch(dialogues, make_vllm):
    noise = torch.Generator().manual_seed(5)
    return {**lay_out(dialogues, make_vllm().image_tokens),
            'vision': torch.randn(3, 16, 32, generator=noise)}


def run_time_embeds(model, dialogue, vision):
    look_up = model.get_input_embeddings()
    before, after, answer = (
        look_up(torch.tensor(ids)) for ids in (dialogue.before, dialogue.after, dialogue.answer))
    return torch.cat([before, model.model.multi_modal_projector(vision), after]), answer


def test_the_answer_follows_the_run_time_prompt(vllm_tokenizer, dialogues):
    for (asked, answer), dialogue in zip(TEXTS, dialogues, strict=True):
        before, after = encode_prompt(asked, vllm_tokenizer)
        assert [*dialogue.before] == before
        assert [*dialogue.after] == after
        assert dialogue.answer[-1] == vllm_tokenizer.eos_token_id
        assert vllm_tokenizer.decode(dialogue.answer[:-1]) == f' {answer}'


def test_a_tokenizer_that_adds_spaces_adds_none_before_the_answer():
    tokenizer = sentencepiece([('▁', 'T')])
    dialogue = encode_dialogue('How?', 'To do', tokenizer)
    first = tokenizer.convert_ids_to_tokens(dialogue.answer[0])
    # As in LLaVA's own training, where the dialogue is tokenised as one text.
    assert first == '▁T'
    whole = tokenizer.encode(
        f'{chat_prompt("How?", tokenizer)[1]} To do</s>', add_special_tokens=False)
    assert [*dialogue.after, *dialogue.answer] == whole


def test_a_tokenizer_that_joins_prompt_and_answer_is_refused():
    with pytest.raises(LegoError, match="joins the end of the prompt with 'Too'") as error:
        encode_dialogue('How?', 'Too', sentencepiece([(':', '▁')]))
    assert error.value.code is ErrorCode.BUNDLE_INVALID


@pytest.mark.parametrize('answer', ['', ' \n '])
def test_an_empty_answer_is_refused(vllm_tokenizer, answer):
    with pytest.raises(LegoError, match='is empty') as error:
        encode_dialogue('How?', answer, vllm_tokenizer)
    assert error.value.code is ErrorCode.INVALID_SETTING


def test_an_answer_cannot_end_itself(vllm_tokenizer):
    ids = encode_dialogue('How?', 'So </s> and <image> on.', vllm_tokenizer).answer
    assert ids.count(vllm_tokenizer.eos_token_id) == 1
    assert vllm_tokenizer.convert_tokens_to_ids('<image>') not in ids


def test_states_equal_the_run_time_decode_in_a_padded_batch(make_vllm, dialogues, batch):
    model = make_vllm()
    assert len({dialogue.positions(16) for dialogue in dialogues}) == 3
    states = AnswerObjective(model).states(batch)
    for row, dialogue in enumerate(dialogues):
        prompt, _ = run_time_embeds(model, dialogue, batch['vision'][row])
        # What the model says of its own accord, told to it as the answer.
        said = decode(model, prompt[None], None, DecodeSettings(0.0, 6))
        spoken = [type(dialogue)(dialogue.before, dialogue.after, said.token_ids), *dialogues]
        told = {**lay_out(spoken, 16), 'vision': batch['vision'][[row, 0, 1, 2]]}
        seen = AnswerObjective(model).states(told)[0][told['answers'][0]]
        torch.testing.assert_close(seen, said.states, rtol=1e-4, atol=1e-4)
        assert torch.equal(model.lm_head(seen).argmax(-1), torch.tensor(said.token_ids))
        # And the batch's own rows, where each state but the last sees part of the answer.
        prompt, answer = run_time_embeds(model, dialogue, batch['vision'][row])
        alone = model.model.language_model(
            inputs_embeds=torch.cat([prompt, answer])[None]).last_hidden_state[0]
        torch.testing.assert_close(
            states[row, :len(alone)], alone, rtol=1e-4, atol=1e-4)


def test_the_loss_is_that_of_transformers_with_labels(make_vllm, dialogues, batch):
    model = make_vllm()
    ids = batch['token_ids'].masked_fill(batch['image'], model.config.image_token_id)
    labels = torch.full_like(ids, -100)
    for row, dialogue in enumerate(dialogues):
        end = dialogue.positions(16)
        labels[row, end - len(dialogue.answer):end] = torch.tensor(dialogue.answer)
    pixels = torch.randn(3, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    tower = model.model.vision_tower(pixels, output_hidden_states=True)
    reference = LlavaForConditionalGeneration.forward(
        model, input_ids=ids, pixel_values=pixels, attention_mask=batch['mask'].long(),
        labels=labels)
    loss, figures = AnswerObjective(model)(
        {**batch, 'vision': tower.hidden_states[-2][:, 1:]})
    torch.testing.assert_close(loss, reference.loss)
    right = reference.logits[:, :-1].argmax(-1) == labels[:, 1:]
    counted = labels[:, 1:] != -100
    assert float(figures['accuracy']) == pytest.approx(float(right[counted].float().mean()))


def test_only_the_answer_is_to_be_predicted(dialogues, batch):
    count = sum(len(dialogue.answer) for dialogue in dialogues)
    assert int(batch['answers'].sum()) == len(batch['targets']) == count
    for row, dialogue in enumerate(dialogues):
        places = batch['answers'][row].nonzero()[:, 0]
        # The first is the prompt's last position, none is padding or the answer's end.
        assert int(places[0]) == dialogue.positions(16) - len(dialogue.answer) - 1
        assert int(places[-1]) == dialogue.positions(16) - 2
        assert batch['token_ids'][row][places + 1].tolist() == list(dialogue.answer)


def test_padding_and_other_rows_change_nothing(make_vllm, dialogues, batch):
    objective = AnswerObjective(make_vllm())
    spoilt = {**batch, 'token_ids': batch['token_ids'].masked_fill(~batch['mask'], 77)}
    torch.testing.assert_close(objective(spoilt)[0], objective(batch)[0])
    weights = torch.tensor([float(len(dialogue.answer)) for dialogue in dialogues])
    alone = torch.stack([
        objective({**lay_out([dialogue], 16), 'vision': batch['vision'][[row]]})[0]
        for row, dialogue in enumerate(dialogues)])
    torch.testing.assert_close(
        (alone * weights).sum() / weights.sum(), objective(batch)[0], rtol=1e-4, atol=1e-5)


def test_no_gradient_comes_from_the_questions(make_vllm, batch):
    model = make_vllm()
    loss, _ = AnswerObjective(model)(batch)
    loss.backward()
    # Of lm_head's rows, those of tokens that are never answers get the soft-max's share alone.
    states = AnswerObjective(model).states(batch)[batch['answers']].detach()
    expected = torch.softmax(model.lm_head(states).detach(), -1)
    expected[torch.arange(len(expected)), batch['targets']] -= 1
    torch.testing.assert_close(
        model.lm_head.weight.grad, expected.T @ states / len(states), rtol=1e-3, atol=1e-5)
