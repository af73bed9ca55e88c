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
Hands for steps that were predicted without.

LEAP's steps are (sub-verb, object A, object B), so the network tells no hands. The language wants
them, and its contracts say which steps must be of one hand.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from lego_ros.programs.state import State
from lego_ros.programs.tree import Conditions, Hand, Predicate, SubAction
from lego_ros.programs.vocabulary import Vocabulary

_BEAM = 8
_TWO = (Hand.RIGHT, Hand.LEFT)


def with_hands(actions: Sequence[SubAction], initial: Conditions, vocabulary: Vocabulary
               ) -> tuple[tuple[SubAction, ...], Conditions]:
    """
    Choose hands so that as few pre-conditions as possible are unmet.

    Which hand is the right one cannot be known: where one hand does all it is ``either``; where it
    takes two, the first is called ``right``. What an initial fact says of ``either`` is said of
    the first. The search keeps the best few ways after each step.

    :param actions: without hands.
    :param initial: what holds before, with ``either`` for every hand.
    :param vocabulary: their words.
    :returns: the same actions and facts with hands.
    """
    single = _Way(State(frozenset(initial)))
    for action in actions:
        single = single.with_step(action, Hand.EITHER, vocabulary)
    if not single.unmet:
        return single.actions, initial
    renamed = tuple(_of_right(fact, vocabulary) for fact in initial)
    ways = [_Way(State(frozenset(renamed)))]
    for action in actions:
        ways = [way.with_step(action, hand, vocabulary) for way in ways
                for hand in (_TWO if vocabulary.sub_verbs[action.verb].hand else _TWO[:1])]
        # Sorting is stable: of equals, the right hand's comes first.
        ways = sorted(ways, key=lambda way: (way.unmet, way.changes))[:_BEAM]
    best = ways[0]
    return (best.actions, renamed) if best.unmet < single.unmet else (single.actions, initial)


@dataclass(frozen=True)
class _Way:
    """The first steps with hands, what holds after them, and what speaks against them."""

    state: State
    actions: tuple[SubAction, ...] = ()
    unmet: int = 0
    changes: int = 0
    last: Hand | None = None

    def with_step(self, action: SubAction, hand: Hand, vocabulary: Vocabulary) -> _Way:
        if not vocabulary.sub_verbs[action.verb].hand:
            hand_of, last = None, self.last
        else:
            hand_of, last = hand, hand
        done = replace(action, hand=hand_of)
        needs = vocabulary.pre(done)
        unmet = sum(not self.state.holds(need) for need in needs)
        state = self.state.assuming(needs, vocabulary).after(vocabulary.post(done), vocabulary)
        changed = self.last is not None and last is not self.last
        return _Way(state, (*self.actions, done), self.unmet + unmet, self.changes + changed,
                    last)


def _of_right(fact: Predicate, vocabulary: Vocabulary) -> Predicate:
    kinds = vocabulary.predicates[fact.name].arguments
    return Predicate(fact.name, tuple(
        Hand.RIGHT.value if kind == 'hand' else word
        for word, kind in zip(fact.arguments, kinds, strict=True)), fact.negated)
