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

"""``lego-ros eval``: how good a trained model is on held-out scenes."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from lego_ros.cli.interrupts import stoppable
from lego_ros.cli.text import CommandError, real, whole

# As lego_ros.training has them, whose import takes seconds; a test holds them together.
VARIANTS = ('labels', 'description', 'image', 'text', 'joint', 'joint_untuned')
SPLITS = ('test', 'test_unseen')


def add_parser(commands: argparse._SubParsersAction) -> None:
    """
    Add the command to the command line.

    :param commands: of the main parser.
    """
    kinds = commands.add_parser(
        'eval', help='assess a trained model on held-out scenes'
    ).add_subparsers(title='what was trained on', metavar='DATA', required=True)
    parser = kinds.add_parser(
        'kitchen', help='the simulated kitchen',
        description='Judge descriptions, compare drawn frames with the true ones, and read the '
                    'action from them. Stopped at any moment, the same command goes on.')
    parser.add_argument('--run', type=Path, required=True, metavar='DIR', dest='folder',
                        help='folder that lego-ros train kitchen wrote')
    parser.add_argument('--out', type=Path, required=True, metavar='DIR',
                        help='for pictures, figures and tables')
    parser.add_argument('--variants', nargs='+', choices=VARIANTS,
                        help='rows of the table (default: all that are trained)')
    parser.add_argument('--split', type=_splits, default=SPLITS, metavar='NAME[,NAME]',
                        help=f'splits of the data (default: {",".join(SPLITS)})')
    parser.add_argument('--count', type=whole(2, 1_000_000), metavar='N',
                        help='pairs of each split, evenly chosen (default: all)')
    parser.add_argument('--steps', type=whole(2, 1000), default=100,
                        help='denoising steps (default: %(default)s)')
    parser.add_argument('--image-scale', type=real(0, 50), default=1.5, metavar='X',
                        help='guidance scale of the frame (default: %(default)s)')
    parser.add_argument('--text-scale', type=real(0, 50), default=7.5, metavar='X',
                        help='guidance scale of the description (default: %(default)s)')
    parser.add_argument('--reader-steps', type=whole(1, 10_000_000), metavar='N',
                        help='steps for the classifier that reads actions from pictures '
                             '(default: 12 epochs)')
    parser.set_defaults(run=run)
    _add_programs(kinds)
    _add_leap(kinds)


def run(args: argparse.Namespace) -> int:
    """
    Evaluate a run.

    :param args: of the command line.
    :returns: exit status.
    :raises CommandError: it was stopped.
    :raises LegoError: see ``evaluate``.
    """
    from lego_ros.training.evaluation.drawing import DrawSettings
    from lego_ros.training.evaluation.kitchen import evaluate, EvaluateSettings
    from lego_ros.training.evaluation.reader import ReaderSettings

    reader = (ReaderSettings() if args.reader_steps is None
              else ReaderSettings(steps=args.reader_steps, epochs=None))
    settings = EvaluateSettings(
        tuple(args.variants) if args.variants else None, args.split, args.count,
        DrawSettings(steps=args.steps, image_scale=args.image_scale, text_scale=args.text_scale),
        reader)
    with stoppable(args.out) as stop:
        print(evaluate(args.folder, args.out, settings, stop=stop.is_set))
    return 0


def _add_programs(kinds: argparse._SubParsersAction) -> None:
    parser = kinds.add_parser(
        'programs', help="a bundle's live action programs",
        description='Write programs about held-out frames as program_node does, and hold them to '
                    'what was really done. Stopped at any moment, the same command goes on.')
    parser.add_argument('--bundle', type=Path, metavar='DIR', help='default: that of the package')
    parser.add_argument('--data', type=Path, required=True, metavar='DIR',
                        help='pairs of lego-ros sim generate or train kitchen')
    parser.add_argument('--out', type=Path, required=True, metavar='DIR',
                        help='for programs, figures, tables and examples')
    parser.add_argument('--split', type=_splits, default=SPLITS, metavar='NAME[,NAME]',
                        help=f'splits of the data (default: {",".join(SPLITS)})')
    parser.add_argument('--count', type=whole(2, 1_000_000), metavar='N',
                        help='pairs of each split, evenly chosen (default: all)')
    parser.set_defaults(run=run_programs)


def run_programs(args: argparse.Namespace) -> int:
    """
    Evaluate a bundle's programs.

    :param args: of the command line.
    :returns: exit status.
    :raises CommandError: it was stopped.
    :raises LegoError: see ``evaluate_programs``.
    """
    from lego_ros.bundle.making import default_bundle
    from lego_ros.training.evaluation.programs import evaluate_programs

    with stoppable(args.out) as stop:
        print(evaluate_programs(args.bundle or default_bundle(), args.data, args.out, args.split,
                                args.count, stop=stop.is_set), end='')
    return 0


def _add_leap(kinds: argparse._SubParsersAction) -> None:
    parser = kinds.add_parser(
        'leap', help='recognition and anticipation with action programs',
        description='Assess a trained network, or train and compare those of an experiment. '
                    'Stopped at any moment, the same command goes on.')
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument('--run', type=Path, metavar='DIR', dest='folder',
                      help='folder that lego-ros train wrote by a recipe of LEAP')
    what.add_argument('--recipe', metavar='RECIPE',
                      help='leap_help, or the path of a YAML file with an experiment')
    parser.add_argument('--out', type=Path, required=True, metavar='DIR',
                        help='for trainings, predictions, figures and tables')
    parser.add_argument('--data', type=Path, metavar='DIR',
                        help='clips, where the recipe draws none')
    parser.add_argument('--split', type=_splits, metavar='NAME[,NAME]',
                        help='with --run: splits of the clips (default: test)')
    parser.add_argument('--submission', type=whole(0, 5), nargs=3, metavar=('PT', 'TL', 'TD'),
                        help="with --run: write the file for EPIC-KITCHENS' challenge instead, "
                             'with these supervision levels')
    parser.add_argument('--workers', type=whole(1, 256), default=len(os.sched_getaffinity(0)),
                        metavar='W', help='processes that draw the kitchen (default: one for '
                        'each core)')
    parser.set_defaults(run=run_leap)


def run_leap(args: argparse.Namespace) -> int:
    """
    Evaluate a network of LEAP, or run an experiment.

    :param args: of the command line.
    :returns: exit status.
    :raises CommandError: it was stopped, or options do not fit together.
    :raises LegoError: see ``evaluate_leap`` and ``run_experiment``.
    """
    from lego_ros.training.leap.command import evaluate_run, experiment_by_recipe

    if args.recipe and (args.split or args.submission):
        raise CommandError('--split and --submission go with --run', 2)
    with stoppable(args.out) as stop:
        if args.recipe:
            print(experiment_by_recipe(args.recipe, args.data, args.out, workers=args.workers,
                                       stop=stop))
        else:
            print(evaluate_run(args.folder, args.data, args.out, args.split or ('test',),
                               args.submission, stop=stop))
    return 0


def _splits(text: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(part.strip() for part in text.split(',') if part.strip()))
    if not names:
        raise argparse.ArgumentTypeError('name at least one split')
    return names
