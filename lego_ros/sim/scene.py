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

"""A scene drawn from a seed: kitchen, things, person, light and camera."""

from __future__ import annotations

from dataclasses import dataclass
import math

from lego_ros.sim.furniture import Style
from lego_ros.sim.geometry import Vector, vector
from lego_ros.sim.layout import COUNTER_Z, HOB_TOP, Layout, pan_yaw, sample_layout, Spot
from lego_ros.sim.objects import build, CROCKERY, Shape
from lego_ros.sim.shapes import Color
from lego_ros.sim.vocabulary import Noun, NOUNS
import numpy as np

_OPEN_ROWS = ('near', 'far', 'board', 'hob')
_SKINS: tuple[Color, ...] = ((0.96, 0.78, 0.66), (0.88, 0.66, 0.50), (0.72, 0.50, 0.36),
                             (0.52, 0.34, 0.24), (0.38, 0.25, 0.18))
_WALLS: tuple[Color, ...] = ((0.88, 0.90, 0.90), (0.70, 0.82, 0.86), (0.86, 0.80, 0.66),
                             (0.70, 0.78, 0.66), (0.80, 0.72, 0.78), (0.58, 0.62, 0.68))
_COUNTERS: tuple[tuple[Color, bool], ...] = (
    ((0.64, 0.62, 0.60), False), ((0.86, 0.84, 0.80), False), ((0.34, 0.34, 0.38), False),
    ((0.62, 0.42, 0.26), True), ((0.80, 0.64, 0.44), True), ((0.42, 0.52, 0.48), False))
_FRONTS: tuple[Color, ...] = ((0.92, 0.91, 0.88), (0.30, 0.44, 0.56), (0.42, 0.55, 0.40),
                              (0.70, 0.52, 0.32), (0.62, 0.28, 0.26), (0.36, 0.34, 0.36))
_HANDLES: tuple[Color, ...] = ((0.12, 0.12, 0.13), (0.82, 0.84, 0.88), (0.80, 0.62, 0.25))
_FRIDGES: tuple[Color, ...] = ((0.95, 0.96, 0.97), (0.68, 0.72, 0.76), (0.80, 0.25, 0.22),
                               (0.55, 0.75, 0.72))
_BOARDS: tuple[Color, ...] = ((0.85, 0.66, 0.40), (0.60, 0.38, 0.20), (0.92, 0.92, 0.90))
_FLOORS: tuple[Color, ...] = ((0.45, 0.36, 0.28), (0.50, 0.50, 0.52), (0.30, 0.26, 0.24))
_STAINS: tuple[Color, ...] = ((0.55, 0.10, 0.08), (0.35, 0.18, 0.06), (0.80, 0.50, 0.05))


@dataclass(frozen=True)
class Person:
    """
    Who wears the camera.

    :param skin: colour.
    :param sleeve: colour.
    :param sleeve_start: where the sleeve begins, 0 at the wrist, 1 at the elbow.
    :param rest: (3,) where the right hand rests; the left is its mirror image.
    :param tempo: speed of all motion, 1 is usual.
    """

    skin: Color
    sleeve: Color
    sleeve_start: float
    rest: Vector
    tempo: float


@dataclass(frozen=True)
class Head:
    """
    The camera on the head.

    :param pos: (3,) metres.
    :param pitch: radians below the horizon.
    :param yaw: radians to the left.
    :param roll: radians.
    :param fovy: vertical field of view, degrees.
    :param sway: (4, 3) of the slow motion in yaw, pitch, x and y: amplitude, frequency in Hz and
        phase.
    """

    pos: Vector
    pitch: float
    yaw: float
    roll: float
    fovy: float
    sway: np.ndarray


@dataclass(frozen=True)
class Light:
    """
    One lamp and the light of the room.

    :param direction: (3,) of its rays.
    :param lamp: colour.
    :param ambient: colour.
    """

    direction: Vector
    lamp: Color
    ambient: Color


@dataclass(frozen=True)
class Placed:
    """
    A thing and where it is at first.

    :param noun: what it is; every noun occurs at most once in a scene.
    :param shape: how it is built.
    :param spot: name of the spot it stands on.
    :param yaw: radians about z.
    :param dirty: whether it must be washed.
    """

    noun: Noun
    shape: Shape
    spot: str
    yaw: float
    dirty: bool


