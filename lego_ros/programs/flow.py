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

"""What is given and what is missing on the ways through a program."""

from __future__ import annotations

from lego_ros.programs.state import second, State
from lego_ros.programs.tree import (
    Block,
    Call,
    Conditions,
    If,
    Predicate,
    Program,
    Repeat,
    Statement,
    SubAction,
    While,
)
from lego_ros.programs.violation import Violation
from lego_ros.programs.vocabulary import Vocabulary

MAX_STEPS = 10_000
"""Statements looked at, those of loops and routines again for each state that they begin in."""


class _TooLong(Exception):
    """The program has more ways through it than can be looked at."""


class Flow:
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
        for new, held in self._seconds(changes, after):
            may = '' if held in after.facts else ' may hold'
            self._note(action, f'{action} gives {new} while {held}{may}; end that first')
            after = State(after.facts - {held}, after.open - {held})
        for fact in state.facts - after.facts:
            self._ended[fact] = action
        if self._vocabulary.sub_verbs[action.verb].by_itself:
            after = after.opened(action.object_a, self._vocabulary)
        return after

    def _seconds(self, changes: Conditions, state: State) -> list[tuple[Predicate, Predicate]]:
        """Pair what was made true with what it cannot be beside and is, or may be."""
        return [(new, held) for new in changes
                if not new.negated and self._vocabulary.predicates[new.name].only_per
                for held in sorted(state.facts | state.open, key=str)
                if second(new, held, self._vocabulary)]

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
