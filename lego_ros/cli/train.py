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

"""``lego-ros train``: every stage of a recipe, from data to bundle; it needs no ROS."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from lego_ros.cli.interrupts import stoppable
from lego_ros.cli.text import CommandError, whole

# As lego_ros.training.chain has them, whose import takes seconds; a test holds them together.
STAGES = ('data', 'foundations', 'tune', 'enrichment', 'ldm', 'programs', 'bundle')


def add_parser(commands: argparse._SubParsersAction) -> None:
    """
    Add the command to the command line.

    :param commands: of the main parser.
    """
    parser = commands.add_parser(
        'train', help='train a model bundle by a recipe',
        description='Run every stage of a recipe. Stopped at any moment, the same command goes '
                    'on where it was.')
    parser.add_argument('recipe', metavar='RECIPE',
                        help='kitchen, paper, leap_kitchen, leap_epic, or the path of a YAML '
                             'file')
    parser.add_argument('--out', type=Path, required=True, metavar='DIR',
                        help='folder of the run; the bundle goes to DIR/bundle')
    parser.add_argument('--data', type=Path, metavar='DIR',
                        help='a prepared and curated dataset, where the recipe makes none')
    parser.add_argument('--vllm', type=Path, metavar='DIR',
                        help='VLLM to tune, where the recipe trains none')
    parser.add_argument('--ldm', type=Path, metavar='DIR',
                        help='diffusion pipeline to fine-tune, where the recipe trains none')
    parser.add_argument('--until', choices=STAGES, default=STAGES[-1],
                        help='stage after which to end')
    parser.add_argument('--workers', type=whole(1, 256), default=len(os.sched_getaffinity(0)),
                        metavar='W', help='processes that draw the kitchen (default: one for '
                        'each core)')
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """
    Run a recipe.

    :param args: of the command line.
    :returns: exit status.
    :raises CommandError: it was stopped.
    :raises LegoError: see ``run_recipe``.
    """
    from lego_ros.training.chain import Inputs, run_recipe
    from lego_ros.training.leap.recipe import is_leap
    from lego_ros.training.recipe import read_recipe

    if is_leap(args.recipe):
        return _run_leap(args)
    recipe = read_recipe(args.recipe)
    inputs = Inputs(args.data, args.vllm, args.ldm)
    with stoppable(args.out) as stop:
        for name, folder in run_recipe(recipe, inputs, args.out, workers=args.workers,
                                       stop=stop, last=args.until):
            print(f'{name:<13}{folder}', flush=True)
    return 0


def _run_leap(args: argparse.Namespace) -> int:
    """Train recognition or anticipation with action programs."""
    from lego_ros.training.leap.command import train_by_recipe

    for option in ('vllm', 'ldm'):
        if getattr(args, option) is not None:
            raise CommandError(f'a recipe of LEAP has no use for it: leave --{option} out', 2)
    with stoppable(args.out) as stop:
        for name, folder in train_by_recipe(args.recipe, args.data, args.out,
                                            workers=args.workers, stop=stop, last=args.until):
            print(f'{name:<13}{folder}', flush=True)
    return 0
