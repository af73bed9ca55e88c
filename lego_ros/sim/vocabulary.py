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

"""The words of the kitchen: which nouns there are, which verbs, and what can be done with what."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType

HANDS = ('left', 'right')


@dataclass(frozen=True)
class Verb:
    """
    One verb in the forms that narrations and descriptions need.

    :param lemma: as in a label: ``turn on``.
    :param third: third person: ``turns on``.
    :param gerund: ``turning on``.
    """

    lemma: str
    third: str
    gerund: str


@dataclass(frozen=True)
class Noun:
    """
    One portable thing.

    :param name: as in a label.
    :param uses: what it can be part of: ``take`` it, ``pour`` from it, ``fill`` it,
        ``cut`` it, ``cut_with``, ``stir_in``, ``stir_with``, ``wash``, ``push``, ``turn_over``,
        ``shake``, ``wipe_with``, ``hold`` food on or in it, ``cover`` it with the lid.
    :param homes: places where it may be at first: ``near`` and ``far`` row of the counter,
        ``board``, ``drawer``, ``cupboard``, ``fridge``, ``hob``.
    :param liquid: what it holds at first, or ''.
    """

    name: str
    uses: frozenset[str]
    homes: tuple[str, ...]
    liquid: str = ''


def _noun(name: str, uses: str, homes: str, liquid: str = '') -> Noun:
    return Noun(name, frozenset(uses.split()), tuple(homes.split()), liquid)


VERBS = MappingProxyType({verb.lemma: verb for verb in (
    Verb('open', 'opens', 'opening'),
    Verb('close', 'closes', 'closing'),
    Verb('take', 'takes', 'taking'),
    Verb('put', 'puts', 'putting'),
    Verb('pour', 'pours', 'pouring'),
    Verb('cut', 'cuts', 'cutting'),
    Verb('stir', 'stirs', 'stirring'),
    Verb('wash', 'washes', 'washing'),
    Verb('turn on', 'turns on', 'turning on'),
    Verb('turn off', 'turns off', 'turning off'),
    Verb('push', 'pushes', 'pushing'),
    Verb('wipe', 'wipes', 'wiping'),
    Verb('turn over', 'turns over', 'turning over'),
    Verb('shake', 'shakes', 'shaking'),
)})

NOUNS = MappingProxyType({noun.name: noun for noun in (
    _noun('mug', 'take fill wash push turn_over', 'near far cupboard'),
    _noun('glass', 'take fill wash push turn_over', 'near far cupboard'),
    _noun('bowl', 'take fill stir_in wash push hold', 'near far cupboard'),
    # No grip holds it: the fingers do not fit under its edge.
    _noun('plate', 'push hold', 'near far'),
    _noun('knife', 'take cut_with wash', 'near drawer'),
    _noun('fork', 'take wash', 'near drawer'),
    _noun('spoon', 'take stir_with wash', 'near drawer'),
    _noun('spatula', 'take stir_with wash', 'near drawer'),
    _noun('pan', 'take fill stir_in', 'hob'),
    _noun('pot', 'take fill stir_in cover', 'hob'),
    _noun('lid', 'take wash', 'near far'),
    _noun('kettle', 'take pour push', 'far', 'water'),
    _noun('bottle', 'take pour push shake', 'far fridge', 'juice'),
    _noun('carton', 'take pour push shake', 'far fridge', 'milk'),
    _noun('jar', 'take push turn_over shake', 'near far cupboard fridge'),
    _noun('tin', 'take push turn_over', 'near far cupboard'),
    _noun('shaker', 'take push shake', 'far cupboard'),
    _noun('sponge', 'take wash wipe_with', 'near'),
    _noun('cloth', 'take wash wipe_with', 'near drawer'),
    _noun('apple', 'take cut wash', 'board near fridge'),
    _noun('tomato', 'take cut wash', 'board near fridge'),
    _noun('lemon', 'take cut wash', 'board near fridge'),
    _noun('onion', 'take cut', 'board near'),
    _noun('cucumber', 'take cut wash', 'board near'),
    _noun('bread', 'take cut', 'board near'),
    _noun('egg', 'take', 'near fridge'),
)})

DOORS = ('drawer', 'cupboard', 'fridge')
"""Nouns of fixtures that are opened and closed."""

FIXTURES = ('drawer', 'cupboard', 'fridge', 'tap', 'hob', 'sink', 'board', 'counter')
"""Nouns of what stays where it is."""

FOOD = frozenset({'apple', 'tomato', 'lemon', 'onion', 'cucumber', 'bread', 'egg'})
