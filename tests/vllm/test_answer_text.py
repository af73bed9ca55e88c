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

"""The early stop is exact: what it cuts off can reach neither CLIP's tokens nor H_t."""

from __future__ import annotations

from hypothesis import example, given, HealthCheck, settings
from hypothesis import strategies as st
from lego_ros.vllm.answer_text import AnswerText
import pytest

SHARED = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=300
)


def clip_ids(clip_tokenizer, text, text_tokens):
    return clip_tokenizer(
        text, padding='max_length', truncation=True, max_length=text_tokens
    )['input_ids']


def assert_cut_is_exact(tokenizer, clip_tokenizer, ids, text_tokens):
    """Cut a response at each point where it may be cut, and compare what CLIP gets."""
    answer = AnswerText(tokenizer, clip_tokenizer, text_tokens)
    whole = clip_ids(clip_tokenizer, answer.whole(ids), text_tokens)
    stopped = False
    for end in range(1, len(ids) + 1):
        settled = answer.settled(ids[:end])
        assert answer.whole(ids).startswith(settled)
        if answer.fills_clip(ids[:end]):
            stopped = True
            assert clip_ids(clip_tokenizer, settled, text_tokens) == whole
        else:
            assert not stopped  # once full, always full
    return stopped


# Word parts that join across tokens, in ways that CLIP's tokenizer treats specially.
_parts = st.one_of(
    st.sampled_from([
        ' ', '\n', '\t', '\u3000', '\xa0', '\x1c', '\x85', '\u2028', '\u200d', '\u200b', '\0',
        ' the', ' drawer', "'", 're', "'ll", 's', ' do', 'n', 't', '!', '?!', '3',
        '<|end', 'oftext|>', '<|endoftext|>', 'e', '\u0301', 'か', '\u3099', 'Σ', 'İ', '🍅', 'ﬁ',
        '½', '\u1100', '\u1161', '\u11a8',
    ]),
    st.text(st.characters(exclude_categories=['Cs']), max_size=5),
)


@SHARED
@given(st.lists(_parts, max_size=25), st.sampled_from([3, 5, 9]))
@example(['!', '\n', '\x85'], 3)
@example([' a', ' e', '\u0301', ' b'], 4)
def test_any_text_is_cut_exactly(tokenizer, clip_tokenizer, parts, text_tokens):
    ids = [
        index for part in parts
        for index in tokenizer.encode(part, add_special_tokens=False, split_special_tokens=True)
    ]
    assert_cut_is_exact(tokenizer, clip_tokenizer, ids, text_tokens)


@SHARED
@given(st.data(), st.sampled_from([3, 5, 9]))
def test_any_tokens_are_cut_exactly(tokenizer, clip_tokenizer, data, text_tokens):
    """Tokens as an untrained model draws them: broken characters, special tokens, unknown ids."""
    ids = data.draw(st.lists(st.integers(0, len(tokenizer) + 3), max_size=30))
    assert_cut_is_exact(tokenizer, clip_tokenizer, ids, text_tokens)


@SHARED
@given(st.data(), st.sampled_from([3, 4, 9]))
def test_any_byte_fallback_tokens_are_cut_exactly(
    byte_fallback_tokenizer, clip_tokenizer, data, text_tokens
):
    """A run of byte tokens is read as a whole: a later byte can undo a newline before it."""
    tokenizer = byte_fallback_tokenizer
    telling = [0, 1, 2, *(3 + byte for byte in b'\n a\xe3\x81\xff'), *range(259, len(tokenizer))]
    one = st.one_of(st.sampled_from(telling), st.integers(0, len(tokenizer) - 1))
    ids = data.draw(st.lists(one, max_size=25))
    assert_cut_is_exact(tokenizer, clip_tokenizer, ids, text_tokens)


@pytest.mark.parametrize('between', [[], ['<s>']])
def test_a_newline_that_a_byte_may_undo_is_not_settled(
    byte_fallback_tokenizer, clip_tokenizer, between
):
    tokens = ['▁the', '!', '<0x0A>', *between]
    ids = byte_fallback_tokenizer.convert_tokens_to_ids(tokens)
    answer = AnswerText(byte_fallback_tokenizer, clip_tokenizer, 77)
    assert answer.settled(ids) == ''
    broken = [*ids, *byte_fallback_tokenizer.convert_tokens_to_ids(['<0xFF>', 'x'])]
    assert answer.whole(broken) == 'the!\ufffd\ufffdx'
    ended = [*ids, *byte_fallback_tokenizer.convert_tokens_to_ids(['x'])]
    assert answer.settled(ended) == 'the!'


@pytest.mark.parametrize('unfinished', [
    ['op', 'en'], ["'", 're'], ['<|endoftext', '|>'], ['e', '\u0301'], ['か', '\u3099'],
])
def test_clips_tokens_of_an_unfinished_word_do_change(clip_tokenizer, unfinished):
    """The reason for the word boundary: a longer word is not the shorter one's tokens and more."""
    def read(text):
        return clip_tokenizer(text, add_special_tokens=False)['input_ids']

    start, rest = unfinished
    assert read(start + rest)[:len(read(start))] != read(start)
    assert read(start + ' ' + rest)[:len(read(start))] == read(start)


def test_the_stop_comes_with_the_first_settled_word_that_fills_clip(tokenizer, clip_tokenizer):
    """A text of one-token words: 75 of them fill CLIP, and the 76th shows that the 75th ended."""
    word = ' the'
    assert len(tokenizer.encode(word)) == 1
    assert len(clip_tokenizer.tokenize(word)) == 1
    answer = AnswerText(tokenizer, clip_tokenizer, 77)
    full = [answer.fills_clip(tokenizer.encode(word * count)) for count in range(1, 80)]
    assert full.index(True) + 1 == 76
    assert all(full[75:])


def test_a_text_without_word_boundary_never_fills(tokenizer, clip_tokenizer):
    answer = AnswerText(tokenizer, clip_tokenizer, 9)
    assert not answer.fills_clip(tokenizer.encode('引き出し' * 20))


def test_the_text_is_plain(tokenizer, clip_tokenizer):
    answer = AnswerText(tokenizer, clip_tokenizer, 77)
    ids = tokenizer.encode(' <s>Open\0 the\x85\n<image>drawer .</s>  ')
    assert answer.whole(ids) == 'Open  the \ndrawer .'
    assert answer.settled(ids) == 'Open  the \ndrawer .'
    assert answer.settled(ids[:-1]) == 'Open  the \ndrawer .'
    assert answer.whole([]) == answer.settled([]) == ''
