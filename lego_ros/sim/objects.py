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

"""The shape of each noun, how it is gripped, and where something can be put into it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
import itertools

from lego_ros.sim.geometry import Vector, vector
from lego_ros.sim.shapes import (
    box,
    capsule,
    Color,
    cylinder,
    ellipsoid,
    half_lathe,
    lathe,
    numbers,
    Part,
    shade,
)
import numpy as np

STEEL: Color = (0.78, 0.80, 0.84)
DARK: Color = (0.16, 0.16, 0.18)
BLACK: Color = (0.09, 0.09, 0.10)
WOOD: Color = (0.72, 0.50, 0.28)
WHITE: Color = (0.96, 0.96, 0.94)

CROCKERY: tuple[Color, ...] = (
    (0.90, 0.20, 0.18), (0.16, 0.42, 0.85), (0.98, 0.78, 0.12), (0.20, 0.66, 0.36),
    (0.95, 0.95, 0.92), (0.95, 0.50, 0.15), (0.55, 0.28, 0.68), (0.10, 0.66, 0.70),
)

LIQUIDS: dict[str, Color] = {
    'water': (0.62, 0.84, 0.98), 'juice': (1.0, 0.62, 0.08), 'milk': (1.0, 1.0, 0.98),
}


@dataclass(frozen=True)
class Shape:
    """
    A thing as it is built; its frame stands upright with the origin at the bottom's centre.

    :param parts: its geoms.
    :param height: metres.
    :param radius: of the circle it stands in, metres.
    :param style: how it is gripped: ``side``, ``top``, ``press``, ``ear`` or
        ``handle`` (a rod along y).
    :param grip: (3,) the point between fingers and thumb.
    :param rim: height of the opening above the origin, metres; 0 where there is none.
    :param mouth: radius of the opening, metres.
    :param floor: height of the inside's floor, metres.
    :param spout: (3,) where liquid leaves.
    :param half: parts of the half that falls away in cutting, in the same frame.
    """

    parts: tuple[Part, ...]
    height: float
    radius: float
    style: str
    grip: Vector
    rim: float = 0.0
    mouth: float = 0.0
    floor: float = 0.0
    spout: Vector | None = None
    half: tuple[Part, ...] = ()


Rng = np.random.Generator


def _pick(rng: Rng, colors: tuple[Color, ...]) -> Color:
    return colors[int(rng.integers(len(colors)))]


def _fill(z: float, radius: float) -> tuple[Part, ...]:
    return tuple(cylinder((0, 0, z), radius, 0.003, color, f'fill_{liquid}', solid=False)
                 for liquid, color in LIQUIDS.items())


def _dirt(spots: tuple[tuple[float, float, float], ...], size: float) -> tuple[Part, ...]:
    return tuple(ellipsoid(spot, (size, size * 0.8, 0.004), (0.36, 0.20, 0.08), 'dirt', False)
                 for spot in spots)


def _vessel(r0: float, r1: float, h: float, wall: float, outer: Color,
            inner: Color) -> tuple[Part, ...]:
    return (lathe('out', ((0, 0), (r0, 0), (r1, h), (r1 - wall, h)), outer),
            lathe('in', ((r1 - wall, h), (r0 - wall, 0.012), (0, 0.012)), inner, solid=False))


def _mug(rng: Rng) -> Shape:
    color = _pick(rng, CROCKERY)
    handle = ((0, 0.044, 0.085), (0, 0.080, 0.078), (0, 0.080, 0.036), (0, 0.044, 0.026))
    parts = _vessel(0.042, 0.047, 0.120, 0.006, color, shade(WHITE, 0.85))
    parts += tuple(capsule(a, b, 0.009, color) for a, b in itertools.pairwise(handle))
    return Shape(parts + _fill(0.090, 0.040), 0.120, 0.050, 'side', vector(0, 0, 0.056),
                 0.120, 0.040, 0.012)


def _glass(rng: Rng) -> Shape:
    tint: Color = _pick(rng, ((0.55, 0.80, 0.95), (0.60, 0.90, 0.75), (0.75, 0.72, 0.95)))
    parts = _vessel(0.034, 0.042, 0.14, 0.004, tint, shade(tint, 0.7))
    return Shape(parts + _fill(0.095, 0.036), 0.14, 0.042, 'side', vector(0, 0, 0.060),
                 0.14, 0.037, 0.012)


def _bowl(rng: Rng) -> Shape:
    color = _pick(rng, CROCKERY)
    parts = (lathe('out', ((0, 0), (0.045, 0), (0.075, 0.03), (0.088, 0.072), (0.081, 0.072)),
                   color),
             lathe('in', ((0.081, 0.072), (0.067, 0.032), (0.035, 0.012), (0, 0.010)),
                   shade(WHITE, 0.88), solid=False))
    dirt = _dirt(((0.03, 0.0, 0.018), (-0.02, 0.03, 0.018)), 0.018)
    return Shape(parts + _fill(0.045, 0.070) + dirt, 0.072, 0.088, 'side', vector(0, 0, 0.062),
                 0.072, 0.070, 0.012)


def _plate(rng: Rng) -> Shape:
    color = _pick(rng, CROCKERY)
    parts = (lathe('out', ((0, 0), (0.06, 0), (0.10, 0.018), (0.098, 0.022), (0.062, 0.010),
                           (0, 0.010)), color),
             cylinder((0, 0, 0.0105), 0.056, 0.001, WHITE, solid=False))
    dirt = _dirt(((0.03, 0.01, 0.012), (-0.02, 0.025, 0.012), (-0.01, -0.03, 0.012)), 0.018)
    # No hand takes it; the style stands in for none.
    return Shape(parts + dirt, 0.022, 0.10, 'top', vector(0.092, 0, 0.016), floor=0.012)


def _utensil(handle: Color) -> tuple[Part, ...]:
    return (capsule((0, -0.060, 0.012), (0, 0.045, 0.012), 0.012, handle),)


def _knife(rng: Rng) -> Shape:
    parts = _utensil(_pick(rng, (BLACK, (0.75, 0.12, 0.12), WOOD)))
    parts += (box((0, 0.110, 0.012), (0.026, 0.064, 0.003), STEEL),
              box((0, 0.176, 0.012), (0.018, 0.018, 0.0029), STEEL, 0.785))
    return Shape(parts, 0.024, 0.05, 'handle', vector(0, -0.02, 0.014))


def _fork(rng: Rng) -> Shape:
    metal = _pick(rng, (STEEL, (0.85, 0.68, 0.30)))
    parts = (*_utensil(metal), box((0, 0.085, 0.012), (0.006, 0.04, 0.005), metal),
             box((0, 0.125, 0.012), (0.024, 0.010, 0.005), metal))
    parts += tuple(capsule((x, 0.13, 0.012), (x, 0.175, 0.014), 0.0045, metal)
                   for x in (-0.019, 0.0, 0.019))
    return Shape(parts, 0.024, 0.05, 'handle', vector(0, -0.02, 0.014))


def _spoon(rng: Rng) -> Shape:
    color = _pick(rng, (WOOD, STEEL, (0.85, 0.25, 0.20)))
    parts = (*_utensil(color), capsule((0, 0.04, 0.012), (0, 0.12, 0.012), 0.007, color),
             ellipsoid((0, 0.145, 0.012), (0.024, 0.034, 0.010), color))
    return Shape(parts, 0.024, 0.05, 'handle', vector(0, -0.02, 0.014))


def _spatula(rng: Rng) -> Shape:
    color = _pick(rng, ((0.10, 0.60, 0.55), BLACK, (0.85, 0.35, 0.10)))
    parts = (*_utensil(color), capsule((0, 0.04, 0.012), (0, 0.10, 0.012), 0.007, STEEL),
             box((0, 0.145, 0.012), (0.034, 0.042, 0.004), color))
    return Shape(parts, 0.024, 0.05, 'handle', vector(0, -0.02, 0.014))


def _pan(rng: Rng) -> Shape:
    color = _pick(rng, (DARK, (0.70, 0.16, 0.14), (0.20, 0.30, 0.45)))
    parts = _vessel(0.080, 0.098, 0.045, 0.006, color, BLACK)
    parts += (capsule((0, -0.095, 0.036), (0, -0.235, 0.052), 0.013, BLACK),)
    return Shape(parts + _fill(0.026, 0.080), 0.05, 0.10, 'handle', vector(0, -0.185, 0.046),
                 0.045, 0.085, 0.012)


def _pot(rng: Rng) -> Shape:
    color = _pick(rng, (STEEL, (0.82, 0.30, 0.16), (0.22, 0.48, 0.56)))
    parts = _vessel(0.080, 0.085, 0.115, 0.006, color, shade(color, 0.55))
    for side in (-1, 1):
        parts += (capsule((side * 0.112, -0.03, 0.095), (side * 0.112, 0.03, 0.095), 0.011, BLACK),
                  box((side * 0.095, 0, 0.095), (0.014, 0.022, 0.006), BLACK))
    return Shape(parts + _fill(0.075, 0.076), 0.115, 0.12, 'ear', vector(0.112, 0, 0.095),
                 0.115, 0.076, 0.012)


def _lid(rng: Rng) -> Shape:
    color = _pick(rng, (STEEL, (0.82, 0.30, 0.16), (0.22, 0.48, 0.56)))
    parts = (lathe('out', ((0, 0), (0.088, 0), (0.088, 0.008), (0.03, 0.024), (0, 0.025)), color),
             cylinder((0, 0, 0.030), 0.008, 0.010, BLACK),
             ellipsoid((0, 0, 0.050), (0.022, 0.022, 0.013), BLACK))
    return Shape(parts, 0.062, 0.09, 'top', vector(0, 0, 0.050))


def _kettle(rng: Rng) -> Shape:
    color = _pick(rng, (STEEL, (0.80, 0.15, 0.15), (0.20, 0.55, 0.62), WHITE))
    parts = (lathe('out', ((0, 0), (0.085, 0), (0.082, 0.06), (0.045, 0.13), (0, 0.135)), color),
             ellipsoid((0, 0, 0.140), (0.014, 0.014, 0.012), BLACK),
             capsule((-0.06, 0, 0.07), (-0.125, 0, 0.135), 0.016, color),
             capsule((0, -0.055, 0.115), (0, -0.05, 0.195), 0.009, BLACK),
             capsule((0, 0.055, 0.115), (0, 0.05, 0.195), 0.009, BLACK),
             capsule((0, -0.05, 0.20), (0, 0.05, 0.20), 0.013, BLACK))
    return Shape(parts, 0.21, 0.10, 'ear', vector(0, 0, 0.20), spout=vector(-0.135, 0, 0.145))


def _bottle(rng: Rng) -> Shape:
    color = _pick(rng, ((0.95, 0.55, 0.10), (0.12, 0.55, 0.25), (0.75, 0.15, 0.20)))
    parts = (lathe('out', ((0, 0), (0.038, 0), (0.038, 0.14), (0.015, 0.19), (0.015, 0.225),
                           (0, 0.225)), color),
             cylinder((0, 0, 0.095), 0.0385, 0.028, WHITE),
             cylinder((0, 0, 0.230), 0.017, 0.012, _pick(rng, ((0.2, 0.3, 0.8), WHITE, BLACK))))
    return Shape(parts, 0.242, 0.038, 'side', vector(0, 0, 0.095), spout=vector(0, 0, 0.24))


def _carton(rng: Rng) -> Shape:
    color = _pick(rng, ((0.15, 0.45, 0.85), (0.85, 0.20, 0.30), (0.20, 0.62, 0.30)))
    w = 0.037
    corners = (-w, -w, .16, w, -w, .16, w, w, .16, -w, w, .16, -w, 0, .195, w, 0, .195)
    roof = ('roof', f'vertex="{numbers(*corners)}"')
    parts = (box((0, 0, 0.08), (0.037, 0.037, 0.08), WHITE),
             box((0, 0, 0.06), (0.0376, 0.0376, 0.032), color),
             Part('type="mesh" rgba="{} {} {} 1"'.format(*color), roof),
             box((0, 0, 0.202), (0.037, 0.003, 0.012), WHITE))
    return Shape(parts, 0.214, 0.05, 'side', vector(0, 0, 0.085), spout=vector(0, 0, 0.20))


def _jar(rng: Rng) -> Shape:
    color = _pick(rng, ((0.72, 0.10, 0.18), (0.90, 0.60, 0.10), (0.45, 0.65, 0.20)))
    parts = (lathe('out', ((0, 0), (0.042, 0), (0.044, 0.088), (0.034, 0.108), (0, 0.108)), color),
             cylinder((0, 0, 0.121), 0.039, 0.013, _pick(rng, (WHITE, (0.85, 0.68, 0.3), BLACK))),
             cylinder((0, 0, 0.045), 0.0445, 0.018, WHITE))
    return Shape(parts, 0.134, 0.045, 'side', vector(0, 0, 0.060))


def _tin(rng: Rng) -> Shape:
    color = _pick(rng, CROCKERY)
    parts = (cylinder((0, 0, 0.064), 0.040, 0.064, STEEL),
             cylinder((0, 0, 0.064), 0.0406, 0.050, color))
    return Shape(parts, 0.128, 0.041, 'side', vector(0, 0, 0.060))


def _shaker(rng: Rng) -> Shape:
    color = _pick(rng, (WHITE, (0.25, 0.25, 0.28), (0.85, 0.30, 0.45)))
    parts = (lathe('out', ((0, 0), (0.030, 0), (0.022, 0.085), (0, 0.085)), color),
             ellipsoid((0, 0, 0.088), (0.024, 0.024, 0.020), STEEL))
    return Shape(parts, 0.108, 0.030, 'side', vector(0, 0, 0.060))


def _sponge(rng: Rng) -> Shape:
    color = _pick(rng, ((0.98, 0.85, 0.15), (0.98, 0.55, 0.70), (0.35, 0.75, 0.95)))
    parts = (box((0, 0, 0.014), (0.035, 0.050, 0.014), color),
             box((0, 0, 0.032), (0.035, 0.050, 0.005), (0.15, 0.48, 0.22)))
    return Shape(parts, 0.037, 0.05, 'press', vector(0, 0, 0.030))


def _cloth(rng: Rng) -> Shape:
    color = _pick(rng, ((0.85, 0.25, 0.35), (0.20, 0.50, 0.85), (0.30, 0.65, 0.45)))
    parts: tuple[Part, ...] = (box((0, 0, 0.006), (0.060, 0.070, 0.006), color),)
    parts += tuple(box((x, 0, 0.0065), (0.008, 0.0702, 0.006), WHITE) for x in (-0.036, 0, 0.036))
    parts += (ellipsoid((0, 0, 0.012), (0.045, 0.05, 0.016), shade(color, 1.15)),)
    return Shape(parts, 0.028, 0.075, 'press', vector(0, 0, 0.022))


def _fruit(profile: tuple[tuple[float, float], ...], skin: Color, flesh: Color,
           extra: tuple[Part, ...] = ()) -> Shape:
    height = profile[-1][1]
    radius = max(r for r, _ in profile)
    face = (0.0015, radius * 0.93, height * 0.46)
    kept = (half_lathe('half_l', profile, -1, skin, 'cut'),
            ellipsoid((0.001, 0, height / 2), face, flesh, 'cut', False))
    fallen = (half_lathe('half_r', profile, 1, skin, 'cut'),
              ellipsoid((-0.001, 0, height / 2), face, flesh, 'cut', False))
    whole = lathe('whole', profile, skin)._replace(role='whole')
    return Shape((whole, *extra, *kept), height, radius, 'top',
                 vector(0, 0, height * 0.62), half=fallen)


def _apple(rng: Rng) -> Shape:
    skin = _pick(rng, ((0.85, 0.10, 0.12), (0.45, 0.75, 0.15)))
    profile = ((0, 0.006), (0.022, 0), (0.042, 0.028), (0.040, 0.055), (0.022, 0.074), (0, 0.068))
    stem = capsule((0, 0, 0.07), (0.004, 0, 0.088), 0.004, (0.3, 0.18, 0.08), solid=False)
    return _fruit(profile, skin, (0.98, 0.95, 0.75), (stem._replace(role='whole'),))


def _tomato(rng: Rng) -> Shape:
    profile = ((0, 0), (0.026, 0.002), (0.043, 0.028), (0.038, 0.050), (0.018, 0.062), (0, 0.060))
    leaf = ellipsoid((0, 0, 0.061), (0.020, 0.020, 0.004), (0.15, 0.50, 0.12), solid=False)
    return _fruit(profile, (0.93, 0.16, 0.08), (1.0, 0.55, 0.42), (leaf._replace(role='whole'),))


def _lemon(rng: Rng) -> Shape:
    profile = ((0, 0), (0.012, 0.005), (0.036, 0.030), (0.034, 0.050), (0.012, 0.074), (0, 0.080))
    return _fruit(profile, (0.98, 0.86, 0.10), (1.0, 0.97, 0.70))


def _onion(rng: Rng) -> Shape:
    skin = _pick(rng, ((0.62, 0.16, 0.40), (0.82, 0.55, 0.22)))
    profile = ((0, 0), (0.018, 0.002), (0.044, 0.030), (0.036, 0.054), (0.010, 0.072), (0, 0.086))
    return _fruit(profile, skin, (0.98, 0.92, 0.95))


def _cucumber(rng: Rng) -> Shape:
    skin, flesh = (0.16, 0.48, 0.16), (0.80, 0.93, 0.62)
    whole = capsule((-0.075, 0, 0.026), (0.075, 0, 0.026), 0.026, skin)._replace(role='whole')

    def piece(side: int) -> tuple[Part, ...]:
        return (capsule((side * 0.027, 0, 0.026), (side * 0.075, 0, 0.026), 0.026, skin, 'cut'),
                ellipsoid((side * 0.003, 0, 0.026), (0.005, 0.025, 0.025), flesh, 'cut', False))

    return Shape((whole, *piece(-1)), 0.052, 0.10, 'top', vector(0, 0, 0.034), half=piece(1))


def _bread(rng: Rng) -> Shape:
    crust = _pick(rng, ((0.70, 0.42, 0.16), (0.55, 0.32, 0.12)))
    crumb: Color = (0.97, 0.90, 0.72)

    def loaf(low: float, high: float, role: str) -> tuple[Part, ...]:
        middle, half = (low + high) / 2, (high - low) / 2
        return (box((middle, 0, 0.026), (half, 0.040, 0.026), crust, role=role),
                Part(f'type="cylinder" size="0.038 {half:.4g}" pos="{middle:.4g} 0 0.042" '
                     f'euler="0 1.5708 0" rgba="{crust[0]} {crust[1]} {crust[2]} 0"', role=role))

    def face(x: float) -> Part:
        return box((x, 0, 0.036), (0.001, 0.036, 0.036), crumb, role='cut', solid=False)

    whole = loaf(-0.075, 0.075, 'whole')
    return Shape((*whole, *loaf(-0.075, 0, 'cut'), face(0.001)), 0.080, 0.085, 'top',
                 vector(0, 0, 0.055), half=(*loaf(0, 0.075, 'cut'), face(-0.001)))


def _egg(rng: Rng) -> Shape:
    shell = _pick(rng, ((0.97, 0.93, 0.85), (0.88, 0.66, 0.48)))
    return Shape((ellipsoid((0, 0, 0.028), (0.028, 0.036, 0.028), shell),), 0.056, 0.036, 'top',
                 vector(0, 0, 0.034))


_BUILDERS: dict[str, Callable[[Rng], Shape]] = {
    'mug': _mug, 'glass': _glass, 'bowl': _bowl, 'plate': _plate, 'knife': _knife, 'fork': _fork,
    'spoon': _spoon, 'spatula': _spatula, 'pan': _pan, 'pot': _pot, 'lid': _lid,
    'kettle': _kettle, 'bottle': _bottle, 'carton': _carton, 'jar': _jar, 'tin': _tin,
    'shaker': _shaker, 'sponge': _sponge, 'cloth': _cloth, 'apple': _apple, 'tomato': _tomato,
    'lemon': _lemon, 'onion': _onion, 'cucumber': _cucumber, 'bread': _bread, 'egg': _egg,
}


def build(noun: str, rng: Rng) -> Shape:
    """
    Make one example of a noun.

    :param noun: a key of :data:`lego_ros.sim.vocabulary.NOUNS`.
    :param rng: draws its colours.
    :returns: its shape.
    """
    return _BUILDERS[noun](rng)
