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
from graphlib import CycleError, TopologicalSorter

from lego_ros.programs.bounds import MAX_DEPTH
from lego_ros.programs.flow import Flow
from lego_ros.programs.state import ended_by, fits, rivals
from lego_ros.programs.tree import (
    ANYTHING,
    Block,
    blocks_of,
    Call,
    Conditions,
    Hand,
    If,
    Predicate,
    Program,
    Routine,
    Statement,
    SubAction,
    walk,
    While,
)
from lego_ros.programs.violation import Violation
from lego_ros.programs.vocabulary import default_vocabulary, Vocabulary


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
        flow = Flow(program, vocabulary)
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
    known = declared | {ANYTHING, *(hand.value for hand in Hand)}
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
    try:
        order = list(TopologicalSorter(called).static_order())
    except CycleError as error:
        # Of each the next is the caller; the first comes again as the last.
        circle = error.args[1][:0:-1]
        start = min(circle, key=list(routines).index)
        yield Violation(routines[start].line, 'these routines call each other in a circle and '
                        f'would never end: {", ".join(circle[:5])}')
        return
    depth: dict[str, int] = {}
    for name in order:
        depth[name] = _deepest(inside[name], depth)
    if _deepest(_nesting(program.body), depth) > MAX_DEPTH:
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
