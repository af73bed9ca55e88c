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

"""The networks of the experiment side by side: JSON, tables and a picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
import io
from pathlib import Path
from typing import Any

from lego_ros.files import write_whole
from lego_ros.leap.config import Task
from lego_ros.training.leap.evaluate import plain, SHOWN, table, text, TITLES, unwritten
from lego_ros.training.leap.figures import (
    Columns,
    combined,
    interval,
    mean_columns,
    PARTS,
    PROGRAM,
    Truth,
)
from lego_ros.training.leap.metrics import class_mean
from lego_ros.training.leap.settings import Losses
import numpy as np

PICTURE = 'experiment.png'
LABELS = {'ce': 'L_CE', 'ce+t': 'L_CE + L_T', 'ce+pc': 'L_CE + L_PC', 'all': 'L_CE + L_T + L_PC'}
GAIN = 'action/all/top1'
"""The figure whose gain by programs is compared between the two tasks."""
_PAPER = (
    'The paper (arXiv 2312.00055), in words: programs as supervision improve recognition and '
    'anticipation, and anticipation more, which it puts down to the programs aggregated over '
    'time. Its tables are not at hand.')


@dataclass(frozen=True)
class Group:
    """
    A row of the tables: networks that differ in their seeds alone.

    :param task: recognition or anticipation.
    :param losses: which are summed.
    :param clips: Q; 0 = programs do not go into the action heads.
    """

    task: Task
    losses: Losses
    clips: int

    @property
    def name(self) -> str:
        """Name it for folders and JSON."""
        return f'{self.task}-{self.losses}-{self.clips}clips'

    @property
    def title(self) -> str:
        """Name it for tables."""
        clips = f', {self.clips} clip{"s" * (self.clips > 1)}' if self.clips else ''
        return f'{LABELS[self.losses]}{clips}'


Judged = dict[Group, dict[int, Columns]]
"""Columns by group and seed."""


def compare(truths: dict[str, Truth], columns: dict[str, Judged], settings: dict[str, Any],
            out: Path) -> tuple[dict[str, Any], str]:
    """
    Compare the networks on each split, and draw the comparison.

    :param truths: by split.
    :param columns: by split.
    :param settings: of the experiment, for the report.
    :param out: folder of the picture.
    :returns: JSON values, and the tables as Markdown.
    :raises LegoError: RECORDING_FAILED, the picture cannot be written.
    """
    splits = {split: _compared(judged, truths[split]) for split, judged in columns.items()}
    report = {**settings, 'splits': splits}
    first = next(iter(columns))
    _draw(list(columns[first]), splits[first], first, out / PICTURE)
    lines = []
    for split, judged in columns.items():
        lines += _tables(split, list(judged), splits[split])
    lines += ['Percent; in brackets 95 % bootstrap intervals over the videos of the mean over '
              'the seeds. They speak of the choice of videos, not of that of seeds; single seeds '
              'are in the JSON.', '', _PAPER]
    return report, '\n'.join(lines) + '\n'


def _compared(judged: Judged, truth: Truth) -> dict[str, Any]:
    means = {group: mean_columns(list(seeds.values())) for group, seeds in judged.items()}
    found: dict[str, Any] = {'groups': {}, 'gains': {}, 'gain_difference': {}}
    for group, columns in means.items():
        found['groups'][group.name] = {
            'seeds': {str(seed): {name: _value(each[name]) for name in each}
                      for seed, each in judged[group].items()},
            **{name: plain(interval(name, columns, truth.videos)) for name in columns}}
        base = Group(group.task, 'ce', group.clips)
        if group != base and base in means:
            found['gains'][group.name] = {
                name: plain(combined(name, [columns, means[base]], _difference, truth.videos))
                for name in columns if not name.startswith('program/')}
    clips = max(group.clips for group in means)
    four = [Group(task, losses, clips if task == 'anticipation' else 0)
            for task in ('anticipation', 'recognition') for losses in ('all', 'ce')]
    if all(group in means for group in four):
        found['gain_difference'] = plain(combined(
            GAIN, [means[group] for group in four],
            lambda figures: figures[0] - figures[1] - (figures[2] - figures[3]), truth.videos))
    return found


def _difference(figures: list[np.ndarray]) -> np.ndarray:
    return figures[0] - figures[1]


def _value(column: np.ndarray) -> float | None:
    """Give the figure of one network; null where it is not defined."""
    rows = column.reshape(len(column), -1)
    there = ~np.isnan(rows)
    if not rows.shape[1] or not there.any(0).all():
        return None
    return float(class_mean(np.nanmean(rows, 0)[None])[0])


def _tables(split: str, groups: Sequence[Group], found: dict[str, Any]) -> list[str]:
    lines = []
    for task in dict.fromkeys(group.task for group in groups):
        rows = [group for group in groups if group.task == task]
        names = [f'{part}/all/{measure}' for measure in SHOWN[task] for part in PARTS]
        others = [f'action/{subset}/{SHOWN[task][0]}' for subset in ('unseen', 'tail')]
        lines += [f'## {task}, {split}', '', *table(
            [task, *map(_title, names + others)],
            [[group.title, *(text(found['groups'][group.name][name])
                             for name in names + others)] for group in rows]), '']
        gained = [group for group in rows if group.name in found['gains']]
        if gained:
            lines += [*table(['gain over L_CE', *map(_title, names)],
                             [[group.title, *(text(found['gains'][group.name][name], sign=True)
                                              for name in names)] for group in gained]), '']
        taught = [group for group in rows if group.losses in ('ce+t', 'all')]
        if taught:
            lines += [*table(['programs', *(TITLES[name] for name in PROGRAM)],
                             [[group.title, *(text(found['groups'][group.name][f'program/{name}'])
                                              for name in PROGRAM)] for group in taught]), '']
    if found['gain_difference']:
        lines += ['Gain of all losses over L_CE alone in action top-1, anticipation less '
                  f'recognition: {text(found["gain_difference"], sign=True)}', '']
    return lines


def _title(name: str) -> str:
    part, subset, measure = name.split('/')
    return f'{part} {TITLES[measure]}' + (f', {subset}' if subset != 'all' else '')


def _draw(groups: Sequence[Group], found: dict[str, Any], split: str, path: Path) -> None:
    """Draw action accuracy of each group with its interval, a panel for each task."""
    from matplotlib.figure import Figure

    tasks = list(dict.fromkeys(group.task for group in groups))
    figure = Figure(figsize=(5.5 * len(tasks), 4.0), layout='constrained')
    for place, task in enumerate(tasks):
        axes = figure.add_subplot(1, len(tasks), place + 1)
        rows = [group for group in groups if group.task == task]
        measure = f'action/all/{SHOWN[task][0]}'
        for row, group in enumerate(rows):
            each = found['groups'][group.name][measure]
            if each['value'] is None:
                continue
            value, low, high = (100 * (each['value'] if each[key] is None else each[key])
                                for key in ('value', 'low', 'high'))
            axes.errorbar(value, row, xerr=[[max(0, value - low)], [max(0, high - value)]],
                          fmt='o', capsize=3)
        axes.set_yticks(range(len(rows)), [group.title for group in rows])
        axes.invert_yaxis()
        axes.set(title=f'{task}, {split}', xlabel=f'action {TITLES[SHOWN[task][0]]} [%]')
        axes.grid(alpha=0.3, axis='x')
    content = io.BytesIO()
    figure.savefig(content, format='png', dpi=110)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, content.getvalue())
    except OSError as error:
        raise unwritten(path, error) from error
