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

"""
From what a person says to the action that it is about.

The rules know the usual English ways to ask ("How do I ...?", "please show me how to ...").
Whatever they do not know, other languages included, is taken as the action itself.
"""

from __future__ import annotations

import re

from lego_ros.vllm.query import drop_emoji, has_word

_PERSON = (
    r'(?:i|we|you|one|someone|somebody|people|he|she|they'
    r'|(?:the|a|this|that)\s+(?:person|user|wearer|camera\s+wearer|robot|man|woman))'
)
_MODAL = r'(?:can|could|should|would|shall|must|might|will)'
_WAY = r'the\s+(?:(?:best|right|correct|proper)\s+)?way\s+(?:for\s+(?:me|us)\s+)?to'
_ASKED = rf'(?=how\s|{_WAY}\s)'

# Each alternative ends before a further word, so that a lone "please" stays what it is.
_LEAD_IN = re.compile(
    '|'.join((
        r'(?:please|kindly|hey|hi|hello|okay|ok|so|now|well|um+|uh+)[\s,.!:;-]+',
        rf'how\s+(?:to|(?:do|does|did|{_MODAL})\s+{_PERSON}|{_PERSON}(?:\s+{_MODAL})?)\s+'
        r'(?:(?:properly|correctly|best)\s+)?',
        rf'(?:what(?:[\'’]s|\s+is)\s+)?{_WAY}\s+',
        rf'(?:show|tell|teach|explain|demonstrate|describe)\s+(?:(?:to\s+)?(?:me|us)\s+)?{_ASKED}',
        r'(?:can|could|would|will)\s+you\s+',
        rf'(?:i\s+(?:don[\'’]?t|do\s+not)|do\s+you)\s+know\s+{_ASKED}',
        r'(?:i|we)(?:\s+(?:want|need|have|wish|would\s+like)|[\'’]d\s+like)\s+(?:you\s+)?to\s+'
        rf'(?:(?:know|see|learn|understand|find\s+out)\s+{_ASKED})?',
        r'(?:help\s+(?:me|us)\s+(?!with\b)(?:to\s+)?|let\s+(?:me|us)\s+|let[\'’]s\s+)',
    )),
    re.IGNORECASE,
)
_LEAD_OUT = re.compile(
    r'[\s,;.!?]+(?:please|thanks|thank\s+you(?:\s+very\s+much)?)$', re.IGNORECASE
)
_EDGES = ' \t.?!…,;:¿¡"“”„«»。？！、，；：「」'


def _peel(text: str) -> str:
    """Take lead-ins, lead-outs and punctuation off until nothing more comes off."""
    text = text.strip(_EDGES)
    while True:
        match = _LEAD_IN.match(text)
        peeled = text[match.end():] if match else text
        peeled = _LEAD_OUT.sub('', peeled).strip(_EDGES)
        if peeled == text or not has_word(peeled):
            return text
        text = peeled


def _lower_sentence_capital(phrase: str) -> str:
    """Lower the capital that only marks a sentence's start, not an acronym's or a lone word's."""
    first, space, _ = phrase.partition(' ')
    if space and first[:1].isupper() and first[1:].islower():
        return phrase[0].lower() + phrase[1:]
    return phrase


def action_phrase(query: str) -> str:
    """
    Find the action in a query.

    "How do I open the drawer?" becomes "open the drawer"; a query that is not recognised is kept,
    without its emoji, its outer punctuation and a sentence's capital.

    :param query: a query as :func:`lego_ros.vllm.query.check_query` returns it.
    :returns: the action, on one line, for a question template's slot; not empty.
    """
    return _lower_sentence_capital(_peel(drop_emoji(query)))
