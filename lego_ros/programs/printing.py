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

"""From the tree of an action program to its text."""

from __future__ import annotations

from collections.abc import Iterator

from lego_ros.programs.tree import Block, If, listed, Program, Repeat, SubAction, While

_INDENT = '  '


def to_text(program: Program) -> str:
    """
    Write a program.

    :param program: the tree.
    :returns: its text form, one statement a line; :func:`lego_ros.programs.parsing.parse` makes
        the same tree of it.
    """
    lines = [f'objects {", ".join(program.objects)}']
    if program.initial:
        lines.append(f'initially {listed(program.initial)}')
    for routine in program.routines:
        lines += [f'{routine} {{', *_block(routine.body, _INDENT), '}']
    return '\n'.join([*lines, *_block(program.body, '')]) + '\n'


def _block(block: Block, indent: str) -> Iterator[str]:
    for statement in block:
        if isinstance(statement, SubAction):
            yield indent + _sub_action(statement)
        elif isinstance(statement, If):
            yield f'{indent}{statement} {{'
            yield from _block(statement.then, indent + _INDENT)
            if statement.otherwise:
                yield indent + '} else {'
                yield from _block(statement.otherwise, indent + _INDENT)
            yield indent + '}'
        elif isinstance(statement, (While, Repeat)):
            yield f'{indent}{statement} {{'
            yield from _block(statement.body, indent + _INDENT)
            yield indent + '}'
        else:
            yield f'{indent}{statement}'


def _sub_action(action: SubAction) -> str:
    """Write the atom and the conditions beyond its verb's contract."""
    parts = [str(action)]
    parts += [f'{word} {listed(facts)}' for word, facts in (
        ('pre', action.pre), ('post', action.post)) if facts]
    return ' '.join(parts)
