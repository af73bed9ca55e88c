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
Pieces of MJCF: primitives and meshes turned on a lathe.

Meshes are drawn as they are, while distances are measured to their convex hull.
"""

from __future__ import annotations

from collections.abc import Sequence
import itertools
import math
from typing import NamedTuple

Color = tuple[float, float, float]

SEGMENTS = 14


class Part(NamedTuple):
    """
    One geom of a body.

    :param xml: the geom's attributes, without its name.
    :param mesh: the asset it needs: (suffix, attributes), or None.
    :param role: '' for a lasting part; otherwise its appearance is switched by this name.
    :param solid: whether hands must not go through it.
    """

    xml: str
    mesh: tuple[str, str] | None = None
    role: str = ''
    solid: bool = True


def numbers(*values: float) -> str:
    """
    Write numbers as MJCF wants them.

    :param values: any numbers.
    :returns: them, space separated.
    """
    return ' '.join(f'{value:.5g}' for value in values)


def rgba(color: Color, alpha: float = 1.0) -> str:
    """
    Write a colour attribute.

    :param color: red, green, blue in 0..1.
    :param alpha: 0 is hidden.
    :returns: ``rgba="..."``.
    """
    return f'rgba="{numbers(*color, alpha)}"'


def shade(color: Color, factor: float) -> Color:
    """
    Make a colour darker (below 1) or lighter (above 1).

    :param color: red, green, blue in 0..1.
    :param factor: multiplies each.
    :returns: the clipped colour.
    """
    return (min(1.0, color[0] * factor), min(1.0, color[1] * factor), min(1.0, color[2] * factor))


def box(pos: Sequence[float], half: Sequence[float], color: Color, yaw: float = 0.0,
        role: str = '', solid: bool = True, material: str = '') -> Part:
    """
    Make a box.

    :param pos: centre, metres.
    :param half: half sizes, metres.
    :param color: its colour.
    :param yaw: radians about z.
    :param role: see :class:`Part`.
    :param solid: see :class:`Part`.
    :param material: a textured material instead of the colour.
    :returns: the part.
    """
    look = f'material="{material}"' if material else rgba(color, 0.0 if role else 1.0)
    turn = f' euler="0 0 {yaw:.5g}"' if yaw else ''
    return Part(f'type="box" pos="{numbers(*pos)}" size="{numbers(*half)}"{turn} {look}',
                role=role, solid=solid)


def cylinder(pos: Sequence[float], radius: float, half: float, color: Color,
             role: str = '', solid: bool = True) -> Part:
    """
    Make an upright cylinder.

    :param pos: centre, metres.
    :param radius: metres.
    :param half: half its height, metres.
    :param color: its colour.
    :param role: see :class:`Part`.
    :param solid: see :class:`Part`.
    :returns: the part.
    """
    return Part(f'type="cylinder" pos="{numbers(*pos)}" size="{numbers(radius, half)}" '
                f'{rgba(color, 0.0 if role else 1.0)}', role=role, solid=solid)


def capsule(start: Sequence[float], end: Sequence[float], radius: float, color: Color,
            role: str = '', solid: bool = True) -> Part:
    """
    Make a rod with round ends.

    :param start: one end, metres.
    :param end: the other end, metres.
    :param radius: metres.
    :param color: its colour.
    :param role: see :class:`Part`.
    :param solid: see :class:`Part`.
    :returns: the part.
    """
    return Part(f'type="capsule" fromto="{numbers(*start, *end)}" size="{numbers(radius)}" '
                f'{rgba(color, 0.0 if role else 1.0)}', role=role, solid=solid)


def ellipsoid(pos: Sequence[float], half: Sequence[float], color: Color, role: str = '',
              solid: bool = True) -> Part:
    """
    Make an ellipsoid.

    :param pos: centre, metres.
    :param half: half axes, metres.
    :param color: its colour.
    :param role: see :class:`Part`.
    :param solid: see :class:`Part`.
    :returns: the part.
    """
    return Part(f'type="ellipsoid" pos="{numbers(*pos)}" size="{numbers(*half)}" '
                f'{rgba(color, 0.0 if role else 1.0)}', role=role, solid=solid)


def lathe(name: str, profile: Sequence[tuple[float, float]], color: Color, role: str = '',
          solid: bool = True) -> Part:
    """
    Turn a profile about the z axis.

    :param name: the mesh's name within its body.
    :param profile: (radius, height) points, metres; going up on the outside and, for a vessel,
        down on the inside; the first and the last point lie on the axis.
    :param color: its colour.
    :param role: see :class:`Part`.
    :param solid: see :class:`Part`.
    :returns: the part.
    """
    vertices: list[float] = []
    faces: list[int] = []
    rings: list[list[int]] = []
    for radius, height in profile:
        count = 1 if radius < 1e-6 else SEGMENTS
        first = len(vertices) // 3
        for k in range(count):
            angle = 2 * math.pi * k / SEGMENTS
            vertices += [radius * math.cos(angle), radius * math.sin(angle), height]
        rings.append([first + (k % count) for k in range(SEGMENTS + 1)])
    for low, high in itertools.pairwise(rings):
        for k in range(SEGMENTS):
            a, b, c, d = low[k], low[k + 1], high[k + 1], high[k]
            if a != b:
                faces += [a, b, c]
            if c != d:
                faces += [a, c, d]
    mesh = (name, f'vertex="{numbers(*vertices)}" face="{" ".join(map(str, faces))}" '
                  f'inertia="shell"')
    return Part(f'type="mesh" {rgba(color, 0.0 if role else 1.0)}', mesh, role, solid)


def half_lathe(name: str, profile: Sequence[tuple[float, float]], side: int, color: Color,
               role: str = '') -> Part:
    """
    Turn a profile half way round: what is left of a fruit on one side of the knife.

    :param name: the mesh's name within its body.
    :param profile: as for :func:`lathe`, of a convex body.
    :param side: +1 keeps x >= 0, -1 keeps x <= 0.
    :param color: its colour.
    :param role: see :class:`Part`.
    :returns: the part, whose mesh is the convex hull of its vertices.
    """
    vertices: list[float] = []
    for radius, height in profile:
        for k in range(1 if radius < 1e-6 else 9):
            angle = math.pi * (k / 8 - 0.5)
            vertices += [side * radius * math.cos(angle), radius * math.sin(angle), height]
    mesh = (name, f'vertex="{numbers(*vertices)}" inertia="shell"')
    return Part(f'type="mesh" {rgba(color, 0.0 if role else 1.0)}', mesh, role)
