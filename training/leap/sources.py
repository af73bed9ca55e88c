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

"""The clips of a recipe: drawn, read from EPIC-KITCHENS' files, or given."""

from __future__ import annotations

from pathlib import Path
import threading

from lego_ros.errors import ErrorCode, LegoError
from lego_ros.training.data.files import unusable
from lego_ros.training.data.problems import ProblemLog
from lego_ros.training.leap.clips import INFO, write_clips
from lego_ros.training.leap.epic import epic_clips
from lego_ros.training.leap.kitchen import make_kitchen_clips, Progress
from lego_ros.training.leap.recipe import LeapRecipe
from lego_ros.training.leap.train import LeapData
from lego_ros.training.run.loop import Interrupted
from tqdm import tqdm

DATA = 'data'
"""Folder of the clips that a command makes, in its own."""
PROGRAMS = 'programs.jsonl'
"""What ``lego-ros programs generate`` wrote, in the folder of EPIC-KITCHENS."""


def open_clips(recipe: LeapRecipe, given: Path | None, out: Path, workers: int,
               stop: threading.Event) -> LeapData:
    """
    Open the clips of a recipe, and make them first where they are missing.

    :param recipe: says whether they are drawn.
    :param given: a folder with ``clips.json``; or EPIC-KITCHENS-100 with annotations and videos,
        and ``programs.jsonl`` in it.
    :param out: of the command; clips that are made go to ``out/data``.
    :param workers: processes that draw.
    :param stop: ends the drawing when it is set.
    :returns: the clips.
    :raises Interrupted: ``stop`` was set.
    :raises LegoError: INVALID_SETTING: clips are given though the recipe draws its own, or none
        are; SOURCE_UNREADABLE: something is missing or damaged.
    """
    folder = out / DATA
    if recipe.kitchen is not None:
        if given is not None:
            raise LegoError(ErrorCode.INVALID_SETTING,
                            'the recipe draws its clips itself: leave --data out')
        _draw(recipe, folder, workers, stop)
        return LeapData.open(folder)
    if given is None:
        raise LegoError(ErrorCode.INVALID_SETTING, 'the recipe makes no clips: give --data')
    if (given / INFO).is_file():
        return LeapData.open(given)
    if not (folder / INFO).is_file():
        _read_epic(given, folder)
    return LeapData.open(folder)


def _draw(recipe: LeapRecipe, folder: Path, workers: int, stop: threading.Event) -> None:
    assert recipe.kitchen is not None
    total = recipe.kitchen.episodes
    with tqdm(desc='clips', unit='episode', total=total, dynamic_ncols=True) as bar:
        def show(progress: Progress) -> None:
            bar.update(progress.done - bar.n)

        if make_kitchen_clips(recipe.kitchen, folder, workers, stop, show) is None:
            raise Interrupted(int(bar.n))


def _read_epic(given: Path, folder: Path) -> None:
    log, written = ProblemLog(), given / PROGRAMS
    info, clips = epic_clips(given, given, log, written if written.is_file() else None)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        log.write(folder / 'problems.jsonl')
        write_clips(folder, info, clips)
    except OSError as error:
        raise unusable(folder, f'it cannot be written: {error}') from error
