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

"""The page of a program's flow chart: a head, the body in columns, its routines beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
import math

from lego_ros.programs.picture.head import head
from lego_ros.programs.picture.layout import box_width, Layout
from lego_ros.programs.picture.shapes import (
    Box,
    GAP,
    marker,
    Piece,
    Room,
    Shape,
    stacked,
    stub,
    STUB_HEIGHT,
)
from lego_ros.programs.tree import Call, Program, Routine, Statement, SubAction, walk
from lego_ros.programs.violation import Violation
from lego_ros.programs.vocabulary import Vocabulary

SIDE = 4000.0
"""Points that a page is wide and high at most."""
_MARGIN = 30.0
_COLUMNS = 34.0
_LEAST = 520.0
_ONE_COLUMN = 700.0
_PROPORTION = 1.3
_HEAD_MOST = 400.0
# The links from a column to the next, and the stub that a cut program ends with.
_ENDS = 2 * (15 + GAP) + GAP + STUB_HEIGHT


@dataclass(frozen=True)
class Page:
    """
    A laid out chart.

    :param width: in points.
    :param height: in points.
    :param shapes: in the order in which they are drawn.
    :param hidden: statements that are not shown.
    """

    width: float
    height: float
    shapes: tuple[Shape, ...]
    hidden: int


def lay_out(program: Program, vocabulary: Vocabulary, violations: Sequence[Violation] = ()
            ) -> Page:
    """
    Lay a program out as a flow chart.

    :param program: of the vocabulary's words.
    :param vocabulary: for what its sub-verbs need and give.
    :param violations: of :func:`lego_ros.programs.checking.check`, told at their statements.
    :returns: a page of at most :data:`SIDE` points a side; what does not fit is counted on it.
    """
    wrong, others = _placed(program, violations)
    statements = _statements(program)
    layout = Layout(vocabulary, wrong, box_width(
        (one for one in statements if isinstance(one, SubAction)),
        (one for one in statements if isinstance(one, Call))))
    room = Room(SIDE - 2 * _MARGIN, SIDE - 2 * _MARGIN - _HEAD_MOST)
    body = _body(program, layout, room)
    routines = _routines(program.routines, layout, room)
    columns = _columns(program, body, routines, room)
    hidden = len(statements) - sum(map(_shown, columns))
    content = sum(column.width for column in columns) + _COLUMNS * (len(columns) - 1)
    wide = max(content, _LEAST)
    top, shapes = head(program, (len(violations), others), hidden, wide)
    shapes = [shape.moved(_MARGIN, _MARGIN) for shape in shapes]
    left = _MARGIN + (wide - content) / 2
    for column in columns:
        shapes += column.moved(left + column.left, _MARGIN + top)
        left += column.width + _COLUMNS
    return Page(wide + 2 * _MARGIN, top + max(column.height for column in columns) + 2 * _MARGIN,
                tuple(shapes), hidden)


def _statements(program: Program) -> list[Statement]:
    return [statement for block in (program.body, *(
        routine.body for routine in program.routines)) for statement in walk(block)]


def _placed(program: Program, violations: Sequence[Violation]
            ) -> tuple[dict[int, list[str]], list[str]]:
    """Find the statement of each violation, by its line and by what the message names."""
    lines: dict[int, list[Statement | Routine]] = {}
    for statement in (*program.routines, *_statements(program)):
        lines.setdefault(statement.line, []).append(statement)
    wrong: dict[int, list[str]] = {}
    others: list[str] = []
    for violation in violations:
        there = lines.get(violation.line, []) if violation.line else []
        named = [one for one in there if str(one) in violation.message] or there
        if named:
            message = violation.message.removeprefix(f'{named[0]} ').removeprefix(f'{named[0]}: ')
            wrong.setdefault(id(named[0]), []).append(message)
        else:
            others.append(str(violation))
    return wrong, others


def _body(program: Program, layout: Layout, room: Room) -> list[Piece]:
    """Lay the statements of the body out, and at most a few more than fit the page."""
    pieces: list[Piece] = []
    left = room.height * room.width / layout.box
    for number, statement in enumerate(program.body):
        piece = layout.statement(statement, room.less(0, 2 * _ENDS))
        # The ends never stand alone in a column.
        pieces.append(stacked([*([marker('start')] if not number else []), piece,
                               *([marker('end')] if number == len(program.body) - 1 else [])]))
        left -= piece.height + GAP
        if left < 0:
            break
    return pieces


def _routines(routines: Sequence[Routine], layout: Layout, room: Room) -> list[Piece]:
    pieces = []
    left = room.height * room.width / layout.box
    for routine in routines:
        pieces.append(layout.routine(routine, room))
        left -= pieces[-1].height + GAP
        if left < 0:
            break
    return pieces


def _columns(program: Program, body: list[Piece], routines: list[Piece], room: Room
             ) -> list[Piece]:
    """Make columns of a height that gives the page a good proportion; cut what does not fit."""
    tall = _height(body, routines, room)
    groups = _filled(body, tall)
    columns: list[Piece] = []
    used = 0.0
    for number, group in enumerate(groups):
        ends = [marker('link', str(place)) if 0 < place < len(groups) else None
                for place in (number, number + 1)]
        column = stacked(piece for piece in (ends[0], *group, ends[1]) if piece)
        # The last column that fits may end with a stub, which may be wider than all above it.
        after = (_width([*groups[number + 1], stub(1)]) + _COLUMNS if number + 1 < len(groups)
                 else 0.0)
        missing = number == len(groups) - 1 and len(body) < len(program.body)
        if used + column.width + after > room.width or missing:
            # The link to the next column, if there is one, becomes the stub.
            rest = sum(1 for _ in walk(program.body)) - sum(map(_shown, (*columns, *group)))
            columns.append(stacked([*([ends[0]] if ends[0] else []), *group, stub(rest)]))
            used = room.width
            break
        columns.append(column)
        used += column.width + _COLUMNS
    for group in _filled(routines, tall):
        used += _width(group) + _COLUMNS
        if used > room.width:
            break
        columns.append(_pile(group))
    return columns


def _height(body: list[Piece], routines: list[Piece], room: Room) -> float:
    """Choose the height of the columns."""
    total = sum(piece.height + GAP for piece in (*body, *routines))
    most = room.height - _ENDS
    if total <= _ONE_COLUMN:
        return _ONE_COLUMN
    best, height = math.inf, most
    for number in range(3, 49):
        tall = max(total / (number / 3), *(piece.height for piece in (*body, *routines)))
        groups = [*_filled(body, tall), *_filled(routines, tall)]
        wide = sum(_width(group) + _COLUMNS for group in groups)
        far = abs(math.log(wide / tall / _PROPORTION))
        if tall <= most and wide <= room.width and far < best:
            best, height = far, tall
    return height


def _filled(pieces: Sequence[Piece], tall: float) -> list[list[Piece]]:
    """Part pieces into columns, in order."""
    groups: list[list[Piece]] = []
    used = math.inf
    for piece in pieces:
        if used + piece.height > tall:
            groups.append([])
            used = 0.0
        groups[-1].append(piece)
        used += piece.height + GAP
    return groups


def _width(group: Sequence[Piece]) -> float:
    return max(piece.left for piece in group) + max(piece.right for piece in group)


def _pile(pieces: Sequence[Piece]) -> Piece:
    """Put frames below each other, with no way from one to the next."""
    shapes: list[Shape] = []
    top = -GAP
    for piece in pieces:
        top += GAP
        shapes += piece.moved(piece.left, top)
        top += piece.height
    return Piece(0.0, max(piece.width for piece in pieces), top, tuple(shapes))


def _shown(piece: Piece) -> int:
    return sum(isinstance(shape, Box) and shape.statement is not None for shape in piece.shapes)
