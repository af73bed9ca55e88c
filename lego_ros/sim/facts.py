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

"""What holds in the kitchen, in the predicates of action programs."""

from __future__ import annotations

from lego_ros.programs.state import State
from lego_ros.programs.tree import Predicate
from lego_ros.sim.vocabulary import DOORS
from lego_ros.sim.world import World

TOLD = frozenset({'in_hand', 'on', 'in', 'open', 'closed', 'switched_on', 'full', 'cut', 'dirty',
                  'upside_down'})
"""Predicates of which the kitchen knows at any time whether they hold."""


def object_name(world: World, name: str) -> str:
    """
    Name a thing, a fixture or a place as programs do.

    :param world: whose kitchen.
    :param name: noun of a thing, name of a fixture, name of a spot, or a surface.
    :returns: small letters with ``_`` between words: ``left_drawer``.
    """
    layout = world.scene.layout
    if name in layout.spots:
        spot = layout.spots[name]
        name = spot.inside or ('counter' if spot.row in ('near', 'far') else spot.row)
    if name in layout.fixtures:
        name = layout.fixtures[name].phrase
    return name.replace(' ', '_')


def place_fact(world: World, noun: str, place: str) -> Predicate:
    """
    Say where a thing is.

    :param world: whose kitchen.
    :param noun: the thing.
    :param place: spot or container.
    :returns: that it is on or in the place.
    """
    if place in world.at:
        # A lid lies on the pot, an egg lies in it.
        inside = noun != 'lid'
    else:
        spot = world.scene.layout.spots[place]
        inside = bool(spot.inside) or spot.row == 'sink'
    return Predicate('in' if inside else 'on', (object_name(world, noun),
                                                object_name(world, place)))


def state_of(world: World) -> State:
    """
    Say what holds in a kitchen between two actions.

    :param world: its state.
    :returns: the facts, with objects named by :func:`object_name`.
    """
    facts = []
    for name, fixture in world.scene.layout.fixtures.items():
        called = (object_name(world, name),)
        if fixture.noun in DOORS:
            facts.append(Predicate('open' if world.on[name] else 'closed', called))
        elif world.on[name]:
            facts.append(Predicate('switched_on', called))
    for noun, place in world.at.items():
        hand = world.holder(noun)
        if hand:
            facts += [Predicate(name, (noun, hand)) for name in ('in_hand', 'contact', 'near')]
        else:
            facts.append(place_fact(world, noun, place))
    for name, nouns in (('cut', world.cut), ('upside_down', world.flipped),
                        ('dirty', world.dirty),
                        ('full', {noun for noun, liquid in world.liquid.items() if liquid})):
        facts += [Predicate(name, (noun,)) for noun in nouns]
    if world.stained and world.scene.stain is not None:
        facts.append(Predicate('dirty', (object_name(world, world.scene.stain[0]),)))
    return State(frozenset(facts))
