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

"""Whether an action program can be done: what each step needs is given by what came before it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from lego_ros.programs.bounds import MAX_DEPTH
from lego_ros.programs.state import ended_by, fits, rivals, second, State
from lego_ros.programs.tree import (
    ANYTHING,
    Block,
    blocks_of,
    Call,
    Conditions,
    If,
    Predicate,
    Program,
    Repeat,
    Routine,
    Statement,
    SubAction,
    walk,
    While,
)
from lego_ros.programs.vocabulary import default_vocabulary, Vocabulary

MAX_STEPS = 10_000
"""Statements looked at, those of loops and routines again for each state that they begin in."""


@dataclass(frozen=True)
class Violation:
    """
    One thing that is wrong with a program.

    :param line: of the statement, from 1; 0 = of the whole program, or it has no text.
    :param message: what is wrong and what would mend it.
    """

    line: int
    message: str

    def __str__(self) -> str:
        return f'line {self.line}: {self.message}' if self.line else self.message


def check(program: Program, vocabulary: Vocabulary | None = None) -> tuple[Violation, ...]:
    """
    Check a program without running it.

    Held against it: objects that are not declared, or stand as A and B of one step; facts that
    cannot hold together; calls of no routine, in a circle or too deep; loops that nothing in them
    can end; pre-conditions that the initial state and the post-conditions before do not give on
    every way through the program; a hand that takes a second thing. A pre-condition that is not
    given is taken as given from there on, so that one mistake is told once.

    :param program: of the vocabulary's words, within the bounds.
    :param vocabulary: its words; those of the package by default.
    :returns: what is wrong, in the order of the text; empty for a sound program.
    """
    vocabulary = vocabulary or default_vocabulary()
    found = [*_undeclared(program), *_impossible(program, vocabulary)]
    wrong = list(_wrong_calls(program))
    if not wrong:
        # With a call of nothing or in a circle there is no course to follow.
        flow = _Flow(program, vocabulary)
        flow.run()
        wrong = [*_endless(program, vocabulary), *flow.violations]
    found += wrong
    return tuple(sorted(dict.fromkeys(found), key=lambda violation: violation.line))


def _statements(program: Program) -> Iterator[Statement]:
    for routine in program.routines:
        yield from walk(routine.body)
    yield from walk(program.body)


def _undeclared(program: Program) -> Iterator[Violation]:
    """Find names of objects that the program does not begin with, and such as come twice."""
    declared = set(program.objects)
    if len(declared) < len(program.objects):
        twice = sorted({name for name in declared if program.objects.count(name) > 1})
        yield Violation(0, f'declared twice: {", ".join(twice)}')
    known = declared | {ANYTHING, 'left', 'right', 'either'}
    for fact in program.initial:
        yield from _strangers(0, str(fact), fact.arguments, known)
    for statement in _statements(program):
        if isinstance(statement, SubAction):
            if statement.object_a == statement.object_b:
                yield Violation(statement.line, f'{statement}: object A and object B are the same')
            names = [statement.object_a, *([statement.object_b] if statement.object_b else [])]
            facts: Conditions = (*statement.pre, *statement.post)
        else:
            names = []
            facts = statement.condition if isinstance(statement, (If, While)) else ()
        names += [name for fact in facts for name in fact.arguments]
        yield from _strangers(statement.line, str(statement), names, known)


def _strangers(line: int, where: str, names: Iterable[str], known: set[str]
               ) -> Iterator[Violation]:
    for name in dict.fromkeys(names):
        if name not in known:
            yield Violation(line, f"{where}: '{name}' is not declared; add it to 'objects'")


def _impossible(program: Program, vocabulary: Vocabulary) -> Iterator[Violation]:
    """Find facts that are stated together and cannot hold together."""
    stated: list[tuple[int, str, Conditions]] = [(0, 'the initial state', program.initial)]
    for statement in _statements(program):
        if isinstance(statement, SubAction):
            post = vocabulary.post(statement)
            stated.append((statement.line, f'what {statement} needs', vocabulary.pre(statement)))
            # First all is ended that fits 'not on(mug, _)', then what is new is true.
            stated.append((statement.line, f'what {statement} gives', tuple(
                fact for fact in post if not (fact.negated and ANYTHING in fact.arguments))))
        elif isinstance(statement, (If, While)):
            stated.append((statement.line, str(statement), statement.condition))
    for line, where, facts in stated:
        for one, other in rivals(facts, vocabulary):
            yield Violation(line, f'{where}: {one} and {other} cannot both hold')


def _wrong_calls(program: Program) -> Iterator[Violation]:
    """Find routines of one name, calls of no routine, in a circle, or nested too deep."""
    routines: dict[str, Routine] = {}
    for routine in program.routines:
        if routine.name in routines:
            yield Violation(routine.line, f'there are two routines {routine.name}')
        routines[routine.name] = routine
    for statement in _statements(program):
        if isinstance(statement, Call) and statement.name not in routines:
            known = ', '.join(routines) or 'none'
            yield Violation(statement.line, f'{statement}: there is no such routine; there are: '
                                            f'{known}')
    yield from _nested_calls(program, routines)


def _nested_calls(program: Program, routines: dict[str, Routine]) -> Iterator[Violation]:
    """Find calls that go in a circle or too deep."""
    inside = {name: _nesting(routine.body) for name, routine in routines.items()}
    called = {name: {call for call, _ in calls} & set(routines)
              for name, (_, calls) in inside.items()}
    depth: dict[str, int] = {}
    # Routines that call none have a depth, then their callers, and so on; what is left over when
    # nothing can be added any more goes in a circle, or leads into one.
    while ready := {name: _deepest(inside[name], depth) for name in routines
                    if name not in depth and called[name] <= set(depth)}:
        depth.update(ready)
    circle = [name for name in routines if name not in depth]
    while leading := [name for name in circle
                      if not any(name in called[other] for other in circle)]:
        circle = [name for name in circle if name not in leading]
    if circle:
        yield Violation(routines[circle[0]].line, 'these routines call each other in a circle and '
                        f'would never end: {", ".join(circle[:5])}')
    elif _deepest(_nesting(program.body), depth) > MAX_DEPTH:
        yield Violation(0, 'blocks and the blocks of called routines are nested more than '
                           f'{MAX_DEPTH} deep')


def _nesting(block: Block) -> tuple[int, list[tuple[str, int]]]:
    """Tell how deep a block's own blocks go, itself counted, and each call with its depth."""
    level, depth, calls = list(block), 0, []
    while level:
        depth += 1
        calls += [(statement.name, depth) for statement in level if isinstance(statement, Call)]
        level = [inner for outer in level for each in blocks_of(outer) for inner in each]
    return depth, calls


