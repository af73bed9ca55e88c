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

import unicodedata

from hypothesis import given
from hypothesis import strategies as st
from lego_ros.errors import ErrorCode, LegoError
from lego_ros.vllm.query import check_query, drop_emoji
import pytest


@pytest.mark.parametrize(('text', 'expected'), [
    ('open the drawer', 'open the drawer'),
    ('  open\tthe \r\n drawer\u3000', 'open the drawer'),
    ('open\x85the\u2028drawer', 'open the drawer'),
    ('cut 🍅 now', 'cut 🍅 now'),
    ('o\u0308ffne', 'öffne'),
    ('引き出しを開ける', '引き出しを開ける'),
    ('7', '7'),
])
def test_good_queries_are_normalised(text, expected):
    assert check_query(text, 100) == expected


@pytest.mark.parametrize('text', [
    '', '   ', '\n\t', '?!...', '🍅', '👩🏽\u200d🍳', '❶', '\ufe0f', '<>', '—', '°', '\u0301',
])
def test_a_query_without_a_word_is_invalid(text):
    with pytest.raises(LegoError, match='no letter or digit') as caught:
        check_query(text, 100)
    assert caught.value.code is ErrorCode.INVALID_QUERY


@pytest.mark.parametrize(('character', 'name'), [
    ('\0', r'a control character \(U\+0000\) at position 4'),
    ('\x1b', r'U\+001B'),
    ('\x1c', r'U\+001C'),  # white space for Python, but not for Unicode
    ('\x7f', r'U\+007F'),
    ('\x9f', r'U\+009F'),
    ('\ud83c', r'an unpaired surrogate \(U\+D83C\) at position 4'),
    ('\udc80', r'U\+DC80'),
])
def test_control_characters_and_surrogates_are_named(character, name):
    with pytest.raises(LegoError, match=name) as caught:
        check_query(f'open{character} the drawer', 100)
    assert caught.value.code is ErrorCode.INVALID_QUERY


def test_length_counts_after_normalising():
    assert len(check_query('  ' + 'o\u0308' * 10 + '  ', 10)) == 10
    with pytest.raises(LegoError, match='11 characters, more than the 10') as caught:
        check_query('a' * 11, 10)
    assert caught.value.code is ErrorCode.QUERY_TOO_LONG


@given(st.text(st.characters()))
def test_any_text_is_refused_or_made_plain(text):
    try:
        query = check_query(text, 30)
    except LegoError:
        return
    assert 1 <= len(query) <= 30
    assert check_query(query, 30) == query
    assert query.encode()
    assert unicodedata.is_normalized('NFC', query)
    assert not any(unicodedata.category(character) == 'Cc' for character in query)


@pytest.mark.parametrize(('text', 'expected'), [
    ('open 🚪 the 🍅🍅 drawer', 'open the drawer'),
    ('wash 👩🏽\u200d🍳 hands', 'wash hands'),
    ('go 1\ufe0f\u20e3 up', 'go 1 up'),
    ('🇩🇪 turn ❤\ufe0f left ☕', 'turn left'),
    ('می\u200cخواهم', 'می\u200cخواهم'),  # the non-joiner is spelling in Persian
    ('क्\u200dष', 'क्\u200dष'),  # and the joiner in Hindi
    ('turn by 180° at ½ speed', 'turn by 180° at ½ speed'),
])
def test_emoji_are_dropped_and_writing_is_kept(text, expected):
    assert drop_emoji(text) == expected
