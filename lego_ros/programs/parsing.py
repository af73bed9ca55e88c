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

"""From the text of an action program to its tree."""

from __future__ import annotations

from collections.abc import Iterator
import difflib
from functools import lru_cache
from typing import Any

from lark import Lark, Token, Transformer, UnexpectedInput, UnexpectedToken
from lego_ros.errors import LegoError
from lego_ros.programs.bounds import invalid, MAX_TEXT, require_bounded, shown
from lego_ros.programs.grammar import PREDICATE, reading_grammar, VERB
from lego_ros.programs.tree import (
    Block,
    Call,
    Conditions,
    Hand,
    If,
    Predicate,
    Program,
    Repeat,
    Routine,
    Statement,
    SubAction,
    While,
)
from lego_ros.programs.vocabulary import default_vocabulary, KEYWORDS, Vocabulary

_PLAIN = {'LBRACE': "'{'", 'RBRACE': "'}'", 'LPAR': "'('", 'RPAR': "')'", 'COMMA': "','",
          'NAME': 'a name', 'COUNT': 'a number', 'ANYTHING': "'_'", '$END': 'the end'}


def parse(text: str, vocabulary: Vocabulary | None = None) -> Program:
    """
    Read a program.

    :param text: at most 65,536 bytes of UTF-8.
    :param vocabulary: its words; those of the package by default.
    :returns: the tree, whose statements know their lines. Conditions that a sub-verb's contract
        says already are left out of it.
    :raises LegoError: PROGRAM_INVALID, what was wrong at which line and column.
    """
    vocabulary = vocabulary or default_vocabulary()
    if len(text.encode('utf-8', 'replace')) > MAX_TEXT:
        raise invalid(0, f'the text is longer than {MAX_TEXT:,} bytes')
    try:
        program: Program = _parser(vocabulary).parse(text)
    except UnexpectedInput as error:
        raise _explained(error, vocabulary) from error
    require_bounded(program, vocabulary)
    return program


@lru_cache(maxsize=4)
def _parser(vocabulary: Vocabulary) -> Lark:
    # The tree is built while the text is read, from the leaves up: no depth of nesting can exhaust
    # Python's stack before the bounds are looked at.
    return Lark(reading_grammar(vocabulary), parser='lalr', maybe_placeholders=False,
                transformer=_Builder(vocabulary), postlex=_WholeWords())


class _WholeWords:
    """
    Makes the lexer look for names everywhere, so that it takes whole words.

    Without it ``lifting(mug)`` would be read as the sub-verb ``lift`` and a name.
    """

    always_accept = ('NAME',)

    def process(self, stream: Iterator[Token]) -> Iterator[Token]:
        """Change nothing."""
        return stream


