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

"""The kitchen's state before an action, in the predicates of programs, from ``truth.jsonl``."""

from __future__ import annotations

from lego_ros.programs.interpreter import Run, run
from lego_ros.programs.state import State
from lego_ros.programs.tree import Predicate, Program
from lego_ros.sim.facts import TOLD
from lego_ros.sim.vocabulary import DOORS
from lego_ros.training.export import truth as recorded

_OPEN = 0.5
"""Of the way; between two actions nothing stands half open."""


def kitchen_before(truth: recorded.TruthRecord, program: Program) -> State:
    """
    Say what held in the kitchen when an action began.

    It is what ``lego_ros.sim.facts.state_of`` says of the kitchen itself, which takes seconds to
    be drawn anew, but for one fact: of a spill the record does not tell where it is. The action's
    own program does where it wipes it.

    :param truth: of the action.
    :param program: the true one.
    :returns: the facts.
    """
    state = truth.before
    facts = [fact for name, value in state.opening.items()
             for fact in _fixture(_called(name, state), value)]
    for thing, place in state.location.items():
        facts += _place(thing, place, state)
    facts += [Predicate(name, (thing,)) for name, things in (
        ('cut', state.cut), ('upside_down', state.flipped), ('dirty', state.dirty),
        ('full', state.liquid)) for thing in things]
    return State(frozenset((*facts, *program.initial)))


def ends_alike(one: Run, other: Run) -> bool:
    """
    Compare what two programs leave behind in the same kitchen.

    :param one: course of a program.
    :param other: of another one.
    :returns: whether both came to their end, and all holds after the one that holds after the
        other, of what the kitchen knows about itself.
    """
    return not (one.problem or other.problem) and _told(one.state) == _told(other.state)


def true_course(truth: recorded.TruthRecord, program: Program) -> Run:
    """
    Do what was really done. A test of the kitchen holds that it ends as the kitchen did.

    :param truth: of the action.
    :param program: the true one.
    :returns: its course in the kitchen.
    """
    return run(program, kitchen_before(truth, program))


def _told(state: State) -> frozenset[Predicate]:
    return frozenset(fact for fact in state.facts if fact.name in TOLD)


def _called(name: str, state: recorded.State) -> str:
    """Name a fixture as programs do: the left cupboard of two, the cupboard where it is alone."""
    noun = name.rpartition('_')[2]
    alone = sum(other.rpartition('_')[2] == noun for other in state.opening) == 1
    return noun if alone else name


def _fixture(name: str, value: float) -> list[Predicate]:
    if name.rpartition('_')[2] in DOORS:
        return [Predicate('open' if value > _OPEN else 'closed', (name,))]
    return [Predicate('switched_on', (name,))] if value > _OPEN else []


def _place(thing: str, place: str, state: recorded.State) -> list[Predicate]:
    hand = place.removesuffix('_hand')
    if hand != place:
        return [Predicate(name, (thing, hand)) for name in ('in_hand', 'contact', 'near')]
    if place in state.location:
        # A lid lies on the pot, an egg lies in it.
        return [Predicate('on' if thing == 'lid' else 'in', (thing, place))]
    # Spots are named by where they are: "near_free_0", "left_drawer_1", "hob_0", "sink".
    row, _, number = place.rpartition('_')
    where = row if number.isdigit() else place
    if where.partition('_')[0] in ('near', 'far'):
        where = 'counter'
    inside = where == 'sink' or where.rpartition('_')[2] in DOORS
    return [Predicate('in' if inside else 'on', (thing, _called(where, state)))]
