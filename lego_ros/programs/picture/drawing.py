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

"""A picture of an action program: a flow chart that shows what each step needs and changes."""

from __future__ import annotations

from collections.abc import Sequence
import math
from typing import Any, TYPE_CHECKING

from lego_ros.palette import INK, LINE, MUTED, WARNING
from lego_ros.programs.picture.page import lay_out, SIDE
from lego_ros.programs.picture.shapes import Arrow, Box, Text
from lego_ros.programs.tree import Hand, Program
from lego_ros.programs.violation import Violation
from lego_ros.programs.vocabulary import default_vocabulary, Vocabulary

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DPI = 144
MAX_PIXELS = round(SIDE * DPI / 72)
"""That a picture is wide and high at most."""

_WAY = '#3d4650'
_HEAD = 6.0
# Edge and fill by hand; of Okabe and Ito's colours for all kinds of eyes, the edges darkened so
# that the hand's name can be read in them.
_HANDS: dict[Hand | None, tuple[str, str]] = {
    Hand.LEFT: ('#0062a0', '#e1eff9'),
    Hand.RIGHT: ('#9a5b00', '#fdeccb'),
    Hand.BOTH: ('#00704f', '#d9f2e8'),
    Hand.EITHER: ('#00704f', '#d9f2e8'),
    None: ('#5b6570', '#eef0f3'),
}


def draw(program: Program, vocabulary: Vocabulary | None = None,
         violations: Sequence[Violation] = ()) -> Figure:
    """
    Draw a program.

    :param program: of the vocabulary's words.
    :param vocabulary: its words; those of the package by default.
    :param violations: of :func:`lego_ros.programs.checking.check`, told in red at their
        statements; those without a line, in the head.
    :returns: a figure of at most :data:`MAX_PIXELS` a side; its ``savefig`` writes it. Of a
        program that does not fit, it shows as much as does and tells how much is missing.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    page = lay_out(program, vocabulary or default_vocabulary(), violations)
    figure = Figure(figsize=(page.width / 72, page.height / 72), dpi=DPI, facecolor='white')
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.set_xlim(0, page.width)
    axes.set_ylim(page.height, 0)
    for shape in page.shapes:
        if isinstance(shape, Text):
            _write(axes, shape)
        elif isinstance(shape, Box):
            _enclose(axes, shape)
    _connect(axes, [shape for shape in page.shapes if isinstance(shape, Arrow)])
    return figure


def _write(axes: Axes, text: Text) -> None:
    color = {'ink': INK, 'muted': MUTED, 'wrong': WARNING, 'hand': _HANDS[text.hand][0]}[text.role]
    # Dollars as they are, not as the beginning of a formula.
    axes.text(text.x, text.y, text.text.replace('$', r'\$'), size=text.size, color=color,
              weight='bold' if text.bold else 'normal', ha=text.align, va='baseline', zorder=4)


def _connect(axes: Axes, arrows: Sequence[Arrow]) -> None:
    """Draw all arrows; as two collections, since there may be thousands."""
    from matplotlib.collections import LineCollection, PolyCollection

    lines, heads = [], []
    for arrow in arrows:
        *way, (x, y) = arrow.points
        if arrow.head:
            length = math.dist(way[-1], (x, y))
            along, across = (x - way[-1][0]) / length, (y - way[-1][1]) / length
            foot = (x - _HEAD * along, y - _HEAD * across)
            heads.append([(x, y), *((foot[0] - sign * _HEAD / 2 * across,
                                     foot[1] + sign * _HEAD / 2 * along) for sign in (-1, 1))])
            x, y = foot
        lines.append([*way, (x, y)])
    axes.add_collection(LineCollection(lines, colors=_WAY, linewidths=1.0, zorder=2),
                        autolim=False)
    axes.add_collection(PolyCollection(heads, facecolors=_WAY, linewidths=0, zorder=2),
                        autolim=False)


def _enclose(axes: Axes, box: Box) -> None:
    from matplotlib.patches import Circle, FancyBboxPatch, Polygon, Rectangle

    middle = ((box.left + box.right) / 2, (box.top + box.bottom) / 2)

    def rounded(inset: float, radius: float, edge: str, fill: str, line: float, **more: Any
                ) -> None:
        axes.add_patch(FancyBboxPatch(
            (box.left + inset, box.top + inset), box.width - 2 * inset, box.height - 2 * inset,
            boxstyle=f'round,pad=0,rounding_size={radius}', edgecolor=edge, facecolor=fill,
            linewidth=line, **more))

    if box.kind in ('action', 'swatch'):
        edge, fill = _HANDS[box.hand]
        action = box.kind == 'action'
        rounded(0, 6 if action else 2.5, WARNING if box.wrong else edge, fill,
                2.4 if box.wrong else 1.1, zorder=3)
        if action:
            axes.add_patch(Rectangle((box.left + 4, box.top + 7), 3, box.height - 14,
                                     facecolor=edge, linewidth=0, zorder=3))
    elif box.kind == 'call':
        edge = WARNING if box.wrong else INK
        rounded(0, 6, edge, 'white', 1.1, zorder=3)
        rounded(3, 4, edge, 'white', 0.8, zorder=3)
    elif box.kind == 'test':
        slant = min(12.0, box.height / 2)
        axes.add_patch(Polygon(
            [(box.left, middle[1]), (box.left + slant, box.top), (box.right - slant, box.top),
             (box.right, middle[1]), (box.right - slant, box.bottom),
             (box.left + slant, box.bottom)],
            closed=True, edgecolor=WARNING if box.wrong else INK, facecolor='white',
            linewidth=2.4 if box.wrong else 1.1, zorder=3))
    elif box.kind == 'stub':
        rounded(0, 6, MUTED, 'white', 1.0, linestyle=(0, (4, 3)), zorder=3)
    elif box.kind == 'frame':
        # Each frame is a little darker than the one around it.
        rounded(0, 9, LINE, '#1b1f2404', 0.9, zorder=1)
    elif box.kind == 'routine':
        rounded(0, 9, WARNING if box.wrong else MUTED, 'white', 1.2, zorder=0)
    elif box.kind == 'rule':
        axes.plot([box.left, box.right], [box.top] * 2, color=LINE, linewidth=0.8, zorder=1)
    else:
        axes.add_patch(Circle(middle, box.width / 2, edgecolor=_WAY, linewidth=1.4, zorder=3,
                              facecolor=_WAY if box.kind == 'start' else 'white'))
        if box.kind == 'end':
            axes.add_patch(Circle(middle, box.width / 4, facecolor=_WAY, linewidth=0, zorder=3))
