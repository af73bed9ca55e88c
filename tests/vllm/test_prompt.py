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

from hypothesis import given, HealthCheck, settings
from hypothesis import strategies as st
from lego_ros.errors import ErrorCode, LegoError
from lego_ros.vllm.loading import load_processors
from lego_ros.vllm.prompt import chat_prompt, encode_prompt
from lego_ros.vllm.templates import check_template, DEFAULT_TEMPLATE, question, QUESTION_TEMPLATES
from lego_ros.vllm.tokenizers import make_llava_tokenizer
import pytest
from tokenizers import AddedToken
from transformers import CLIPImageProcessorPil


def test_there_are_ten_different_templates_with_one_slot():
    assert len(set(QUESTION_TEMPLATES)) == 10
    for template in QUESTION_TEMPLATES:
        assert template.count('{action}') == 1
        assert template.count('{') == 1
        assert 'proper' in template or 'right way' in template


@pytest.mark.parametrize('template', range(10))
def test_the_question_holds_the_action_as_it_is(template):
    action = 'press {0} and {action}'
    before, after = QUESTION_TEMPLATES[template].split('{action}')
    assert question(action, template) == before + action + after


def test_the_first_template_is_the_default():
    assert question('cut') == question('cut', DEFAULT_TEMPLATE) == question('cut', 0)


@pytest.mark.parametrize('template', [-1, 10])
def test_an_unknown_template_is_refused(template):
    with pytest.raises(LegoError, match=f'no question template {template}; give 0 to 9') as caught:
        check_template(template)
    assert caught.value.code is ErrorCode.INVALID_SETTING


def test_the_prompt_is_the_chat_format_around_the_image(tokenizer):
    assert tokenizer.chat_template is None
    assert '<image>'.join(chat_prompt('Why?', tokenizer)) == 'USER: <image>\nWhy? ASSISTANT:'


def test_the_encoded_prompt_reads_back_as_the_prompt(tokenizer):
    before, after = encode_prompt('How does the person open the drawer?', tokenizer)
    assert before[0] == tokenizer.bos_token_id
    assert tokenizer.decode(before[1:]) == 'USER: '
    assert tokenizer.decode(after) == '\nHow does the person open the drawer? ASSISTANT:'


_spelled = st.sampled_from(['<image>', '<s>', '</s>', '<pad>', '<ima', 'ge>', '<', '>', 'open '])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.one_of(
    st.lists(_spelled, min_size=1).map(''.join),
    st.text(st.characters(exclude_categories=['Cs'])),
))
def test_no_action_can_bring_a_special_token_into_the_prompt(tokenizer, action):
    before, after = encode_prompt(question(action), tokenizer)
    special = set(tokenizer.all_special_ids)
    assert not special & set(before[1:])
    assert not special & set(after)
    # What was spelled is still there, as ordinary text.
    assert tokenizer.decode(after) == f'\n{question(action)} ASSISTANT:'


def test_the_default_encoding_would_let_it_in(tokenizer):
    """The injection that the test above rules out exists."""
    assert tokenizer.image_token_id in tokenizer.encode('open the <image>')


def test_an_added_token_that_is_not_special_is_refused_by_name(texts):
    tokenizer = make_llava_tokenizer(texts)
    tokenizer.add_tokens([AddedToken('<frame>', special=False)])
    with pytest.raises(LegoError, match="spells '<frame>'") as caught:
        encode_prompt('open the <frame>', tokenizer)
    assert caught.value.code is ErrorCode.INVALID_QUERY


SEEN = ("{% for c in messages[0].content %}{{ '<image>' if c.type == 'image' else c.text }}"
        '{% endfor %}')


@pytest.mark.parametrize(('template', 'told'), [
    ('{% if %}', 'Expected an expression'),
    ('{{ messages[0].content.strip() }}', 'strip'),
    ("{{ raise_exception('not for you') }}", 'not for you'),
    ("{{ ''.__class__.__mro__ }}", 'unsafe'),
    ('Question: {{ messages[0].content[1].text }}', 'one <image> and the question after it'),
    ('<image>', 'one <image> and the question after it'),
    (SEEN + SEEN, 'one <image> and the question after it'),
    ('<image>' + SEEN, 'one <image> and the question after it'),
    ('</s>' + SEEN, "special token '</s>'"),
    (SEEN + '#' * 70_000, 'more than 65536 characters'),
])
def test_a_template_that_cannot_be_used_is_refused_when_it_is_loaded(
        tmp_path, texts, template, told):
    tokenizer = make_llava_tokenizer(texts)
    tokenizer.chat_template = template
    tokenizer.save_pretrained(tmp_path)
    CLIPImageProcessorPil().save_pretrained(tmp_path)
    with pytest.raises(LegoError) as caught:
        load_processors(tmp_path)
    assert caught.value.code is ErrorCode.BUNDLE_INVALID
    assert str(tmp_path) in caught.value.message
    assert told in caught.value.message


def test_a_beginning_of_the_sequence_in_the_template_is_not_put_there_twice(texts):
    tokenizer = make_llava_tokenizer(texts)
    tokenizer.chat_template = '{{ bos_token }}Look: ' + SEEN + '!'
    before, after = encode_prompt('Why?', tokenizer)
    assert before.count(tokenizer.bos_token_id) == 1
    assert (tokenizer.decode(before), tokenizer.decode(after)) == ('<s>Look: ', 'Why?!')


def test_a_tokenizer_without_beginning_token_gets_none(texts):
    tokenizer = make_llava_tokenizer(texts)
    tokenizer.bos_token = None
    before, _ = encode_prompt('Why?', tokenizer)
    assert tokenizer.decode(before) == 'USER: '
