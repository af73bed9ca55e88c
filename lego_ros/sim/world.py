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

"""What is true in the kitchen at one moment, in words: the state that actions need and change."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from lego_ros.sim.layout import Spot
from lego_ros.sim.scene import Scene
from lego_ros.sim.vocabulary import HANDS


@dataclass
class World:
    """
    The symbolic state.

    :param scene: the kitchen.
    :param on: fixture name -> open or on.
    :param at: noun -> spot, noun of a container, or ``left_hand`` / ``right_hand``.
    :param liquid: noun -> what it holds.
    :param cut: nouns that were cut.
    :param flipped: nouns that stand upside down.
    :param dirty: nouns that must be washed.
    :param stained: whether the spill is still there.
    """

    scene: Scene
    on: dict[str, bool]
    at: dict[str, str]
    liquid: dict[str, str]
    cut: set[str] = field(default_factory=set)
    flipped: set[str] = field(default_factory=set)
    dirty: set[str] = field(default_factory=set)
    stained: bool = False

    @staticmethod
    def of(scene: Scene) -> World:
        """
        Return the state in which a scene begins.

        :param scene: the kitchen.
        :returns: its first state.
        """
        return World(
            scene, {name: name in scene.opened for name in scene.layout.fixtures},
            {name: thing.spot for name, thing in scene.things.items()},
            {name: thing.noun.liquid for name, thing in scene.things.items()},
            dirty={name for name, thing in scene.things.items() if thing.dirty},
            stained=scene.stain is not None)

    def held(self, side: str) -> str | None:
        """
        Name what a hand holds.

        :param side: which hand.
        :returns: the noun, or None.
        """
        return next((noun for noun, place in self.at.items() if place == f'{side}_hand'), None)

    def holder(self, noun: str) -> str | None:
        """
        Name the hand that holds a thing.

        :param noun: the thing.
        :returns: ``left``, ``right`` or None.
        """
        return next((side for side in HANDS if self.at[noun] == f'{side}_hand'), None)

    def spot(self, noun: str) -> Spot | None:
        """
        Return the spot that a thing stands on, directly.

        :param noun: the thing.
        :returns: the spot; None while it is held or lies in another thing.
        """
        return self.scene.layout.spots.get(self.at[noun])

    def inside(self, noun: str) -> list[str]:
        """
        List what lies in or on a thing.

        :param noun: the container.
        :returns: nouns.
        """
        return [other for other, place in self.at.items() if place == noun]

    def reachable_spot(self, spot: Spot) -> bool:
        """
        Whether nothing shut is before a spot.

        :param spot: any spot.
        :returns: True where a hand can get there.
        """
        return not spot.inside or self.on[spot.inside]

    def free_spots(self) -> Iterator[Spot]:
        """Yield the spots on which nothing stands and nothing was spilled."""
        taken = set(self.at.values())
        for spot in self.scene.layout.spots.values():
            if spot.name in taken or not self.reachable_spot(spot):
                continue
            stain = self.scene.stain
            if self.stained and stain is not None and abs(stain[1][0] - spot.pos[0]) < 0.12 \
                    and abs(stain[1][1] - spot.pos[1]) < 0.12 and not spot.parent:
                continue
            yield spot

    def on_counter(self, noun: str) -> bool:
        """
        Whether a thing stands in the open: on the counter, the board or the hob.

        :param noun: the thing.
        :returns: True where it does.
        """
        spot = self.spot(noun)
        return spot is not None and spot.row in ('near', 'far', 'board', 'hob')
