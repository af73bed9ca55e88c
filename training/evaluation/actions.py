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

"""Which of the kitchen's actions a sentence tells of, in its own wording or in another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lego_ros.training.curation.words import DETERMINERS
from lego_ros.training.data.verbs import base_form

_VERBS = {
    'open': 'open', 'close': 'close', 'shut': 'close', 'take': 'take', 'grasp': 'take',
    'grab': 'take', 'pick': 'take', 'lift': 'take', 'fetch': 'take', 'get': 'take',
    'retrieve': 'take', 'remove': 'take', 'put': 'put', 'place': 'put', 'set': 'put',
    'lay': 'put', 'position': 'put', 'deposit': 'put', 'lower': 'put', 'pour': 'pour',
    'cut': 'cut', 'slice': 'cut', 'chop': 'cut', 'halve': 'cut', 'stir': 'stir', 'mix': 'stir',
    'whisk': 'stir', 'wash': 'wash', 'rinse': 'wash', 'clean': 'clean', 'scrub': 'clean',
    'push': 'push', 'shove': 'push',
    'slide': 'push', 'nudge': 'push', 'wipe': 'wipe', 'mop': 'wipe', 'shake': 'shake',
    'invert': 'turn over', 'hold': 'hold', 'keep': 'hold', 'steady': 'hold', 'support': 'hold',
    'brace': 'hold'}
_TURNS = frozenset({'turn', 'switch', 'flip', 'rotate'})
_PARTICLES = {'on': 'turn on', 'off': 'turn off', 'over': 'turn over'}
_FAR = 5
"""How many words after "turns" its particle may stand."""
_ENDS = frozenset({',', ';', 'and', 'by', 'so', 'with', 'while', 'to', 'in', 'until', 'from'})
_HELPERS = ('push', 'put', 'take')
"""What is also done on the way to something else; the later ones count less."""
_ABSORBS = {
    # Poured from, washed, ... what is turned, wiped or run for it is a part of the action.
    'shake': {'turn over'}, 'wash': {'clean', 'wipe', 'turn on', 'turn over'},
    'wipe': {'clean'}, 'clean': {'turn on', 'turn over'}, 'pour': {'turn over'},
    'stir': {'turn over'}}
_LIMBS = frozenset({'hand', 'hands', 'palm', 'fingers'})


@dataclass(frozen=True)
class Did:
    """
    A verb of a sentence.

    :param place: number of its word.
    :param verb: a lemma of ``sim.vocabulary.VERBS``, ``hold``, or ``clean``, which is to wash or
        to wipe.
    """

    place: int
    verb: str


def verbs_of(words: Sequence[str]) -> list[Did]:
    """
    Find what is done.

    :param words: of ``curation.words.split_words``.
    :returns: in the sentence's order.
    """
    found = []
    for place, word in enumerate(words):
        verb = _verb(words, place, word)
        if verb:
            found.append(Did(place, verb))
    return found


def main_verb(verbs: Sequence[Did]) -> Did | None:
    """
    Choose the action that the others lead to: cutting, not taking the knife for it.

    :param verbs: of a sentence.
    :returns: the first mention of that action; None = there is none, or there are two.
    """
    goals = [did for did in verbs if did.verb not in (*_HELPERS, 'hold')]
    names = {did.verb for did in goals}
    for name in list(names):
        names -= _ABSORBS.get(name, set())
    if len(names) > 1:
        return None
    if names:
        return next(did for did in goals if did.verb in names)
    return next((did for name in _HELPERS for did in verbs if did.verb == name), None)


def _verb(words: Sequence[str], place: int, word: str) -> str:
    """Give the action that begins at a word; '' = none does."""
    before = words[place - 1] if place else ''
    after = words[place + 1:place + 2 + _FAR]
    if word == 'closed' or word == 'open':
        # "the open drawer" is no action, "swings it open" is one.
        described = before in DETERMINERS or after[:1] == ['door']
        return '' if described else 'close' if word == 'closed' else 'open'
    if before in DETERMINERS or after[:1] == ['board']:
        return ''
    lemma = base_form(word)
    if lemma in _TURNS:
        return _turned(after)
    verb = _VERBS.get(lemma, '')
    if verb == 'put' and _moves_hand(after):
        return ''
    return verb


def _turned(after: Sequence[str]) -> str:
    """Tell turning on from turning over; '' = only a knob or a lever is turned."""
    for place, word in enumerate(after[:_FAR]):
        if word == 'upside':
            return 'turn over'
        if word in _PARTICLES and (place == 0 or after[place + 1:place + 2] == []
                                   or after[place + 1] not in DETERMINERS):
            return _PARTICLES[word]
        if word in _ENDS:
            break
    return ''


def _moves_hand(after: Sequence[str]) -> bool:
    """Tell "lays the right hand against it" from "lays it down"."""
    return any(word in _LIMBS for word in after[:3])