@dataclass(frozen=True)
class Scene:
    """
    Everything that is drawn from the seed before anything moves.

    :param seed: the scene's seed.
    :param layout: the furniture.
    :param style: its colours.
    :param things: by noun.
    :param person: hands and sleeves.
    :param head: the camera.
    :param light: the light.
    :param opened: names of fixtures that are open or on at first.
    :param stain: (surface, (3,) position) of what was spilled; None where all is clean.
    """

    seed: int
    layout: Layout
    style: Style
    things: dict[str, Placed]
    person: Person
    head: Head
    light: Light
    opened: frozenset[str]
    stain: tuple[str, Vector] | None


@dataclass(frozen=True)
class Wish:
    """
    What a scene must hold so that a verb can be done in it.

    :param zones: kinds of zone and noun of fixture.
    :param things: for each entry one of its nouns must be there.
    :param opened: nouns of fixtures of which one shall be open or on.
    :param shut: nouns of fixtures that shall be shut or off.
    :param stain: whether something was spilled.
    """

    zones: tuple[str, ...] = ()
    things: tuple[tuple[str, ...], ...] = ()
    opened: tuple[str, ...] = ()
    shut: tuple[str, ...] = ()
    stain: bool = False


def _style(rng: np.random.Generator) -> Style:
    def pick(colors: tuple[Color, ...]) -> Color:
        color = colors[int(rng.integers(len(colors)))]
        jitter = rng.uniform(-0.04, 0.04, 3)
        red, green, blue = np.clip(np.array(color) + jitter, 0.02, 1.0).tolist()
        return (red, green, blue)

    counter, wood = _COUNTERS[int(rng.integers(len(_COUNTERS)))]
    return Style(pick(_WALLS), pick((counter,)), pick(_FRONTS), pick(_HANDLES), pick(_FRIDGES),
                 pick(_BOARDS), pick(_FLOORS), pick(_STAINS), wood)


def _person(rng: np.random.Generator) -> Person:
    sleeve = CROCKERY[int(rng.integers(len(CROCKERY)))]
    return Person(_SKINS[int(rng.integers(len(_SKINS)))], sleeve, float(rng.uniform(0.18, 0.62)),
                  vector(rng.uniform(0.17, 0.24), rng.uniform(0.13, 0.19),
                         rng.uniform(1.01, 1.06)), float(rng.uniform(0.85, 1.2)))


def _head(rng: np.random.Generator) -> Head:
    amplitude = np.array([0.020, 0.016, 0.008, 0.006]) * rng.uniform(0.3, 1.0, 4)
    sway = np.stack([amplitude, rng.uniform(0.10, 0.35, 4), rng.uniform(0, 2 * math.pi, 4)], 1)
    return Head(vector(rng.uniform(-0.04, 0.04), rng.uniform(-0.15, -0.07),
                       rng.uniform(1.54, 1.66)), math.radians(rng.uniform(45, 51)),
                math.radians(rng.uniform(-4, 4)), math.radians(rng.uniform(-3, 3)),
                float(rng.uniform(54, 62)), sway)


def _light(rng: np.random.Generator) -> Light:
    warm = float(rng.uniform(-0.06, 0.06))
    power, ambient = float(rng.uniform(0.45, 0.75)), float(rng.uniform(0.44, 0.56))
    direction = vector(rng.uniform(-0.7, 0.7), rng.uniform(-0.2, 0.6), -1.0)
    return Light(direction, (power * (1 + warm), power, power * (1 - warm)),
                 (ambient, ambient, ambient))


