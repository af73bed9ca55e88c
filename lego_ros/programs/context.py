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

"""What is known of the scene as a part of what a program begins from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from lego_ros.programs.bounds import MAX_INITIAL
from lego_ros.programs.parsing import parse
from lego_ros.programs.printing import to_text
from lego_ros.programs.state import rivals
from lego_ros.programs.tree import Conditions, Hand, Predicate, Program
from lego_ros.programs.vocabulary import default_vocabulary, Vocabulary


def begun_from(program: Program, facts: Conditions, vocabulary: Vocabulary | None = None
               ) -> tuple[Program, Conditions]:
    """
    Add to a program's initial state what is known to hold.

    Only what the program declares counts. What it states itself goes before: a fact that cannot
    hold beside it is left out. Where a fact is about ``either`` hand, as a recogniser's are, it is
    taken to be the hand with which the program acts on the thing; where that is not one hand
    throughout, the fact is left out.

    :param program: sound or not.
    :param facts: that hold now, the surest first; from anywhere, unknown words among them.
    :param vocabulary: its words; those of the package by default.
    :returns: the program, its lines those of its text; and the facts that were added.
    """
    vocabulary = vocabulary or default_vocabulary()
    hands = _hands_of(program)
    known: list[Predicate] = list(program.initial)
    for fact in facts:
        told = _told(fact, program, hands, vocabulary)
        if told is None or told in known or len(known) == MAX_INITIAL:
            continue
        if not any(rivals((other, told), vocabulary) for other in known):
            known.append(told)
    added = tuple(known[len(program.initial):])
    if not added:
        return program, ()
    # Parsed again: what the checker finds names lines of the text that is told.
    return parse(to_text(replace(program, initial=tuple(known))), vocabulary), added


def _hands_of(program: Program) -> dict[str, set[Hand]]:
    """Tell with which hands a program acts on, or with, each thing."""
    found: dict[str, set[Hand]] = {}
    for action in program.sub_actions():
        if action.hand is not None:
            for name in (action.object_a, action.object_b):
                found.setdefault(name, set()).add(action.hand)
    return found


def _told(fact: Predicate, program: Program, hands: dict[str, set[Hand]], vocabulary: Vocabulary
          ) -> Predicate | None:
    """Say a fact in the program's terms; None where it cannot be."""
    word = vocabulary.predicates.get(fact.name)
    if word is None or fact.negated or len(word.arguments) != len(fact.arguments):
        return None
    arguments = tuple(_arguments(fact, word.arguments, program, hands))
    return Predicate(fact.name, arguments) if len(arguments) == len(fact.arguments) else None


def _arguments(fact: Predicate, kinds: tuple[str, ...], program: Program,
               hands: dict[str, set[Hand]]) -> Iterator[str]:
    """Yield the arguments that can be told."""
    for argument, kind in zip(fact.arguments, kinds, strict=True):
        if kind == 'object':
            if argument in program.objects:
                yield argument
        elif argument != Hand.EITHER.value:
            if argument in (Hand.LEFT.value, Hand.RIGHT.value):
                yield argument
        else:
            used = hands.get(fact.arguments[0], set())
            if len(used) == 1 and Hand.BOTH not in used:
                yield next(iter(used)).value
