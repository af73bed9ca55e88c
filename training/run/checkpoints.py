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
Checkpoints of a run: each there whole or not at all, the last one found again.

What is in one is accelerate's: weights, optimiser and, with FSDP or DeepSpeed, their shards.
"""

from __future__ import annotations

from collections.abc import Callable
import json
import os
from pathlib import Path
import re
import shutil

from lego_ros.errors import ErrorCode, LegoError
from lego_ros.files import sync
from safetensors import SafetensorError

KEPT = 2
"""Checkpoints that are kept; the one before the last serves where the last turns out bad."""
_NAME = re.compile(r'step-(\d{9})')


def checkpoints(folder: Path) -> list[tuple[int, Path]]:
    """
    List the finished checkpoints.

    :param folder: of the run.
    :returns: step and path, the oldest first.
    """
    if not folder.is_dir():
        return []
    found = [(int(match[1]), path) for path in folder.iterdir()
             if (match := _NAME.fullmatch(path.name)) and path.is_dir()]
    return sorted(found)


def save(folder: Path, step: int, state: dict, write: Callable[[Path], None], *,
         first: bool, wait: Callable[[], None]) -> None:
    """
    Write a checkpoint, and remove those that are too old. Every process must call this.

    :param folder: of the run.
    :param step: how many steps are done.
    :param state: JSON values that ``read_state`` gives back.
    :param write: writes this process's share into a folder.
    :param first: whether this is the process that tidies up.
    :param wait: returns when all processes have come to it.
    :raises LegoError: RECORDING_FAILED: it cannot be written; those before it are still there.
    """
    part, whole = folder / f'step-{step:09}.part', folder / f'step-{step:09}'
    try:
        if first:
            shutil.rmtree(part, ignore_errors=True)
            part.mkdir(parents=True)
        wait()
        write(part)
        wait()
        if first:
            (part / 'state.json').write_text(json.dumps({'step': step, **state}, indent=1))
            for path in part.rglob('*'):
                sync(path)
            shutil.rmtree(whole, ignore_errors=True)
            os.replace(part, whole)
            sync(folder)
            for _, old in checkpoints(folder)[:-KEPT]:
                shutil.rmtree(old)
        wait()
    except (OSError, RuntimeError, SafetensorError) as error:
        if first:
            shutil.rmtree(part, ignore_errors=True)
        raise LegoError(
            ErrorCode.RECORDING_FAILED,
            f"the checkpoint of step {step} cannot be written to '{folder}': {error}. Make room; "
            'the same command goes on from the checkpoint before it') from error


def read_state(checkpoint: Path, expected: dict) -> int:
    """
    Read how far a checkpoint is, and whether it is this run's.

    :param checkpoint: of ``checkpoints``.
    :param expected: the JSON values given to ``save``.
    :returns: how many steps are done.
    :raises LegoError: INVALID_SETTING where it was made with other values, naming them;
        SOURCE_UNREADABLE where it is damaged.
    """
    path = checkpoint / 'state.json'
    try:
        state = json.loads(path.read_text(encoding='utf-8'))
        step = int(state.pop('step'))
    except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
        raise damaged(checkpoint, error) from error
    wanted = json.loads(json.dumps(expected))
    if state != wanted:
        differ = [key for key in sorted({*state, *wanted}) if state.get(key) != wanted.get(key)]
        raise LegoError(
            ErrorCode.INVALID_SETTING,
            f"'{checkpoint}' was made with other values of {', '.join(differ)}: go on with the "
            'same, or name another folder')
    return step


def damaged(checkpoint: Path, error: BaseException) -> LegoError:
    """
    Say that a checkpoint cannot be used.

    :param checkpoint: of ``checkpoints``.
    :param error: what reading it raised.
    :returns: the error to raise.
    """
    return LegoError(
        ErrorCode.SOURCE_UNREADABLE,
        f"'{checkpoint}' cannot be read: {str(error)[:300]}. Remove it to go on from the "
        'checkpoint before it')
