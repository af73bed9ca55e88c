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

"""What hands do: touch, hold, lift, carry, put down and let go."""

from __future__ import annotations

import math

from lego_ros.sim.geometry import Pose, quat_rotate, Vector, vector
from lego_ros.sim.grasping import Grip, mirrored, Style, STYLES
from lego_ros.sim.hands import RELAXED
from lego_ros.sim.timeline import rest_pose
from lego_ros.sim.writer import Touch, Writer

_UP = {'drawer': vector(0, -0.02, 0.24), 'sink': vector(0, -0.02, 0.20)}
_OUT = vector(0, -0.30, 0.03)
_LIFTED = vector(0, -0.01, 0.13)


class Script(Writer):
    """Writes actions one after the other, from the present frame on; see :class:`Writer`."""

    # Grips.

    def grip(self, side: str, style: str | Style, point: Vector, turn: float = 0.0) -> Grip:
        """
        Find a grip in the present state.

        :param side: which hand.
        :param style: key of STYLES, or a style.
        :param point: (3,) grip point in the world.
        :param turn: see :meth:`Gripper.solve`.
        :returns: the grip.
        """
        self.line.locate(self.model, self.frame)
        chosen = STYLES[style] if isinstance(style, str) else style
        return self.gripper.solve(side, chosen, point, turn)

    def touch(self, side: str, name: str, grip: Grip, before: Pose | None = None,
              lift: float = 0.05) -> None:
        """
        Bring a hand to a grip: reach, then grasp.

        :param side: which hand.
        :param name: what is touched.
        :param grip: how.
        :param before: where the hand goes first; the grip's own place by default.
        :param lift: bend of the way, metres.
        """
        self.go('reach', {side: before or grip.before}, lift, {side: grip.open})
        if before is not None:
            self.go('reach', {side: grip.pose}, 0.0)
        else:
            self.go('reach', {side: grip.pose}, 0.0, seconds=0.32)
        self.go('grasp', {side: grip.pose}, 0.0, {side: grip.closed}, seconds=0.22)
        self.touches.append(Touch(side, name, self.frame))
        self.grips[side] = grip
        self.line.locate(self.model, self.frame)
        self.record.missed |= not self.gripper.clearance.touching(side, name)
        self.mark('contact')

    def let_go(self, side: str, offset: Vector | None = None) -> None:
        """
        Open a hand, draw it back and end its touch.

        :param side: which hand.
        :param offset: (3,) where it is drawn, in the world; back along the grip by default.
        """
        grip = self.grips.pop(side)
        here = self.pose(f'{side}_hand')
        if offset is None:
            offset = quat_rotate(here.quat, quat_rotate(grip.pose.inverse().quat,
                                                        grip.before.pos - grip.pose.pos))
            offset[2] = max(offset[2], 0.02)
        self.end_touch(side)
        self.go('release', {side: here}, 0.0, {side: grip.open}, seconds=0.18)
        self.go('withdraw', {side: here.moved(offset)}, 0.0)

    def end_touch(self, side: str) -> None:
        """
        Note that a hand lets go.

        :param side: which hand.
        """
        for touch in self.touches:
            if touch.hand == side and touch.end is None:
                touch.end = self.frame

    def rest(self, *sides: str) -> None:
        """
        Bring empty hands back to where they wait, and holding ones to where they carry.

        :param sides: which hands.
        """
        goals, bends = {}, {}
        for side in sides:
            if self.world.held(side) is None:
                goals[side] = rest_pose(self.scene, side)
                bends[side] = RELAXED
            else:
                goals[side] = self.carry_pose(side)
        self.go('return', goals, 0.04, bends)

    def carry_pose(self, side: str) -> Pose:
        """
        Return where a hand carries what it holds.

        :param side: which hand.
        :returns: the hand's pose, the thing turned as when it was gripped.
        """
        noun = self.world.held(side)
        assert noun is not None
        grip = self.grips[side]
        thing = self.pose(noun)
        upright = Pose(thing.pos, thing.quat)
        hand = self.carried(side, noun, upright)
        turned = Pose(hand.pos, grip.pose.quat)
        below = float(quat_rotate(turned.quat, (hand.inverse() @ thing).pos)[2])
        place = mirrored(side, vector(0.19, 0.30, 1.06 - min(0.0, below)))
        return Pose(place, turned.quat)

    # Things.

    def row(self, noun: str) -> str:
        """
        Tell where a thing stands, also when it lies in another.

        :param noun: the thing.
        :returns: the row of its spot; '' while it is held.
        """
        spot = self.world.spot(noun)
        if spot is None:
            place = self.world.at[noun]
            return self.row(place) if place in self.world.at else ''
        return spot.row

    def grip_point(self, side: str, noun: str) -> tuple[str, Vector, float]:
        """
        Tell how and where a thing is gripped.

        :param side: which hand.
        :param noun: the thing.
        :returns: key of STYLES, (3,) point in the world, turn.
        """
        shape, pose = self.scene.things[noun].shape, self.pose(noun)
        if shape.style == 'ear':
            point = pose.pos + mirrored(side, shape.grip)
            return 'handle', point, 0.0
        point = pose.apply(shape.grip)
        if shape.style != 'handle':
            return shape.style, point, 0.0
        along = quat_rotate(pose.quat, vector(0, 1, 0))
        yaw = math.atan2(-along[0], along[1])
        return 'handle', point, (yaw if side == 'right' else -yaw) * 0.8

    def seize(self, side: str, noun: str) -> None:
        """
        Take hold of a thing and lift it; nothing happens when the hand holds it already.

        :param side: which hand.
        :param noun: the thing.
        """
        if self.world.held(side) == noun:
            return
        row = self.row(noun)
        style, point, turn = self.grip_point(side, noun)
        grip = self.grip(side, style, point, turn)
        self.touch(side, noun, grip, self._before(row, grip))
        self.attach(noun, f'{side}_hand')
        self.world.at[noun] = f'{side}_hand'
        self.go('lift', {side: grip.pose.moved(self._away(row))}, 0.0)

    def _before(self, row: str, grip: Grip) -> Pose | None:
        if row in ('cupboard', 'fridge'):
            return grip.pose.moved(_OUT)
        if row in _UP:
            return grip.pose.moved(_UP[row])
        return None

    def _away(self, row: str) -> Vector:
        if row in ('cupboard', 'fridge'):
            return _OUT
        return _UP.get(row, _LIFTED)

    def set_down(self, side: str, noun: str, goal: Pose, parent: str, row: str) -> int:
        """
        Carry a held thing to a place, put it down and draw the hand back.

        :param side: which hand.
        :param noun: what it holds.
        :param goal: where the thing shall stand, in the world.
        :param parent: what it moves with afterwards, or ''.
        :param row: what kind of place it is.
        :returns: the frame at which it stands.
        """
        hand = self.carried(side, noun, goal)
        away = self._away(row)
        self.go('carry', {side: hand.moved(away)}, 0.06)
        self.go('place', {side: hand}, 0.0)
        stands = self.frame
        self.attach(noun, parent)
        self.let_go(side, away if row in ('cupboard', 'fridge') else None)
        return stands
