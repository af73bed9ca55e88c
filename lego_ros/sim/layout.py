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

"""Where the furniture stands: drawers, doors, sink, hob and board of one kitchen, in metres."""

from __future__ import annotations

from dataclasses import dataclass
import math

from lego_ros.sim.geometry import Pose, quat_about, Vector, vector
import numpy as np

COUNTER_Z = 0.90
COUNTER_FRONT = 0.30
WALL_Y = 0.94
NEAR_Y = 0.43
FAR_Y = 0.72
SINK_Y = (0.40, 0.72)
SINK_HALF = 0.165
SINK_FLOOR = COUNTER_Z - 0.11
BURNERS_Y = (0.49, 0.70)
HOB_TOP = COUNTER_Z + 0.010
BOARD_TOP = COUNTER_Z + 0.020
BOARD_Y = 0.46
BOARD_HALF = (0.17, 0.115)
DRAWER_HALF = 0.17
DRAWER_Z = 0.69
CUPBOARD_Y = 0.66
CUPBOARD_Z = (1.20, 1.60)
CUPBOARD_HALF = 0.18
FRIDGE_Y = 0.50
FRIDGE_HALF = 0.21
FRIDGE_SHELF = 1.02

DRAWER_TRAVEL = 0.23
CUPBOARD_SWING = 1.05
FRIDGE_SWING = 0.92
TAP_SWING = 1.1
KNOB_TURN = 1.6


@dataclass(frozen=True)
class Fixture:
    """
    A piece of furniture with one moving part.

    :param name: unique, also the body's name.
    :param noun: ``drawer``, ``cupboard``, ``fridge``, ``tap`` or ``hob``.
    :param side: ``left`` or ``right`` where there are two of them, else ''.
    :param pivot: (3,) where the moving part's frame lies when shut.
    :param axis: (3,) of the joint.
    :param slides: whether it slides along the axis; otherwise it turns about it.
    :param travel: joint value when open or on: metres or radians.
    :param handle: (3,) where it is gripped, in the moving part's frame.
    """

    name: str
    noun: str
    side: str
    pivot: Vector
    axis: Vector
    slides: bool
    travel: float
    handle: Vector

    @property
    def phrase(self) -> str:
        """How people call it: ``left drawer``."""
        return f'{self.side} {self.noun}'.strip()

    def pose(self, value: float) -> Pose:
        """
        Return the moving part's frame.

        :param value: joint value, 0 is shut or off.
        :returns: its pose in the world.
        """
        if self.slides:
            return Pose(self.pivot + self.axis * value, np.array([1.0, 0.0, 0.0, 0.0]))
        return Pose(self.pivot, quat_about(self.axis, value))


@dataclass(frozen=True)
class Spot:
    """
    A place where one thing can stand.

    :param name: unique.
    :param row: ``near``, ``far``, ``board``, ``hob``, ``sink``, ``drawer``, ``cupboard``,
        ``fridge``.
    :param pos: (3,) of the thing's origin; in the frame of ``parent``.
    :param parent: the fixture it moves with, or ''.
    :param inside: the fixture that must be open to reach it, or ''.
    """

    name: str
    row: str
    pos: Vector
    parent: str = ''
    inside: str = ''


@dataclass(frozen=True)
class Layout:
    """
    One kitchen.

    :param zones: (kind, x) of each part of the counter: ``sink``, ``hob``, ``board``, ``free``.
    :param fridge: ``left``, ``right`` or ''.
    :param extent: the counter's left and right end.
    :param fixtures: by name.
    :param spots: by name.
    """

    zones: tuple[tuple[str, float], ...]
    fridge: str
    extent: tuple[float, float]
    fixtures: dict[str, Fixture]
    spots: dict[str, Spot]

    def zone_x(self, kind: str) -> float | None:
        """
        Find a part of the counter.

        :param kind: ``sink``, ``hob``, ``board`` or ``free``.
        :returns: its middle, or None where this kitchen has none.
        """
        return next((x for name, x in self.zones if name == kind), None)


def _drawer(side: str, x: float) -> Fixture:
    return Fixture(f'{side}_drawer', 'drawer', side, vector(x, COUNTER_FRONT, DRAWER_Z),
                   vector(0, -1, 0), True, DRAWER_TRAVEL, vector(0, -0.070, 0.105))


def _door(name: str, noun: str, side: str, x: float, y: float, z: float, half: float,
          swing: float, handle_z: float, named_side: str) -> Fixture:
    out = 1 if side == 'right' else -1
    return Fixture(name, noun, named_side, vector(x + out * half, y, z), vector(0, 0, out), False,
                   swing, vector(-out * (2 * half - 0.05), -0.072, handle_z))


def _tap(x: float, toward: int) -> Fixture:
    return Fixture('tap', 'tap', '', vector(x, 0.80, COUNTER_Z + 0.265), vector(0, 0, -toward),
                   False, TAP_SWING, vector(toward * 0.10, 0, 0.030))


def _hob(x: float, knob_side: int) -> Fixture:
    return Fixture('hob', 'hob', '', vector(x + knob_side * 0.125, 0.350, COUNTER_Z),
                   vector(0, 0, -1), False, KNOB_TURN, vector(0, 0, 0.036))


