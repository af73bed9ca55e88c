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

"""From verdicts on programs to a table with intervals, as JSON and as Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lego_ros.training.evaluation.bootstrap import bootstrap, difference, RESAMPLES
from lego_ros.training.evaluation.program_answers import WrittenAnswer
from lego_ros.training.evaluation.program_verdicts import JUDGED, ProgramVerdict
from lego_ros.training.evaluation.tables import figure_text, numbers, plain, table_lines
import numpy as np
from pydantic import BaseModel, ConfigDict

SCHEMA = 'lego_ros/program_evaluation/1'
TITLES = {
    'parsed': 'parses', 'sound': 'passes the checker', 'verbs': 'sub-verbs right',
    'objects': 'objects right', 'hands': 'hands right', 'conditions': 'conditions right',
    'done': 'runs in the kitchen', 'outcome': 'ends as it did', 's_verb': 'S-Verb',
    'obj_a': 'Obj(A)', 'obj_b': 'Obj(B)'}


class ProgramRow(BaseModel):
    """What a bundle wrote about a pair, and whether it is right."""

    model_config = ConfigDict(extra='forbid', frozen=True)

    scene: str
    """Pairs of one video show one scene."""
    label: str
    trained: bool
    """Whether there are training pairs of the label."""
    answer: WrittenAnswer
    verdict: ProgramVerdict
    floor: ProgramVerdict
    """On the most frequent program of the label."""


def make_report(rows: dict[str, list[ProgramRow]], settings: dict[str, Any]) -> dict[str, Any]:
    """
    Summarise; intervals are over scenes.

    :param rows: by split.
    :param settings: of the evaluation.
    :returns: JSON values; a figure that is not defined is null.
    """
    return {'schema': SCHEMA, 'resamples': RESAMPLES, 'settings': settings,
            'splits': {split: _split(each) for split, each in rows.items()}}


def to_markdown(report: dict[str, Any]) -> str:
    """
    Write the tables.

    :param report: of :func:`make_report`.
    :returns: Markdown.
    """
    lines = []
    for split, found in report['splits'].items():
        rows = [[title, *(figure_text(found[part][name], 100, 1)
                          for part in ('model', 'floor', 'difference'))]
                for name, title in TITLES.items()]
        rows.append(['decode time that the masks take',
                     figure_text(found['mask_share'], 100, 1), '', ''])
        lines += [f'## {split}', '', f'{found["pairs"]} programs, {found["trained"]} of labels '
                  'that were trained on.', '',
                  *table_lines(['[%]', 'written', 'floor', 'difference'], rows), '']
    lines.append('In brackets: 95 % bootstrap intervals over the scenes. Floor: the most frequent '
                 'program of the label, without looking; of a label that was not trained on, that '
                 'of its verb.')
    return '\n'.join(lines) + '\n'


def _split(rows: Sequence[ProgramRow]) -> dict[str, Any]:
    scenes = [row.scene for row in rows]
    written, floor = ({name: numbers([getattr(verdict, name) for verdict in verdicts])
                       for name in JUDGED}
                      for verdicts in ([row.verdict for row in rows], [row.floor for row in rows]))
    seconds = np.array([[row.answer.mask_seconds, row.answer.decode_seconds] for row in rows])
    return {
        'pairs': len(rows), 'trained': sum(row.trained for row in rows),
        'model': {name: plain(bootstrap(written[name], scenes=scenes)) for name in JUDGED},
        'floor': {name: plain(bootstrap(floor[name], scenes=scenes)) for name in JUDGED},
        'difference': {name: plain(bootstrap(
            np.stack([written[name], floor[name]], 1), difference, scenes=scenes))
            for name in JUDGED},
        'mask_share': plain(bootstrap(seconds, _ratio, scenes=scenes))}


def _ratio(means: np.ndarray) -> np.ndarray:
    with np.errstate(invalid='ignore', divide='ignore'):
        return means[:, 0] / means[:, 1]
