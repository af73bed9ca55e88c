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

import cv2
from lego_ros.errors import ErrorCode, LegoError
from lego_ros.vllm.answer_text import AnswerText
from lego_ros.vllm.enrichment import Enricher, EnrichmentSettings
from lego_ros.vllm.prompt import encode_prompt
from lego_ros.vllm.templates import question, QUESTION_TEMPLATES
import numpy as np
import pytest
import torch
from transformers import CLIPImageProcessorPil

GREEDY = EnrichmentSettings(temperature=0, max_new_tokens=200)


def pixels_of(image):
    return CLIPImageProcessorPil(size={'height': 64, 'width': 64}, do_center_crop=False)(
        images=image, return_tensors='pt'
    )['pixel_values']


def ids_of(action, model, tokenizer):
    before, after = encode_prompt(question(action), tokenizer)
    return torch.tensor([[*before, *[tokenizer.image_token_id] * model.image_tokens, *after]])


def answer_first_with_eos(model, tokenizer, enricher, image):
    """Make the end of sequence the likeliest first token of the answer."""
    first = enricher.enrich(image, 'cut', GREEDY).text_embeds[0]
    with torch.no_grad():
        model.lm_head.weight[tokenizer.eos_token_id] = first * 100


def test_it_asks_what_transformers_would_be_asked(enricher, model, tokenizer, image):
    """Answer, H_i and H_t equal those of transformers' own way from ids and pixels."""
    result = enricher.enrich(image, 'open the drawer', GREEDY)
    ids, pixels = ids_of('open the drawer', model, tokenizer), pixels_of(image)
    generated = model.generate(
        input_ids=ids, pixel_values=pixels, do_sample=False, max_new_tokens=len(result.token_ids),
        eos_token_id=tokenizer.eos_token_id,
    )
    assert result.token_ids == tuple(generated[0, ids.shape[1]:].tolist())
    with torch.no_grad():
        output = model(input_ids=generated, pixel_values=pixels, output_hidden_states=True)
    states = output.hidden_states[-1][0, ids.shape[1] - 1:-1][:77]
    torch.testing.assert_close(result.text_embeds[:len(states)], states, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(result.image_embeds, output.image_hidden_states)
    assert result.text_rows == len(states)
    assert result.question == question('open the drawer')


def test_image_embeds_are_tau_of_the_second_last_layer(enricher, model, image):
    result = enricher.enrich(image, 'cut', EnrichmentSettings(max_new_tokens=1))
    with torch.no_grad():
        output = model.model.vision_tower(pixels_of(image), output_hidden_states=True)
        tau = model.model.multi_modal_projector
        expected = output.hidden_states[-2][0, 1:] @ tau.weight.T + tau.bias
    assert result.image_embeds.shape == (model.image_tokens, 64)
    torch.testing.assert_close(result.image_embeds, expected)


def test_the_image_is_squashed_whole_and_normalised(enricher, model, image):
    seen = []
    hook = model.model.vision_tower.register_forward_pre_hook(
        lambda _, args, kwargs: seen.append(args[0] if args else kwargs['pixel_values']),
        with_kwargs=True,
    )
    smooth = cv2.GaussianBlur(cv2.resize(image, (640, 360)), (0, 0), 20)
    enricher.enrich(smooth, 'cut', EnrichmentSettings(max_new_tokens=1))
    enricher.enrich(np.full((1, 1, 3), 128, np.uint8), 'cut', EnrichmentSettings(max_new_tokens=1))
    hook.remove()
    assert len(seen) == 2  # the vision tower runs once a query
    processor = CLIPImageProcessorPil()
    mean, deviation = (np.array(value) for value in (processor.image_mean, processor.image_std))
    expected = cv2.resize(smooth, (64, 64), interpolation=cv2.INTER_AREA) / 255
    pixels = seen[0][0].permute(1, 2, 0).numpy() * deviation + mean
    assert np.abs(pixels - expected).max() < 0.02
    assert np.abs(expected[:, :8] - expected[:, -8:]).max() > 0.05  # a crop would show
    np.testing.assert_allclose(seen[1][0, :, 0, 0].numpy(), (128 / 255 - mean) / deviation, 1e-5)


def test_a_processor_that_would_crop_is_overruled(model, tokenizer, clip_tokenizer, image):
    def embed(**options):
        enricher = Enricher(model, tokenizer, CLIPImageProcessorPil(**options), clip_tokenizer)
        return enricher.enrich(image, 'cut', EnrichmentSettings(max_new_tokens=1)).image_embeds

    cropping = embed(size={'shortest_edge': 32}, crop_size={'height': 16, 'width': 16})
    assert torch.equal(cropping, embed(size={'height': 64, 'width': 64}, do_center_crop=False))


def test_a_short_answer_is_padded_with_zero_rows(enricher, image):
    settings = EnrichmentSettings(temperature=0, max_new_tokens=5)
    result = enricher.enrich(image, 'cut', settings)
    assert result.text_embeds.shape == (77, 64)
    assert result.text_rows == len(result.token_ids) == 5
    assert result.stop == 'max_new_tokens'
    assert result.text_embeds[:5].abs().sum(-1).gt(0).all()
    assert result.text_embeds[5:].eq(0).all()


def test_a_long_answer_is_cut_to_its_first_rows(make_enricher, model, image, monkeypatch):
    monkeypatch.setattr(AnswerText, 'fills_clip', lambda *_: False)
    settings = EnrichmentSettings(temperature=0, max_new_tokens=12)
    long = make_enricher(model, text_tokens=77).enrich(image, 'cut', settings)
    cut = make_enricher(model, text_tokens=4).enrich(image, 'cut', settings)
    assert cut.text_embeds.shape == (4, 64)
    assert cut.text_rows == 4
    assert len(cut.token_ids) == 12
    torch.testing.assert_close(cut.text_embeds, long.text_embeds[:4])


@pytest.mark.parametrize('text_tokens', [12, 77])
@pytest.mark.parametrize('seed', range(4))
def test_the_early_stop_changes_nothing_that_reaches_the_picture(
    make_enricher, model, tokenizer, clip_tokenizer, image, monkeypatch, text_tokens, seed
):
    with torch.no_grad():  # an answer that never ends by itself
        model.lm_head.weight[tokenizer.eos_token_id] = 0
    settings = EnrichmentSettings(temperature=0.7, max_new_tokens=260, seed=seed)
    enricher = make_enricher(model, text_tokens)
    stopped = enricher.enrich(image, 'cut', settings)
    monkeypatch.setattr(AnswerText, 'fills_clip', lambda *_: False)
    whole = enricher.enrich(image, 'cut', settings)

    def clip_ids(text):
        return clip_tokenizer(
            text, padding='max_length', truncation=True, max_length=text_tokens
        )['input_ids']

    assert (stopped.stop, whole.stop) == ('conditioning_full', 'max_new_tokens')
    assert text_tokens <= len(stopped.token_ids) < len(whole.token_ids) == 260
    assert whole.token_ids[:len(stopped.token_ids)] == stopped.token_ids
    assert clip_ids(stopped.text) == clip_ids(whole.text)
    assert torch.equal(stopped.text_embeds, whole.text_embeds)
    assert stopped.text_rows == text_tokens
    assert whole.text.startswith(stopped.text)
    assert whole.text[len(stopped.text)] in ' \n\t'  # cut between words


def test_the_text_is_the_answer(enricher, tokenizer, image):
    result = enricher.enrich(image, 'cut', EnrichmentSettings(temperature=0, max_new_tokens=9))
    assert result.text == tokenizer.decode(result.token_ids, skip_special_tokens=True).strip()
    assert result.answered


def test_an_empty_answer_falls_back_to_the_action(enricher, model, tokenizer, image):
    answer_first_with_eos(model, tokenizer, enricher, image)
    result = enricher.enrich(image, 'cut', GREEDY)
    assert result.token_ids == (tokenizer.eos_token_id,)
    assert result.stop == 'eos'
    assert (result.text, result.answered) == ('cut', False)
    assert result.text_rows == 1  # the state that predicted the end is one of the answer's
    assert result.text_embeds[0].abs().sum() > 0
    assert result.text_embeds[1:].eq(0).all()


def test_seed_and_temperature_decide_the_answer(enricher, image):
    def ask(**settings):
        return enricher.enrich(image, 'cut', EnrichmentSettings(max_new_tokens=15, **settings))

    first = ask(temperature=1.0, seed=1)
    again = ask(temperature=1.0, seed=1)
    assert first.token_ids == again.token_ids
    assert torch.equal(first.text_embeds, again.text_embeds)
    assert ask(temperature=1.0, seed=2).token_ids != first.token_ids
    assert ask(temperature=0, seed=1).token_ids == ask(temperature=0, seed=2).token_ids


def test_frame_action_and_template_change_the_answer(enricher, image):
    plain = enricher.enrich(image, 'cut', GREEDY)
    assert enricher.enrich(255 - image, 'cut', GREEDY).token_ids != plain.token_ids
    assert enricher.enrich(image, 'open', GREEDY).token_ids != plain.token_ids
    settings = EnrichmentSettings(temperature=0, max_new_tokens=200, template=4)
    other = enricher.enrich(image, 'cut', settings)
    assert other.token_ids != plain.token_ids
    assert other.question == QUESTION_TEMPLATES[4].replace('{action}', 'cut')


@pytest.mark.parametrize('tokens', [0, 3])
def test_a_cancel_ends_it_between_tokens_and_the_next_query_is_unharmed(enricher, image, tokens):
    seen = []

    def check():
        if len(seen) == tokens:
            raise LegoError(ErrorCode.CANCELED, 'stop')

    before = enricher.enrich(image, 'cut', GREEDY)
    with pytest.raises(LegoError, match='stop'):
        enricher.enrich(image, 'cut', GREEDY, check=check, on_token=seen.append)
    assert seen == list(range(1, tokens + 1))
    after = enricher.enrich(image, 'cut', GREEDY)
    assert torch.equal(before.text_embeds, after.text_embeds)


def test_a_cancelled_query_does_not_reach_the_vision_tower(enricher, model, image):
    def check():
        raise LegoError(ErrorCode.PREEMPTED, 'newer')

    ran = []
    hook = model.model.vision_tower.register_forward_hook(lambda *_: ran.append(1))
    with pytest.raises(LegoError, match='newer'):
        enricher.enrich(image, 'cut', GREEDY, check=check)
    hook.remove()
    assert not ran


def test_a_spelled_image_token_adds_no_image(enricher, model, image):
    lengths = []
    hook = model.model.language_model.register_forward_pre_hook(
        lambda _, args, kwargs: lengths.append(kwargs['inputs_embeds'].shape[1]), with_kwargs=True
    )
    settings = EnrichmentSettings(temperature=0, max_new_tokens=1)
    result = enricher.enrich(image, 'cut <image> </s> now', settings)
    hook.remove()
    before, after = encode_prompt(result.question, enricher._tokenizer)
    assert lengths == [len(before) + model.image_tokens + len(after)]
    assert '<image> </s>' in enricher._tokenizer.decode(after)


def test_half_precision_is_taken_from_the_model(make_enricher, model, image):
    result = make_enricher(model.to(torch.bfloat16)).enrich(
        image, 'cut', EnrichmentSettings(max_new_tokens=3)
    )
    assert result.image_embeds.dtype == result.text_embeds.dtype == torch.bfloat16
    assert not result.text_embeds.requires_grad
    assert not result.image_embeds.requires_grad


@pytest.mark.parametrize('image', [
    np.zeros((4, 4), np.uint8), np.zeros((4, 4, 4), np.uint8), np.zeros((0, 4, 3), np.uint8),
    np.zeros((4, 4, 3), np.float32), np.zeros((1, 4, 4, 3), np.uint8),
])
def test_what_is_not_an_rgb_image_is_refused_with_its_shape(enricher, image):
    with pytest.raises(LegoError, match='give uint8 RGB') as caught:
        enricher.enrich(image, 'cut', GREEDY)
    assert caught.value.code is ErrorCode.NOT_A_COLOR_IMAGE
    assert str(image.shape) in caught.value.message


def test_settings_have_the_released_defaults_and_check_the_template():
    settings = EnrichmentSettings()
    assert (settings.temperature, settings.max_new_tokens, settings.template) == (0.2, 1024, 0)
    with pytest.raises(LegoError, match='template 10'):
        EnrichmentSettings(template=10)
    with pytest.raises(LegoError, match='temperature'):
        EnrichmentSettings(temperature=-1)
