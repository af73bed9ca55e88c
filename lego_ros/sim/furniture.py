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

"""The kitchen's furniture as MJCF."""

from __future__ import annotations

from dataclasses import dataclass

from lego_ros.sim.layout import (
    BOARD_HALF,
    BOARD_TOP,
    BOARD_Y,
    BURNERS_Y,
    COUNTER_FRONT,
    COUNTER_Z,
    CUPBOARD_HALF,
    CUPBOARD_Y,
    CUPBOARD_Z,
    DRAWER_HALF,
    Fixture,
    FRIDGE_HALF,
    FRIDGE_SHELF,
    FRIDGE_Y,
    HOB_TOP,
    Layout,
    SINK_FLOOR,
    SINK_HALF,
    SINK_Y,
    WALL_Y,
)
from lego_ros.sim.shapes import (
    box,
    capsule,
    Color,
    cylinder,
    ellipsoid,
    numbers,
    Part,
    rgba,
    shade,
)

WATER: Color = (0.55, 0.80, 1.0)
GLOW: Color = (1.0, 0.22, 0.02)
STEEL: Color = (0.74, 0.76, 0.80)


@dataclass(frozen=True)
class Style:
    """
    Colours of a kitchen.

    :param wall: tiles of the wall.
    :param counter: top of the counter.
    :param front: fronts of drawers and cupboards.
    :param handle: handles.
    :param fridge: the fridge's outside.
    :param board: the chopping board.
    :param floor: the floor.
    :param stain: what was spilled.
    :param wood: whether the counter is grained.
    """

    wall: Color
    counter: Color
    front: Color
    handle: Color
    fridge: Color
    board: Color
    floor: Color
    stain: Color
    wood: bool


def body_xml(name: str, parts: list[Part], attributes: str = '',
             joint: str = '') -> tuple[str, str]:
    """
    Write a body.

    :param name: the body's name; its geoms are called ``name/k/role``.
    :param parts: its geoms.
    :param attributes: more attributes of the body.
    :param joint: a joint element.
    :returns: the body's and its meshes' XML.
    """
    geoms, assets = [], []
    for k, part in enumerate(parts):
        label = f'{name}/{k}/{part.role}'
        mesh = ''
        if part.mesh is not None:
            asset = f'{name}/{k}/{part.mesh[0]}'
            assets.append(f'<mesh name="{asset}" {part.mesh[1]}/>')
            mesh = f' mesh="{asset}"'
        group = 0 if part.solid else 1
        geoms.append(f'<geom name="{label}" group="{group}" {part.xml}{mesh}/>')
    return f'<body name="{name}" {attributes}>{joint}{"".join(geoms)}</body>', ''.join(assets)


def _slab(x0: float, x1: float, y0: float, y1: float, z0: float, z1: float, color: Color,
          material: str = '') -> Part:
    return box(((x0 + x1) / 2, (y0 + y1) / 2, (z0 + z1) / 2),
               ((x1 - x0) / 2, (y1 - y0) / 2, (z1 - z0) / 2), color, material=material)


def _counter(layout: Layout, style: Style) -> list[Part]:
    x0, x1 = layout.extent
    sink = layout.zone_x('sink')
    cuts = [(x0, x1)] if sink is None else [(x0, sink - SINK_HALF), (sink + SINK_HALF, x1)]
    top = COUNTER_Z - 0.035, COUNTER_Z
    parts = [_slab(a, b, COUNTER_FRONT - 0.015, WALL_Y, *top, style.counter, 'counter')
             for a, b in cuts]
    if sink is not None:
        a, b = sink - SINK_HALF, sink + SINK_HALF
        parts += [_slab(a, b, COUNTER_FRONT - 0.015, SINK_Y[0], *top, style.counter, 'counter'),
                  _slab(a, b, SINK_Y[1], WALL_Y, *top, style.counter, 'counter')]
    front = shade(style.front, 0.8)
    parts.append(_slab(x0, x1, COUNTER_FRONT + 0.005, COUNTER_FRONT + 0.02, 0.0, 0.66, front))
    edges = [x0]
    for name in ('left_drawer', 'right_drawer'):
        x = float(layout.fixtures[name].pivot[0])
        edges += [x - DRAWER_HALF - 0.005, x + DRAWER_HALF + 0.005]
    edges.append(x1)
    parts += [_slab(a, b, COUNTER_FRONT, COUNTER_FRONT + 0.02, 0.66, COUNTER_Z - 0.035, front)
              for a, b in zip(edges[::2], edges[1::2], strict=True) if b - a > 0.005]
    return parts


def _drawer(style: Style) -> list[Part]:
    w, inner = DRAWER_HALF, shade(style.front, 1.25)
    bar = 0.075
    return [
        _slab(-w, w, -0.020, 0.0, 0.0, 0.165, style.front),
        _slab(-w + 0.01, w - 0.01, 0.0, 0.28, 0.004, 0.014, shade(inner, 0.9)),
        _slab(-w + 0.01, -w + 0.02, 0.0, 0.28, 0.014, 0.08, inner),
        _slab(w - 0.02, w - 0.01, 0.0, 0.28, 0.014, 0.08, inner),
        capsule((-bar, -0.070, 0.105), (bar, -0.070, 0.105), 0.010, style.handle),
        capsule((-bar, -0.070, 0.105), (-bar, -0.02, 0.125), 0.007, style.handle),
        capsule((bar, -0.070, 0.105), (bar, -0.02, 0.125), 0.007, style.handle),
    ]


