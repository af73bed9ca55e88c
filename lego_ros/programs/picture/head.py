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

"""The head of a program's picture: what it is about, what holds before, and the legend."""

from __future__ import annotations

from collections.abc import Sequence

from lego_ros.programs.picture.shapes import Box, Role, Shape, Text
from lego_ros.programs.picture.text import BODY, LEADING, SMALL, TITLE, width, wrapped
from lego_ros.programs.tree import Hand, listed, Program

_ASIDE = 62.0
_LINES = 6
_LEGEND: tuple[tuple[str, Hand | None], ...] = (
    ('left hand', Hand.LEFT), ('right hand', Hand.RIGHT),
    ('both hands, or either', Hand.BOTH), ('no hand', None))
_KEY = ('left of a box: what it needs; right of it: what it makes true (+) and ends (−); '
        'in grey what its sub-verb says already')


def head(program: Program, violations: tuple[int, Sequence[str]], hidden: int, wide: float
         ) -> tuple[float, list[Shape]]:
    """
    Lay the head out.

    :param program: any.
    :param violations: how many there are, and those that belong to no statement.
    :param hidden: statements that are not shown.
    :param wide: points that it may be wide.
    :returns: its height with the space below it, and what is in it, from (0, 0).
    """
    shapes: list[Shape] = [Text(0, TITLE, 'Action program', TITLE, bold=True)]
    counts = [_count(sum(1 for _ in program.sub_actions()), 'sub-action'),
              _count(len(program.objects), 'object')]
    if program.routines:
        counts.append(_count(len(program.routines), 'routine'))
    text = ', '.join(counts)
    number, problems = violations
    if number:
        found = _count(number, 'violation')
        shapes.append(Text(wide, TITLE, found, BODY, 'wrong', True, 'right'))
        wide_found = width(found, BODY, True)
        text += ', '
    shapes.append(Text(wide - (wide_found if number else 0.0), TITLE, text, BODY, 'muted',
                       align='right'))
    y = TITLE + 14
    paragraphs: list[tuple[str, str, Role]] = [('objects', ', '.join(program.objects), 'ink')]
    paragraphs.append(('initially', listed(program.initial) or 'nothing is stated', 'ink'))
    if hidden:
        paragraphs.append(('cut', f'{_count(hidden, "statement")} of the program not shown: the '
                                  'picture would be too large', 'wrong'))
    paragraphs += [('wrong', problem, 'wrong') for problem in problems[:_LINES]]
    if len(problems) > _LINES:
        paragraphs.append(('', f'and {len(problems) - _LINES} more', 'wrong'))
    for name, text, role in paragraphs:
        shapes.append(Text(0, y + BODY, name, BODY, role if role == 'wrong' else 'muted'))
        most = _LINES if role == 'ink' else 2
        for line in wrapped(text, wide - _ASIDE, BODY, most):
            shapes.append(Text(_ASIDE, y + BODY, line, BODY, role))
            y += BODY * LEADING
    y += 8
    shapes += _legend(y, wide)
    y += SMALL * LEADING * 2 + 8
    shapes.append(Box('rule', 0, y, wide, 0))
    return y + 18, shapes


def _legend(y: float, wide: float) -> list[Shape]:
    shapes: list[Shape] = []
    x = 0.0
    for name, hand in _LEGEND:
        shapes += [Box('swatch', x, y, 13, 9, hand=hand), Text(x + 18, y + SMALL, name)]
        x += 18 + width(name, SMALL) + 18
    shapes.append(Text(0, y + SMALL * (1 + LEADING) + 5, wrapped(_KEY, wide, SMALL, 1)[0],
                       role='muted'))
    return shapes


def _count(number: int, noun: str) -> str:
    return f'{number:,} {noun}{"s" * (number != 1)}'
