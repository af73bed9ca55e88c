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

"""``lego-ros data check``: whether annotation files are whole and as documented."""

from __future__ import annotations

import argparse
from pathlib import Path

from lego_ros.cli.text import printable

_SHOWN = 20


def add_check(actions: argparse._SubParsersAction) -> None:
    """
    Add the action to ``lego-ros data``.

    :param actions: of its parser.
    """
    parser = actions.add_parser(
        'check', help='check annotation files to the last row; needs no videos',
        description='Read annotation files to the last row and count what is not as documented; '
                    'for EPIC-KITCHENS compute every frame number anew. Needs no videos. The exit '
                    'status is 1 if a row is malformed or a number differs.')
    parser.add_argument('--format', choices=('ego4d', 'epic'), required=True)
    parser.add_argument('--annotations', type=Path, required=True, metavar='PATH',
                        help='file, or folder in which they are')
    parser.set_defaults(run=run_check)


def run_check(args: argparse.Namespace) -> int:
    """
    Check annotation files.

    :param args: of the command line.
    :returns: exit status: 0, or 1 if something is not as documented.
    :raises LegoError: SOURCE_UNREADABLE, there are none.
    """
    from lego_ros.training.data.check import check_ego4d, check_epic

    sound = True
    for checked in (check_epic if args.format == 'epic' else check_ego4d)(args.annotations):
        sound = sound and checked.sound
        print(f'{printable(str(checked.path))}: {"sound" if checked.sound else "NOT SOUND"}')
        for name, count in (*checked.facts.items(),
                            *((f'left out: {reason.replace("_", " ")}', count)
                              for reason, count in checked.log.counts.items())):
            print(f'  {name:<44}{count:>10,}')
        for problem in sorted(checked.log)[:_SHOWN]:
            print(printable(f'    {problem.row}: {problem.reason.value}: {problem.detail}'
                            ).replace('\n', ' '))
        if len(checked.log) > _SHOWN:
            print(f'    ... and {len(checked.log) - _SHOWN} more')
    return 0 if sound else 1
