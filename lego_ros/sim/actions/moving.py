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

"""Taking, putting, pushing, turning over and shaking things."""

from __future__ import annotations

import dataclasses
import math
from types import MappingProxyType

from lego_ros.sim.actions.base import (
    Choice,
    finish,
    free_hands,
    hands_for,
    in_reach,
    origin_of,
    register,
    sign,
    takeable,
)
from lego_ros.sim.geometry import Pose, quat_about, quat_multiply, Vector, vector
from lego_ros.sim.layout import COUNTER_Z, pan_yaw, Spot
from lego_ros.sim.script import Script
from lego_ros.sim.vocabulary import FOOD, NOUNS
from lego_ros.sim.world import World
import numpy as np

_TALL = 0.10
_TURN_HEIGHT = 0.056
"""Where a thing is gripped that is turned over: the fingers clear the counter before, the thumb
after it."""


class _Take:
    """Takes a thing and carries it before the body."""

    def choices(self, world: World, script: Script) -> list[Choice]:
        """See :class:`lego_ros.sim.actions.base.Action`."""
        return [Choice('take', noun, side, noun)
                for noun in world.at if takeable(world, noun)
                for side in free_hands(world) if in_reach(side, script.pose(noun).pos)]

    def act(self, script: Script, choice: Choice) -> None:
        """See :class:`lego_ros.sim.actions.base.Action`."""
        script.seize(choice.hand, choice.target)
        _, start, end = script.record.phases[-1]
        script.mark('pnr', round(start + 0.62 * (end - start)))
        script.mark('post')
        script.rest(choice.hand)


class _Put:
    """Puts what a hand holds onto a free place."""

    def choices(self, world: World, script: Script) -> list[Choice]:
        """See :class:`lego_ros.sim.actions.base.Action`."""
        found = []
        for side in ('left', 'right'):
            noun = world.held(side)
            if noun is None:
                continue
            for spot in world.free_spots():
                place = script.pose(spot.parent).apply(spot.pos)
                if in_reach(side, place) and self._fits(world, noun, spot):
                    found.append(Choice('put', noun, side, noun, place=spot.name))
            found += [Choice('put', noun, side, noun, place=other)
                      for other in world.at if self._goes_into(world, noun, other)
                      and in_reach(side, script.pose(other).pos)]
        return found

    def _fits(self, world: World, noun: str, spot: Spot) -> bool:
        if noun in world.flipped and spot.row not in ('near', 'far'):
            return False
        shape = world.scene.things[noun].shape
        if spot.row in ('near', 'board'):
            return shape.height < _TALL and noun != 'pan' and (
                spot.row == 'near' or noun in FOOD)
        if spot.row == 'sink':
            return 'wash' in NOUNS[noun].uses and noun not in FOOD and not world.inside(noun)
        return spot.row in NOUNS[noun].homes or (
            spot.row == 'far' and shape.style in ('side', 'top'))

    def _goes_into(self, world: World, noun: str, other: str) -> bool:
        uses = NOUNS[other].uses
        if other == noun or not world.on_counter(other) or world.inside(other) \
                or other in world.flipped:
            return False
        if noun == 'lid':
            return 'cover' in uses
        small = noun in FOOD and noun not in ('bread', 'cucumber')
        return small and 'hold' in uses and not world.liquid[other]

    def act(self, script: Script, choice: Choice) -> None:
        """See :class:`lego_ros.sim.actions.base.Action`."""
        side, noun = choice.hand, choice.target
        world, now = script.world, script.pose(choice.target)
        yaw = 2 * math.atan2(now.quat[3], now.quat[0])
        if choice.place in world.at:
            other = world.scene.things[choice.place].shape
            here = script.pose(choice.place)
            depth = other.rim if noun == 'lid' else other.floor + 0.004
            goal, parent = Pose(here.pos + vector(0, 0, depth), now.quat), choice.place
            row = script.row(choice.place)
        else:
            spot = script.scene.layout.spots[choice.place]
            base = script.pose(spot.parent)
            turned = pan_yaw(float(spot.pos[0])) if noun == 'pan' else yaw
            goal = Pose(base.apply(spot.pos), now.quat if noun in world.flipped
                        else Pose.at(0, 0, 0, turned).quat)
            parent, row = spot.parent, spot.row
        if noun in world.flipped:
            goal = goal.moved(vector(0, 0, world.scene.things[noun].shape.height))
        stands = script.set_down(side, noun, goal, parent, row)
        world.at[noun] = choice.place
        script.record.marks['contact'] = stands - 2
        script.mark('pnr', stands)
        script.mark('post', stands + 12)
        script.rest(side)