def _door(fixture: Fixture, half: float, bottom: float, top: float, color: Color,
          handle: Color, bar: float) -> list[Part]:
    out = float(fixture.axis[2])
    hx, hy, hz = fixture.handle.tolist()
    inner = -out * 2 * half
    return [
        box((inner / 2, -0.011, (bottom + top) / 2), (half - 0.002, 0.011, (top - bottom) / 2),
            color),
        box((inner / 2, -0.0225, (bottom + top) / 2),
            (half - 0.035, 0.001, (top - bottom) / 2 - 0.035), shade(color, 0.93), solid=False),
        capsule((hx, hy, hz - bar), (hx, hy, hz + bar), 0.010, handle),
        capsule((hx, hy, hz - bar), (hx, -0.02, hz - bar), 0.007, handle),
        capsule((hx, hy, hz + bar), (hx, -0.02, hz + bar), 0.007, handle),
    ]


def _case(x: float, half: float, y0: float, y1: float, z0: float, z1: float, color: Color,
          inner: Color) -> list[Part]:
    wall = 0.012
    return [
        _slab(x - half, x - half + wall, y0, y1, z0, z1, color),
        _slab(x + half - wall, x + half, y0, y1, z0, z1, color),
        _slab(x - half, x + half, y0, y1, z1 - wall, z1, color),
        _slab(x - half, x + half, y0, y1, z0, z0 + wall, inner),
        _slab(x - half + wall, x + half - wall, y1 - wall, y1, z0, z1, inner),
    ]


def _sink(x: float) -> list[Part]:
    y0, y1 = SINK_Y
    a, b, z = x - SINK_HALF, x + SINK_HALF, COUNTER_Z
    inside = shade(STEEL, 0.8)
    return [
        _slab(a, b, y0, y1, SINK_FLOOR - 0.01, SINK_FLOOR, shade(STEEL, 0.68)),
        _slab(a, a + 0.008, y0, y1, SINK_FLOOR, z + 0.003, inside),
        _slab(b - 0.008, b, y0, y1, SINK_FLOOR, z + 0.003, inside),
        _slab(a, b, y0, y0 + 0.008, SINK_FLOOR, z + 0.003, STEEL),
        _slab(a, b, y1 - 0.008, y1, SINK_FLOOR, z + 0.003, inside),
        cylinder((x, 0.56, SINK_FLOOR + 0.001), 0.022, 0.001, (0.25, 0.25, 0.27), solid=False),
    ]


def _tap(x: float) -> list[Part]:
    top = COUNTER_Z + 0.25
    return [
        cylinder((x, 0.80, COUNTER_Z + 0.012), 0.032, 0.012, STEEL),
        capsule((x, 0.80, COUNTER_Z), (x, 0.80, top), 0.017, STEEL),
        capsule((x, 0.80, top - 0.01), (x, 0.62, top + 0.005), 0.014, STEEL),
        capsule((x, 0.62, top + 0.005), (x, 0.605, top - 0.035), 0.014, STEEL),
        Part(f'type="cylinder" fromto="{numbers(x, 0.605, top - 0.04, x, 0.605, SINK_FLOOR)}" '
             f'size="0.013" {rgba(WATER, 0.0)}', role='water', solid=False),
        cylinder((x, 0.605, SINK_FLOOR + 0.004), 0.075, 0.003, WATER, 'water', False),
    ]


def _hob(x: float) -> list[Part]:
    parts = [_slab(x - 0.18, x + 0.18, 0.385, 0.825, COUNTER_Z - 0.001, HOB_TOP - 0.002,
                   (0.10, 0.10, 0.12))]
    for y in BURNERS_Y:
        parts += [cylinder((x, y, HOB_TOP - 0.002), 0.098, 0.002, (0.28, 0.28, 0.31)),
                  cylinder((x, y, HOB_TOP - 0.002), 0.124, 0.0017, GLOW, 'glow', False)]
    return parts


def _knob(style: Style) -> list[Part]:
    return [cylinder((0, 0, 0.018), 0.027, 0.018, (0.14, 0.14, 0.15)),
            box((0, 0, 0.038), (0.008, 0.026, 0.010), (0.85, 0.12, 0.10)),
            box((0, 0.016, 0.0485), (0.004, 0.010, 0.001), (1, 1, 1), solid=False)]


def _lever(fixture: Fixture) -> list[Part]:
    hx = float(fixture.handle[0])
    return [cylinder((0, 0, 0.004), 0.020, 0.016, STEEL),
            capsule((0, 0, 0.020), (hx, 0, 0.030), 0.009, STEEL),
            ellipsoid((hx, 0, 0.030), (0.020, 0.020, 0.018), (0.10, 0.35, 0.85))]


