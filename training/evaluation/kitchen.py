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

"""Assessment of a trained kitchen on held-out scenes: descriptions, frames, readable actions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
import json
from pathlib import Path

from lego_ros.errors import ErrorCode, LegoError
from lego_ros.files import write_whole
from lego_ros.training.data.dataset import PairDataset, WHICH
from lego_ros.training.evaluation.asking import ask
from lego_ros.training.evaluation.descriptions import judge, read_truth_records
from lego_ros.training.evaluation.drawing import draw_split, DrawSettings, Painter
from lego_ros.training.evaluation.figures import draw_five, draw_rows, Five
from lego_ros.training.evaluation.frames import FrameMeasures
from lego_ros.training.evaluation.inputs import Network, RunFolder
from lego_ros.training.evaluation.reader import ReaderSettings, train_reader, TrainedReader
from lego_ros.training.evaluation.reader_data import facts_of, frames_of
from lego_ros.training.evaluation.report import CEILING, FLOOR, make_report, to_markdown
from lego_ros.training.evaluation.rows import DescribedRow, FrameRow, SplitRows
from lego_ros.training.export.truth import TruthRecord
from lego_ros.training.ldm.features import Enrichment
from lego_ros.training.ldm.pictures import ldm_picture
from lego_ros.training.run.draws import spread
import numpy as np

REPORT, TABLE, SAMPLES = 'evaluation.json', 'evaluation.md', 'samples.jsonl'
SPLITS = ('test', 'test_unseen')
VLLMS = {True: 'tuned', False: 'untuned'}
RESTORED = 'target, restored'
"""A row beside floor and ceiling: the auto-encoder's limit."""
_GRID = 6


@dataclass(frozen=True)
class EvaluateSettings:
    """
    What is evaluated, and how.

    :param variants: names; None = all that are trained.
    :param splits: of the data.
    :param count: pairs of each split, evenly chosen; None = all.
    :param draw: how pictures are drawn.
    :param reader: how the reader is trained.
    """

    variants: tuple[str, ...] | None = None
    splits: tuple[str, ...] = SPLITS
    count: int | None = None
    draw: DrawSettings = field(default_factory=DrawSettings)
    reader: ReaderSettings = field(default_factory=ReaderSettings)


@dataclass(frozen=True)
class HeldOut:
    """
    The chosen pairs of a split with all that is known of them.

    :param pairs: of the split.
    :param indices: of the chosen ones.
    :param truths: by action id.
    :param inputs: (S, S, 3) uint8 each, as the LDM sees them.
    :param targets: likewise.
    """

    pairs: PairDataset
    indices: tuple[int, ...]
    truths: dict[str, TruthRecord]
    inputs: list[np.ndarray]
    targets: list[np.ndarray]


def evaluate(run_folder: Path, out: Path, settings: EvaluateSettings, *,
             stop: Callable[[], bool] = lambda: False) -> str:
    """
    Evaluate a run, going on where an earlier call with the same folders came to.

    :param run_folder: that ``lego-ros train kitchen`` wrote.
    :param out: for pictures, the reader, ``evaluation.json`` and ``.md``, and ``samples.jsonl``.
    :param settings: see there.
    :param stop: asked now and then; True ends it with nothing lost.
    :returns: the tables as Markdown.
    :raises Interrupted: ``stop`` said so.
    :raises LegoError: a part of the run is missing or another one than was trained with; the
        results cannot be written.
    """
    run = RunFolder(run_folder)
    networks = run.networks(settings.variants)
    # All that can be missing or unfit is looked for before the first long computation.
    for network in networks:
        Painter(network, run, settings.draw)
    held_out = {split: _held_out(run, networks[0], split, settings.count)
                for split in settings.splits}
    asked = {split: _ask(run, each, out, stop) for split, each in held_out.items()}
    reader = _reader(run, networks[0], settings.reader, out, stop)
    measures = FrameMeasures(run.clip)
    rows = {}
    for split, each in held_out.items():
        pictures = {network.name: draw_split(
            network, run, each.pairs, each.indices, _needed(network, asked[split]),
            settings.draw, out / 'pictures', stop=stop) for network in networks}
        rows[split] = SplitRows(
            _judged(each, asked[split]),
            _measured(run, networks, each, pictures, settings.draw, measures, reader))
        shown = spread(len(each.indices), _GRID)
        draw_rows(out / f'grid-{split}.png', each, [each.indices[place] for place in shown],
                  shown, asked[split][True], networks, pictures)
    _five(run, networks, held_out[settings.splits[0]], settings.draw, out)
    return _write(out, networks, settings, rows)


