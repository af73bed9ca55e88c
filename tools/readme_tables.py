#!/usr/bin/env python3
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

"""
Write the tables of README.md that come from the code, between their markers.

Run it in the environment of `make setup`; with --check it only says whether they are up to date.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
import re
import sys

ROOT = Path(__file__).resolve().parents[1]


def parameter_table(table: Sequence) -> str:
    """
    Make the table of a node's parameters.

    :param table: of lego_ros.ros.parameters.Parameter.
    :returns: Markdown.
    """
    rows = ['| Parameter | Default | Range | Live | Meaning |', '|---|---|---|---|---|']
    for entry in table:
        limits = ', '.join(entry.choices)
        if entry.minimum is not None and entry.maximum is not None:
            large = entry.maximum == 2**63 - 1
            limits = f'{entry.minimum:g} to ' + ('2^63 - 1' if large else f'{entry.maximum:g}')
        elif entry.minimum is not None:
            limits = f'at least {entry.minimum:g}'
        unit = f' [{entry.unit}]' if entry.unit else ''
        default = f'`{entry.default}`' if entry.default != '' else 'empty'
        live = 'no' if entry.read_only else 'yes'
        rows.append(
            f'| `{entry.name}` | {default} | {limits}{unit} | {live} | {entry.description} |')
    return '\n'.join(rows)


def error_table() -> str:
    """
    Make the table of error codes from msg/ErrorCode.msg.

    :returns: Markdown.
    """
    rows = ['| Code | Name | What it means |', '|---|---|---|']
    for line in (ROOT / 'msg/ErrorCode.msg').read_text(encoding='utf-8').splitlines():
        if match := re.fullmatch(r'uint16 (\w+)=(\d+)(?:\s*# (.*))?', line):
            name, number, meaning = match.groups()
            rows.append(f'| {number} | `{name}` | {meaning or "answered"} |')
    return '\n'.join(rows)


def tables() -> dict[str, str]:
    """
    Make all tables.

    :returns: by the name in the markers.
    """
    from lego_ros.nodes import camera_node, parameters, recorder_node

    return {
        'lego_node parameters': parameter_table(parameters.LEGO_PARAMETERS),
        'program_node parameters': parameter_table(parameters.PROGRAM_PARAMETERS),
        'recognition_node parameters': parameter_table(parameters.RECOGNITION_PARAMETERS),
        'camera_node parameters': parameter_table(camera_node.PARAMETERS),
        'recorder_node parameters': parameter_table(recorder_node.PARAMETERS),
        'errors': error_table(),
    }


def renewed(text: str) -> str:
    """
    Put the tables in.

    :param text: of the README.
    :returns: the same with the tables as the code has them.
    :raises ValueError: a marker is missing.
    """
    for name, table in tables().items():
        begin, end = f'<!-- {name}: made by tools/readme_tables.py -->', '<!-- end -->'
        if begin not in text:
            raise ValueError(f'README.md lacks the marker {begin}')
        before, rest = text.split(begin, 1)
        _, after = rest.split(end, 1)
        text = f'{before}{begin}\n{table}\n{end}{after}'
    return text


def main() -> int:
    """
    Renew or check.

    :returns: exit status: 1 when --check finds an old table.
    """
    path = ROOT / 'README.md'
    old = path.read_text(encoding='utf-8')
    new = renewed(old)
    if '--check' in sys.argv:
        if new != old:
            print('README.md: its tables are old; run tools/readme_tables.py', file=sys.stderr)
        return int(new != old)
    path.write_text(new, encoding='utf-8')
    return 0


if __name__ == '__main__':
    sys.exit(main())
