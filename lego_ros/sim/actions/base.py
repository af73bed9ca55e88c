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

"""What an action is, and the register of all verbs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from lego_ros.sim.geometry import Pose, Vector
from lego_ros.sim.script import Script
from lego_ros.sim.vocabulary import HANDS, NOUNS
from lego_ros.sim.world import World


@dataclass(frozen=True)
class Choice:
    """
    One action that can be done now.

    :param verb: lemma.
    :param noun: what is acted on, as in a label: ``left drawer``, ``mug``, ``counter``.
    :param hand: the hand that acts.
    :param target: the thing or fixture that the noun names.
    :param tool: the thing used, or ''.
    :param place: spot or container where something goes, or ''.
    :param way: ``left``, ``right`` or ``away`` for a push, else ''.
    """

    verb: str
    noun: str
    hand: str
    target: str
    tool: str = ''
    place: str = ''
    way: str = ''


class Action(Protocol):
    """One verb: when it can be done, and how."""

    def choices(self, world: World, script: Script) -> list[Choice]:
        """
        List what can be done with this verb now.

        :param world: the present state.
        :param script: for places; nothing is written.
        :returns: all choices whose preconditions hold.
        """

    def act(self, script: Script, choice: Choice) -> None:
        """
        Write the action into the script, mark contact, pnr and post, and change the world.

        :param script: positioned at the action's first frame.
        :param choice: one of :meth:`choices`.
        """


ACTIONS: dict[str, Action] = {}


def register(verb: str, action: Action) -> None:
    """
    Make a verb known.

    :param verb: lemma.
    :param action: how it is done.
    """
    ACTIONS[verb] = action


def sign(side: str) -> int:
    """
    Return +1 for the right hand, -1 for the left.

    :param side: which hand.
    :returns: the side's direction in x.
    """
    return 1 if side == 'right' else -1


def in_reach(side: str, point: Vector, cross: float = 0.20) -> bool:
    """
    Whether a hand gets to a point without crossing the body.

    :param side: which hand.
    :param point: (3,) in the world.
    :param cross: how far beyond the body's middle it may reach, metres.
    :returns: True where it does.
    """
    return sign(side) * float(point[0]) > -cross


def free_hands(world: World) -> list[str]:
    """
    List empty hands.

    :param world: the present state.
    :returns: sides.
    """
    return [side for side in HANDS if world.held(side) is None]


def takeable(world: World, noun: str) -> bool:
    """
    Whether an empty hand can grip a thing where it is.

    :param world: the present state.
    :param noun: the thing.
    :returns: True where it can.
    """
    if 'take' not in NOUNS[noun].uses or world.holder(noun) or noun in world.cut:
        return False
    place = world.at[noun]
    if place in world.at:
        return world.spot(place) is not None and world.on_counter(place) \
            and place not in ('knife', 'fork', 'spoon', 'spatula')
    spot = world.scene.layout.spots[place]
    if not world.reachable_spot(spot):
        return False
    return not any(other == 'lid' for other in world.inside(noun))


def hands_for(world: World, script: Script, noun: str) -> list[str]:
    """
    List the hands that hold a thing or can grip it from the counter.

    :param world: the present state.
    :param script: for places.
    :param noun: the thing.
    :returns: sides.
    """
    holder = world.holder(noun)
    if holder:
        return [holder]
    if not takeable(world, noun) or not world.on_counter(noun):
        return []
    return [side for side in free_hands(world) if in_reach(side, script.pose(noun).pos)]


def finish(script: Script, side: str, noun: str, origin: tuple[str, Pose] | None) -> None:
    """
    Put a tool back to where it was gripped, or keep it in the hand.

    :param script: where to write.
    :param side: which hand.
    :param noun: what it holds.
    :param origin: (spot, pose) where it stood; None where it was held from the beginning.
    """
    if origin is not None and script.rng.random() < 0.6:
        spot = script.scene.layout.spots[origin[0]]
        script.set_down(side, noun, origin[1], spot.parent, spot.row)
        script.world.at[noun] = spot.name
    script.rest(side)


def origin_of(script: Script, noun: str) -> tuple[str, Pose] | None:
    """
    Remember where a thing stands.

    :param script: at the frame before it is gripped.
    :param noun: the thing.
    :returns: (spot, pose), or None while it is held.
    """
    if script.world.spot(noun) is None:
        return None
    return script.world.at[noun], script.pose(noun)