def _deepest(nesting: tuple[int, list[tuple[str, int]]], depth: dict[str, int]) -> int:
    """Tell how deep blocks go in a block and in what it calls."""
    own, calls = nesting
    return max([own, *(around + depth.get(name, 0) for name, around in calls)])


def _endless(program: Program, vocabulary: Vocabulary) -> Iterator[Violation]:
    """Find loops whose condition nothing in them can end."""
    routines = {routine.name: routine.body for routine in program.routines}
    for loop in _statements(program):
        if isinstance(loop, While) and not any(
                _may_end(condition, action, vocabulary)
                for action in _reached(loop.body, routines) for condition in loop.condition):
            yield Violation(loop.line, f'{loop} cannot end: nothing in it makes its condition '
                                       'false')


def _reached(block: Block, routines: dict[str, Block]) -> Iterator[SubAction]:
    """Yield the sub-actions of a block and of the routines that it calls, each once."""
    waiting, met = [block], set()
    while waiting:
        for statement in walk(waiting.pop()):
            if isinstance(statement, SubAction):
                yield statement
            elif isinstance(statement, Call) and statement.name not in met:
                met.add(statement.name)
                waiting.append(routines[statement.name])


def _may_end(condition: Predicate, action: SubAction, vocabulary: Vocabulary) -> bool:
    """Whether a sub-action may make a condition false, at least of some object."""
    if vocabulary.sub_verbs[action.verb].by_itself \
            and condition.arguments in ((action.object_a,), (ANYTHING,)):
        return True
    for change in vocabulary.post(action):
        # The facts of the condition that the change may be about: '_' becomes what it names.
        meant = Predicate(condition.name, tuple(
            given if wanted == ANYTHING else wanted for wanted, given in
            zip(condition.arguments, change.arguments, strict=False))
            if len(condition.arguments) == len(change.arguments) else condition.arguments)
        same = fits(change, meant) or fits(meant, change)
        if same if condition.negated != change.negated else (
                not condition.negated and ended_by(change, meant, vocabulary)):
            return True
    return False


