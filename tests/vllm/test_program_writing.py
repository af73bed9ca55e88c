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

"""Programs written by a real, tiny VLLM: what it is asked, its confidence, and its adapter."""

from __future__ import annotations

import json
import math

from lego_ros.errors import ErrorCode, LegoError
from lego_ros.programs.masks import ProgramMasks
from lego_ros.programs.parsing import parse
from lego_ros.vllm.adapter import adapted, CONFIG, WEIGHTS
from lego_ros.vllm.decoding import DecodeSettings
from lego_ros.vllm.language import transformers_vllm, TransformersLanguage
from lego_ros.vllm.program_writing import ProgramWriter
from lego_ros.vllm.prompt import encode_prompt
from lego_ros.vllm.templates import program_question
from peft import get_peft_model, LoraConfig
import pytest
from safetensors.torch import load_file, save_file
import torch
from transformers import CLIPImageProcessorPil

SETTINGS = DecodeSettings(temperature=1.0, max_new_tokens=400, seed=1)


class Ending(TransformersLanguage):
    """The model, which ends as soon as it may and notes how likely each token was."""

    def __init__(self, model, eos):
        super().__init__(model)
        self.eos, self.prompt, self.logits = eos, None, []

    def start(self, prompt_embeds, state):
        self.prompt = prompt_embeds
        return super().start(prompt_embeds, state)

    def _read(self, embeds, state):
        logits = super()._read(embeds, state).clone()
        logits[self.eos] += 40
        self.logits.append(logits)
        return logits


def nothing(*_):
    """Neither stop it nor listen."""


@pytest.fixture
def language(model, tokenizer):
    return Ending(model, tokenizer.eos_token_id)


@pytest.fixture
def write(model, language, tokenizer, image):
    writer = ProgramWriter(
        transformers_vllm(model), language, tokenizer, CLIPImageProcessorPil(),
        ProgramMasks(tokenizer, model.lm_head.out_features).new)

    def write(action='open the {drawer}', description='With the {right} hand.', check=nothing,
              on_text=nothing, settings=SETTINGS):
        return writer.write(image, action, description, settings, check, on_text)

    return write


def test_what_it_writes_is_a_program(write, language, tokenizer):
    told = []
    written = write(on_text=lambda count, text: told.append((count, text)))
    assert written.ended
    parse(written.text)
    assert [count for count, _ in told] == list(range(1, len(told) + 1))
    assert told[-1][1] == written.text
    ids = tokenizer.encode(written.text, add_special_tokens=False)
    assert tokenizer.decode(ids) == written.text


def test_its_confidence_is_the_mean_of_the_likelihoods(write, language, tokenizer, monkeypatch):
    chosen = []
    real = ProgramMasks.new

    def new(self):
        mask = real(self)
        accept = mask.accept
        mask.accept = lambda token: (chosen.append(token), accept(token))
        return mask

    monkeypatch.setattr(ProgramMasks, 'new', new)
    writer = ProgramWriter(
        transformers_vllm(language._model), language, tokenizer, CLIPImageProcessorPil(),
        lambda: new(ProgramMasks(tokenizer, language._model.lm_head.out_features)))
    image = torch.zeros(8, 8, 3, dtype=torch.uint8).numpy()
    written = writer.write(image, 'cut', 'So.', SETTINGS, nothing, nothing)
    likely = [float(logits.float().log_softmax(0)[token])
              for logits, token in zip(language.logits, chosen, strict=True)]
    assert written.confidence == pytest.approx(math.exp(sum(likely) / len(likely)), rel=1e-4)


def test_the_time_of_the_masks_is_a_part_of_the_decodes(write):
    written = write()
    assert 0 < written.mask_seconds < written.decode_seconds


