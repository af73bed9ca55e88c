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

"""Washing and wiping."""

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
from lego_ros.sim.geometry import Pose, quat_about, quat_multiply, vector
from lego_ros.sim.layout import COUNTER_Z
from lego_ros.sim.motion import still
from lego_ros.sim.script import Script
from lego_ros.sim.vocabulary import NOUNS
from lego_ros.sim.world import World


class _Wash:
    """Holds a thing under running water and turns it."""

    def choices(self, world: World, script: Script) -> list[Choice]:
        """See :class:`lego_ros.sim.actions.base.Action`; what is dirty is listed more often."""
        if not world.on.get('tap'):
            return []
        sink = world.scene.layout.spots['sink'].pos
        return [Choice('wash', noun, side, noun) for noun in world.at
                if 'wash' in NOUNS[noun].uses and not world.liquid[noun]
                and not world.inside(noun) and noun not in world.flipped
                for side in hands_for(world, script, noun) if in_reach(side, sink)
                for _ in range(4 if noun in world.dirty else 1)]

    def act(self, script: Script, choice: Choice) -> None:
        """See :class:`lego_ros.sim.actions.base.Action`."""
        side, noun = choice.hand, choice.target
        origin = origin_of(script, noun)
        script.seize(side, noun)
        shape, quat = script.scene.things[noun].shape, script.pose(noun).quat
        sink = script.scene.layout.spots['sink'].pos
        centre = vector(0, 0.10, 0.012) if shape.style == 'handle' \
            else vector(0, 0, shape.height / 2)
        water = vector(sink[0], 0.585, COUNTER_Z + 0.045)

        def thing(swing: float) -> Pose:
            lean = quat_about(vector(0, 1, 0), -sign(side) * (0.22 + 0.2 * swing))
            pose = Pose(water + vector(0.022 * swing, 0, 0.01 * swing), quat_multiply(lean, quat))
            return Pose(pose.apply(-centre), pose.quat)

        held = (script.pose(f'{side}_hand').inverse() @ script.pose(noun)).inverse()
        script.go('carry', {side: thing(0.0).moved(vector(0, -0.16, 0.06)) @ held}, 0.04)
        script.go('carry', {side: thing(0.0) @ held}, 0.0)
        script.mark('contact')
        start, end = script.work('rub', side, lambda s: thing(
            math.sin(6 * math.pi * s) * math.sin(math.pi * s)) @ held, 2.0)
        script.line.bodies['foam'].add(start, still(('', Pose(water, quat_about(
            vector(0, 0, 1), 0.3)))))
        script.look('foam', 'foam', True, start + 8)
        script.look('foam', 'foam', False, end)
        script.look(noun, 'dirt', False, (start + end) // 2)
        script.mark('pnr', (start + end) // 2)
        script.mark('post', end)
        script.world.dirty.discard(noun)
        script.go('lift', {side: thing(0.0).moved(vector(0, -0.16, 0.08)) @ held}, 0.0)
        finish(script, side, noun, origin)


class _Wipe:
    """Wipes up what was spilled with a cloth or a sponge."""

    def choices(self, world: World, script: Script) -> list[Choice]:
        """See :class:`lego_ros.sim.actions.base.Action`."""
        if not world.stained or world.scene.stain is None:
            return []
        surface, place = world.scene.stain
        if surface == 'hob' and world.on['hob']:
            return []
        return [Choice('wipe', surface, side, surface, tool) for tool in world.at
                if 'wipe_with' in NOUNS[tool].uses
                for side in hands_for(world, script, tool) if in_reach(side, place)]

    def act(self, script: Script, choice: Choice) -> None:
        """See :class:`lego_ros.sim.actions.base.Action`."""
        side, tool = choice.hand, choice.tool
        assert script.scene.stain is not None
        place = script.scene.stain[1]
        origin = origin_of(script, tool)
        script.seize(side, tool)
        quat = script.pose(tool).quat

        def cloth(across: float, along: float, raised: float) -> Pose:
            return Pose(place + vector(0.06 * across, 0.03 * along, 0.003 + raised), quat)

        held = (script.pose(f'{side}_hand').inverse() @ script.pose(tool)).inverse()
        script.go('carry', {side: cloth(0, 0, 0.12) @ held}, 0.04)
        script.go('carry', {side: cloth(0, 0, 0.0) @ held}, 0.0)
        script.mark('contact')
        start, end = script.work('wipe', side, lambda s: cloth(
            math.sin(6 * math.pi * s), math.sin(2 * math.pi * s), 0.0) @ held, 2.0)
        script.look('stain', 'stain', False, round(start + 0.7 * (end - start)))
        # Half a swing after the middle the cloth is beside the spill, part of which is seen.
        script.mark('pnr', round(start + (0.5 + 1 / 12) * (end - start)))
        script.mark('post', end)
        script.world.stained = False
        script.go('lift', {side: cloth(0, 0, 0.12) @ held}, 0.0)
        finish(script, side, tool, origin)


register('wash', _Wash())
register('wipe', _Wipe())
