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

"""Assessment of trained networks: predictions of a split, figures, tables, submissions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
import json
import math
from pathlib import Path
from typing import Any

from lego_ros.errors import ErrorCode, LegoError
from lego_ros.files import write_whole
from lego_ros.leap.network import LeapNetwork
from lego_ros.training.evaluation.bootstrap import Interval
from lego_ros.training.leap.data import LeapSamples
from lego_ros.training.leap.figures import columns_of, interval, PARTS, PROGRAM, SUBSETS, truth_of
from lego_ros.training.leap.predicting import (
    predict,
    Predictions,
    read_predictions,
    write_predictions,
)
from lego_ros.training.leap.submission import Scores, Supervision, write_submission
from lego_ros.training.leap.train import LeapData, read_record, RESULT
from lego_ros.training.run.identity import module_sha256, values_sha256

REPORT, TABLE, SUBMISSION = 'evaluation.json', 'evaluation.md', 'submission.zip'
SHOWN = {'recognition': ('top1', 'top5'), 'anticipation': ('recall5', 'top1')}
"""Which measures a table shows: those of the challenge, and for anticipation top-1 too."""
TITLES = {'top1': 'top-1', 'top5': 'top-5', 'recall5': 'mean top-5 recall', 's_verb': 'S-Verb',
          'obj_a': 'Obj(A)', 'obj_b': 'Obj(B)', 'exact': 'sub-verbs exactly right'}


def predictions_of(trained: Path, data: LeapData, split: str, out: Path, *,
                   stop: Callable[[], bool] = lambda: False
                   ) -> tuple[Predictions, LeapNetwork]:
    """
    Let a trained network look at a split, or read what it said of it.

    :param trained: folder of its training.
    :param data: with the split.
    :param split: name.
    :param out: where predictions are kept.
    :param stop: asked now and then.
    :returns: what it says, and the network.
    :raises Interrupted: ``stop`` said so.
    :raises LegoError: SOURCE_UNREADABLE: there is no network, or a clip cannot be used;
        RECORDING_FAILED.
    """
    settings = read_record(trained)
    network = LeapNetwork.load(trained / RESULT)
    identity = values_sha256([module_sha256(network), data.clips.sha256, split,
                              settings.model_dump(mode='json')])
    path = out / 'predictions' / f'{split}-{identity[:12]}.npz'
    found = read_predictions(path, identity)
    if found is None:
        samples = LeapSamples(data.clips, data.programs, split, network.classes, settings)
        found = predict(network, samples, settings, f'{trained.name} {split}', stop)
        try:
            write_predictions(path, found, identity)
        except OSError as error:
            raise unwritten(path, error) from error
    return found, network


def evaluate_leap(trained: Path, data: LeapData, out: Path, splits: Sequence[str], *,
                  supervision: Supervision | None = None,
                  stop: Callable[[], bool] = lambda: False) -> str:
    """
    Assess one network.

    :param trained: folder of its training.
    :param data: that it is assessed on.
    :param out: for ``evaluation.json``, ``evaluation.md`` and predictions.
    :param splits: names.
    :param supervision: writes the challenge's submission of the one split too, whose clips then
        need no labels.
    :param stop: asked now and then.
    :returns: the tables as Markdown; of a submission where it is.
    :raises Interrupted: ``stop`` said so.
    :raises LegoError: INVALID_SETTING: a submission of several splits, or of other classes than
        EPIC-KITCHENS-100's; else see :func:`predictions_of` and ``truth_of``.
    """
    task = read_record(trained).network.task
    if supervision is not None:
        if len(splits) != 1:
            raise LegoError(ErrorCode.INVALID_SETTING, 'a submission is of one split')
        found, network = predictions_of(trained, data, splits[0], out, stop=stop)
        write_submission(out / SUBMISSION, task, supervision, Scores(
            found.ids, found.verb, found.noun, found.action, network.classes.actions))
        return f'{out / SUBMISSION}: {len(found.ids)} segments\n'
    report: dict[str, Any] = {'task': task, 'splits': {}}
    for split in splits:
        truth = truth_of(data.clips, split)
        found, network = predictions_of(trained, data, split, out, stop=stop)
        columns = columns_of(found, truth, network.classes)
        report['splits'][split] = {name: plain(interval(name, columns, truth.videos))
                                   for name in columns}
    table = to_markdown(report)
    write_results(out, report, table)
    return table


def write_results(out: Path, report: dict[str, Any], table: str) -> None:
    """
    Write the results.

    :param out: folder.
    :param report: JSON values.
    :param table: Markdown.
    :raises LegoError: RECORDING_FAILED.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        write_whole(out / REPORT, (json.dumps(report, indent=1) + '\n').encode())
        write_whole(out / TABLE, table.encode())
    except OSError as error:
        raise unwritten(out, error) from error


def to_markdown(report: dict[str, Any]) -> str:
    """
    Write the tables of one network.

    :param report: of :func:`evaluate_leap`.
    :returns: Markdown.
    """
    lines = []
    for split, found in report['splits'].items():
        lines += [f'## {report["task"]}, {split}', '']
        measures = SHOWN[report['task']]
        lines += table(['[%]', *(f'{part} {TITLES[measure]}' for measure in measures
                                 for part in PARTS)],
                       [[subset, *(text(found[f'{part}/{subset}/{measure}'])
                                   for measure in measures for part in PARTS)]
                        for subset in SUBSETS])
        lines += ['', *table(['programs [%]', *(TITLES[name] for name in PROGRAM)],
                             [['all', *(text(found[f'program/{name}']) for name in PROGRAM)]]), '']
    lines.append('In brackets: 95 % bootstrap intervals over the videos.')
    return '\n'.join(lines) + '\n'


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """
    Write a table in Markdown.

    :param head: titles.
    :param rows: cells.
    :returns: lines.
    """
    return ['| ' + ' | '.join(cells) + ' |' for cells in (head, ['---'] * len(head), *rows)]


def text(figure: dict[str, Any], sign: bool = False) -> str:
    """
    Write a figure with its interval.

    :param figure: of :func:`plain`.
    :param sign: write a plus, too.
    :returns: in percent.
    """
    if figure['value'] is None:
        return 'not defined'
    value, low, high = ('' if figure[key] is None else f'{100 * figure[key]:{"+" * sign}.1f}'
                        for key in ('value', 'low', 'high'))
    return f'{value} [{low}, {high}]' if low else value


def plain(figure: Interval) -> dict[str, Any]:
    """
    Make JSON values, which know no NaN.

    :param figure: with its interval.
    :returns: value, low, high, samples; null where there is none.
    """
    return {key: None if isinstance(value, float) and not math.isfinite(value) else value
            for key, value in asdict(figure).items()}


def unwritten(path: Path, error: OSError) -> LegoError:
    """
    Say that results cannot be written.

    :param path: where to.
    :param error: why.
    :returns: the error to raise.
    """
    return LegoError(ErrorCode.RECORDING_FAILED, f"'{path}' cannot be written: {error}. Make "
                     'room; the same command goes on')