# Where a push goes, and the hand that pushes that way.
_WAYS = MappingProxyType({'left': (vector(-1, 0, 0), 'right'), 'right': (vector(1, 0, 0), 'left'),
                          'away': (vector(0, 1, 0), '')})


class _Push:
    """Pushes a thing to the next free place with the flat hand."""

    def choices(self, world: World, script: Script) -> list[Choice]:
        """See :class:`lego_ros.sim.actions.base.Action`."""
        found = []
        free = {spot.name: spot for spot in world.free_spots()}
        for noun in world.at:
            spot = world.spot(noun)
            if 'push' not in NOUNS[noun].uses or spot is None or spot.row not in ('near', 'far') \
                    or noun in world.flipped:
                continue
            for way, (direction, pusher) in _WAYS.items():
                if way == 'away' and world.scene.things[noun].shape.height < _TALL:
                    continue
                goal = self._next(spot, list(free.values()), direction)
                for side in free_hands(world):
                    if goal is not None and pusher in ('', side) \
                            and in_reach(side, spot.pos) and in_reach(side, goal.pos, 0.25):
                        found.append(Choice('push', noun, side, noun, place=goal.name, way=way))
        return found

    @staticmethod
    def _next(spot: Spot, free: list[Spot], direction: Vector) -> Spot | None:
        for other in free:
            if other.row not in ('near', 'far'):
                continue
            offset = other.pos - spot.pos
            along = float(np.dot(offset, direction))
            if 0.15 < along < 0.32 and np.linalg.norm(offset - along * direction) < 0.02:
                return other
        return None

    def act(self, script: Script, choice: Choice) -> None:
        """See :class:`lego_ros.sim.actions.base.Action`."""
        side, noun = choice.hand, choice.target
        goal = script.scene.layout.spots[choice.place]
        here = script.pose(noun)
        away = choice.way == 'away'
        low, high = (0.09, 0.11) if away else (0.062, 0.085)
        height = max(low, min(high, 0.6 * script.scene.things[noun].shape.height))
        style = 'push_away' if away else 'push_side'
        grip = script.grip(side, style, here.pos + vector(0, 0, height))
        script.touch(side, noun, grip)
        script.attach(noun, f'{side}_hand')
        way = goal.pos - here.pos
        start, end = script.go('push', {side: grip.pose.moved(way)}, 0.0, seconds=0.9)
        script.attach(noun, '')
        script.mark('pnr', round(start + 0.6 * (end - start)))
        script.mark('post')
        script.world.at[noun] = goal.name
        script.let_go(side)
        script.rest(side)


