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

"""``lego-ros program``: action programs checked, converted, drawn and run; it needs no ROS."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
import io
from pathlib import Path
import sys
from typing import TYPE_CHECKING

from lego_ros.cli.text import CommandError, printable, whole
from lego_ros.errors import ErrorCode, LegoError
from lego_ros.files import write_whole

if TYPE_CHECKING:
    from lego_ros.programs.tree import Program
    from lego_ros.programs.vocabulary import Vocabulary


def add_parser(commands: argparse._SubParsersAction) -> None:
    """
    Add the command to the command line.

    :param commands: of the main parser.
    """
    parser = commands.add_parser(
        'program', help='check, convert, draw and run action programs',
        description='Check, convert, draw and run action programs.')
    actions = parser.add_subparsers(title='actions', metavar='ACTION', required=True)
    check = actions.add_parser(
        'check', help='tell whether a program can be done',
        description='Tell whether a program can be done; the exit status is 1 if it cannot.')
    convert = actions.add_parser(
        'convert', help='write a program as text or JSON',
        description='Write a program as text or as JSON.')
    convert.add_argument('--to', choices=('text', 'json'), required=True)
    convert.add_argument('--out', type=Path, metavar='FILE', help='default: standard output')
    draw = actions.add_parser(
        'draw', help='draw a program as a flow chart',
        description='Draw a program as a flow chart, with what is wrong with it.')
    draw.add_argument('--out', type=Path, metavar='PNG', required=True)
    run = actions.add_parser(
        'run', help='run a program in a world of facts',
        description='Run a program from its initial state and print what each sub-action '
                    'changes; the exit status is 1 if it does not get to its end.')
    run.add_argument('--max-steps', type=whole(1, 100_000), default=10_000, metavar='N',
                     help='statements to run at most (default 10000)')
    words = actions.add_parser(
        'words', help='print the vocabulary',
        description='Print the sub-verbs and predicates that programs may use.')
    for action, function in ((check, run_check), (convert, run_convert), (draw, run_draw),
                             (run, run_run), (words, run_words)):
        if action is not words:
            action.add_argument('file', metavar='FILE',
                                help='text or JSON; - for standard input')
        action.add_argument('--vocabulary', type=Path, metavar='FILE',
                            help='YAML with words beyond those of the package')
        action.set_defaults(run=function)


def run_check(args: argparse.Namespace) -> int:
    """
    Check a program.

    :param args: of the command line.
    :returns: exit status: 0, or 1 if something is wrong with it.
    :raises LegoError: SOURCE_UNREADABLE, PROGRAM_INVALID or INVALID_SETTING.
    """
    from lego_ros.programs.checking import check

    vocabulary = _vocabulary(args)
    program = _read(args.file, vocabulary)
    violations = check(program, vocabulary)
    for violation in violations:
        where = f'{args.file}:{violation.line}' if violation.line else args.file
        print(printable(f'{where}: {violation.message}'))
    if violations:
        return 1
    count = sum(1 for _ in program.sub_actions())
    print(printable(f'{args.file}: sound, {count} sub-action{"s" * (count != 1)}'))
    return 0


def run_convert(args: argparse.Namespace) -> int:
    """
    Write a program in another form.

    :param args: of the command line.
    :returns: exit status.
    :raises LegoError: SOURCE_UNREADABLE, PROGRAM_INVALID or INVALID_SETTING.
    :raises CommandError: it cannot be written.
    """
    from lego_ros.programs.printing import to_text
    from lego_ros.programs.serialising import to_json

    vocabulary = _vocabulary(args)
    program = _read(args.file, vocabulary)
    text = to_text(program) if args.to == 'text' else to_json(program, vocabulary)
    if args.out is None:
        print(text, end='')
    else:
        _write(args, text.encode())
    return 0


def run_draw(args: argparse.Namespace) -> int:
    """
    Draw a program.

    :param args: of the command line.
    :returns: exit status.
    :raises LegoError: SOURCE_UNREADABLE, PROGRAM_INVALID or INVALID_SETTING.
    :raises CommandError: it cannot be written.
    """
    vocabulary = _vocabulary(args)
    _write(args, _picture(_read(args.file, vocabulary), vocabulary))
    return 0


def _write(args: argparse.Namespace, content: bytes) -> None:
    if args.file != '-' and args.out.resolve() == Path(args.file).resolve():
        raise LegoError(ErrorCode.INVALID_SETTING,
                        f"--out '{args.out}' is the program itself; choose another file")
    try:
        write_whole(args.out, content, durable=False)
    except OSError as error:
        raise CommandError(f"'{args.out}' cannot be written: {error}", 2) from error


def run_run(args: argparse.Namespace) -> int:
    """
    Run a program in a world of facts.

    :param args: of the command line.
    :returns: exit status.
    :raises LegoError: SOURCE_UNREADABLE, PROGRAM_INVALID or INVALID_SETTING.
    :raises CommandError: status 1, it does not get to its end.
    """
    from lego_ros.programs.interpreter import run
    from lego_ros.programs.state import State

    vocabulary = _vocabulary(args)
    program = _read(args.file, vocabulary)
    course = run(program, None, vocabulary, args.max_steps)
    before = State(frozenset(program.initial))
    digits = len(str(len(course.steps)))
    for number, step in enumerate(course.steps, 1):
        print(printable(f'{number:>{digits}}  {step.action}'))
        for sign, facts in (('+', step.state.facts - before.facts),
                            ('-', before.facts - step.state.facts)):
            for fact in sorted(map(str, facts)):
                print(printable(f'{"":{digits}}    {sign} {fact}'))
        before = step.state
    count = f'{len(course.steps)} sub-action{"s" * (len(course.steps) != 1)}'
    if course.problem:
        raise CommandError(f'stopped after {count}: {course.problem}')
    print(f'done, {count}')
    return 0


def run_words(args: argparse.Namespace) -> int:
    """
    Print the vocabulary.

    :param args: of the command line.
    :returns: exit status.
    :raises LegoError: INVALID_SETTING, the vocabulary cannot be read.
    """
    from lego_ros.programs.tree import listed

    vocabulary = _vocabulary(args)
    rows = [('SUB-VERB', 'ARGUMENTS', 'NEEDS', 'GIVES', 'MEANING')]
    for name, verb in vocabulary.sub_verbs.items():
        objects = [f'[{word[0]}]' if word.endswith('?') else word for word in verb.objects]
        rows.append((name, ', '.join([*objects, *(['hand'] if verb.hand else [])]),
                     listed(verb.pre), listed(verb.post), verb.meaning))
    _print_table(rows)
    print()
    _print_table([('PREDICATE', 'ARGUMENTS', 'OPPOSITE', 'MEANING'), *(
        (name, ', '.join(word.arguments), word.opposite, word.meaning)
        for name, word in vocabulary.predicates.items())])
    return 0


def _print_table(rows: Sequence[tuple[str, ...]]) -> None:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print(printable('  '.join(f'{cell:<{width}}' for cell, width in zip(
            row, widths, strict=True)).rstrip()))


def _vocabulary(args: argparse.Namespace) -> Vocabulary:
    from lego_ros.programs.vocabulary import default_vocabulary, read_vocabulary

    return read_vocabulary(args.vocabulary) if args.vocabulary else default_vocabulary()


def _read(name: str, vocabulary: Vocabulary) -> Program:
    """Read a program; one from JSON gets the lines of its text form."""
    from lego_ros.programs.parsing import parse
    from lego_ros.programs.printing import to_text
    from lego_ros.programs.serialising import from_json

    text = _content(name)
    try:
        if not name.endswith('.json') and (name.endswith('.txt')
                                           or not text.lstrip().startswith('{')):
            return parse(text, vocabulary)
        program = from_json(text, vocabulary)
    except LegoError as error:
        raise LegoError(error.code, f"'{name}': {error.message}") from error
    return parse(to_text(program), vocabulary)


def _content(name: str) -> str:
    from lego_ros.programs.serialising import MAX_JSON

    try:
        if name == '-':
            data = sys.stdin.buffer.read(MAX_JSON + 1)
        else:
            with open(name, 'rb') as file:
                data = file.read(MAX_JSON + 1)
        if len(data) > MAX_JSON:
            raise LegoError(ErrorCode.SOURCE_UNREADABLE,
                            f"'{name}' is larger than {MAX_JSON:,} bytes")
        return data.decode('utf-8')
    except OSError as error:
        raise LegoError(ErrorCode.SOURCE_UNREADABLE,
                        f"'{name}' cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise LegoError(ErrorCode.SOURCE_UNREADABLE, f"'{name}' is not UTF-8: {error}"
                        ) from error


def _picture(program: Program, vocabulary: Vocabulary) -> bytes:
    from lego_ros.programs.checking import check
    from lego_ros.programs.picture.drawing import draw

    file = io.BytesIO()
    draw(program, vocabulary, check(program, vocabulary)).savefig(file, format='png')
    return file.getvalue()
