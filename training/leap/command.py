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

"""What ``lego-ros train`` and ``lego-ros eval`` do with a recipe of LEAP."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
import threading

from lego_ros.errors import ErrorCode, LegoError
from lego_ros.training.leap.evaluate import evaluate_leap
from lego_ros.training.leap.experiment import run_experiment
from lego_ros.training.leap.recipe import read_leap_recipe
from lego_ros.training.leap.sources import DATA, open_clips
from lego_ros.training.leap.submission import Supervision
from lego_ros.training.leap.train import LeapData, RESULT, train_leap

TRAINED = 'leap'
"""Folder of the training, in that of the command."""


def train_by_recipe(name: str, given: Path | None, out: Path, *, workers: int,
                    stop: threading.Event, last: str) -> Iterator[tuple[str, Path]]:
    """
    Make the clips of a recipe and train on them.

    :param name: of the recipe.
    :param given: clips, or EPIC-KITCHENS-100; None where the recipe draws its own.
    :param out: folder of the run.
    :param workers: processes that draw.
    :param stop: ends the work in order when it is set.
    :param last: ``data`` = end when the clips are there.
    :returns: an iterator over the stages that are done: name and folder.
    :raises Interrupted: ``stop`` was set.
    :raises LegoError: see ``open_clips`` and ``train_leap``.
    """
    recipe = read_leap_recipe(name)
    if recipe.experiment is not None:
        raise LegoError(ErrorCode.INVALID_SETTING, f"recipe '{name}' is an experiment: run it by "
                        'lego-ros eval leap --recipe')
    data = open_clips(recipe, given, out, workers, stop)
    yield 'clips', data.clips.path.parent
    if last != 'data':
        train_leap(recipe.leap, data, out / TRAINED, stop=stop.is_set)
        yield TRAINED, out / TRAINED / RESULT


def experiment_by_recipe(name: str, given: Path | None, out: Path, *, workers: int,
                         stop: threading.Event) -> str:
    """
    Make the clips of an experiment, train its networks and compare them.

    :param name: of the recipe.
    :param given: see :func:`train_by_recipe`.
    :param out: folder of the experiment.
    :param workers: processes that draw.
    :param stop: ends the work in order when it is set.
    :returns: the tables as Markdown.
    :raises Interrupted: ``stop`` was set.
    :raises LegoError: INVALID_SETTING: the recipe has no experiment; else see ``open_clips`` and
        ``run_experiment``.
    """
    recipe = read_leap_recipe(name)
    if recipe.experiment is None:
        raise LegoError(ErrorCode.INVALID_SETTING, f"recipe '{name}' has no section experiment: "
                        'there is nothing to compare')
    data = open_clips(recipe, given, out, workers, stop)
    return run_experiment(recipe.experiment, recipe.leap, data, out, stop=stop.is_set)


def evaluate_run(run: Path, given: Path | None, out: Path, splits: Sequence[str],
                 levels: Sequence[int] | None, *, stop: threading.Event) -> str:
    """
    Assess the network of a run.

    :param run: folder of :func:`train_by_recipe`.
    :param given: clips to assess on; None = those in the run's folder.
    :param out: for the results.
    :param splits: of the clips.
    :param levels: writes a submission with these levels of supervision; None = figures.
    :param stop: ends the work in order when it is set.
    :returns: the tables as Markdown, or where the submission is.
    :raises Interrupted: ``stop`` was set.
    :raises LegoError: see ``evaluate_leap``.
    """
    data = LeapData.open(given or run / DATA)
    return evaluate_leap(run / TRAINED, data, out, splits, stop=stop.is_set,
                         supervision=Supervision(*levels) if levels else None)
