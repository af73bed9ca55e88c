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

"""How large a program may be, and whether a tree from elsewhere is one of the language."""

from __future__ import annotations

import re

from lego_ros.errors import ErrorCode, LegoError
from lego_ros.programs.printing import to_text
from lego_ros.programs.tree import (
    ANYTHING,
    Block,
    blocks_of,
    Call,
    Conditions,
    Hand,
    If,
    Program,
    Repeat,
    Statement,
    SubAction,
    While,
)
from lego_ros.programs.vocabulary import KEYWORDS, Vocabulary

# As the messages bound them, msg/ActionProgram.msg and msg/ProgramNode.msg.
MAX_TEXT = 65536
MAX_NODES = 4096
MAX_OBJECTS = 64
MAX_INITIAL = 64
MAX_CONDITIONS = 16
MAX_COUNT = 9999
MAX_DEPTH = 32
"""Blocks in blocks; of our own choosing, as no message bounds it."""
NAME = r'[a-z][a-z0-9_]{0,63}'
"""Of an object or a routine; the messages bound both to 64 bytes."""


def invalid(line: int, what: str) -> LegoError:
    """
    Say that a text or a tree is no program.

    :param line: where, from 1; 0 = there is no text.
    :param what: what was wrong and what to do.
    :returns: the error, PROGRAM_INVALID.
    """
    return LegoError(ErrorCode.PROGRAM_INVALID, f'line {line}: {what}' if line else what)


def shown(text: str) -> str:
    """
    Quote what was given, however long it is.

    :param text: from anywhere.
    :returns: its first 40 characters in quotes.
    """
    return repr(text) if len(text) <= 40 else f'{text[:40]!r}...'


def require_bounded(program: Program, vocabulary: Vocabulary) -> None:
    """
    Check that a program is not larger than the messages can hold.

    :param program: of known words, see :func:`require_known`.
    :param vocabulary: for the conditions that its sub-verbs bring with them.
    :raises LegoError: PROGRAM_INVALID, what is too large and where.
    """
    _require_few(0, 'objects', len(program.objects), MAX_OBJECTS)
    _require_few(0, 'initial facts', len(program.initial), MAX_INITIAL)
    # Of the message: the root, every routine and every statement.
    nodes = 1 + len(program.routines)
    level: list[Statement] = [*program.body, *(
        statement for routine in program.routines for statement in routine.body)]
    depth = 0
    while level:
        depth, nodes = depth + 1, nodes + len(level)
        if depth > MAX_DEPTH:
            raise invalid(level[0].line, f'{level[0]} is more than {MAX_DEPTH} blocks deep; make '
                                         'routines of the inner ones')
        _require_few(level[0].line, 'statements and routines', nodes, MAX_NODES - 1)
        for statement in level:
            _require_few_conditions(statement, vocabulary)
        level = [inner for outer in level for block in blocks_of(outer) for inner in block]
    # Not the text that was read: its own, which the message carries.
    _require_few(0, 'bytes of text', len(to_text(program).encode()), MAX_TEXT)


def _require_few(line: int, what: str, count: int, bound: int) -> None:
    if count > bound:
        raise invalid(line, f'there are {count:,} or more {what}, at most {bound:,} may be')


def _require_few_conditions(statement: Statement, vocabulary: Vocabulary) -> None:
    if isinstance(statement, SubAction):
        for which, facts in (('pre', vocabulary.pre(statement)),
                             ('post', vocabulary.post(statement))):
            _require_few(statement.line, f'{which}-conditions of {statement} with those of its '
                                         'verb', len(facts), MAX_CONDITIONS)
    elif isinstance(statement, (If, While)):
        _require_few(statement.line, f'conditions of {str(statement)[:40]}',
                     len(statement.condition), MAX_CONDITIONS)


