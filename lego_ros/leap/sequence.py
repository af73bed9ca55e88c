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

"""The steps of a program one after the other."""

from __future__ import annotations

from lego_ros.programs.bounds import invalid
from lego_ros.programs.tree import Block, blocks_of, Call, Program, SubAction


def sequence_of(program: Program, most: int) -> list[SubAction]:
    """
    Write the sub-actions of a program as one sequence.

    Of a straight program, of sub-actions and calls alone, it is the order in which they run. Of
    one with control flow it is the order of the text: what is in a loop is there once, and both
    blocks of an ``if`` are there. Calls are replaced by what they run.

    :param program: any.
    :param most: where the sequence is cut off.
    :returns: at most that many.
    :raises LegoError: PROGRAM_INVALID, it calls a routine that there is not, or its calls go in a
        circle.
    """
    routines = {routine.name: routine.body for routine in program.routines}
    found: list[SubAction] = []
    # What is still to be looked at, the next last; with the calls that lead to it.
    waiting: list[tuple[Block, tuple[str, ...]]] = [(program.body, ())]
    while waiting and len(found) < most:
        block, callers = waiting.pop()
        if not block:
            continue
        statement, rest = block[0], block[1:]
        waiting.append((rest, callers))
        if isinstance(statement, SubAction):
            found.append(statement)
        elif isinstance(statement, Call):
            if statement.name not in routines:
                raise invalid(statement.line, f'{statement}: there is no such routine')
            if statement.name in callers:
                raise invalid(statement.line, f'{statement}: the calls go in a circle')
            waiting.append((routines[statement.name], (*callers, statement.name)))
        else:
            waiting.extend((inner, callers) for inner in reversed(blocks_of(statement)))
    return found
