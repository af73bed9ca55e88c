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

"""The action program of what is done in the kitchen: the truth that generated ones are held to."""

from __future__ import annotations

from collections.abc import Callable
from types import MappingProxyType

from lego_ros.programs.tree import Hand, Program, SubAction
from lego_ros.sim.actions import Choice
from lego_ros.sim.facts import object_name, place_fact, state_of
from lego_ros.sim.vocabulary import HANDS
from lego_ros.sim.world import World


def program_of(choice: Choice, before: World, after: World) -> Program:
    """
    Write the program of an action.

    :param choice: what is done.
    :param before: the state in which it begins.
    :param after: the state in which it ends, its last frame: a tool may be put back or kept.
    :returns: the program, one sub-action for each change of contact and each use. Its initial
        state says of its objects, and of the places where they are, what holds before.
    """
    writer = _Writer(choice, before, after)
    _WAYS[choice.verb](writer)
    body = tuple(writer.steps)
    used = tuple(dict.fromkeys(
        name for step in body for name in (step.object_a, step.object_b) if name))
    facts = sorted(state_of(before).facts, key=str)
    places = (fact.arguments[1] for fact in facts
              if fact.name in ('in', 'on') and fact.arguments[0] in used)
    objects = tuple(dict.fromkeys((*used, *places)))
    known = {*objects, *HANDS}
    return Program(objects, body, tuple(
        fact for fact in facts if known.issuperset(fact.arguments)))


class _Writer:
    """
    Writes the sub-actions of an action.

    :param choice: what is done.
    :param before: the state in which it begins.
    :param after: the state in which it ends.
    """

    def __init__(self, choice: Choice, before: World, after: World) -> None:
        self.choice = choice
        self.before = before
        self.after = after
        self.target = object_name(before, choice.target)
        self.tool = object_name(before, choice.tool) if choice.tool else ''
        self.hand = Hand(choice.hand)
        self.steps: list[SubAction] = []

    def do(self, verb: str, a: str, b: str = '', hand: Hand | None = None) -> None:
        """Add a sub-action, of the hand that acts by default."""
        self.steps.append(SubAction(verb, a, b, hand or self.hand))

    def leave(self, name: str, hand: Hand | None = None) -> None:
        """Let go of what rests somewhere and draw the hand back."""
        self.do('release', name, hand=hand)
        self.do('withdraw', name, hand=hand)

    def seize(self, name: str) -> None:
        """Take hold of a thing that the hand does not hold yet, and lift it."""
        if self.before.held(self.choice.hand) != name:
            for verb in ('reach', 'grasp', 'lift'):
                self.do(verb, name)

    def put(self, name: str, place: str) -> None:
        """Bring what the hand holds to a place and leave it there."""
        fact = place_fact(self.before, name, place)
        self.do('carry', name, fact.arguments[1])
        self.do('insert' if fact.name == 'in' else 'place', name, fact.arguments[1])
        self.leave(name)

    def put_back(self, name: str) -> None:
        """Put a thing back where the action ends with its being there."""
        if self.after.held(self.choice.hand) != name:
            self.put(name, self.after.at[name])


def _take(writer: _Writer) -> None:
    writer.seize(writer.target)


def _put(writer: _Writer) -> None:
    writer.put(writer.target, writer.choice.place)


def _grip_and(verb: str, grip: str = 'grasp') -> Callable[[_Writer], None]:
    """Make the way of doing one thing to what stays where it is."""
    def write(writer: _Writer) -> None:
        for step in ('reach', grip, verb):
            writer.do(step, writer.target)
        writer.leave(writer.target)
    return write


def _pour(writer: _Writer) -> None:
    writer.seize(writer.tool)
    for verb in ('carry', 'tilt', 'pour'):
        writer.do(verb, writer.tool, writer.target)
    writer.do('level', writer.tool)
    writer.put_back(writer.tool)


def _cut(writer: _Writer) -> None:
    other = Hand.LEFT if writer.hand is Hand.RIGHT else Hand.RIGHT
    writer.seize(writer.tool)
    writer.do('carry', writer.tool, writer.target)
    for verb in ('reach', 'touch', 'hold'):
        writer.do(verb, writer.target, hand=other)
    writer.do('cut', writer.target, writer.tool)
    writer.leave(writer.target, other)
    writer.put_back(writer.tool)


def _with_tool(verb: str) -> Callable[[_Writer], None]:
    """Make the way of doing one thing to the target with a tool in the hand."""
    def write(writer: _Writer) -> None:
        writer.seize(writer.tool)
        writer.do('carry', writer.tool, writer.target)
        writer.do(verb, writer.target, writer.tool)
        writer.put_back(writer.tool)
    return write


def _wash(writer: _Writer) -> None:
    writer.seize(writer.target)
    writer.do('carry', writer.target, 'tap')
    writer.do('rinse', writer.target, 'tap')
    writer.put_back(writer.target)


def _turn_over(writer: _Writer) -> None:
    writer.seize(writer.target)
    writer.do('turn_over', writer.target)
    writer.put_back(writer.target)


def _shake(writer: _Writer) -> None:
    writer.seize(writer.target)
    writer.do('shake', writer.target)
    writer.put_back(writer.target)


_WAYS = MappingProxyType({
    'open': _grip_and('pull_open'), 'close': _grip_and('push_shut'),
    'turn on': _grip_and('switch_on', 'touch'), 'turn off': _grip_and('switch_off', 'touch'),
    'take': _take, 'put': _put, 'push': _grip_and('slide', 'touch'), 'pour': _pour, 'cut': _cut,
    'stir': _with_tool('stir'), 'wipe': _with_tool('wipe'), 'wash': _wash,
    'turn over': _turn_over, 'shake': _shake})
