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

"""Distances between hands and things, and grips that touch without going through."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lego_ros.sim.geometry import Pose, quat_rotate, Vector, vector
from lego_ros.sim.hands import curls, DIGITS, MAX_ANGLE, orientation
from lego_ros.sim.model import Model
from lego_ros.sim.vocabulary import HANDS
import mujoco
import numpy as np

_REACH = 0.005
"""Distances above this are not told apart, metres."""
_SLACK = 0.001
"""How much nearer than by its outline a pair is looked at, metres."""


class Clearance:
    """
    Measures how far parts of the hands are from everything solid that is seen.

    :param model: the scene; distances are those of its present state.
    """

    def __init__(self, model: Model) -> None:
        self._model = model
        body_parts = {f'{side}_{part}' for side in HANDS for part in ('hand', 'forearm')}
        self.solid = np.array([
            k for k, name in enumerate(model.entities)
            if name not in body_parts and model.mj.geom_group[k] == 0 and name != 'floor'])
        self._things: dict[str, list[int]] = {}
        for k in self.solid.tolist():
            self._things.setdefault(model.entities[k], []).append(k)
        self.geoms: dict[str, dict[str, list[int]]] = {side: {} for side in HANDS}
        for side in HANDS:
            parts = {'palm': ('palm', 'heel', 'knuckles'), 'forearm': ('arm', 'sleeve')}
            parts |= {digit: (f'{digit}_1', f'{digit}_2') for digit in DIGITS}
            for part, names in parts.items():
                self.geoms[side][part] = [int(model.mj.geom(f'{side}_{n}').id) for n in names]

    def hand(self, side: str) -> list[int]:
        """
        List the geoms of a hand without its forearm.

        :param side: which hand.
        :returns: geom numbers.
        """
        return [g for part, geoms in self.geoms[side].items() if part != 'forearm' for g in geoms]

    def thing(self, name: str) -> list[int]:
        """
        List the solid geoms of a thing that are seen now.

        :param name: its noun.
        :returns: geom numbers.
        """
        alpha = self._model.alpha
        return [k for k in self._things.get(name, ()) if alpha[k] > 0]

    def _pairs(self, geoms: Sequence[int], gap: float | np.ndarray) -> Iterator[tuple[int, int]]:
        """Yield the pairs that may be nearer than a gap: first by spheres, then by boxes."""
        mj, data = self._model.mj, self._model.data
        place, turn = data.geom_xpos, data.geom_xmat.reshape(-1, 3, 3)
        radius, outline = mj.geom_rbound, mj.geom_aabb
        parts, seen = np.asarray(geoms), self.solid[self._model.alpha[self.solid] > 0]
        gaps = np.broadcast_to(np.asarray(gap) + _SLACK, parts.shape)
        away = place[parts][:, None, :] - place[seen][None, :, :]
        reach = (radius[parts] + gaps)[:, None] + radius[seen][None, :]
        rows, columns = np.nonzero(
            (np.einsum('ijk,ijk->ij', away, away) < reach * reach) & (reach > 0))
        one, two, gaps, away = parts[rows], seen[columns], gaps[rows], away[rows, columns]
        # Furniture is wide and flat: its sphere holds the whole kitchen, its box does not.
        for swapped in (False, True):
            ball, cuboid = (two, one) if swapped else (one, two)
            offset = -away if swapped else away
            outside = np.abs(np.einsum('ki,kij->kj', offset, turn[cuboid])
                             - outline[cuboid, :3]) - outline[cuboid, 3:]
            distance = np.sqrt(np.square(np.maximum(outside, 0.0)).sum(1)) \
                + np.minimum(outside.max(1), 0.0)
            near = distance < radius[ball] + gaps
            one, two, gaps, away = one[near], two[near], gaps[near], away[near]
        yield from zip(one.tolist(), two.tolist(), strict=True)

    def near(self, geoms: Sequence[int], ignored: frozenset[str] = frozenset()
             ) -> list[tuple[float, int, int]]:
        """
        Measure distances.

        :param geoms: geom numbers of a hand.
        :param ignored: entities that do not count.
        :returns: (metres, geom of the hand, other geom) of all pairs nearer than 5 mm; negative
            is penetration.
        """
        measured = ((self._distance(geom, other), geom, other)
                    for geom, other in self._pairs(geoms, _REACH)
                    if self._model.entities[other] not in ignored)
        return [found for found in measured if found[0] < _REACH]

    def nearer(self, geoms: Sequence[int], gap: float | np.ndarray,
               ignored: frozenset[str] = frozenset()) -> bool:
        """
        Whether anything is nearer than a gap; quicker than measuring all.

        :param geoms: geom numbers of a hand or of what it holds.
        :param gap: metres, at most 5 mm, for all or for each geom; negative is penetration.
        :param ignored: entities that do not count.
        :returns: True where a pair is.
        """
        limits = dict(zip(geoms, np.broadcast_to(gap, len(geoms)).tolist(), strict=True))
        return any(self._distance(geom, other) < limits[geom]
                   for geom, other in self._pairs(geoms, gap)
                   if self._model.entities[other] not in ignored)

    def _distance(self, geom: int, other: int) -> float:
        model = self._model
        return float(mujoco.mj_geomDistance(model.mj, model.data, geom, other, _REACH, None))

    def touching(self, side: str, name: str) -> bool:
        """
        Whether a hand is on a thing.

        :param side: which hand.
        :param name: the thing or fixture.
        :returns: True where they are nearer than 4 mm.
        """
        return any(gap < 0.004 and self._model.entities[other] == name
                   for gap, _, other in self.near(self.hand(side)))

    def least(self, geoms: Sequence[int], ignored: frozenset[str] = frozenset()) -> float:
        """
        Return the smallest distance.

        :param geoms: geom numbers of a hand.
        :param ignored: entities that do not count.
        :returns: metres, at most 5 mm; negative is penetration.
        """
        return min((found[0] for found in self.near(geoms, ignored)), default=_REACH)


@dataclass(frozen=True)
class Style:
    """
    One way to grip, for the right hand; mirrored in x for the left.

    :param fingers: (3,) direction of the straight fingers.
    :param back: (3,) direction of the hand's back.
    :param anchor: (3,) point of the hand that meets the grip point, in the hand's frame.
    :param approach: (3,) direction of the last bit of the way to the thing.
    :param before: (3,) where the hand waits before it, from the grip, metres.
    :param finger: bend of the fingers on the way.
    :param closes: whether the fingers close.
    """

    fingers: Vector
    back: Vector
    anchor: Vector
    approach: Vector
    before: Vector
    finger: float
    closes: bool = True


STYLES = {
    'side': Style(vector(-0.22, 0.95, -0.02), vector(0.95, 0.22, 0.10), vector(0, 0.040, -0.02),
                  vector(-1, -0.15, 0), vector(0.07, -0.15, 0.03), 0.14),
    'top': Style(vector(-0.25, 0.62, -0.75), vector(0.0, 0.70, 0.65), vector(0.0, 0.085, -0.040),
                 vector(0, 0, -1), vector(0, -0.03, 0.12), 0.20),
    'press': Style(vector(-0.25, 0.62, -0.75), vector(0.0, 0.70, 0.65),
                   vector(0.0, 0.105, -0.030), vector(0, 0, -1), vector(0, -0.03, 0.10), 0.24,
                   False),
    'handle': Style(vector(-0.72, 0.62, -0.30), vector(0.0, 0.25, 0.97), vector(0, 0.048, -0.02),
                    vector(0, 0, -1), vector(0.02, -0.03, 0.11), 0.22),
    'bar': Style(vector(-0.05, 0.92, -0.40), vector(0, 0.40, 0.92), vector(0, 0.060, -0.02),
                 vector(0, 0, -1), vector(0.01, -0.05, 0.10), 0.30),
    'upright': Style(vector(-0.02, 0.98, 0.20), vector(1, 0.0, 0.1), vector(0, 0.040, -0.02),
                     vector(-1, 0, 0), vector(0.10, -0.01, 0.0), 0.52),
    'steady': Style(vector(-0.22, 0.95, -0.02), vector(0.95, 0.22, 0.10),
                    vector(0, 0.088, -0.02), vector(-1, -0.15, 0), vector(0.07, -0.12, 0.03),
                    0.14),
    # As from the side, but with the palm half down: a thumb that stands up beside the thing would
    # stand in the counter when thing and hand are upside down.
    'turn': Style(vector(-0.22, 0.95, -0.02), vector(0.95, 0.22, 0.90), vector(0, 0.060, -0.02),
                  vector(-1, -0.15, 0), vector(0.07, -0.15, 0.03), 0.14),
    'push_side': Style(vector(-0.10, 0.98, -0.18), vector(1, 0.1, 0.1), vector(0, 0.035, -0.012),
                       vector(-1, 0, 0), vector(0.09, -0.05, 0.03), 0.06, False),
    'push_away': Style(vector(-0.18, 0.45, 0.87), vector(0, -0.87, 0.45), vector(0, 0.020, -0.012),
                       vector(0, 1, 0), vector(0.0, -0.11, 0.03), 0.06, False),
}


@dataclass(frozen=True)
class Grip:
    """
    A hand on a thing.

    :param pose: the hand's pose when it touches.
    :param before: the hand's pose on the way, clear of the thing.
    :param open: (JOINTS,) finger angles on the way.
    :param closed: (JOINTS,) finger angles when it touches.
    """

    pose: Pose
    before: Pose
    open: np.ndarray
    closed: np.ndarray


def mirrored(side: str, v: Vector) -> Vector:
    """
    Turn a right hand's vector into that of a side.

    :param side: which hand.
    :param v: (3,) for the right hand.
    :returns: (3,).
    """
    return v * np.array([-1.0, 1.0, 1.0]) if side == 'left' else v


class Gripper:
    """
    Finds grips by trying them on the model.

    :param model: the scene, in the state in which the grip is to be made.
    """

    def __init__(self, model: Model) -> None:
        self._model = model
        self.clearance = Clearance(model)

    def solve(self, side: str, style: Style, point: Vector, turn: float = 0.0) -> Grip:
        """
        Bring a hand to a point until it touches, then close each digit until it touches.

        :param side: which hand.
        :param style: how.
        :param point: (3,) the grip point in the world.
        :param turn: radians by which the style is turned about z, for the right hand.
        :returns: the grip.
        """
        spin = Pose.at(0, 0, 0, turn if side == 'right' else -turn)
        way = spin.apply(mirrored(side, style.approach))
        way = way / np.linalg.norm(way)
        quat = orientation(spin.apply(mirrored(side, style.fingers)),
                           spin.apply(mirrored(side, style.back)))
        goal = Pose(point - quat_rotate(quat, mirrored(side, style.anchor)), quat)
        opened = curls(style.finger, 0.0)
        self._model.bend(side, opened)
        pose = self._touch(side, goal, way)
        closed = self._close(side, opened) if style.closes else opened
        before = spin.apply(mirrored(side, style.before))
        return Grip(pose, pose.moved(before), opened, closed)

    def _touch(self, side: str, goal: Pose, way: Vector) -> Pose:
        """Step along the way from a clear place; stop before the first touch."""
        hand = self.clearance.hand(side)

        def clear(depth: float) -> bool:
            self._model.place(f'{side}_hand', goal.moved(way * depth))
            mujoco.mj_kinematics(self._model.mj, self._model.data)
            return not self.clearance.nearer(hand, 0.0005)

        step = 0.015
        # Where a neighbour stands close, the way begins nearer.
        depth = next((start for start in (-0.12, -0.09, -0.06) if clear(start)), -0.12)
        while depth + step <= 0.075 and clear(depth + step):
            depth += step
        low, high = depth, depth + step
        for _ in range(5):
            middle = (low + high) / 2
            low, high = (middle, high) if clear(middle) else (low, middle)
        pose = goal.moved(way * low)
        self._model.place(f'{side}_hand', pose)
        return pose

    def _close(self, side: str, opened: np.ndarray) -> np.ndarray:
        angles = opened.copy()
        for k, digit in enumerate(DIGITS):
            limit = MAX_ANGLE if digit != 'thumb' else 1.25
            for joints in ((2 * k, 2 * k + 1), (2 * k + 1,)):
                self._bend_until_touch(side, digit, angles, joints, limit)
        return angles

    def _bend_until_touch(self, side: str, digit: str, angles: np.ndarray,
                          joints: tuple[int, ...], limit: float) -> None:
        geoms = self.clearance.geoms[side][digit]

        def clear(trial: np.ndarray) -> bool:
            self._model.bend(side, trial)
            mujoco.mj_kinematics(self._model.mj, self._model.data)
            return not self.clearance.nearer(geoms, 0.0)

        step = 0.16
        while step > 0.015:
            trial = angles.copy()
            trial[list(joints)] = np.minimum(trial[list(joints)] + step, limit)
            if np.all(trial[list(joints)] >= limit) and clear(trial):
                angles[:] = trial
                break
            if clear(trial):
                angles[:] = trial
            else:
                step /= 2
        self._model.bend(side, angles)
