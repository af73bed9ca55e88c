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

"""What is known to hold at one moment of a program."""

from __future__ import annotations

from dataclasses import dataclass

from lego_ros.programs.tree import ANYTHING, Conditions, Predicate
from lego_ros.programs.vocabulary import Vocabulary


@dataclass(frozen=True)
class State:
    """
    Facts that hold, and facts of which it is open whether they hold; no other holds.

    :param facts: what holds.
    :param open: what may hold: two ways through the program differ in it.
    """

    facts: frozenset[Predicate] = frozenset()
    open: frozenset[Predicate] = frozenset()

    def holds(self, condition: Predicate) -> bool | None:
        """
        Tell whether a condition is met.

        :param condition: may be negated and may say ``_``.
        :returns: None where it is open.
        """
        found: bool | None = False
        if _any_fits(condition, self.facts):
            found = True
        elif _any_fits(condition, self.open):
            found = None
        return not found if condition.negated and found is not None else found

    def all_hold(self, conditions: Conditions) -> bool | None:
        """
        Tell whether all of some conditions are met.

        :param conditions: any number.
        :returns: None where it is open.
        """
        met = [self.holds(condition) for condition in conditions]
        return False if False in met else None if None in met else True

    def after(self, changes: Conditions, vocabulary: Vocabulary) -> State:
        """
        Return what holds after a change.

        :param changes: what is made true and, negated, what is ended; ``_`` ends all that fits.
            First all is ended, then all is made true.
        :param vocabulary: for what a new fact ends.
        :returns: the new state.
        """
        new = frozenset(change for change in changes if not change.negated)
        gone = frozenset(fact for fact in self.facts | self.open for change in changes
                         if (fits(change, fact) if change.negated
                             else ended_by(change, fact, vocabulary)))
        return State(self.facts - gone | new, self.open - gone - new)

    def assuming(self, conditions: Conditions, vocabulary: Vocabulary) -> State:
        """
        Return what is known where a branch is entered.

        :param conditions: they hold now.
        :param vocabulary: for what they exclude.
        :returns: the state; of ``_`` nothing positive is learnt.
        """
        learnt = tuple(condition for condition in conditions if condition.negated
                       or ANYTHING not in condition.arguments)
        state = self.after(learnt, vocabulary)
        # What could not hold beside it does not.
        gone = frozenset(fact for fact in state.facts | state.open for condition in learnt
                         if not condition.negated and second(condition, fact, vocabulary))
        return State(state.facts - gone, state.open - gone)

    def opened(self, name: str, vocabulary: Vocabulary) -> State:
        """
        Return what is known when a thing was left to itself.

        :param name: the object.
        :param vocabulary: the predicates that may be true of it alone are open now.
        :returns: the state.
        """
        alone = {Predicate(predicate, (name,)) for predicate, word in vocabulary.predicates.items()
                 if word.arguments == ('object',)}
        return State(self.facts - alone, self.open | alone)

    def joined(self, other: State) -> State:
        """
        Return what is known where two ways come together.

        :param other: of the other way.
        :returns: what both say holds; what only one says is open.
        """
        facts = self.facts & other.facts
        return State(facts, (self.facts | other.facts | self.open | other.open) - facts)


def fits(condition: Predicate, fact: Predicate) -> bool:
    """
    Tell whether a fact is one of those that a condition speaks of.

    :param condition: may say ``_``; whether it is negated does not matter.
    :param fact: any.
    :returns: True where name and arguments agree.
    """
    return condition.name == fact.name and all(
        wanted in (ANYTHING, given)
        for wanted, given in zip(condition.arguments, fact.arguments, strict=True))


def _any_fits(condition: Predicate, facts: frozenset[Predicate]) -> bool:
    if ANYTHING not in condition.arguments:
        return condition.fact in facts
    return any(fits(condition, fact) for fact in facts)


def ended_by(new: Predicate, fact: Predicate, vocabulary: Vocabulary) -> bool:
    """
    Tell whether a fact ends when another becomes true.

    :param new: what becomes true.
    :param fact: what held so far.
    :param vocabulary: says which predicates are opposites, and of which the latest counts.
    :returns: True where it ends.
    """
    word, other = vocabulary.predicates[new.name], vocabulary.predicates[fact.name]
    if word.opposite == fact.name and new.arguments == fact.arguments:
        return True
    alike = new.name == fact.name or (word.group != '' and word.group == other.group)
    place = word.latest_per
    return bool(alike and place and place == other.latest_per and new != fact
                and new.arguments[place - 1] == fact.arguments[place - 1])


def second(new: Predicate, fact: Predicate, vocabulary: Vocabulary) -> bool:
    """
    Tell whether there may be only one of two facts: a hand holds one thing.

    :param new: one fact.
    :param fact: the other.
    :param vocabulary: says of what there may be only one.
    :returns: True where both together are a mistake.
    """
    place = vocabulary.predicates[new.name].only_per
    return bool(place and new.name == fact.name and new != fact
                and new.arguments[place - 1] == fact.arguments[place - 1])


def rivals(facts: Conditions, vocabulary: Vocabulary) -> list[tuple[Predicate, Predicate]]:
    """
    Find facts that cannot hold together.

    :param facts: stated to hold (or not to hold) at one moment.
    :param vocabulary: says what excludes what.
    :returns: pairs: a fact and its negation, opposites, and two where only one may be.
    """
    return [(other, one) for number, one in enumerate(facts) for other in facts[:number]
            if _clash(one, other, vocabulary)]


def _clash(one: Predicate, other: Predicate, vocabulary: Vocabulary) -> bool:
    if one.negated != other.negated:
        return fits(one, other) if one.negated else fits(other, one)
    if one.negated or ANYTHING in (*one.arguments, *other.arguments):
        # That something lies on the table and that the cup does may be the same fact.
        return False
    return ended_by(one, other, vocabulary) or second(one, other, vocabulary)
