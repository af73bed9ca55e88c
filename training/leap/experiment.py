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
Do programs help? The same network, data and budget with and without them (issue 6, part 7).

For both tasks: L_CE alone, with L_T, with L_PC, and all; for anticipation also the programs of
1, 2 and 3 clips. Each with several seeds. What is trained or predicted already is not done again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

from lego_ros.leap.config import Task
from lego_ros.training.leap.comparing import compare, Group
from lego_ros.training.leap.evaluate import predictions_of, write_results
from lego_ros.training.leap.figures import Columns, columns_of, Truth, truth_of
from lego_ros.training.leap.settings import LeapSettings, Losses
from lego_ros.training.leap.train import LeapData, train_leap
from pydantic import BaseModel, ConfigDict, Field

Count = Annotated[int, Field(ge=0)]


class Experiment(BaseModel):
    """Which networks are trained and compared."""

    model_config = ConfigDict(extra='forbid', frozen=True)

    tasks: Annotated[tuple[Task, ...], Field(min_length=1)] = ('recognition', 'anticipation')
    losses: Annotated[tuple[Losses, ...], Field(min_length=1)] = ('ce', 'ce+t', 'ce+pc', 'all')
    clips: Annotated[tuple[Annotated[int, Field(ge=1, le=16)], ...], Field(min_length=1)] = (
        3, 1, 2)
    """Q of anticipation; the first is the one that all losses are trained with."""
    aggregated_losses: tuple[Losses, ...] = ('ce', 'all')
    """With which losses the other numbers of clips are trained."""
    seeds: Annotated[tuple[Count, ...], Field(min_length=1)] = (0, 1, 2)
    splits: Annotated[tuple[str, ...], Field(min_length=1)] = ('test', 'test_unseen')


@dataclass(frozen=True)
class Run:
    """
    A network of the experiment.

    :param group: which row of the tables it belongs to.
    :param seed: of its weights, and of the order of its data.
    """

    group: Group
    seed: int

    @property
    def name(self) -> str:
        """Name its folder."""
        return f'{self.group.name}-seed{self.seed}'

    def settings(self, base: LeapSettings) -> LeapSettings:
        """
        Give the settings of its training.

        :param base: what all have in common.
        :returns: them.
        """
        group = self.group
        network = replace(base.network, task=group.task, aggregated_clips=group.clips)
        return base.model_copy(update={
            'network': network, 'losses': group.losses, 'seed': self.seed})


def runs(experiment: Experiment) -> Iterator[Run]:
    """
    List the networks, so that after each seed there is a whole table.

    :param experiment: which.
    :returns: an iterator over them.
    """
    for seed in experiment.seeds:
        for task in experiment.tasks:
            for place, clips in enumerate(experiment.clips):
                if task == 'recognition':
                    if place == 0:
                        # It looks at one clip, and its programs go nowhere else.
                        yield from (Run(Group(task, each, 0), seed) for each in experiment.losses)
                    continue
                wanted = experiment.losses if place == 0 else experiment.aggregated_losses
                yield from (Run(Group(task, each, clips), seed) for each in wanted)


def run_experiment(experiment: Experiment, base: LeapSettings, data: LeapData, out: Path, *,
                   stop: Callable[[], bool] = lambda: False) -> str:
    """
    Train what is missing, and compare.

    :param experiment: which networks.
    :param base: what their trainings have in common.
    :param data: to train and to assess on.
    :param out: for the trainings, the predictions and the results.
    :param stop: asked after each step.
    :returns: the tables as Markdown.
    :raises Interrupted: ``stop`` said so; the same call goes on.
    :raises LegoError: see ``train_leap`` and ``predictions_of``.
    """
    truths = {split: truth_of(data.clips, split) for split in experiment.splits}
    columns: dict[str, dict[Group, dict[int, Columns]]] = {split: {} for split in truths}
    for run in runs(experiment):
        folder = out / 'runs' / run.name
        train_leap(run.settings(base), data, folder, stop=stop)
        for split, truth in truths.items():
            columns[split].setdefault(run.group, {})[run.seed] = _judged(
                folder, data, split, truth, out, stop)
    report, table = compare(truths, columns, {
        'experiment': experiment.model_dump(mode='json'), 'base': base.model_dump(mode='json'),
        'clips': data.clips.sha256}, out)
    write_results(out, report, table)
    return table


def _judged(folder: Path, data: LeapData, split: str, truth: Truth, out: Path,
            stop: Callable[[], bool]) -> Columns:
    found, network = predictions_of(folder, data, split, out, stop=stop)
    return columns_of(found, truth, network.classes)
