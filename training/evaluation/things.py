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
The things of the kitchen as a sentence names them.

Kitchen sentences name things by the words of ``sim.vocabulary``; free wording by others, of which
the common ones are known here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lego_ros.sim.vocabulary import FIXTURES, NOUNS
from lego_ros.training.curation.words import phrase_of, Vocabulary

_OTHER_NAMES = {
    'board': ('chopping board', 'cutting board'),
    'bottle': ('juice bottle',),
    'bread': ('loaf', 'bread loaf', 'loaf of bread'),
    'carton': ('milk carton', 'carton of milk'),
    'cloth': ('towel', 'rag', 'dishcloth', 'dish towel'),
    'counter': ('countertop', 'worktop', 'work surface', 'kitchen counter'),
    'cupboard': ('cabinet',),
    'fridge': ('refrigerator',),
    'hob': ('stove', 'cooker', 'stovetop', 'cooktop'),
    'mug': ('cup',),
    'pan': ('frying pan', 'skillet'),
    'pot': ('saucepan', 'cooking pot'),
    'shaker': ('salt shaker', 'pepper shaker'),
    'tap': ('faucet',),
    'tin': ('tin can', 'food tin'),
}
LIQUIDS = tuple(sorted({noun.liquid for noun in NOUNS.values() if noun.liquid}))
SURFACES = frozenset({'counter', 'board', 'hob', 'sink'})
"""What other things stand on or lie in."""
_NAMES = {name: (name, *_OTHER_NAMES.get(name, ())) for name in (*NOUNS, *FIXTURES, *LIQUIDS)}
_CANONICAL = {phrase_of(word): name for name, words in _NAMES.items() for word in words}
_VOCABULARY = Vocabulary((), tuple(_NAMES.values()))
_SIDES = ('left', 'right')


@dataclass(frozen=True)
class Named:
    """
    A thing that a sentence names.

    :param start: number of its first word.
    :param end: number of the word after its last.
    :param noun: its name in the kitchen, without what tells it from others of its kind.
    :param side: ``left`` or ``right`` where that tells it from others: "the left drawer"; or ''.
    """

    start: int
    end: int
    noun: str
    side: str = ''


def named_things(words: Sequence[str]) -> list[Named]:
    """
    Find the things that a sentence names.

    :param words: of ``curation.words.split_words``.
    :returns: in the sentence's order.
    """
    return [Named(found.start, found.start + len(found.phrase), _CANONICAL[found.phrase],
                  _side(words, found.start)) for found in _VOCABULARY.mentions(words)]


def _side(words: Sequence[str], start: int) -> str:
    before = words[start - 1] if start else ''
    return before if before in _SIDES else ''
