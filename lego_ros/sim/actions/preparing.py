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

"""Pouring, cutting and stirring."""

from __future__ import annotations

import math

from lego_ros.sim.actions.base import (
    Choice,
    finish,
    hands_for,
    in_reach,
    origin_of,
    register,
    sign,
)
from lego_ros.sim.geometry import Pose, quat_about, quat_multiply, quat_rotate, vector
from lego_ros.sim.grasping import mirrored
from lego_ros.sim.model import STREAM
from lego_ros.sim.motion import reach, still
from lego_ros.sim.script import Script
from lego_ros.sim.vocabulary import NOUNS
from lego_ros.sim.world import World

_WIDE = 0.042


class _Pour:
    """Pours from a bottle, carton or kettle into a vessel."""

    def choices(self, world: World, script: Script) -> list[Choice]:
        """See :class:`lego_ros.sim.actions.base.Action`."""
        targets = [noun for noun in world.at if 'fill' in NOUNS[noun].uses
                   and world.on_counter(noun) and not world.liquid[noun]
                   and not world.inside(noun) and noun not in world.flipped]
        found = []
        for source in world.at:
            if 'pour' not in NOUNS[source].uses:
                continue
            for side in hands_for(world, script, source):
                if source == 'kettle' and side != self._spout_side(script):
                    continue
                found += [Choice('pour', world.liquid[source], side, target, source, target)
                          for target in targets
                          if in_reach(side, script.pose(target).pos, 0.12)]
        return found

    @staticmethod
    def _spout_side(script: Script) -> str:
        """Tell which hand pours a kettle: the one on the side away from its spout."""
        spout = quat_rotate(script.pose('kettle').quat, vector(-1, 0, 0))
        return 'right' if spout[0] < 0 else 'left'

    def act(self, script: Script, choice: Choice) -> None:
        """See :class:`lego_ros.sim.actions.base.Action`."""
        side, source, target = choice.hand, choice.tool, choice.target
        origin = origin_of(script, source)
        script.seize(side, source)
        things = script.scene.things
        spout = things[source].shape.spout
        assert spout is not None
        mouth = script.pose(target).pos + vector(
            0, 0, things[target].shape.floor + STREAM + 0.006)
        upright = script.pose(source).quat
        lean = -sign(side) * (0.75 if source == 'kettle' else 1.75)
        quat = quat_multiply(quat_about(vector(0, 1, 0), lean), upright)
        tilted = Pose(mouth - quat_rotate(quat, spout), quat)
        ready = Pose(mouth - quat_rotate(upright, spout)
                     + mirrored(side, vector(0.14, -0.02, 0.10)), upright)
        held = (script.pose(f'{side}_hand').inverse() @ script.pose(source)).inverse()
        script.go('carry', {side: ready @ held}, 0.04)
        script.mark('contact')
        script.go('tilt', {side: tilted @ held}, 0.0, seconds=0.8)
        start, end = script.work('pour', side, lambda s: tilted @ held, 1.2)
        liquid = script.world.liquid[source]
        script.line.bodies['stream'].add(start, still(('', Pose.at(*mouth.tolist()))))
        script.look('stream', f'stream_{liquid}', True, start)
        script.look('stream', f'stream_{liquid}', False, end)
        script.look(target, f'fill_{liquid}', True, start + (end - start) // 4)
        script.mark('pnr', (start + end) // 2)
        script.mark('post', end)
        script.world.liquid[target] = liquid
        script.go('tilt back', {side: ready @ held}, 0.0, seconds=0.7)
        finish(script, side, source, origin)


class _Cut:
    """Cuts what lies on the board in two: one hand holds it, the other one saws."""

    def choices(self, world: World, script: Script) -> list[Choice]:
        """See :class:`lego_ros.sim.actions.base.Action`."""
        if 'knife' not in world.at:
            return []
        found = []
        for noun in world.at:
            spot = world.spot(noun)
            if 'cut' not in NOUNS[noun].uses or noun in world.cut or spot is None \
                    or spot.row != 'board':
                continue
            for side in hands_for(world, script, 'knife'):
                other = 'left' if side == 'right' else 'right'
                if world.held(other) is None and in_reach(side, spot.pos, 0.45):
                    found.append(Choice('cut', noun, side, noun, 'knife'))
        return found

    def act(self, script: Script, choice: Choice) -> None:
        """See :class:`lego_ros.sim.actions.base.Action`."""
        side, noun = choice.hand, choice.target
        other = 'left' if side == 'right' else 'right'
        origin = origin_of(script, 'knife')
        script.seize(side, 'knife')
        food, shape = script.pose(noun), script.scene.things[noun].shape
        quat = quat_about(vector(0, 1, 0), sign(side) * 1.2)
        top, bottom = food.pos[2] + shape.height + 0.045, food.pos[2] + 0.036

        def knife(depth: float, pull: float) -> Pose:
            return Pose(vector(food.pos[0], food.pos[1] - 0.105 + pull,
                               top + depth * (bottom - top)), quat)

        held = (script.pose(f'{side}_hand').inverse() @ script.pose('knife')).inverse()
        script.go('carry', {side: knife(-0.5, 0.0) @ held}, 0.05)
        # Around a narrow thing fingers reach farther, towards the blade: the hand stays nearer.
        nearer = min(0.0, 1.25 * (shape.radius - _WIDE))
        grip = script.grip(other, 'steady',
                           food.pos + mirrored(other, vector(0.012, nearer, 0.050)))
        script.touch(other, noun, grip)
        script.go('carry', {side: knife(0.0, 0.0) @ held}, 0.0)
        script.mark('contact')
        start, end = script.work('saw', side, lambda s: knife(
            min(1.0, 1.15 * s), 0.03 * math.sin(6 * math.pi * s)) @ held, 1.6)
        split = round(start + 0.55 * (end - start))
        self._split(script, noun, food, sign(side), split, end)
        script.mark('pnr', round(start + 0.68 * (end - start)))
        script.mark('post', end)
        script.world.cut.add(noun)
        script.go('lift', {side: knife(-0.4, 0.0) @ held}, 0.0)
        script.let_go(other)
        script.rest(other)
        finish(script, side, 'knife', origin)

    @staticmethod
    def _split(script: Script, noun: str, food: Pose, way: int, start: int, end: int) -> None:
        """Show two halves from a frame on; the one that no hand steadies moves away."""
        for body in (noun, f'{noun}.half'):
            script.look(body, 'cut', True, start)
        script.look(noun, 'whole', False, start)
        gap = food.apply(vector(0.024 * way, 0, 0)) - food.pos
        motion = reach(food.moved(0.35 * gap), food.moved(gap), start, end, vector(0, 0, 0))
        loose, steady = (f'{noun}.half', noun) if way > 0 else (noun, f'{noun}.half')
        script.line.bodies[steady].add(start, still(('', food)))
        script.line.bodies[loose].add(start, lambda t: ('', motion(t)))


class _Stir:
    """Stirs in a vessel with a spoon or a spatula."""

    def choices(self, world: World, script: Script) -> list[Choice]:
        """See :class:`lego_ros.sim.actions.base.Action`."""
        vessels = [noun for noun in world.at if 'stir_in' in NOUNS[noun].uses
                   and world.on_counter(noun) and not world.inside(noun)]
        tools = [noun for noun in world.at if 'stir_with' in NOUNS[noun].uses]
        return [Choice('stir', vessel, side, vessel, tool)
                for tool in tools for side in hands_for(world, script, tool)
                for vessel in vessels if in_reach(side, script.pose(vessel).pos)]

    def act(self, script: Script, choice: Choice) -> None:
        """See :class:`lego_ros.sim.actions.base.Action`."""
        side, vessel, tool = choice.hand, choice.target, choice.tool
        origin = origin_of(script, tool)
        script.seize(side, tool)
        shape, here = script.scene.things[vessel].shape, script.pose(vessel)
        tip = vector(0, 0.16, 0.012)
        quat = quat_multiply(quat_about(vector(0, 0, 1), sign(side) * 0.55),
                             quat_about(vector(1, 0, 0), -0.88))
        radius = shape.mouth * 0.45
        floor = here.pos + vector(0, 0, shape.floor + 0.022)

        def spoon(angle: float, raised: float) -> Pose:
            point = floor + vector(radius * math.cos(angle), radius * math.sin(angle), raised)
            return Pose(point - quat_rotate(quat, tip), quat)

        held = (script.pose(f'{side}_hand').inverse() @ script.pose(tool)).inverse()
        script.go('carry', {side: spoon(0.0, 0.13) @ held}, 0.06)
        script.go('carry', {side: spoon(0.0, 0.0) @ held}, 0.0)
        script.mark('contact')
        start, end = script.work('stir', side, lambda s: spoon(6 * math.pi * s, 0.0) @ held, 2.2)
        script.mark('pnr', (start + end) // 2)
        script.mark('post', end)
        script.go('lift', {side: spoon(0.0, 0.13) @ held}, 0.0)
        finish(script, side, tool, origin)


register('pour', _Pour())
register('cut', _Cut())
register('stir', _Stir())