class _TurnOver:
    """Turns a vessel upside down, or back."""

    def choices(self, world: World, script: Script) -> list[Choice]:
        """See :class:`lego_ros.sim.actions.base.Action`."""
        found = []
        for noun in world.at:
            spot = world.spot(noun)
            if 'turn_over' in NOUNS[noun].uses and spot is not None \
                    and spot.row in ('near', 'far') and not world.inside(noun) \
                    and not world.liquid[noun] and noun not in world.flipped:
                found += [Choice('turn over', noun, side, noun) for side in free_hands(world)
                          if in_reach(side, spot.pos)]
        return found

    def act(self, script: Script, choice: Choice) -> None:
        """See :class:`lego_ros.sim.actions.base.Action`."""
        side, noun = choice.hand, choice.target
        here, height = script.pose(noun), script.scene.things[noun].shape.height
        spot = script.world.at[noun]
        grip = script.grip(side, 'turn', here.pos + vector(0, 0, _TURN_HEIGHT))
        script.touch(side, noun, grip)
        # Upside down the thumb is below: it must not stretch into the counter when it lets go.
        opened = np.concatenate([grip.closed[:2], grip.open[2:]])
        script.grips[side] = dataclasses.replace(grip, open=opened)
        script.attach(noun, f'{side}_hand')
        held = grip.pose.inverse() @ here
        script.go('lift', {side: grip.pose.moved(vector(0, -0.03, 0.13))}, 0.0)
        nearer = vector(-0.1 * here.pos[0], min(0.0, 0.50 - here.pos[1]), 0.15)
        script.go('carry', {side: grip.pose.moved(nearer)}, 0.0)
        middle = script.pose(noun).pos + vector(0, 0, height / 2)
        first = script.pose(noun).quat

        def way(s: float) -> Pose:
            turn = quat_about(vector(0, 1, 0), -sign(side) * math.pi * _eased(s))
            quat = quat_multiply(turn, first)
            pose = Pose(middle, quat)
            return Pose(pose.apply(vector(0, 0, -height / 2)), quat) @ held.inverse()

        start, end = script.work('turn', side, way, 1.1)
        script.mark('pnr', round(start + 0.5 * (end - start)))
        goal = Pose(here.pos + vector(0, 0, height), script.pose(noun).quat)
        down = goal @ held.inverse()
        script.go('carry', {side: down.moved(vector(0, -0.03, 0.13))}, 0.0)
        script.go('place', {side: down}, 0.0)
        script.mark('post')
        script.attach(noun, '')
        script.world.at[noun] = spot
        script.world.flipped.add(noun)
        script.let_go(side)
        script.rest(side)


def _eased(s: float) -> float:
    return s * s * (3 - 2 * s)


class _Shake:
    """Shakes a thing in the air; a shaker upside down, so that something falls out."""

    def choices(self, world: World, script: Script) -> list[Choice]:
        """See :class:`lego_ros.sim.actions.base.Action`."""
        return [Choice('shake', noun, side, noun) for noun in world.at
                if 'shake' in NOUNS[noun].uses and noun not in world.flipped
                for side in hands_for(world, script, noun)]

    def act(self, script: Script, choice: Choice) -> None:
        """See :class:`lego_ros.sim.actions.base.Action`."""
        side, noun = choice.hand, choice.target
        origin = origin_of(script, noun)
        script.seize(side, noun)
        upside = noun == 'shaker'
        quat = script.pose(noun).quat
        lean = -sign(side) * (2.6 if upside else 0.55)
        shape = script.scene.things[noun].shape
        height = COUNTER_Z + (0.30 if upside else 0.26)
        middle = vector(sign(side) * 0.12, 0.46, height)

        def thing(swing: float) -> Pose:
            turn = quat_about(vector(0, 1, 0), lean + 0.22 * swing)
            pose = Pose(middle + vector(0, 0, 0.035 * swing), quat_multiply(turn, quat))
            return Pose(pose.apply(vector(0, 0, -shape.height / 2)), pose.quat)

        held = script.pose(f'{side}_hand').inverse() @ script.pose(noun)
        script.go('carry', {side: thing(0.0) @ held.inverse()}, 0.05)
        script.mark('contact')
        start = script.frame
        script.line.bodies['grains'].add(start, lambda t: (
            '', Pose.at(middle[0], middle[1], middle[2] - 0.075 - 0.004 * (t % 4))))
        script.look('grains', 'grains', upside, start + 4)
        start, end = script.work('shake', side, lambda s: thing(
            math.sin(2 * math.pi * 4 * s) * math.sin(math.pi * s)) @ held.inverse(), 1.3)
        script.look('grains', 'grains', False, end)
        # A quarter of a swing after the middle, the thing is at its highest.
        script.mark('pnr', round(start + (0.5 + 1 / 16) * (end - start)))
        script.mark('post')
        script.go('carry', {side: script.carry_pose(side)}, 0.0)
        finish(script, side, noun, origin)


register('take', _Take())
register('put', _Put())
register('push', _Push())
register('turn over', _TurnOver())
register('shake', _Shake())
