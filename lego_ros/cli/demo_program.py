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

"""The action program of a demo: as text, as JSON, as a picture and in the report."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lego_ros.cli.ask import code_name


def write(folder: Path, message: Any) -> None:
    """
    Write ``program.txt``, ``program.json`` and ``program.png``.

    :param folder: where.
    :param message: the ActionProgram.
    """
    from lego_ros.programs.checking import check
    from lego_ros.programs.picture.drawing import draw
    from lego_ros.programs.serialising import to_json
    from lego_ros.programs.vocabulary import default_vocabulary
    from lego_ros.ros.program_messages import from_message

    vocabulary = default_vocabulary()
    program = from_message(message)
    (folder / 'program.txt').write_text(message.text, 'utf-8')
    (folder / 'program.json').write_text(to_json(program, vocabulary), 'utf-8')
    draw(program, vocabulary, check(program, vocabulary)).savefig(folder / 'program.png')


def report(result: Any) -> dict[str, Any]:
    """
    Make what report.json says of it.

    :param result: of the action.
    :returns: plain data.
    """
    message = result.action_program
    return {
        'error': {'code': result.error_code, 'name': code_name(result.error_code),
                  'message': result.error_msg},
        'sub_actions': sum(len(node.sub_action) for node in message.nodes),
        'checked': message.checked,
        'violations': list(message.violations),
        'confidence': float(f'{message.confidence:.7g}'),
        'stages_s': {timing.stage: timing.duration.sec + timing.duration.nanosec * 1e-9
                     for timing in message.provenance.stages}}


def line(program: dict[str, Any]) -> str:
    """
    Say in a line what came of it.

    :param program: of report.json.
    :returns: one line.
    """
    error = program['error']
    if error['code']:
        return f'{error["name"]}: {error["message"]}'
    count = program['sub_actions']
    unsound = '' if program['checked'] else f', unsound: {program["violations"][0]}'
    return (f'{count} sub-action{"s" * (count != 1)}, confidence '
            f'{program["confidence"]:.2f}{unsound}')
