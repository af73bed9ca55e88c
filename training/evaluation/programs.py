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

"""How good a bundle's live programs are on held-out scenes of the kitchen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
import json
from pathlib import Path
from typing import Any

from lego_ros.errors import ErrorCode, LegoError
from lego_ros.files import write_whole
from lego_ros.runtime.model import AnswerSettings
from lego_ros.training.data.dataset import PairDataset
from lego_ros.training.data.files import unusable
from lego_ros.training.evaluation.descriptions import read_truth_records
from lego_ros.training.evaluation.program_answers import (
    ProgramModel,
    write_programs,
    WrittenAnswer,
)
from lego_ros.training.evaluation.program_examples import draw_example, Example
from lego_ros.training.evaluation.program_report import make_report, ProgramRow, to_markdown
from lego_ros.training.evaluation.program_verdicts import Floor, judge_program, TrueProgram
from lego_ros.training.export.truth_lines import TRUTH
from lego_ros.training.run.draws import spread
from lego_ros.training.vllm.tasks import read_programs

REPORT, TABLE = 'evaluation_programs.json', 'evaluation_programs.md'
SAMPLES, EXAMPLES = 'samples_programs.jsonl', 'examples_programs'
SPLITS = ('test', 'test_unseen')
SHOWN = 10
"""Worked examples, of all splits together."""
SEED = 0
"""program_node's, as its temperature is."""


@dataclass(frozen=True)
class HeldOut:
    """
    The chosen pairs of a split.

    :param pairs: of the split.
    :param indices: of the chosen ones.
    :param truths: of these.
    """

    pairs: PairDataset
    indices: Sequence[int]
    truths: Sequence[TrueProgram]


def evaluate_programs(bundle: Path, data: Path, out: Path, splits: Sequence[str] = SPLITS,
                      count: int | None = None, *, stop: Callable[[], bool] = lambda: False
                      ) -> str:
    """
    Evaluate a bundle's programs, going on where an earlier call with the same folders came to.

    :param bundle: its folder.
    :param data: pairs of ``lego-ros sim generate --format pairs``, with ``truth.jsonl``.
    :param out: for answers, samples, examples, ``evaluation_programs.json`` and ``.md``.
    :param splits: of the data.
    :param count: pairs of each split, evenly chosen; None = all.
    :param stop: asked now and then; True ends it with nothing lost.
    :returns: the tables as Markdown.
    :raises Interrupted: ``stop`` said so.
    :raises LegoError: BUNDLE_MISMATCH: the bundle writes no programs, and other BUNDLE codes;
        INVALID_SETTING: a split is empty; SOURCE_UNREADABLE: the data is missing or damaged;
        RECORDING_FAILED: the results cannot be written.
    """
    held_out = _held_out(data, splits, count)
    floor = _floor(data)
    settings = AnswerSettings(SEED)
    model = ProgramModel(bundle)
    try:
        answers = {split: write_programs(
            model, each.pairs, each.indices, settings, out / 'answers', stop=stop)
            for split, each in held_out.items()}
        info = asdict(model.info)
    finally:
        model.close()
    rows = {split: _rows(each, answers[split], floor) for split, each in held_out.items()}
    report = make_report(rows, {
        'count': count, 'seed': settings.seed, 'temperature': settings.temperature,
        'model': {key: info[key] for key in (
            'bundle', 'bundle_version', 'bundle_sha256', 'backend', 'device', 'precision')}})
    return _write(out, report, rows, _examples(out, held_out, answers, rows))


def _held_out(data: Path, splits: Sequence[str], count: int | None) -> dict[str, HeldOut]:
    pairs = {split: PairDataset(data, split, described=False) for split in splits}
    chosen = {split: spread(len(each), len(each) if count is None else count)
              for split, each in pairs.items()}
    actions = {split: [each[index].action_id for index in chosen[split]]
               for split, each in pairs.items()}
    truths = read_truth_records(data, (action for some in actions.values() for action in some))
    return {split: HeldOut(each, chosen[split], [
        TrueProgram.of(truths[action], data / TRUTH) for action in actions[split]])
        for split, each in pairs.items()}


def _floor(data: Path) -> Floor:
    pairs = PairDataset(data, 'train', described=False)
    programs = read_programs(data / TRUTH)
    missing = next((pair.action_id for pair in pairs if pair.action_id not in programs), None)
    if missing is not None:
        raise unusable(data / TRUTH, f'{missing} is not in it; generate the data anew')
    return Floor(pairs, programs)


def _rows(held_out: HeldOut, answers: Sequence[WrittenAnswer], floor: Floor) -> list[ProgramRow]:
    rows = []
    for index, true, answer in zip(held_out.indices, held_out.truths, answers, strict=True):
        pair = held_out.pairs[index]
        rows.append(ProgramRow(
            scene=pair.video_id, label=pair.label, trained=floor.knows(pair), answer=answer,
            verdict=judge_program(answer.program, true),
            floor=judge_program(floor.program(pair), true)))
    return rows


def _examples(out: Path, held_out: dict[str, HeldOut], answers: dict[str, list[WrittenAnswer]],
              rows: dict[str, list[ProgramRow]]) -> list[str]:
    """Draw evenly chosen examples; gives their names below the folder."""
    names = []
    for number, (split, each) in enumerate(held_out.items()):
        share = (SHOWN + number) // len(held_out)
        for place in spread(len(each.indices), share):
            index = each.indices[place]
            name = f'{EXAMPLES}/{split}-{place:05d}.png'
            draw_example(out / name, Example(
                each.pairs.picture(index), each.pairs[index].label, answers[split][place],
                rows[split][place].verdict, each.truths[place]))
            names.append(name)
    return names


def _write(out: Path, report: dict[str, Any], rows: dict[str, list[ProgramRow]],
           examples: Sequence[str]) -> str:
    table = to_markdown(report)
    page = table + ''.join(f'\n![]({name})\n' for name in examples)
    lines = [json.dumps({'split': split, **row.model_dump(mode='json')})
             for split, each in rows.items() for row in each]
    try:
        write_whole(out / SAMPLES, ('\n'.join(lines) + '\n').encode())
        write_whole(out / REPORT, (json.dumps(report, indent=1) + '\n').encode())
        write_whole(out / TABLE, page.encode())
    except OSError as error:
        raise LegoError(ErrorCode.RECORDING_FAILED,
                        f"the results cannot be written to '{out}': {error}") from error
    return table
