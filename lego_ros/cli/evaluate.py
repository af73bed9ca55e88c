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
from pathlib import Path

from lego_ros.cli.interrupts import stoppable
from lego_ros.cli.text import whole

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
    parser.add_argument('--reader-steps', type=whole(1, 10_000_000), metavar='N',
                        help='steps for the classifier that reads actions from pictures '
                             '(default: 12 epochs)')
    parser.set_defaults(run=run)


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
        DrawSettings(steps=args.steps), reader)
    with stoppable(args.out) as stop:
        print(evaluate(args.folder, args.out, settings, stop=stop.is_set))
    return 0


def _splits(text: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(part.strip() for part in text.split(',') if part.strip()))
    if not names:
        raise argparse.ArgumentTypeError('name at least one split')
    return names
