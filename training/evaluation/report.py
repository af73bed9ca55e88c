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

"""From single figures to tables with intervals, as JSON and as Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lego_ros.training.evaluation.bootstrap import (
    bootstrap,
    difference,
    RESAMPLES,
    share_of_span,
)
from lego_ros.training.evaluation.frames import MEASURES
from lego_ros.training.evaluation.rows import DescribedRow, FrameRow, SplitRows
from lego_ros.training.evaluation.tables import figure_text, numbers, plain, table_lines
from lego_ros.training.ldm.variants import VARIANTS
import numpy as np

SCHEMA = 'lego_ros/evaluation/1'
JUDGED = ('verb', 'noun', 'hand', 'relation', 'all')
READ = ('verb', 'noun', 'state', 'action')
FLOOR, CEILING = 'input frame', 'target'
"""Rows beside the variants: nothing is done yet, and it is really done."""
PAIRED = (('joint', 'labels'), ('joint', 'description'), ('description', 'labels'),
          ('image', 'description'), ('text', 'description'), ('joint', 'joint_untuned'))
"""Variants that are compared, the first less the second, on the same pairs."""
# Paper, Table 3, Ego4D: EgoVLP, EgoVLP+, CLIP (cosines x 100).
_PAPER = {
    'labels': (62.19, 78.84, 78.75), 'description': (62.91, 79.09, 79.18),
    'image': (65.35, 80.13, 80.57), 'text': (63.29, 79.40, 79.21),
    'joint': (65.65, 80.44, 80.61)}
_TITLES = {'clip': 'CLIP cosine', 'psnr': 'PSNR [dB]', 'ssim': 'SSIM',
           'feature_distance': 'feature distance'}


def make_report(rows: dict[str, SplitRows], networks: dict[str, Any], settings: dict[str, Any]
                ) -> dict[str, Any]:
    """
    Summarise.

    A variant's figure of a pair is the mean over its seeds; intervals are over scenes. The means
    of the single seeds stand beside.

    :param rows: by split.
    :param networks: training records by name.
    :param settings: of the evaluation.
    :returns: JSON values; a figure that is not defined is null.
    """
    splits = {split: {
        'descriptions': _descriptions(each.descriptions), **_frames(each.frames)}
        for split, each in rows.items()}
    return {'schema': SCHEMA, 'resamples': RESAMPLES, 'settings': settings, 'networks': networks,
            'splits': splits}


def _descriptions(rows: Sequence[DescribedRow]) -> dict[str, Any]:
    result = {}
    for vllm in dict.fromkeys(row.vllm for row in rows):
        some = [row for row in rows if row.vllm == vllm]
        verdicts, scenes = [row.verdict for row in some], [row.scene for row in some]
        columns = {name: [getattr(verdict, 'all_right' if name == 'all' else name)
                          for verdict in verdicts] for name in JUDGED}
        result[vllm] = {name: plain(bootstrap(numbers(values), scenes=scenes))
                        for name, values in columns.items()}
    return result


def _frames(rows: Sequence[FrameRow]) -> dict[str, Any]:
    names = list(dict.fromkeys(row.row for row in rows))
    tables = {name: _Table([row for row in rows if row.row == name]) for name in names}
    floor, ceiling = tables[FLOOR], tables[CEILING]
    scenes = floor.scenes
    frames = {}
    for name, table in tables.items():
        shown = {figure: plain(bootstrap(table.mean(figure), scenes=scenes))
                 for figure in (*MEASURES, *(f'read/{head}' for head in READ))}
        spans = {f'span/{head}': plain(bootstrap(np.stack(
            [each.mean(f'read/{head}') for each in (table, floor, ceiling)], 1), share_of_span,
            scenes=scenes))
            for head in READ}
        frames[name] = {'seeds': table.by_seed(), **shown, **spans}
    compared = {}
    for one, other in PAIRED:
        if one in tables and other in tables:
            compared[f'{one} - {other}'] = {
                figure: plain(bootstrap(np.stack(
                    [tables[one].mean(figure), tables[other].mean(figure)], 1), difference,
                    scenes=scenes))
                for figure in (*MEASURES, *(f'read/{head}' for head in READ))}
    return {'frames': frames, 'compared': compared}


class _Table:
    """The figures of a variant: seeds x pairs, the pairs always in the same order."""

    def __init__(self, rows: Sequence[FrameRow]) -> None:
        self._seeds = sorted({row.seed for row in rows})
        self._rows = {seed: sorted((row for row in rows if row.seed == seed),
                                   key=lambda row: row.pair_id) for seed in self._seeds}

    @property
    def scenes(self) -> list[str]:
        """Give each pair's scene."""
        return [row.scene for row in self._rows[self._seeds[0]]]

    def mean(self, figure: str) -> np.ndarray:
        """Give a figure of each pair, the mean over the seeds."""
        return self._values(figure).mean(0)

    def by_seed(self) -> dict[str, dict[str, float]]:
        """Give the figures' means over all pairs of each seed."""
        figures = (*MEASURES, *(f'read/{head}' for head in READ))
        means = {figure: self._values(figure).mean(1) for figure in figures}
        return {str(seed): {figure: float(values[number]) for figure, values in means.items()}
                for number, seed in enumerate(self._seeds)}

    def _values(self, figure: str) -> np.ndarray:
        kind, _, head = figure.rpartition('/')
        return np.array([[float(row.read[head] if kind else row.measures[head])
                          for row in self._rows[seed]] for seed in self._seeds])


