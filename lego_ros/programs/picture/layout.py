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

"""Where the boxes and arrows of a program's statements stand; nothing is drawn here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import chain

from lego_ros.programs.picture.shapes import (
    Arrow,
    Box,
    GAP,
    marker,
    Piece,
    Role,
    Room,
    Shape,
    stacked,
    stub,
    STUB_HEIGHT,
    STUB_WIDTH,
    Text,
)
from lego_ros.programs.picture.text import BODY, LEADING, shortened, SMALL, width, wrapped
from lego_ros.programs.tree import (
    Block,
    Call,
    If,
    Repeat,
    Routine,
    Statement,
    SubAction,
    walk,
    While,
)
from lego_ros.programs.vocabulary import Vocabulary

BOX_LEAST, BOX_MOST = 96.0, 190.0
_INNER = 8.0
_FRAME = 10.0
_LANES = 26.0
_LABEL = 26.0
_CONDITION_MOST = 150.0
_CONDITIONS = 5
_MESSAGES = 4
_TEST_MOST = 230.0
_LINE = SMALL * LEADING


class Layout:
    """
    Lays statements out.

    :param vocabulary: for what the sub-verbs need and give.
    :param wrong: what is wrong with which statement, by its identity.
    :param box: width of all boxes.
    """

    def __init__(self, vocabulary: Vocabulary, wrong: Mapping[int, list[str]], box: float) -> None:
        self._vocabulary = vocabulary
        self._wrong = wrong
        self.box = box

    def routine(self, routine: Routine, room: Room) -> Piece:
        """
        Lay a routine out in its frame.

        :param routine: any.
        :param room: for all of it.
        :returns: the piece.
        """
        head = _INNER + BODY * LEADING + 8
        messages = [line for message in self._wrong.get(id(routine), ())
                    for line in wrapped(message, self.box + 60, SMALL, 4)]
        head += len(messages) * _LINE
        ends = [marker('start'), marker('end')]
        body = self.block(routine.body, room.less(
            2 * _FRAME, head + _FRAME + sum(end.height + GAP for end in ends)))
        inner = stacked([ends[0], body, ends[1]])
        title = shortened(str(routine), max(room.width - 4 * _FRAME, 0), BODY, bold=True)
        widest = max([width(title, BODY, True), *(width(line, SMALL) for line in messages)])
        left = inner.left + _FRAME
        right = max(inner.right, widest - inner.left) + _FRAME
        height = head + inner.height + _FRAME
        texts = [Text(_FRAME - left, _INNER + BODY * 0.8, title, BODY, bold=True)]
        texts += [Text(_FRAME - left, _INNER + BODY * LEADING + SMALL + number * _LINE, line,
                       role='wrong') for number, line in enumerate(messages)]
        return Piece(left, right, height, (
            Box('routine', -left, 0, left + right, height, wrong=bool(messages)),
            *texts, *inner.moved(0, head)), hidden=inner.hidden)

    def block(self, block: Block, room: Room) -> Piece:
        """
        Lay a block out, as much of it as there is room for.

        :param block: one statement or more.
        :param room: where a single box does not fit, the piece is larger.
        :returns: the piece; a box at its end tells how many statements are left out.
        """
        pieces: list[Piece] = []
        used = 0.0
        for number, statement in enumerate(block):
            rest = 0.0 if number == len(block) - 1 else GAP + STUB_HEIGHT
            piece = self.statement(statement, room.less(0, used + rest))
            if used + piece.height + rest > room.height:
                pieces.append(stub(sum(1 for _ in walk(block[number:]))))
                break
            pieces.append(piece)
            used += piece.height + GAP
        return stacked(pieces)

    def statement(self, statement: Statement, room: Room) -> Piece:
        """
        Lay a statement out.

        :param statement: any.
        :param room: for all of it.
        :returns: the piece, or a stub where it does not fit.
        """
        if isinstance(statement, SubAction):
            piece = self._action(statement)
        elif isinstance(statement, Call):
            piece = self._call(statement)
        elif isinstance(statement, If):
            piece = self._branch(statement, room)
        else:
            piece = self._loop(statement, room)
        if piece.width > room.width or piece.height > room.height:
            return stub(sum(1 for _ in walk((statement,))))
        return piece

    def _messages(self, statement: Statement, room: float) -> list[str]:
        messages = self._wrong.get(id(statement), [])
        mark = '• ' if len(messages) > 1 else ''
        lines = list(chain.from_iterable(wrapped(mark + message, room, SMALL, 4)
                                         for message in messages[:_MESSAGES]))
        if len(messages) > _MESSAGES:
            lines.append(f'… and {len(messages) - _MESSAGES} more')
        return lines

    def _action(self, action: SubAction) -> Piece:
        wrong = id(action) in self._wrong
        wide = BOX_MOST if wrong else self.box
        half, inner = wide / 2, wide - 2 * _INNER - 4
        messages = self._messages(action, inner)
        tall = 2 * _INNER + 2 * BODY * LEADING - 4 + len(messages) * _LINE
        before = self._needs(action)
        after = _few([
            (('− ' if fact.negated else '+ ') + str(fact.fact),
             'ink' if fact in action.post else 'muted')
            for fact in self._vocabulary.post(action)])
        height = max(tall, max(len(before), len(after)) * _LINE)
        top = (height - tall) / 2
        hand = action.hand.value if action.hand else 'no hand'
        x, y = -half + _INNER + 4, top + _INNER + BODY * 0.8
        verb = shortened(action.verb, inner - width(hand, SMALL) - 6, BODY, bold=True)
        shapes: list[Shape] = [
            Box('action', -half, top, wide, tall, action, action.hand, wrong),
            Text(x, y, verb, BODY, bold=True),
            Text(half - _INNER, y, hand, role='hand', align='right', hand=action.hand),
            Text(x, y + BODY * LEADING, shortened(_objects(action), inner, BODY), BODY)]
        shapes += [Text(x, y + BODY * LEADING + (number + 1) * _LINE + 2, line, role='wrong')
                   for number, line in enumerate(messages)]
        sides = [half, half]
        for side, lines in enumerate((before, after)):
            sign = 1 if side else -1
            first = height / 2 - len(lines) * _LINE / 2 + SMALL
            for number, (line, role) in enumerate(lines):
                shapes.append(Text(sign * (half + _INNER), first + number * _LINE, line,
                                   role=role, align='left' if side else 'right'))
                sides[side] = max(sides[side], half + _INNER + width(line, SMALL))
        return Piece(sides[0], sides[1], height, tuple(shapes), entry=top, exit=top + tall)

    def _needs(self, action: SubAction) -> list[tuple[str, Role]]:
        """Write the pre-conditions; those that the program itself writes stand out."""
        unmet = tuple(self._wrong.get(id(action), ()))
        return _few([(str(fact), 'wrong' if any(f'needs {fact},' in one for one in unmet)
                      else 'ink' if fact in action.pre else 'muted')
                     for fact in self._vocabulary.pre(action)])

    def _call(self, call: Call) -> Piece:
        half = self.box / 2
        messages = self._messages(call, self.box - 4 * _INNER)
        tall = 2 * _INNER + BODY * LEADING + len(messages) * _LINE
        y = _INNER + BODY
        shapes: list[Shape] = [
            Box('call', -half, 0, self.box, tall, call, None, bool(messages)),
            Text(0, y, shortened(str(call), self.box - 3 * _INNER, BODY, bold=True), BODY,
                 bold=True, align='center')]
        shapes += [Text(0, y + (number + 1) * _LINE, line, role='wrong', align='center')
                   for number, line in enumerate(messages)]
        return Piece(half, half, tall, tuple(shapes), exit=tall)

    def _test(self, statement: If | While | Repeat) -> Piece:
        """Lay the head of a branch or a loop out."""
        text = str(statement)
        if isinstance(statement, Repeat):
            text += ' time' + 's' * (statement.count > 1)
        lines = wrapped(text, _TEST_MOST, BODY, 4, bold=True)
        messages = self._messages(statement, _TEST_MOST)
        widest = max([width(line, BODY, True) for line in lines]
                     + [width(line, SMALL) for line in messages])
        height = 2 * _INNER + (len(lines) - 1) * BODY * LEADING + BODY + len(messages) * _LINE
        half = widest / 2 + 16
        shapes: list[Shape] = [
            Box('test', -half, 0, 2 * half, height, statement, None, bool(messages))]
        y = _INNER + BODY * 0.85
        shapes += [Text(0, y + number * BODY * LEADING, line, BODY, bold=True, align='center')
                   for number, line in enumerate(lines)]
        y += (len(lines) - 1) * BODY * LEADING
        shapes += [Text(0, y + (number + 1) * _LINE, line, role='wrong', align='center')
                   for number, line in enumerate(messages)]
        return Piece(half, half, height, tuple(shapes), exit=height)

    def _branch(self, branch: If, room: Room) -> Piece:
        head = self._test(branch)
        top = head.height + _LABEL
        inside = room.less(2 * _FRAME + _LANES, top + GAP + 2 * _FRAME)
        nothing = Piece(30.0, 30.0, 0.0, ())
        least = STUB_WIDTH if branch.otherwise else nothing.width
        then = self.block(branch.then, inside.less(least, 0))
        other = (self.block(branch.otherwise, inside.less(then.width, 0)) if branch.otherwise
                 else nothing)
        low = top + max(then.height, other.height) + GAP * 0.8
        shapes: list[Shape] = [*head.shapes]
        lanes = ((-1, 'then', then, max(then.right + _LANES / 2, head.left + 14)),
                 (1, 'else', other, max(other.left + _LANES / 2, head.right + 14)))
        for sign, label, lane, away in lanes:
            x, tip = sign * away, sign * head.right
            way = ((tip, head.height / 2), (x, head.height / 2))
            if lane.shapes:
                shapes += [Arrow((*way, (x, top + lane.entry))),
                           Arrow(((x, top + lane.exit), (x, low), (0, low)), False)]
            else:
                shapes.append(Arrow((*way, (x, low), (0, low)), False))
            shapes += [Text(x + sign * 5, top - 8, label, role='muted',
                            align='left' if sign > 0 else 'right'), *lane.moved(x, top)]
        left, right = lanes[0][3] + then.left, lanes[1][3] + other.right
        return _framed(left, right, low, shapes, then.hidden + other.hidden)

    def _loop(self, loop: While | Repeat, room: Room) -> Piece:
        head = self._test(loop)
        top = head.height + _LABEL
        body = self.block(loop.body, room.less(2 * _FRAME + _LANES + 8, top + 34 + 2 * _FRAME))
        left, right = (max(side, half) + _LANES / 2 + 4 for side, half in (
            (body.left, head.left), (body.right, head.right)))
        turn = top + body.height + 14
        low = turn + 12
        middle = head.height / 2
        words = ('yes', 'no') if isinstance(loop, While) else ('again', 'done')
        return _framed(left, right, low, [
            *head.shapes, *body.moved(0, top),
            Arrow(((0, head.height), (0, top + body.entry))),
            Arrow(((0, top + body.exit), (0, turn), (-left, turn), (-left, middle),
                   (-head.left, middle))),
            Arrow(((head.right, middle), (right, middle), (right, low), (0, low)), False),
            Text(5, head.height + 12, words[0], role='muted'),
            Text(right - 5, head.height + 12, words[1], role='muted', align='right')],
            body.hidden)


def _framed(left: float, right: float, low: float, shapes: list[Shape], hidden: int) -> Piece:
    """Put a frame around a branch or a loop; the way goes on from its lower edge."""
    height = low + 2 * _FRAME
    frame = Box('frame', -left - _FRAME, 0, left + right + 2 * _FRAME, height)
    inner = (shape.moved(0, _FRAME) for shape in (*shapes, Arrow(((0, low), (0, low + _FRAME)),
                                                                 False)))
    return Piece(left + _FRAME, right + _FRAME, height, (frame, *inner), _FRAME, height, hidden)


def _objects(action: SubAction) -> str:
    return ', '.join(name for name in (action.object_a, action.object_b) if name)


def _few(lines: list[tuple[str, Role]]) -> list[tuple[str, Role]]:
    """Shorten the conditions beside a box to what fits there."""
    kept = [(shortened(text, _CONDITION_MOST, SMALL), role) for text, role in lines]
    if len(kept) > _CONDITIONS:
        kept[_CONDITIONS - 1:] = [(f'… {len(kept) - _CONDITIONS + 1} more', 'muted')]
    return kept


def box_width(actions: Iterable[SubAction], calls: Iterable[Call]) -> float:
    """
    Choose a width that most of the texts fit into.

    :param actions: of the program.
    :param calls: of the program.
    :returns: the width of all its boxes.
    """
    needed = [BOX_LEAST]
    for action in actions:
        hand = action.hand.value if action.hand else 'no hand'
        needed.append(4 + max(width(action.verb, BODY, True) + width(hand, SMALL) + 14,
                              width(_objects(action), BODY)) + 2 * _INNER)
    needed += [width(str(call), BODY, True) + 3 * _INNER for call in calls]
    return min(max(needed), BOX_MOST)
