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

"""What an action program is made of."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum

ANYTHING = '_'
"""As an argument of a condition: whatever it is."""


class Hand(str, Enum):
    """Who acts; the values are the words of the text form."""

    LEFT = 'left'
    RIGHT = 'right'
    BOTH = 'both'
    EITHER = 'either'


@dataclass(frozen=True)
class Predicate:
    """
    One fact that holds or must hold: ``in_hand(spoon, right)``, ``not open(drawer)``.

    :param name: of the vocabulary.
    :param arguments: objects and hands, in the order of the vocabulary; ``_`` for anything.
    :param negated: the fact does not hold.
    """

    name: str
    arguments: tuple[str, ...]
    negated: bool = False

    @property
    def fact(self) -> Predicate:
        """Give the same without the negation."""
        return Predicate(self.name, self.arguments) if self.negated else self

    def __str__(self) -> str:
        return f'{"not " if self.negated else ""}{self.name}({", ".join(self.arguments)})'


Conditions = tuple[Predicate, ...]
"""All must hold."""


@dataclass(frozen=True)
class SubAction:
    """
    One atom of manipulation, the paper's (sub-verb, object A, object B).

    :param verb: of the vocabulary, which says what it needs and gives.
    :param object_a: what is acted on.
    :param object_b: with, into or onto what; '' where the verb needs none.
    :param hand: who acts; None where no hand does.
    :param pre: what must hold before, beyond what the vocabulary says of the verb.
    :param post: what holds after, beyond what the vocabulary says of the verb.
    :param line: where it stands in the text, from 1; 0 = there was none.
    """

    verb: str
    object_a: str
    object_b: str = ''
    hand: Hand | None = None
    pre: Conditions = ()
    post: Conditions = ()
    line: int = field(default=0, compare=False)

    def __str__(self) -> str:
        words = [self.object_a, self.object_b, self.hand.value if self.hand else '']
        return f'{self.verb}({", ".join(word for word in words if word)})'


@dataclass(frozen=True)
class If:
    """
    Runs one of two blocks.

    :param condition: decides.
    :param then: run where all of the condition holds.
    :param otherwise: run where it does not; may be empty.
    :param line: see :class:`SubAction`.
    """

    condition: Conditions
    then: Block
    otherwise: Block = ()
    line: int = field(default=0, compare=False)

    def __str__(self) -> str:
        return f'if {listed(self.condition)}'


@dataclass(frozen=True)
class While:
    """
    Runs a block as long as all of a condition holds.

    :param condition: looked at before each round.
    :param body: run in each round.
    :param line: see :class:`SubAction`.
    """

    condition: Conditions
    body: Block
    line: int = field(default=0, compare=False)

    def __str__(self) -> str:
        return f'while {listed(self.condition)}'


@dataclass(frozen=True)
class Repeat:
    """
    Runs a block some times.

    :param count: 1 or more.
    :param body: run in each round.
    :param line: see :class:`SubAction`.
    """

    count: int
    body: Block
    line: int = field(default=0, compare=False)

    def __str__(self) -> str:
        return f'repeat {self.count}'


@dataclass(frozen=True)
class Call:
    """
    Runs a sub-routine.

    :param name: of one of the program's routines.
    :param line: see :class:`SubAction`.
    """

    name: str
    line: int = field(default=0, compare=False)

    def __str__(self) -> str:
        return f'call {self.name}'


Statement = SubAction | If | While | Repeat | Call
Block = tuple[Statement, ...]


@dataclass(frozen=True)
class Routine:
    """
    A named block: the hierarchy of the paper, in which a step is an atom or a sub-routine.

    :param name: what calls say.
    :param body: what a call runs.
    :param line: see :class:`SubAction`.
    """

    name: str
    body: Block
    line: int = field(default=0, compare=False)

    def __str__(self) -> str:
        return f'routine {self.name}'


@dataclass(frozen=True)
class Program:
    """
    An action program.

    :param objects: every object that it names.
    :param body: what it does, one after the other.
    :param initial: what holds before; what is not stated does not.
    :param routines: its sub-routines.
    """

    objects: tuple[str, ...]
    body: Block
    initial: Conditions = ()
    routines: tuple[Routine, ...] = ()

    def sub_actions(self) -> Iterator[SubAction]:
        """Yield every sub-action once, in the order of the text."""
        for block in (*(routine.body for routine in self.routines), self.body):
            for statement in walk(block):
                if isinstance(statement, SubAction):
                    yield statement


def blocks_of(statement: Statement) -> tuple[Block, ...]:
    """
    List the blocks inside a statement.

    :param statement: any.
    :returns: none for a sub-action or a call; then and else for an if; else its body.
    """
    if isinstance(statement, If):
        return statement.then, statement.otherwise
    if isinstance(statement, (While, Repeat)):
        return (statement.body,)
    return ()


def walk(block: Block) -> Iterator[Statement]:
    """
    Yield the statements of a block and of the blocks inside it, in the order of the text.

    :param block: where to begin.
    """
    waiting = list(reversed(block))
    while waiting:
        statement = waiting.pop()
        yield statement
        for inner in reversed(blocks_of(statement)):
            waiting.extend(reversed(inner))


def listed(conditions: Conditions) -> str:
    """
    Write conditions as in a program.

    :param conditions: any number.
    :returns: the conditions with commas between them.
    """
    return ', '.join(map(str, conditions))