def to_markdown(report: dict[str, Any]) -> str:
    """
    Write the tables.

    :param report: of :func:`make_report`.
    :returns: Markdown.
    """
    lines = []
    for split, found in report['splits'].items():
        lines += [f'## {split}', '', *_described(found['descriptions']), '',
                  *_similar(found['frames']), '', *_readable(found['frames']), '',
                  *_compared(found['compared'])]
    lines.append('In brackets: 95 % bootstrap intervals over the scenes. Variants with several '
                 'seeds: the mean over them. The paper shows other data, seen by other models: '
                 'only the order of its rows compares.')
    return '\n'.join(lines) + '\n'


def _described(found: dict[str, Any]) -> list[str]:
    return table_lines(
        ['description right in [%]', *JUDGED],
        [[vllm, *(figure_text(figures[name], 100, 1) for name in JUDGED)]
         for vllm, figures in found.items()])


def _similar(found: dict[str, Any]) -> list[str]:
    head = ['drawn from', *(_TITLES[name] for name in MEASURES),
            'paper: EgoVLP', 'EgoVLP+', 'CLIP']
    rows = []
    for name in _order(found):
        paper = _PAPER.get(name)
        rows.append([_title(name, found[name]),
                     *(figure_text(
                         found[name][each], 100 if each == 'clip' else 1,
                         3 if each in ('ssim', 'feature_distance') else 2) for each in MEASURES),
                     *((f'{value:.2f}' for value in paper) if paper else ('', '', ''))])
    return table_lines(head, rows)


def _readable(found: dict[str, Any]) -> list[str]:
    return table_lines(
        ['read from the picture [%]', *READ, 'action, of the span'],
        [[_title(name, found[name]), *(figure_text(found[name][f'read/{head}'], 100, 1)
                                       for head in READ),
          figure_text(found[name]['span/action'], 100, 1)] for name in _order(found)])


def _compared(found: dict[str, Any]) -> list[str]:
    if not found:
        return []
    figures = (*MEASURES, 'read/action', 'read/state')
    return [*table_lines(
        ['difference', *figures],
        [[name, *(figure_text(each[figure], 1, 3) for figure in figures)]
         for name, each in found.items()]), '']


def _order(found: dict[str, Any]) -> list[str]:
    return [*(name for name in VARIANTS if name in found),
            *(name for name in found if name not in VARIANTS)]


def _title(name: str, figures: dict[str, Any]) -> str:
    seeds = len(figures['seeds'])
    return f'{name} ({seeds} seeds)' if seeds > 1 else name
