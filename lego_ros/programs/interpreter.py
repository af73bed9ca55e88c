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

"""Runs action programs: in a world of facts, or step by step against any other world."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain, repeat

from lego_ros.programs.bounds import invalid
from lego_ros.programs.state import State
from lego_ros.programs.tree import (
    Conditions,
    If,
    Program,
    Repeat,
    Statement,
    SubAction,
    While,
)
from lego_ros.programs.vocabulary import default_vocabulary, Vocabulary

MAX_STEPS = 10_000
"""Statements run; a program that runs more is taken as endless."""


class Endless(Exception):
    """A program ran more statements than it was allowed to."""


def steps(program: Program, all_hold: Callable[[Conditions], bool], max_steps: int = MAX_STEPS
          ) -> Iterator[SubAction]:
    """
    Yield the sub-actions of a program in the order in which they are to be done.

    Each is to be done before the next is asked for: what comes after an ``if`` or in a ``while``
    depends on it. A robot does the sub-actions and tells what it sees by ``all_hold``.

    :param program: any.
    :param all_hold: asked whether the conditions of an ``if`` or ``while`` all hold now.
    :param max_steps: statements to run at most, 1 or more.
    :raises Endless: it runs more.
    :raises LegoError: PROGRAM_INVALID, it calls a routine that there is not.
    """
    routines = {routine.name: routine.body for routine in program.routines}
    # The blocks under way, the innermost last. No recursion: calls may nest as deep as there are
    # steps.
    running: list[Iterator[Statement]] = [iter(program.body)]
    count = 0
    while running:
        statement = next(running[-1], None)
        if statement is None:
            running.pop()
            continue
        count += 1
        if count > max_steps:
            raise Endless(f'the program ran {max_steps:,} statements and did not end')
        if isinstance(statement, SubAction):
            yield statement
        elif isinstance(statement, If):
            running.append(iter(statement.then if all_hold(statement.condition)
                                else statement.otherwise))
        elif isinstance(statement, While):
            running.append(_rounds(statement, all_hold))
        elif isinstance(statement, Repeat):
            running.append(chain.from_iterable(repeat(statement.body, statement.count)))
        else:
            if statement.name not in routines:
                raise invalid(statement.line, f'{statement}: there is no such routine')
            running.append(iter(routines[statement.name]))


def _rounds(loop: While, all_hold: Callable[[Conditions], bool]) -> Iterator[Statement]:
    while all_hold(loop.condition):
        yield from loop.body


@dataclass(frozen=True)
class Step:
    """
    One sub-action that was done.

    :param action: what was done.
    :param state: what holds after it.
    """

    action: SubAction
    state: State


@dataclass(frozen=True)
class Run:
    """
    How a program went in a world of facts.

    :param steps: what was done, in order.
    :param state: what holds in the end.
    :param problem: why it did not get to its end; '' where it did.
    """

    steps: tuple[Step, ...]
    state: State
    problem: str = ''


def run(program: Program, state: State | None = None, vocabulary: Vocabulary | None = None,
        max_steps: int = MAX_STEPS) -> Run:
    """
    Run a program in a world of facts, in which each sub-action does what its contract says.

    :param program: of the vocabulary's words.
    :param state: what holds before; the program's own initial state by default.
    :param vocabulary: its words; those of the package by default.
    :param max_steps: see :func:`steps`.
    :returns: the course, up to the first sub-action whose pre-conditions are not met.
    :raises LegoError: PROGRAM_INVALID, it calls a routine that there is not.
    """
    vocabulary = vocabulary or default_vocabulary()
    first = state if state is not None else State(frozenset(program.initial))
    done: list[Step] = []

    def now() -> State:
        return done[-1].state if done else first

    problem = ''
    try:
        for action in steps(program, lambda conditions: now().all_hold(conditions) is True,
                            max_steps):
            unmet = [condition for condition in vocabulary.pre(action)
                     if not now().holds(condition)]
            if unmet:
                where = f'line {action.line}: ' if action.line else ''
                problem = f'{where}{action} cannot be done: {unmet[0]} does not hold'
                break
            done.append(Step(action, now().after(vocabulary.post(action), vocabulary)))
    except Endless as error:
        problem = str(error)
    return Run(tuple(done), now(), problem)