class _Furnisher:
    """Puts things on free spots."""

    def __init__(self, rng: np.random.Generator, layout: Layout) -> None:
        self._rng = rng
        self._layout = layout
        self.free = [spot for spot in layout.spots.values() if spot.row != 'sink']
        self.things: dict[str, Placed] = {}

    def place(self, name: str, rows: tuple[str, ...]) -> bool:
        """Put a thing on a row; False where none of its homes is free there."""
        noun = NOUNS[name]
        spots = [spot for spot in self.free if spot.row in rows and spot.row in noun.homes]
        if not spots or name in self.things:
            return False
        spot = spots[int(self._rng.integers(len(spots)))]
        self.free.remove(spot)
        shape = build(name, self._rng)
        dirty = any(part.role == 'dirt' for part in shape.parts) and self._rng.random() < 0.8
        self.things[name] = Placed(noun, shape, spot.name, self._yaw(noun, shape, spot), dirty)
        return True

    def _yaw(self, noun: Noun, shape: Shape, spot: Spot) -> float:
        if noun.name == 'pan':
            return pan_yaw(float(spot.pos[0]))
        if noun.name == 'kettle':
            return 0.0 if spot.pos[0] >= 0 else math.pi
        if shape.style == 'handle':
            limit = 0.06 if spot.row == 'drawer' else 0.25
            return float(self._rng.uniform(-limit, limit))
        if noun.name == 'mug':
            return float(self._rng.uniform(-0.6, 0.6) + (math.pi if self._rng.random() < 0.5
                                                         else 0.0))
        return float(self._rng.uniform(-0.2, 0.2))


def _furnish(rng: np.random.Generator, layout: Layout, wish: Wish) -> dict[str, Placed]:
    furnisher = _Furnisher(rng, layout)
    for choice in wish.things:
        names = list(choice)
        rng.shuffle(names)
        food = all('cut' in NOUNS[name].uses for name in names)
        rows = ('board',) if food and layout.zone_x('board') is not None else _OPEN_ROWS
        for name in names:
            if furnisher.place(str(name), rows):
                break
    others = [name for name in NOUNS if name not in furnisher.things]
    rng.shuffle(others)
    wanted = int(rng.integers(7, 12))
    for name in others:
        counter = sum(spot.row in ('near', 'far') for spot in furnisher.free)
        if len(furnisher.things) >= wanted:
            break
        homes = [row for row in NOUNS[name].homes
                 if not (row in ('near', 'far') and counter <= 2)]
        if homes:
            furnisher.place(str(name), (homes[int(rng.integers(len(homes)))],))
    return furnisher.things


def _opened(rng: np.random.Generator, layout: Layout, wish: Wish) -> frozenset[str]:
    chance = {'tap': 0.12, 'hob': 0.2}
    opened = {fixture.name for fixture in layout.fixtures.values()
              if fixture.noun not in wish.shut and rng.random() < chance.get(fixture.noun, 0.08)}
    candidates = [fixture.name for fixture in layout.fixtures.values()
                  if fixture.noun in wish.opened]
    if candidates:
        opened.add(candidates[int(rng.integers(len(candidates)))])
    return frozenset(opened)


def _stain(rng: np.random.Generator, layout: Layout, things: dict[str, Placed],
           wanted: bool) -> tuple[str, Vector] | None:
    if not wanted and rng.random() < 0.7:
        return None
    taken = {thing.spot for thing in things.values()}
    surfaces = {'near': 'counter', 'board': 'board'}
    free = [(surfaces[spot.row], spot.pos) for spot in layout.spots.values()
            if spot.row in surfaces and spot.name not in taken]
    hob = layout.zone_x('hob')
    if hob is not None and 'hob_0' not in taken:
        free.append(('hob', vector(hob, layout.spots['hob_0'].pos[1], HOB_TOP)))
    if not free:
        return None
    surface, pos = free[int(rng.integers(len(free)))]
    height = {'counter': COUNTER_Z, 'hob': HOB_TOP}.get(surface, float(pos[2]))
    return surface, vector(pos[0], pos[1], height)


def sample_scene(seed: int, wish: Wish) -> Scene:
    """
    Draw a scene.

    :param seed: decides everything together with the wish.
    :param wish: what must be there.
    :returns: the scene; a wish for a thing that finds no place is left out.
    """
    rng = np.random.default_rng([seed, 1])
    layout = sample_layout(rng, frozenset(wish.zones))
    things = _furnish(rng, layout, wish)
    opened = _opened(rng, layout, wish)
    stain = _stain(rng, layout, things, wish.stain)
    return Scene(seed, layout, _style(rng), things, _person(rng), _head(rng), _light(rng),
                 opened, stain)
