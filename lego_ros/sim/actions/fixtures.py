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

"""Opening and closing doors and drawers, turning taps and knobs."""

from __future__ import annotations

from lego_ros.sim.actions.base import Choice, free_hands, in_reach, register, sign
from lego_ros.sim.geometry import Pose, quat_rotate, Vector, vector
from lego_ros.sim.layout import Fixture
from lego_ros.sim.script import Script
from lego_ros.sim.timeline import rest_pose
from lego_ros.sim.vocabulary import DOORS, HANDS
from lego_ros.sim.world import World


def _door_side(fixture: Fixture) -> str:
    return 'right' if fixture.axis[2] > 0 else 'left'


def _round(script: Script, side: str, fixture: Fixture) -> Pose:
    """Return where a hand passes on its way round the edge of an open door."""
    edge = fixture.pose(fixture.travel).apply(fixture.handle)
    rest = rest_pose(script.scene, side)
    height = min(float(edge[2]), 1.22)
    return Pose(vector(edge[0] + 0.04 * sign(side), edge[1] - 0.26, height), rest.quat)


def _off(fixture: Fixture) -> Vector:
    """Return the way straight off an open door's face, so that a turning hand clears the bar."""
    return quat_rotate(fixture.pose(fixture.travel).quat, vector(0, -0.12, 0))


class _Move:
    """Opens or closes what opens."""

    def __init__(self, verb: str, opens: bool) -> None:
        self._verb = verb
        self._opens = opens

    def choices(self, world: World, script: Script) -> list[Choice]:
        """See :class:`lego_ros.sim.actions.base.Action`."""
        found = []
        for fixture in world.scene.layout.fixtures.values():
            if fixture.noun not in DOORS or world.on[fixture.name] == self._opens:
                continue
            for side in free_hands(world):
                handle = script.pose(fixture.name).apply(fixture.handle)
                near = in_reach(side, handle) if fixture.noun == 'drawer' \
                    else side == _door_side(fixture)
                if near:
                    found.append(Choice(self._verb, fixture.phrase, side, fixture.name))
        return found

    def act(self, script: Script, choice: Choice) -> None:
        """See :class:`lego_ros.sim.actions.base.Action`."""
        side, name = choice.hand, choice.target
        fixture = script.scene.layout.fixtures[name]
        here = script.pose(name)
        point = here.apply(fixture.handle)
        if fixture.noun == 'drawer':
            grip = script.grip(side, 'bar', point)
        else:
            turn = 0.0 if self._opens else fixture.travel
            grip = script.grip(side, 'upright', point, turn)
        back = here.inverse() @ grip.before
        swings = fixture.noun != 'drawer'
        if swings and not self._opens:
            script.go('reach', {side: _round(script, side, fixture)}, 0.0, {side: grip.open})
            script.go('reach', {side: grip.before.moved(_off(fixture))}, 0.0)
        script.touch(side, name, grip)
        script.attach(f'{side}_hand', name)
        value = fixture.travel if self._opens else 0.0
        seconds = 0.9 if fixture.noun == 'drawer' else 1.2
        start, end = script.turn_fixture('pull' if self._opens else 'push', name, value, seconds)
        script.mark('pnr', round(start + 0.56 * (end - start)))
        script.mark('post')
        script.world.on[name] = self._opens
        hand = script.pose(f'{side}_hand')
        away = (script.pose(name) @ back).pos - hand.pos
        script.let_go(side, away)
        if swings and self._opens:
            clear = script.pose(f'{side}_hand').moved(_off(fixture))
            script.go('withdraw', {side: clear}, 0.0)
            script.go('withdraw', {side: _round(script, side, fixture)}, 0.0)
        script.rest(side)


class _Turn:
    """Turns a tap or the hob on or off."""

    def __init__(self, verb: str, turns_on: bool) -> None:
        self._verb = verb
        self._on = turns_on

    def choices(self, world: World, script: Script) -> list[Choice]:
        """See :class:`lego_ros.sim.actions.base.Action`."""
        return [Choice(self._verb, fixture.phrase, side, fixture.name)
                for fixture in world.scene.layout.fixtures.values()
                if fixture.noun in ('tap', 'hob') and world.on[fixture.name] != self._on
                for side in HANDS if world.held(side) is None
                and in_reach(side, fixture.pivot)]

    def act(self, script: Script, choice: Choice) -> None:
        """See :class:`lego_ros.sim.actions.base.Action`."""
        side, name = choice.hand, choice.target
        fixture = script.scene.layout.fixtures[name]
        grip = script.grip(side, 'press', script.pose(name).apply(fixture.handle))
        script.touch(side, name, grip, lift=0.10)
        script.attach(f'{side}_hand', name)
        value = fixture.travel if self._on else 0.0
        start, end = script.turn_fixture('turn', name, value, 0.6)
        switched = round(start + 0.5 * (end - start))
        script.look(name, 'water' if name == 'tap' else 'glow', self._on, switched)
        script.mark('pnr', round(start + 0.62 * (end - start)))
        script.mark('post')
        script.world.on[name] = self._on
        script.let_go(side)
        script.rest(side)


register('open', _Move('open', True))
register('close', _Move('close', False))
register('turn on', _Turn('turn on', True))
register('turn off', _Turn('turn off', False))
