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

"""
Two hands with a forearm, a palm, four fingers and a thumb of two joints each.

A hand's frame: origin in the palm's middle, y along the fingers, z out of the hand's back. The
right hand's thumb is on the side of -x; the left hand is its mirror image in x.
"""

from __future__ import annotations

from lego_ros.sim.geometry import cross, Pose, quat_from_axes, unit, Vector, vector
from lego_ros.sim.shapes import Color, numbers, rgba, shade
import numpy as np

DIGITS = ('thumb', 'index', 'middle', 'ring', 'little')
JOINTS = 2 * len(DIGITS)
"""Joint angles of a hand: for each digit of DIGITS the joint at the palm, then the outer one."""

FOREARM = 0.30
WRIST = vector(0.0, -0.058, -0.002)
MAX_ANGLE = 1.65
_FINGERS = {'index': (-0.033, 0.046, 0.044), 'middle': (-0.011, 0.050, 0.047),
            'ring': (0.011, 0.047, 0.044), 'little': (0.033, 0.040, 0.037)}
_RADIUS = 0.0115


def _mirrored(side: str, x: float, y: float, z: float) -> Vector:
    return vector(-x if side == 'left' else x, y, z)


def _digit_xml(side: str, name: str, color: Color) -> str:
    """One digit: two bodies, each a capsule along its own y, with a hinge."""
    if name == 'thumb':
        base = _mirrored(side, -0.040, -0.018, -0.006)
        along = unit(_mirrored(side, -0.62, 0.72, -0.30))
        toward = _mirrored(side, 0.55, 0.15, -0.80)
        axis = unit(cross(along, toward))
        first, second, radius = 0.040, 0.034, 0.0135
    else:
        x, first, second = _FINGERS[name]
        base, along, axis = _mirrored(side, x, 0.044, 0.0), vector(0, 1, 0), vector(-1, 0, 0)
        radius = _RADIUS
    tip, end = along * first, along * second
    look = rgba(color)
    prefix = f'{side}_{name}'
    return (
        f'<body name="{prefix}_1" pos="{numbers(*base)}">'
        f'<joint name="{prefix}_1" type="hinge" axis="{numbers(*axis)}"/>'
        f'<geom name="{prefix}_1" type="capsule" fromto="0 0 0 {numbers(*tip)}" '
        f'size="{radius}" {look}/>'
        f'<body name="{prefix}_2" pos="{numbers(*tip)}">'
        f'<joint name="{prefix}_2" type="hinge" axis="{numbers(*axis)}"/>'
        f'<geom name="{prefix}_2" type="capsule" fromto="0 0 0 {numbers(*end)}" '
        f'size="{radius * 0.92:.5g}" {rgba(shade(color, 1.06))}/></body></body>')


def hand_xml(side: str, skin: Color, sleeve: Color, sleeve_start: float) -> str:
    """
    Describe a hand and its forearm as two mocap bodies.

    :param side: ``left`` or ``right``.
    :param skin: colour.
    :param sleeve: colour.
    :param sleeve_start: where the sleeve begins, 0 at the wrist, 1 at the elbow.
    :returns: MJCF bodies ``<side>_hand`` and ``<side>_forearm``.
    """
    digits = ''.join(_digit_xml(side, name, skin) for name in DIGITS)
    start = FOREARM * sleeve_start
    cuff = shade(sleeve, 0.75)
    return (
        f'<body name="{side}_hand" mocap="true">'
        f'<geom name="{side}_palm" type="box" pos="0 0.002 0" size="0.038 0.042 0.0115" '
        f'{rgba(skin)}/>'
        f'<geom name="{side}_heel" type="capsule" fromto="-0.024 -0.036 0 0.024 -0.036 0" '
        f'size="0.0165" {rgba(skin)}/>'
        f'<geom name="{side}_knuckles" type="capsule" fromto="-0.033 0.042 0 0.033 0.042 0" '
        f'size="0.0125" {rgba(skin)}/>{digits}</body>'
        f'<body name="{side}_forearm" mocap="true">'
        f'<geom name="{side}_arm" type="capsule" fromto="0 0 0 0 {-FOREARM} 0" size="0.031" '
        f'{rgba(skin)}/>'
        f'<geom name="{side}_sleeve" type="capsule" fromto="0 {-start - 0.03:.4g} 0 0 '
        f'{-FOREARM - 0.34} 0" size="0.044" {rgba(sleeve)}/>'
        f'<geom name="{side}_cuff" type="cylinder" fromto="0 {-start:.4g} 0 0 '
        f'{-start - 0.035:.4g} 0" size="0.046" {rgba(cuff)}/></body>')


def forearm_pose(side: str, hand: Pose) -> Pose:
    """
    Let the forearm hang between the wrist and an elbow beside the body.

    :param side: ``left`` or ``right``.
    :param hand: the hand's pose.
    :returns: the forearm's pose: origin at the wrist, y from the elbow to the wrist.
    """
    wrist = hand.apply(WRIST)
    elbow = _mirrored(side, 0.36, -0.16, 1.20)
    along = unit(wrist - elbow)
    across = unit(cross(along, vector(0, 0, 1)))
    return Pose(wrist, quat_from_axes(across, along, cross(across, along)))


def orientation(fingers: Vector, back: Vector) -> Vector:
    """
    Turn a hand so that its fingers and its back point where they should.

    :param fingers: (3,) direction of the straight fingers.
    :param back: (3,) direction of the hand's back; made perpendicular to the fingers.
    :returns: (4,) unit quaternion.
    """
    y = unit(fingers)
    z = unit(back - y * float(np.dot(back, y)))
    return quat_from_axes(cross(y, z), y, z)


def curls(finger: float, thumb: float, spread: float = 0.0) -> Vector:
    """
    Bend all fingers alike.

    :param finger: 0 straight .. 1 fist.
    :param thumb: 0 .. 1.
    :param spread: added to the outer joints' bend.
    :returns: (JOINTS,) radians.
    """
    angles = [thumb * 0.8, thumb * 0.8] + [finger * MAX_ANGLE, (finger + spread) * 1.4] * 4
    return np.clip(np.array(angles), 0.0, MAX_ANGLE)


OPEN = curls(0.16, 0.0)
RELAXED = curls(0.32, 0.3)