def _zone_spots(zones: tuple[tuple[str, float], ...]) -> list[Spot]:
    spots = []
    for kind, x in zones:
        if kind == 'sink':
            spots.append(Spot('sink', 'sink', vector(x, 0.54, SINK_FLOOR)))
        elif kind == 'hob':
            spots += [Spot(f'hob_{k}', 'hob', vector(x, y, HOB_TOP))
                      for k, y in enumerate(BURNERS_Y)]
        else:
            if kind == 'board':
                spots.append(Spot('board', 'board', vector(x, BOARD_Y, BOARD_TOP)))
            else:
                spots += [Spot(f'near_{kind}_{k}', 'near', vector(x + dx, NEAR_Y, COUNTER_Z))
                          for k, dx in enumerate((-0.10, 0.10))]
            spots += [Spot(f'far_{kind}_{k}', 'far', vector(x + dx, FAR_Y, COUNTER_Z))
                      for k, dx in enumerate((-0.10, 0.10))]
    return spots


def _inside_spots(fixtures: dict[str, Fixture]) -> list[Spot]:
    spots = []
    for fixture in fixtures.values():
        if fixture.noun == 'drawer':
            spots += [Spot(f'{fixture.name}_{k}', 'drawer', vector(dx, 0.12, 0.016), fixture.name,
                           fixture.name) for k, dx in enumerate((-0.075, 0.075))]
        elif fixture.noun in ('cupboard', 'fridge'):
            half = CUPBOARD_HALF if fixture.noun == 'cupboard' else FRIDGE_HALF
            depth, z = ((CUPBOARD_Y + 0.10, CUPBOARD_Z[0] + 0.02) if fixture.noun == 'cupboard'
                        else (FRIDGE_Y + 0.14, FRIDGE_SHELF))
            x = fixture.pivot[0] - fixture.axis[2] * half
            spots += [Spot(f'{fixture.name}_{k}', fixture.noun,
                           vector(x + dx, depth, z), '', fixture.name)
                      for k, dx in enumerate((-0.08, 0.08))]
    return spots


def sample_layout(rng: np.random.Generator, needed: frozenset[str]) -> Layout:
    """
    Draw a kitchen.

    :param rng: source of chance.
    :param needed: zones and fixtures that must be there: ``sink``, ``hob``, ``board``, ``free``,
        ``cupboard``, ``fridge``.
    :returns: the layout.
    """
    kinds: list[str] = [kind for kind in ('sink', 'hob', 'board', 'free') if kind in needed]
    others: list[str] = [kind for kind in ('sink', 'hob', 'board', 'free') if kind not in needed]
    rng.shuffle(others)
    fridge = ''
    if 'fridge' in needed or (len(kinds) <= 2 and 'cupboard' not in needed
                              and rng.random() < 0.35):
        fridge = 'left' if rng.random() < 0.5 else 'right'
    count = 2 if fridge else 3
    if 'free' not in kinds and 'board' not in kinds:
        kinds.append('free')
        others.remove('free')
    kinds = (kinds + others)[:count]
    rng.shuffle(kinds)
    wide = 0.42
    shift = {'left': 0.5 * wide, 'right': -0.5 * wide, '': 0.0}[fridge]
    first = -wide * (count - 1) / 2
    zones = tuple((kind, first + wide * k + shift) for k, kind in enumerate(kinds))
    extent = (zones[0][1] - (wide / 2 if fridge == 'left' else 0.6),
              zones[-1][1] + (wide / 2 if fridge == 'right' else 0.6))
    fixtures = _fixtures(rng, zones, fridge, extent, needed)
    spots = _zone_spots(zones) + _inside_spots(fixtures)
    return Layout(zones, fridge, extent, fixtures, {spot.name: spot for spot in spots})


def _fixtures(rng: np.random.Generator, zones: tuple[tuple[str, float], ...], fridge: str,
              extent: tuple[float, float], needed: frozenset[str]) -> dict[str, Fixture]:
    middle = {'left': 0.19, 'right': -0.19, '': 0.0}[fridge]
    spread = 0.205 if fridge else float(rng.uniform(0.20, 0.27))
    made = [_drawer('left', middle - spread), _drawer('right', middle + spread)]
    sides = [side for side in ('left', 'right') if side != fridge]
    if 'cupboard' in needed:
        hung = sides if rng.random() < 0.5 else [sides[int(rng.integers(len(sides)))]]
    else:
        hung = [side for side in sides if rng.random() < 0.5]
    for side in hung:
        x = 0.40 if side == 'right' else -0.40
        made.append(_door(f'{side}_cupboard', 'cupboard', side, x, CUPBOARD_Y, CUPBOARD_Z[0],
                          CUPBOARD_HALF, CUPBOARD_SWING, 0.10, side if len(hung) > 1 else ''))
    if fridge:
        x = extent[1] + FRIDGE_HALF if fridge == 'right' else extent[0] - FRIDGE_HALF
        made.append(_door('fridge', 'fridge', fridge, x, FRIDGE_Y, 0.0, FRIDGE_HALF,
                          FRIDGE_SWING, 1.16, ''))
    for kind, x in zones:
        if kind == 'sink':
            made.append(_tap(x, 1 if x >= 0 else -1))
        elif kind == 'hob':
            made.append(_hob(x, -1 if x >= 0 else 1))
    return {fixture.name: fixture for fixture in made}


def pan_yaw(x: float) -> float:
    """
    Turn a pan's handle to the person's nearer side and away from the hob's knob.

    :param x: where the hob is.
    :returns: radians about z.
    """
    return math.radians(38 if x >= 0 else -38)
