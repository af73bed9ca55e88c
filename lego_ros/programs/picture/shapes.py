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

"""What a program's flow chart consists of: texts, boxes and arrows, and parts made of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

from lego_ros.programs.picture.text import SMALL
from lego_ros.programs.tree import Hand, Statement

# All lengths are in points, and y grows downwards.
GAP = 18.0
"""Between two statements, for the arrow."""
STUB_WIDTH, STUB_HEIGHT = 150.0, 24.0

Kind = Literal['action', 'call', 'test', 'stub', 'start', 'end', 'link', 'frame', 'routine',
               'swatch', 'rule']
Role = Literal['ink', 'muted', 'wrong', 'hand']


@dataclass(frozen=True)
class Text:
    """
    One line of text.

    :param x: its left end, middle or right end.
    :param y: its base line.
    :param text: what it says.
    :param size: of the type.
    :param role: its colour.
    :param bold: its weight.
    :param align: which point of it x is.
    :param hand: whose colour it has, where the role is ``hand``.
    """

    x: float
    y: float
    text: str
    size: float = SMALL
    role: Role = 'ink'
    bold: bool = False
    align: Literal['left', 'center', 'right'] = 'left'
    hand: Hand | None = None

    def moved(self, right: float, down: float) -> Text:
        """Return the same elsewhere."""
        return replace(self, x=self.x + right, y=self.y + down)


@dataclass(frozen=True)
class Box:
    """
    One box; frames and routines lie around others.

    :param kind: its form.
    :param left: of its left edge.
    :param top: of its upper edge.
    :param width: from edge to edge.
    :param height: from edge to edge.
    :param statement: what it stands for; None where it is no statement.
    :param hand: its colour.
    :param wrong: whether the statement has a violation.
    """

    kind: Kind
    left: float
    top: float
    width: float
    height: float
    statement: Statement | None = None
    hand: Hand | None = None
    wrong: bool = False

    @property
    def right(self) -> float:
        """Of the right edge."""
        return self.left + self.width

    @property
    def bottom(self) -> float:
        """Of the lower edge."""
        return self.top + self.height

    def moved(self, right: float, down: float) -> Box:
        """Return the same elsewhere."""
        return replace(self, left=self.left + right, top=self.top + down)


@dataclass(frozen=True)
class Arrow:
    """
    A line with corners.

    :param points: (x, y) of its ends and corners.
    :param head: whether the last has an arrow head.
    """

    points: tuple[tuple[float, float], ...]
    head: bool = True

    def moved(self, right: float, down: float) -> Arrow:
        """Return the same elsewhere."""
        return replace(self, points=tuple((x + right, y + down) for x, y in self.points))


Shape = Text | Box | Arrow


@dataclass(frozen=True)
class Piece:
    """
    A part of the chart around the axis x = 0, on which it is entered and left.

    Its top is y = 0.

    :param left: how far it reaches to the left of the axis.
    :param right: how far to the right.
    :param height: how far down.
    :param shapes: what is in it.
    :param entry: y at which the arrow to it ends.
    :param exit: y at which the arrow from it begins.
    :param hidden: statements in it that are not shown.
    """

    left: float
    right: float
    height: float
    shapes: tuple[Shape, ...]
    entry: float = 0.0
    exit: float = 0.0
    hidden: int = 0

    @property
    def width(self) -> float:
        """From its left end to its right end."""
        return self.left + self.right

    def moved(self, right: float, down: float) -> tuple[Shape, ...]:
        """Return its shapes elsewhere."""
        return tuple(shape.moved(right, down) for shape in self.shapes)


@dataclass(frozen=True)
class Room:
    """How wide and high a piece may be."""

    width: float
    height: float

    def less(self, right: float, down: float) -> Room:
        """Return what is left of it."""
        return Room(self.width - right, self.height - down)


def stacked(pieces: Iterable[Piece]) -> Piece:
    """
    Put pieces below each other, with arrows from each to the next.

    :param pieces: from top to bottom.
    :returns: one piece.
    """
    shapes: list[Shape] = []
    left = right = height = entry = leave = 0.0
    hidden = 0
    for number, piece in enumerate(pieces):
        top = height + GAP if number else 0.0
        if number:
            shapes.append(Arrow(((0, leave), (0, top + piece.entry))))
        else:
            entry = piece.entry
        shapes += piece.moved(0, top)
        left, right = max(left, piece.left), max(right, piece.right)
        height, leave, hidden = top + piece.height, top + piece.exit, hidden + piece.hidden
    return Piece(left, right, height, tuple(shapes), entry, leave, hidden)


def stub(count: int) -> Piece:
    """
    Make a box in the place of statements.

    :param count: of statements.
    :returns: the piece.
    """
    text = f'… {count:,} statement{"s" * (count > 1)} not shown'
    half = STUB_WIDTH / 2
    return Piece(half, half, STUB_HEIGHT, (
        Box('stub', -half, 0, STUB_WIDTH, STUB_HEIGHT),
        Text(0, STUB_HEIGHT / 2 + SMALL * 0.36, text, role='muted', align='center')),
        exit=STUB_HEIGHT, hidden=count)


def marker(kind: Kind, text: str = '') -> Piece:
    """
    Make a small circle: where the program begins or ends, or goes on in another column.

    :param kind: of the box.
    :param text: in it.
    :returns: the piece.
    """
    size = 15.0 if text else 11.0
    shapes: list[Shape] = [Box(kind, -size / 2, 0, size, size)]
    if text:
        shapes.append(Text(0, size / 2 + SMALL * 0.36, text, role='muted', align='center'))
    return Piece(size / 2, size / 2, size, tuple(shapes), exit=size)