class _TooLong(Exception):
    """The program has more ways through it than can be looked at."""


class _Flow:
    """
    Follows a program through all its ways and notes what is not given where it is needed.

    :param program: whose calls all end.
    :param vocabulary: its words.
    """

    def __init__(self, program: Program, vocabulary: Vocabulary) -> None:
        self.violations: list[Violation] = []
        self._program = program
        self._vocabulary = vocabulary
        self._routines = {routine.name: routine.body for routine in program.routines}
        self._steps = 0
        self._muted = 0
        # Fact -> the statement that ended it last, to explain what is missing.
        self._ended: dict[Predicate, SubAction] = {}

    def run(self) -> None:
        """Fill :attr:`violations`."""
        initial = State(frozenset(fact for fact in self._program.initial if not fact.negated))
        try:
            self._block(self._program.body, initial)
        except _TooLong:
            self.violations.append(Violation(
                0, f'there are more than {MAX_STEPS:,} steps on the ways through it, too many to '
                   'check; nest fewer loops and calls'))

    def _block(self, block: Block, state: State) -> State:
        for statement in block:
            self._steps += 1
            if self._steps > MAX_STEPS:
                raise _TooLong
            state = self._statement(statement, state)
        return state

    def _statement(self, statement: Statement, state: State) -> State:
        if isinstance(statement, SubAction):
            return self._sub_action(statement, state)
        if isinstance(statement, Call):
            return self._block(self._routines[statement.name], state)
        if isinstance(statement, If):
            then, otherwise = self._ways(statement.condition, state)
            return self._block(statement.then, then).joined(
                self._block(statement.otherwise, otherwise))
        if isinstance(statement, While):
            return self._while(statement, state)
        return self._repeat(statement, state)

    def _ways(self, condition: Conditions, state: State) -> tuple[State, State]:
        """
        Return what is known where a condition holds and where it does not.

        Conditions are looked at when the program runs, so both ways are open, whatever is known.
        """
        met = state.assuming(condition, self._vocabulary)
        if len(condition) > 1:
            # Which of them does not hold is not known.
            return met, state
        only = condition[0]
        return met, state.assuming(
            (Predicate(only.name, only.arguments, not only.negated),), self._vocabulary)

    def _while(self, loop: While, state: State) -> State:
        self._muted += 1
        while True:
            again = state.joined(self._block(
                loop.body, self._ways(loop.condition, state)[0]))
            if again == state:
                break
            state = again
        self._muted -= 1
        inside, after = self._ways(loop.condition, state)
        self._block(loop.body, inside)
        return after

    def _repeat(self, loop: Repeat, state: State) -> State:
        for _ in range(loop.count):
            before, state = state, self._block(loop.body, state)
            if state == before:
                break
        return state

    def _sub_action(self, action: SubAction, state: State) -> State:
        needed = self._vocabulary.pre(action)
        for condition in needed:
            met = state.holds(condition)
            if not met:
                self._note(action, f'{action} needs {condition}, {self._why(condition, met)}')
        state = state.assuming(needed, self._vocabulary)
        changes = self._vocabulary.post(action)
        after = state.after(changes, self._vocabulary)
        for new in changes:
            for held in sorted(after.facts | after.open, key=str):
                if not new.negated and second(new, held, self._vocabulary):
                    may = '' if held in after.facts else 'may hold'
                    self._note(action, f'{action} gives {new} while {held}{may and " " + may}; '
                                       'end that first')
                    after = State(after.facts - {held}, after.open - {held})
        for fact in state.facts - after.facts:
            self._ended[fact] = action
        if self._vocabulary.sub_verbs[action.verb].by_itself:
            after = after.opened(action.object_a, self._vocabulary)
        return after

    def _why(self, condition: Predicate, met: bool | None) -> str:
        """Explain why a condition is not met."""
        if met is None:
            return 'which may or may not hold here'
        if condition.negated:
            return 'and nothing before ends it'
        ended = self._ended.get(condition)
        if ended is not None:
            return f'which {ended}{f" in line {ended.line}" if ended.line else ""} has ended'
        return 'which neither the initial state nor a step before gives'

    def _note(self, statement: Statement, message: str) -> None:
        if not self._muted:
            self.violations.append(Violation(statement.line, message))