def test_it_is_asked_about_the_frame_with_action_and_description(
        write, language, model, tokenizer):
    write()
    before, after = encode_prompt(
        program_question('open the {drawer}', 'With the {right} hand.'), tokenizer)
    assert language.prompt.shape[1] == len(before) + model.image_tokens + len(after)
    text = tokenizer.decode(after)
    assert 'action program' in text
    assert 'open the {drawer}? With the {right} hand.' in text
    with torch.no_grad():
        words = model.get_input_embeddings()(torch.tensor([*before, *after]))
    assert torch.equal(language.prompt[0, :len(before)], words[:len(before)])
    assert torch.equal(language.prompt[0, -len(after):], words[len(before):])


def test_what_is_cut_is_not_ended(write):
    written = write(settings=DecodeSettings(temperature=1.0, max_new_tokens=3, seed=1))
    assert not written.ended
    assert written.text


def test_a_check_that_raises_ends_it(write):
    def check():
        raise LegoError(ErrorCode.CANCELED, 'enough')

    with pytest.raises(LegoError, match='enough'):
        write(check=check)


@pytest.fixture
def adapter(make_model, tmp_path):
    """Make an adapter by PEFT, with a head, and the model that PEFT merges it to."""
    tuned = get_peft_model(make_model(), LoraConfig(
        r=3, lora_alpha=12, target_modules=r'.*language_model.*_proj',
        modules_to_save=['lm_head']))
    torch.manual_seed(5)
    for name, weight in tuned.named_parameters():
        if 'lora_' in name or 'modules_to_save' in name:
            weight.data.normal_(std=0.1)
    tuned.save_pretrained(tmp_path / 'program')
    return tmp_path / 'program', tuned.merge_and_unload().eval()


def test_an_adapter_of_peft_is_added_as_peft_does_it(adapter, model):
    folder, expected = adapter
    before = {name: weight.clone() for name, weight in model.named_parameters()}
    found = adapted(model, folder)
    expected = dict(expected.named_parameters())
    changed = set()
    for name, weight in found.named_parameters():
        torch.testing.assert_close(weight, expected[name], rtol=0, atol=1e-6)
        if not torch.equal(weight, before[name]):
            changed.add(name)
        else:
            # What is not changed is not copied either.
            assert weight is model.get_parameter(name)
    assert {name.rpartition('.')[0].rpartition('.')[2] for name in changed} == {
        'q_proj', 'k_proj', 'v_proj', 'o_proj', 'gate_proj', 'up_proj', 'down_proj', 'lm_head'}
    assert all(torch.equal(weight, before[name]) for name, weight in model.named_parameters())


@pytest.mark.parametrize(('change', 'code', 'word'), [
    (lambda folder: (folder / WEIGHTS).unlink(), ErrorCode.BUNDLE_INVALID, 'cannot be read'),
    (lambda folder: (folder / CONFIG).write_text('{"peft_type": "IA3"}'),
     ErrorCode.BUNDLE_INVALID, 'low-rank'),
    (lambda folder: (folder / CONFIG).write_text('[]'), ErrorCode.BUNDLE_INVALID, 'cannot be'),
    (lambda folder: rewrite(folder, lambda name: name.replace('layers.0', 'layers.9')),
     ErrorCode.BUNDLE_MISMATCH, 'layers.9'),
    (lambda folder: rewrite(folder, lambda name: name.replace('.lora_A', '.lora_E')),
     ErrorCode.BUNDLE_MISMATCH, 'it lacks .*lora_A'),
    (lambda folder: rewrite(folder, lambda name: name, lambda value: value[..., 1:]),
     ErrorCode.BUNDLE_MISMATCH, 'not of the VLLM')])
def test_a_bad_adapter(adapter, model, change, code, word):
    folder, _ = adapter
    change(folder)
    with pytest.raises(LegoError, match=word) as caught:
        adapted(model, folder)
    assert caught.value.code == code


def rewrite(folder, rename, alter=lambda value: value):
    """Write an adapter's tensors again, changed."""
    tensors = load_file(folder / WEIGHTS)
    save_file({rename(name): alter(value).contiguous() for name, value in tensors.items()},
              folder / WEIGHTS)
    assert json.loads((folder / CONFIG).read_text())