class _Builder(Transformer):
    """Makes a node of each rule; a method gets what the rule's parts have become."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        super().__init__()
        self._vocabulary = vocabulary

    def name(self, parts: list[Token]) -> Token:
        if parts[0] in KEYWORDS:
            raise invalid(parts[0].line, f'column {parts[0].column}: {parts[0].value!r} is a '
                          f'keyword and cannot be a name; call it {parts[0].value}_1')
        return parts[0]

    def some(self, parts: list[Token]) -> str:
        return str(parts[0])

    one_hand = some_hand = some

    def hand(self, parts: list[Token]) -> Hand:
        return Hand(parts[0])

    def fact(self, parts: list[Any]) -> Predicate:
        word, *arguments = parts[0].children
        return Predicate(str(word), tuple(map(str, arguments)))

    effect = fact

    def negation(self, parts: list[Predicate]) -> Predicate:
        return Predicate(parts[0].name, parts[0].arguments, True)

    def condition(self, parts: list[Predicate]) -> Predicate:
        return parts[0]

    post_condition = condition

    def conditions(self, parts: list[Predicate]) -> Conditions:
        return tuple(parts)

    initially = conditions

    def pre(self, parts: list[Conditions]) -> tuple[str, Conditions]:
        return 'pre', parts[0]

    def post(self, parts: list[Predicate]) -> tuple[str, Conditions]:
        return 'post', tuple(parts)

    def sub_action(self, parts: list[Any]) -> SubAction:
        core, written = parts[0].children[0], dict(parts[1:])
        verb, *arguments = core.children
        hand = arguments.pop() if isinstance(arguments[-1], Hand) else None
        objects = [*map(str, arguments), '']
        action = SubAction(str(verb), objects[0], objects[1], hand, line=verb.line)
        return self._vocabulary.beyond(action, written.get('pre', ()), written.get('post', ()))

    def statement(self, parts: list[Statement]) -> Statement:
        return parts[0]

    def block(self, parts: list[Statement]) -> Block:
        return tuple(parts)

    def otherwise(self, parts: list[Block]) -> Block:
        return parts[0]

    def branch(self, parts: list[Any]) -> If:
        token, condition, then, *otherwise = parts
        return If(condition, then, otherwise[0] if otherwise else (), token.line)

    def loop(self, parts: list[Any]) -> While:
        token, condition, body = parts
        return While(condition, body, token.line)

    def repeat(self, parts: list[Any]) -> Repeat:
        count, body = parts
        return Repeat(int(count), body, count.line)

    def call(self, parts: list[Token]) -> Call:
        return Call(str(parts[0]), parts[0].line)

    def routine(self, parts: list[Any]) -> Routine:
        return Routine(str(parts[0]), parts[1], parts[0].line)

    def start(self, parts: list[Any]) -> Program:
        objects = tuple(str(part) for part in parts if isinstance(part, Token))
        rest = [part for part in parts if not isinstance(part, Token)]
        initial = rest.pop(0) if isinstance(rest[0], tuple) else ()
        return Program(objects, tuple(part for part in rest if not isinstance(part, Routine)),
                       initial, tuple(part for part in rest if isinstance(part, Routine)))


def _explained(error: UnexpectedInput, vocabulary: Vocabulary) -> LegoError:
    """Say what stands where something else must, and what could."""
    where = f'column {error.column}: '
    if not isinstance(error, UnexpectedToken):
        return invalid(error.line, f'{where}{error.char!r} is no part of the language')
    allowed = _allowed(error)
    if error.token.type == '$END':
        return invalid(error.line, f'{where}the program ends before it is complete; next could be '
                                   f'{_choices(allowed)}')
    found = str(error.token)
    named = error.token.type == 'NAME' and found not in KEYWORDS
    for prefix, kind, words in ((VERB, 'sub-verb', vocabulary.sub_verbs),
                                (PREDICATE, 'predicate', vocabulary.predicates)):
        if named and any(name.startswith(prefix) for name in allowed):
            near = difflib.get_close_matches(found, words, 3)
            which = f'did you mean {", ".join(near)}?' if near else f'there are {", ".join(words)}'
            return invalid(error.line, f'{where}{shown(found)} is no {kind}; {which}')
    if found == 'not':
        return invalid(error.line, f"{where}'not' cannot stand here; initially, what is not "
                                   'stated does not hold: leave it out')
    return invalid(error.line, f'{where}{shown(found)} cannot stand here; next could be '
                               f'{_choices(allowed)}')


def _allowed(error: UnexpectedToken) -> set[str]:
    """
    List the terminals that could stand where an unexpected one does.

    Those that the parser's table has for its state are too many: some would only let it go back to
    a state in which they do not fit. So each is tried, on the states alone.
    """
    parser = error.interactive_parser.parser_state
    table = parser.parse_conf.states
    found = set()
    for terminal in table[parser.state_stack[-1]]:
        # Rules' names are in the table too, in small letters.
        if terminal.islower():
            continue
        states = list(parser.state_stack)
        while terminal in table[states[-1]]:
            target = table[states[-1]][terminal][1]
            # That of a reduction is a rule, that of a shift a state.
            if not hasattr(target, 'expansion'):
                found.add(terminal)
                break
            del states[len(states) - len(target.expansion):]
            states.append(table[states[-1]][target.origin.name][1])
        if terminal == '$END' and states[-1] == parser.parse_conf.end_state:
            found.add(terminal)
    return found


def _choices(expected: set[str]) -> str:
    """List what could stand somewhere, the words of the vocabulary by their kinds."""
    kinds = {VERB: 'a sub-verb', PREDICATE: 'a predicate'}
    found = set()
    for name in expected:
        plain = _PLAIN.get(name, name.strip('_').lower())
        found.add(next((kind for prefix, kind in kinds.items() if name.startswith(prefix)), plain))
    return ', '.join(sorted(found))
