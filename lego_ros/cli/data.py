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

"""``lego-ros data``: action pairs out of Ego4D and EPIC-KITCHENS; it needs no ROS."""

from __future__ import annotations

import argparse
from itertools import islice
import json
from pathlib import Path

from lego_ros.cli.data_check import add_check
from lego_ros.cli.data_prepare import add_prepare
from lego_ros.cli.pictures import save_png
from lego_ros.cli.text import CommandError, printable, whole
from lego_ros.errors import ErrorCode, LegoError
from lego_ros.files import write_whole


def add_parser(commands: argparse._SubParsersAction) -> None:
    """
    Add the command to the command line.

    :param commands: of the main parser.
    """
    parser = commands.add_parser(
        'data', help='make and look at training data',
        description='Make action pairs out of Ego4D and EPIC-KITCHENS, and look at them.')
    actions = parser.add_subparsers(title='actions', metavar='ACTION', required=True)
    add_prepare(actions)
    add_check(actions)
    stats = actions.add_parser(
        'stats', help='write a page of statistics with pictures',
        description='Write a page of statistics with pictures: one HTML file without scripts.')
    stats.add_argument('manifest', type=Path, metavar='MANIFEST', help='pairs.jsonl or its folder')
    stats.add_argument('--out', type=Path, required=True, metavar='DIR',
                       help='folder for index.html')
    stats.set_defaults(run=run_stats)
    show = actions.add_parser(
        'show', help='draw pairs and print their fields',
        description='Draw pairs side by side, with boxes, words and verdict.')
    show.add_argument('manifest', type=Path, metavar='MANIFEST', help='pairs.jsonl or its folder')
    show.add_argument('--out', type=Path, required=True, metavar='FILE.png')
    which = show.add_mutually_exclusive_group()
    which.add_argument('--pair', metavar='ID', help='this pair, with all its fields printed')
    which.add_argument('--n', type=whole(1, 200), default=12, metavar='N',
                       help='the first N pairs (default 12)')
    verdict = show.add_mutually_exclusive_group()
    verdict.add_argument('--kept', dest='kept', action='store_true', default=None,
                         help='only pairs that the filter keeps')
    verdict.add_argument('--dropped', dest='kept', action='store_false',
                         help='only pairs that the filter drops')
    show.set_defaults(run=run_show)


def run_stats(args: argparse.Namespace) -> int:
    """
    Write the page.

    :param args: of the command line.
    :returns: exit status.
    :raises LegoError: SOURCE_UNREADABLE or INVALID_SETTING.
    :raises CommandError: it cannot be written.
    """
    from lego_ros.training.data.statistics import manifest_of, read_statistics
    from lego_ros.training.data.statistics_page import statistics_page

    path = manifest_of(args.manifest)
    statistics = read_statistics(path)
    page = statistics_page(statistics, path.parent)
    try:
        args.out.mkdir(parents=True, exist_ok=True)
        write_whole(args.out / 'index.html', page.encode())
    except OSError as error:
        raise CommandError(f"'{args.out}' cannot be written: {error}", 2) from error
    print(f"{args.out / 'index.html'}: {statistics.pairs} pairs, "
          f"{statistics.verdicts['kept']} kept, {sum(statistics.problems.values())} problems")
    return 0


def run_show(args: argparse.Namespace) -> int:
    """
    Draw pairs.

    :param args: of the command line.
    :returns: exit status.
    :raises LegoError: SOURCE_UNREADABLE, or INVALID_SETTING: there is no such pair.
    :raises CommandError: it cannot be written.
    """
    from lego_ros.training.data.manifest import read_manifest
    from lego_ros.training.data.pair_pictures import pair_grid
    from lego_ros.training.data.statistics import manifest_of
    import numpy as np

    path = manifest_of(args.manifest)
    found = (record for record in read_manifest(path)
             if (args.pair is None or record.pair_id == args.pair)
             and (args.kept is None or record.kept == args.kept))
    records = list(islice(found, 1 if args.pair else args.n))
    if not records:
        raise LegoError(ErrorCode.INVALID_SETTING, f"'{path}': there is no such pair in it")
    grid = pair_grid(records, path.parent)
    try:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        save_png(np.asarray(grid), args.out)
    except OSError as error:
        raise CommandError(f"'{args.out}' cannot be written: {error}", 2) from error
    if args.pair:
        for name, value in records[0].model_dump(mode='json').items():
            print(f'{name:<16}{printable(json.dumps(value, ensure_ascii=False))}')
    else:
        for record in records:
            print(printable(f'{record.pair_id}  {record.reason}  {record.similarity:.3f}  '
                            f'{record.label}').replace('\n', ' '))
    print(f'{args.out}: {len(records)} pairs')
    return 0
