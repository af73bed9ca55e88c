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

"""Ego4D's narrations as labels: "#C C opens the drawer" -> "open the drawer"."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
import re

from lego_ros.training.data.verbs import base_form, KNOWN

# The tag says who acts; the letters after it are the actor's name in the sentence.
_TAG = re.compile(r'^\s*#+\s*(?P<tag>[A-Za-z]+)\b[\s,.:]*', re.ASCII)
_UNSURE = re.compile(r'#\s*unsure\b', re.IGNORECASE)
_ACTOR = re.compile(r'^c\b[\s,.:]*', re.IGNORECASE)
_DETERMINERS = {
    'a', 'an', 'the', 'it', 'them', 'his', 'her', 'its', 'their', 'this', 'that', 'these',
    'those', 'some', 'another', 'both', 'one', 'two'}
_AUXILIARIES = {'is', 'was', 'are', 'were'}


class Actor(Enum):
    """Who a narration is about."""

    WEARER = 'wearer'
    OTHER = 'other'
    UNSURE = 'unsure'
    UNTAGGED = 'untagged'


@dataclass(frozen=True)
class Narration:
    """
    A narration taken apart.

    :param actor: who acts.
    :param label: what is done, beginning with the verb's base form; '' = nothing is said.
    :param verb: that base form; '' = none.
    """

    actor: Actor
    label: str
    verb: str


def parse_narration(text: str) -> Narration:
    """
    Take a narration apart.

    :param text: as Ego4D has it, with its tag.
    :returns: its actor, label and verb. Any ``#unsure`` makes it unsure.
    """
    if _UNSURE.search(text):
        return Narration(Actor.UNSURE, '', '')
    match = _TAG.match(text)
    if match is None:
        return Narration(Actor.UNTAGGED, '', '')
    tag = match['tag'].lower()
    if tag in {'o', 'oo'}:
        return Narration(Actor.OTHER, '', '')
    if tag not in {'c', 'cc'}:
        return Narration(Actor.UNTAGGED, '', '')
    sentence = text[match.end():]
    if tag == 'c':
        sentence = _ACTOR.sub('', sentence, count=1)
    words = sentence.split()
    label = _imperative(words)
    return Narration(Actor.WEARER, label, label.split(' ', 1)[0] if label else '')


def _imperative(words: list[str]) -> str:
    """Put the verbs into the base form; a leading adverb goes behind them, out of the way."""
    words = [*words]
    if words:
        words[-1] = words[-1].rstrip('.,;:!')
    if words and not words[-1]:
        words.pop()
    adverb = None
    if len(words) > 1 and words[0].endswith('ly') and words[0].lower() not in KNOWN:
        adverb = words.pop(0)
    if len(words) > 1 and words[0].lower() in _AUXILIARIES and words[1].endswith('ing'):
        words.pop(0)
    if not words:
        return ''
    words[0] = base_form(words[0])
    for index in range(2, len(words)):
        if words[index - 1] in {'and', 'then'} and _is_second_verb(words, index):
            words[index] = base_form(words[index])
    if adverb:
        words.append(adverb.lower())
    return ' '.join(words)


def _is_second_verb(words: list[str], index: int) -> bool:
    """Tell "and wipes the table" from "and knives": a known verb with an object after it."""
    following = words[index + 1].lower() if index + 1 < len(words) else ''
    base = base_form(words[index])
    return base != words[index].lower() and base in KNOWN and following in _DETERMINERS