def require_known(program: Program, vocabulary: Vocabulary) -> None:
    """
    Check that a tree that was not read by the grammar could have been.

    :param program: from JSON or from a message; its depth is bounded already.
    :param vocabulary: the words.
    :raises LegoError: PROGRAM_INVALID, which word is not known or does not fit.
    """
    for name in (*program.objects, *(routine.name for routine in program.routines)):
        _require_name(0, name)
    if not program.objects or not program.body:
        raise invalid(0, 'a program has one object and one statement at least')
    for fact in program.initial:
        if fact.negated:
            raise invalid(0, f'initially {shown(str(fact))}: what is not stated does not hold; '
                             'leave it out')
    _require_effects(0, program.initial, vocabulary)
    for block in (*(routine.body for routine in program.routines), program.body):
        _require_block(0, block, vocabulary)


def _require_name(line: int, name: str) -> None:
    if not re.fullmatch(NAME, name) or name in KEYWORDS:
        raise invalid(line, f'{shown(name)} cannot be a name: use small letters, digits and _, '
                            '64 at most, and no keyword')


def _require_block(line: int, block: Block, vocabulary: Vocabulary) -> None:
    if not block:
        raise invalid(line, 'a block has one statement at least')
    for statement in block:
        if isinstance(statement, SubAction):
            _require_sub_action(statement, vocabulary)
        elif isinstance(statement, Call):
            _require_name(statement.line, statement.name)
        elif isinstance(statement, Repeat):
            if not 1 <= statement.count <= MAX_COUNT:
                raise invalid(statement.line, f'repeat counts from 1 to {MAX_COUNT}, '
                                              f'not {statement.count}')
            _require_block(statement.line, statement.body, vocabulary)
        else:
            if not statement.condition:
                raise invalid(statement.line, 'an if or while has one condition at least')
            _require_conditions(statement.line, statement.condition, vocabulary)
            for inner in blocks_of(statement):
                # The else of an if may be missing.
                if inner or isinstance(statement, While) or inner is blocks_of(statement)[0]:
                    _require_block(statement.line, inner, vocabulary)


def _require_sub_action(action: SubAction, vocabulary: Vocabulary) -> None:
    word = vocabulary.sub_verbs.get(action.verb)
    if word is None:
        raise invalid(action.line, f'{shown(action.verb)} is no sub-verb; there are '
                                   f'{", ".join(vocabulary.sub_verbs)}')
    _require_name(action.line, action.object_a)
    if action.object_b:
        _require_name(action.line, action.object_b)
    if bool(action.object_b) != (len(word.objects) == 2) and word.objects[-1] != 'b?':
        raise invalid(action.line, f'{action.verb} takes {len(word.objects)} '
                                   f'object{"s" * (len(word.objects) - 1)}')
    if (action.hand is not None) != word.hand:
        raise invalid(action.line, f'{action.verb} {"needs a" if word.hand else "has no"} hand')
    _require_conditions(action.line, action.pre, vocabulary)
    _require_effects(action.line, action.post, vocabulary)


def _require_effects(line: int, effects: Conditions, vocabulary: Vocabulary) -> None:
    _require_conditions(line, effects, vocabulary)
    for fact in effects:
        if ANYTHING in fact.arguments and not fact.negated:
            raise invalid(line, f"{shown(str(fact))}: nothing can be made true of '{ANYTHING}'")


def _require_conditions(line: int, conditions: Conditions, vocabulary: Vocabulary) -> None:
    hands = {ANYTHING, *(hand.value for hand in Hand if hand is not Hand.BOTH)}
    for fact in conditions:
        word = vocabulary.predicates.get(fact.name)
        if word is None:
            raise invalid(line, f'{shown(fact.name)} is no predicate; there are '
                                f'{", ".join(vocabulary.predicates)}')
        if len(fact.arguments) != len(word.arguments):
            raise invalid(line, f'{fact.name} is of {len(word.arguments)} arguments, not '
                                f'{len(fact.arguments)}')
        for argument, kind in zip(fact.arguments, word.arguments, strict=True):
            if kind == 'hand' and argument not in hands:
                raise invalid(line, f'{shown(str(fact))}: {shown(argument)} is no hand; there are '
                                    f'{", ".join(sorted(hands))}')
            if kind == 'object' and argument != ANYTHING:
                _require_name(line, argument)
