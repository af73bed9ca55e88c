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

from hypothesis import given
from hypothesis import strategies as st
from lego_ros.errors import LegoError
from lego_ros.vllm.action_phrase import action_phrase
from lego_ros.vllm.query import check_query
import pytest

ASKED = (
    '{}',
    '{}.',
    'please {}',
    '{}, please!',
    'How do I {}?',
    'how to {}',
    'how should the person {}',
    'How can I properly {} ?',
    'how I can {}',
    'show me how to {} please',
    'Hey, could you please show me how to {}? Thank you!',
    'Can you tell us how one should {}?',
    'explain to me how to {}',
    'I want to know how to {}',
    "I'd like to {}",
    'I’d like to see how you {}',
    "I don't know how to {}.",
    'do you know how to {}?',
    "What's the best way to {}?",
    'show me the right way to {}',
    'help me {}',
    'help me to {}',
    "ok, let's {}",
    '🙏 how do I {} 🍅?',
    '¿“{}”?',
)
ACTIONS = (
    'open the drawer', 'cut an onion', 'pour water', 'do the dishes', 'tell the time',
    'show the card to the reader', 'turn the TV on', 'put it in the way of the door', 'know',
    'set it to 2.5 V',
)


@pytest.mark.parametrize('asked', ASKED)
@pytest.mark.parametrize('action', ACTIONS)
def test_the_action_is_found_however_it_is_asked_for(asked, action):
    assert action_phrase(check_query(asked.format(action), 200)) == action


@pytest.mark.parametrize(('query', 'action'), [
    ('Open the drawer', 'open the drawer'),
    ('TV on', 'TV on'),
    ('Öffne die Schublade', 'öffne die Schublade'),
    ('die Schublade öffnen', 'die Schublade öffnen'),
    ('引き出しを開けるにはどうすればいいですか？', '引き出しを開けるにはどうすればいいですか'),
    ('открой ящик', 'открой ящик'),
    ('how does it work?', 'how does it work'),
    ('the drawer opens how', 'the drawer opens how'),
    ('help me with the jar', 'help me with the jar'),
    ('howl at the moon', 'howl at the moon'),
    ('soak the beans', 'soak the beans'),
    ('hide the key', 'hide the key'),
])
def test_what_is_not_known_as_a_question_is_the_action(query, action):
    assert action_phrase(query) == action


@pytest.mark.parametrize('query', ['please', 'how do I', 'how to', 'thanks', 'show me how'])
def test_a_query_of_nothing_but_a_lead_in_is_kept(query):
    assert action_phrase(query + '?') == query


_words = st.sampled_from([
    'how', 'do', 'I', 'to', 'show', 'me', 'the', 'way', 'please', 'open', 'drawer', ',', '?', '.',
    '🍅', '“', 'can', 'you', 'thanks', 'so', 'what', 'is', 'Öl', '2',
])


@given(st.one_of(st.text(st.characters()), st.lists(_words, max_size=12).map(' '.join)))
def test_every_valid_query_has_an_action_and_a_second_pass_changes_nothing(text):
    try:
        query = check_query(text, 200)
    except LegoError:
        return
    action = action_phrase(query)
    assert any(character.isalnum() for character in action)
    assert '\n' not in action
    assert '🍅' not in action
    assert action == action.strip()
    assert action_phrase(action) == action