def _held_out(run: RunFolder, network: Network, split: str, count: int | None) -> HeldOut:
    pairs = PairDataset(run.data, split)
    indices = tuple(spread(len(pairs), len(pairs) if count is None else count))
    truths = read_truth_records(run.data, (pairs[index].action_id for index in indices))
    inputs, targets = ([ldm_picture(pairs, index, which, network.view, network.resolution)
                        for index in indices] for which in WHICH)
    return HeldOut(pairs, indices, truths, inputs, targets)


def _ask(run: RunFolder, held_out: HeldOut, out: Path, stop: Callable[[], bool]
         ) -> dict[bool, Enrichment]:
    return {tuned: ask(held_out.pairs, held_out.indices, run.vllms[tuned], run.text, run.asking(),
                       out / 'answers' / name, stop=stop) for tuned, name in VLLMS.items()}


def _needed(network: Network, asked: dict[bool, Enrichment]) -> Enrichment | None:
    return asked[network.variant.tuned] if network.variant.enriched else None


def _reader(run: RunFolder, network: Network, settings: ReaderSettings, out: Path,
            stop: Callable[[], bool]) -> TrainedReader:
    pairs = PairDataset(run.data, 'train')
    truths = read_truth_records(run.data, (pair.action_id for pair in pairs))
    return train_reader(
        settings, pairs, truths, frames_of(pairs, network.view, network.resolution),
        out / 'reader', view=network.view.value, side=network.resolution, stop=stop)


def _judged(held_out: HeldOut, asked: dict[bool, Enrichment]) -> list[DescribedRow]:
    rows = []
    for tuned, name in VLLMS.items():
        for index in held_out.indices:
            pair = held_out.pairs[index]
            said = asked[tuned].words(pair.pair_id, False).description
            truth = held_out.truths[pair.action_id]
            rows.append(DescribedRow(
                pair_id=pair.pair_id, scene=pair.video_id, vllm=name, description=said,
                verdict=judge(said, truth)))
    return rows


def _measured(run: RunFolder, networks: Sequence[Network], held_out: HeldOut,
              pictures: dict[str, list[np.ndarray]], draw: DrawSettings,
              measures: FrameMeasures, reader: TrainedReader) -> list[FrameRow]:
    restored = Painter(networks[0], run, draw).restored(held_out.targets)
    shown = [(FLOOR, 0, held_out.inputs), (RESTORED, 0, restored), (CEILING, 0, held_out.targets)]
    shown += [(network.variant_name, network.seed, pictures[network.name])
              for network in networks]
    chosen = [held_out.pairs[index] for index in held_out.indices]
    facts = [facts_of(pair, held_out.truths[pair.action_id]) for pair in chosen]
    rows = []
    for name, seed, some in shown:
        compared = measures.compare(some, held_out.targets)
        read = reader.read(held_out.inputs, some, facts)
        rows += [FrameRow(pair_id=pair.pair_id, scene=pair.video_id, row=name, seed=seed,
                          measures=one, read=other)
                 for pair, one, other in zip(chosen, compared, read, strict=True)]
    return rows


def _five(run: RunFolder, networks: Sequence[Network], held_out: HeldOut, draw: DrawSettings,
          out: Path) -> None:
    """Show what the joint variant makes of five questions about one frame."""
    joint = next((each for each in networks if each.variant_name == 'joint'), None)
    if joint is not None:
        draw_five(out / 'five.png', Five.choose(held_out.pairs, held_out.truths),
                  Painter(joint, run, draw), joint, run)


def _write(out: Path, networks: Sequence[Network], settings: EvaluateSettings,
           rows: dict[str, SplitRows]) -> str:
    trained = {network.name: network.record for network in networks}
    report = make_report(rows, trained, {
        'count': settings.count, 'draw': settings.draw.model_dump(mode='json'),
        'reader': settings.reader.model_dump(mode='json')})
    table = to_markdown(report)
    lines = [json.dumps({'split': split, **row.model_dump(mode='json')})
             for split, each in rows.items() for row in (*each.descriptions, *each.frames)]
    try:
        write_whole(out / SAMPLES, ('\n'.join(lines) + '\n').encode())
        write_whole(out / REPORT, (json.dumps(report, indent=1) + '\n').encode())
        write_whole(out / TABLE, table.encode())
    except OSError as error:
        raise LegoError(ErrorCode.RECORDING_FAILED,
                        f"the results cannot be written to '{out}': {error}") from error
    return table