def _parts_of(fixture: Fixture, style: Style) -> list[Part]:
    if fixture.noun == 'drawer':
        return _drawer(style)
    if fixture.noun == 'cupboard':
        return _door(fixture, CUPBOARD_HALF, 0.0, CUPBOARD_Z[1] - CUPBOARD_Z[0], style.front,
                     style.handle, 0.055)
    if fixture.noun == 'fridge':
        return _door(fixture, FRIDGE_HALF, 0.06, 1.75, style.fridge, shade(STEEL, 0.6), 0.16)
    return _lever(fixture) if fixture.noun == 'tap' else _knob(style)


def moving_name(fixture: Fixture) -> str:
    """
    Name the body that the joint moves.

    :param fixture: any fixture.
    :returns: e.g. ``left_drawer`` or ``tap.lever``.
    """
    return {'tap': 'tap.lever', 'hob': 'hob.knob'}.get(fixture.noun, fixture.name)


def furniture_xml(layout: Layout, style: Style) -> tuple[str, str]:
    """
    Build the furniture.

    :param layout: where everything stands.
    :param style: its colours.
    :returns: bodies and assets as XML.
    """
    made = [body_xml('counter', _counter(layout, style)),
            body_xml('wall', [_slab(-2.2, 2.2, WALL_Y, WALL_Y + 0.05, 0, 2.6, style.wall,
                                    'tiles')]),
            body_xml('floor', [_slab(-2.2, 2.2, -2, 1, -0.05, 0, style.floor)])]
    for kind, x in layout.zones:
        if kind == 'board':
            made.append(body_xml('board', [box(
                (x, BOARD_Y, BOARD_TOP - 0.010), (*BOARD_HALF, 0.010), style.board,
                material='board')]))
        elif kind == 'sink':
            made += [body_xml('sink', _sink(x)), body_xml('tap', _tap(x))]
        elif kind == 'hob':
            made.append(body_xml('hob', _hob(x)))
    for fixture in layout.fixtures.values():
        if fixture.noun == 'cupboard':
            x = float(fixture.pivot[0] - fixture.axis[2] * CUPBOARD_HALF)
            made.append(body_xml(f'{fixture.name}.case', _case(
                x, CUPBOARD_HALF, CUPBOARD_Y, WALL_Y, *CUPBOARD_Z, shade(style.front, 0.9),
                shade(style.front, 1.2))))
        elif fixture.noun == 'fridge':
            x = float(fixture.pivot[0] - fixture.axis[2] * FRIDGE_HALF)
            case = _case(x, FRIDGE_HALF, FRIDGE_Y, WALL_Y, 0.06, 1.75, style.fridge,
                         (0.90, 0.97, 1.0))
            case += [_slab(x - FRIDGE_HALF + 0.01, x + FRIDGE_HALF - 0.01, FRIDGE_Y + 0.03,
                           WALL_Y - 0.01, z - 0.015, z, (0.72, 0.86, 0.95))
                     for z in (FRIDGE_SHELF, 1.38)]
            made.append(body_xml('fridge.case', case))
        kind = 'slide' if fixture.slides else 'hinge'
        joint = (f'<joint name="{fixture.name}" type="{kind}" '
                 f'axis="{numbers(*fixture.axis.tolist())}"/>')
        made.append(body_xml(moving_name(fixture), _parts_of(fixture, style),
                             f'pos="{numbers(*fixture.pivot.tolist())}"', joint))
    return ''.join(body for body, _ in made), ''.join(asset for _, asset in made)


def textures_xml(style: Style, seed: int) -> str:
    """
    Build the textured materials of counter, wall and board.

    :param style: colours.
    :param seed: of the random marks.
    :returns: asset XML.
    """
    tile, line = numbers(*style.wall), numbers(*shade(style.wall, 0.78))
    top, mark = numbers(*style.counter), numbers(*shade(style.counter, 0.82))
    wood = numbers(*style.board)
    grain = 'builtin="gradient"' if style.wood else 'builtin="flat"'
    return (
        f'<texture name="tiles" type="2d" builtin="flat" mark="edge" rgb1="{tile}" '
        f'markrgb="{line}" width="48" height="48"/>'
        f'<material name="tiles" texture="tiles" texuniform="true" texrepeat="5 5" '
        f'specular="0.1"/>'
        f'<texture name="counter" type="2d" {grain} mark="random" random="0.02" rgb1="{top}" '
        f'rgb2="{mark}" markrgb="{mark}" width="96" height="96"/>'
        f'<material name="counter" texture="counter" texuniform="true" texrepeat="3 3" '
        f'specular="0.15"/>'
        f'<texture name="board" type="2d" builtin="gradient" rgb1="{wood}" '
        f'rgb2="{numbers(*shade(style.board, 0.85))}" width="48" height="48"/>'
        f'<material name="board" texture="board" texuniform="true" texrepeat="12 12" '
        f'specular="0.1"/>')
