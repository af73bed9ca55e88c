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

"""The grammar of action programs: one, for reading them and for writing them token by token."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path

from lego_ros.programs.bounds import NAME
from lego_ros.programs.vocabulary import KEYWORDS, SubVerb, Vocabulary

_RULES = Path(__file__).with_name('grammar.lark')
# Keywords after which a name or another word comes.
_OPENING = {'_OBJECTS': 'objects', '_INITIALLY': 'initially', '_ROUTINE': 'routine',
            '_CALL': 'call', '_REPEAT': 'repeat', '_PRE': 'pre', '_POST': 'post', '_NOT': 'not',
            'IF': 'if', 'WHILE': 'while'}
VERB = 'VERB_'
PREDICATE = 'PREDICATE_'


def reading_grammar(vocabulary: Vocabulary) -> str:
    """
    Write the grammar by which Lark reads programs.

    :param vocabulary: the words.
    :returns: Lark's notation. The lexer must look for names everywhere, so that it takes whole
        words; comments and white space are left out.
    """
    return _grammar(vocabulary) + '\n'.join([
        f'NAME: /{NAME}/', *(f'{terminal}: "{word}"' for terminal, word in _OPENING.items()),
        r'%ignore /[ \t\r\n]+/', r'%ignore /#[^\n]*/']) + '\n'


def writing_grammar(vocabulary: Vocabulary) -> str:
    """
    Write the grammar by which llguidance says what may come next.

    :param vocabulary: the words.
    :returns: its dialect of Lark's notation. Here a lexer takes what is allowed, not whole words,
        so that names must be told not to be keywords, and keywords to end.
    """
    # Language models like to begin an answer with a space.
    return '%llguidance {"allow_initial_skip": true}\n' + _grammar(vocabulary) + '\n'.join([
        f'NAME: /{NAME}/ & ~/{"|".join(sorted(KEYWORDS))}/',
        *(f'{terminal}: /{word}[ \\n]/' for terminal, word in _OPENING.items()),
        r'%ignore /[ \n]+/']) + '\n'


def _grammar(vocabulary: Vocabulary) -> str:
    """
    Write the rules, and the terminals of the vocabulary.

    A text of them names known words only, each with as many objects and hands as it takes; that
    its objects are declared and its conditions met is the checker's to say.
    """
    rules = [_RULES.read_text(encoding='utf-8')]
    verbs, predicates = vocabulary.sub_verbs, vocabulary.predicates
    rules.append(_alternatives('sub_action_core', VERB, {
        name: _arguments(word) for name, word in verbs.items()}))
    for rule, kinds in (('fact', {'object': 'some', 'hand': 'some_hand'}),
                        ('effect', {'object': 'name', 'hand': 'one_hand'})):
        rules.append(_alternatives(rule, PREDICATE, {
            name: ', '.join(kinds[kind] for kind in word.arguments)
            for name, word in predicates.items()}))
    rules += [f'{prefix}{name.upper()}: "{name}"' for prefix, words in (
        (VERB, verbs), (PREDICATE, predicates)) for name in words]
    return '\n'.join(rules) + '\n'


def _arguments(word: SubVerb) -> str:
    """Write what stands in a sub-verb's brackets, with ``|`` where there are two ways."""
    hand = ', hand' if word.hand else ''
    if word.objects[-1] == 'b?':
        return f'name{hand} | name, name{hand}'
    return 'name, name' + hand if len(word.objects) == 2 else 'name' + hand


def _alternatives(rule: str, prefix: str, arguments: dict[str, str]) -> str:
    """Write a rule of all words, those of the same arguments together."""
    ways: list[tuple[str, str, str]] = []
    for form, names in groupby(sorted(arguments, key=arguments.__getitem__),
                               key=arguments.__getitem__):
        group = f'{rule}_{len(ways)}'
        words = ' | '.join(f'{prefix}{name.upper()}' for name in names)
        ways.append((group, words, form))
    lines = []
    for group, words, form in ways:
        inner = ' | '.join('"(" ' + way.replace(', ', ' "," ') + ' ")"'
                           for way in form.split(' | '))
        lines.append(f'{group}: ({words}) ({inner})')
    return f'{rule}: {" | ".join(group for group, _, _ in ways)}\n' + '\n'.join(lines)
