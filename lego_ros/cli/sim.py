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

"""``lego-ros sim``: the simulated kitchen as a data set; it needs no ROS."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
import sys
from typing import Any

from lego_ros.cli.interrupts import EXIT_INTERRUPTED, interrupts
from lego_ros.cli.text import whole


def add_parser(commands: argparse._SubParsersAction) -> None:
    """
    Add the command to the command line.

    :param commands: of the main parser.
    """
    parser = commands.add_parser('sim', help='make data sets in the simulated kitchen',
                                 description='Make data sets in the simulated kitchen.')
    actions = parser.add_subparsers(title='actions', metavar='ACTION', required=True)
    make = actions.add_parser(
        'generate', help='write episodes as a data set',
        description='Write episodes in the format of Ego4D v2 or EPIC-KITCHENS-100, or as '
                    'action pairs at once. Stopped at any moment, the same command goes on '
                    'where it was, and gives the same files.')
    make.add_argument('--episodes', type=whole(1, 1_000_000), required=True, metavar='N',
                      help='how many; each has 1 to 6 actions')
    make.add_argument('--seed', type=whole(0, 2**31 - 1), default=0, metavar='S',
                      help='of the first episode; those after it follow (default 0)')
    make.add_argument('--format', choices=('ego4d', 'epic', 'pairs'), required=True)
    make.add_argument('--out', type=Path, required=True, metavar='DIR',
                      help='folder to make, or to go on in')
    make.add_argument('--workers', type=whole(1, 256), default=len(os.sched_getaffinity(0)),
                      metavar='W', help='processes that draw (default: one for each core)')
    make.add_argument('--size', type=whole(64, 1024), default=256, metavar='PX',
                      help='side of the pictures, even (default 256)')
    make.add_argument('--media', choices=('video', 'frames'), default='video',
                      help='epic only: a video, or frame_%%010d.jpg at 60 per second')
    make.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """
    Make a data set.

    :param args: of the command line.
    :returns: exit status; 130 after Ctrl-C.
    :raises LegoError: INVALID_SETTING or SOURCE_UNREADABLE, see ``generate``.
    """
    from lego_ros.training.export.generate import generate, Progress
    from lego_ros.training.export.settings import ExportSettings
    from tqdm import tqdm

    settings = ExportSettings(args.format, args.episodes, args.seed, args.size, args.media)
    unit = 'pairs' if args.format == 'pairs' else 'frames'
    # disable=None: no bar where the stream is no terminal.
    with interrupts() as stop, tqdm(desc='generate', unit='episode', total=args.episodes,
                                    disable=None) as bar:
        def show(progress: Progress) -> None:
            if bar.n == 0 and progress.frames == 0:
                bar.initial = progress.done
            bar.update(progress.done - bar.n)
            bar.set_postfix_str(f'{progress.frames} {unit}')

        summary = generate(settings, args.out, args.workers, stop, show)
    if summary is None:
        print(f'stopped; the same command goes on in {args.out}', file=sys.stderr)
        return EXIT_INTERRUPTED
    _tell(args.out, summary)
    return 0


def _tell(folder: Path, summary: dict[str, Any]) -> None:
    print(f'{folder}: {sum(summary["episodes"].values())} episodes, '
          f'{sum(summary["actions"].values())} actions')
    for split, episodes in summary['episodes'].items():
        print(f'{split:<14}{episodes} episodes, {summary["actions"][split]} actions')
    for skipped in summary['skipped']:
        print(f'seed {skipped["seed"]} left out: {skipped["reason"]}', file=sys.stderr)
