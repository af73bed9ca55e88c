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

"""Pictures of what was drawn: rows of held-out pairs, and five questions about one frame."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
import textwrap
from typing import Protocol

from lego_ros.ldm.loading import load_component
from lego_ros.training.data.dataset import PairDataset
from lego_ros.training.evaluation.drawing import Condition, Painter
from lego_ros.training.evaluation.inputs import Network, RunFolder
from lego_ros.training.export.truth import TruthRecord
from lego_ros.training.ldm.features import Enrichment
from lego_ros.training.ldm.pictures import ldm_picture
from lego_ros.training.vllm.decoding import answer
from lego_ros.training.vllm.features import vision_features
from lego_ros.vllm.answer_text import AnswerText
from lego_ros.vllm.loading import load_vllm
from lego_ros.vllm.templates import question
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
import numpy as np
import torch

_INCH = 2.2
_WRAP = 34
_DPI = 110
QUESTIONS = 5


class Shown(Protocol):
    """The pictures that a grid is made of."""

    pairs: PairDataset
    inputs: list[np.ndarray]
    targets: list[np.ndarray]


def draw_rows(path: Path, shown: Shown, indices: Sequence[int], places: Sequence[int],
              said: Enrichment, networks: Sequence[Network],
              pictures: dict[str, list[np.ndarray]]) -> None:
    """
    Draw a grid: input, words, what the first seed of labels, description and joint drew, target.

    :param path: of the PNG file.
    :param shown: the held-out pictures.
    :param indices: of the pairs in their dataset.
    :param places: of the same pairs among the pictures.
    :param said: what the tuned VLLM said.
    :param networks: that drew.
    :param pictures: by the networks' names.
    """
    first: dict[str, Network] = {}
    for network in networks:
        first.setdefault(network.variant_name, network)
    columns = [name for name in ('labels', 'description', 'joint', 'joint_untuned')
               if name in first]
    rows: list[list[np.ndarray | str]] = []
    for index, place in zip(indices, places, strict=True):
        pair = shown.pairs[index]
        drawn = [pictures[first[name].name][place] for name in columns]
        words = f'{pair.label}\n\n{said.words(pair.pair_id, False).description}'
        rows.append([shown.inputs[place], words, *drawn, shown.targets[place]])
    _save(path, ['input', 'label, description', *columns, 'target'], rows)


@dataclass(frozen=True)
class Five:
    """
    A frame and five actions that can be done in it.

    :param pairs: of a split.
    :param index: of the pair whose input frame it is.
    :param labels: of the actions.
    """

    pairs: PairDataset
    index: int
    labels: tuple[str, ...]

    @classmethod
    def choose(cls, pairs: PairDataset, truths: dict[str, TruthRecord]) -> Five:
        """
        Choose the frame in which the most of the actions' things are seen.

        :param pairs: of a split.
        :param truths: of those that may be chosen, by action id.
        :returns: the frame, with its own action first; others follow, of as many verbs as there
            are, whose things are seen in it.
        """
        best: Five | None = None
        asked = {pair.action_id: pair.label for pair in pairs}
        for index in range(len(pairs)):
            truth = truths.get(pairs[index].action_id)
            if truth is None:
                continue
            labels = tuple(asked[action] for action in _possible(truth, truths.values()))
            if best is None or len(labels) > len(best.labels):
                best = cls(pairs, index, labels)
            if len(best.labels) == QUESTIONS:
                break
        assert best is not None
        return best


def draw_five(path: Path, five: Five, painter: Painter, network: Network, run: RunFolder) -> None:
    """
    Ask about one frame several times, and draw the answers with the same noise.

    :param path: of the PNG file.
    :param five: frame and actions.
    :param painter: draws.
    :param network: the joint variant's.
    :param run: it belongs to.
    """
    asking, tokens = run.asking(), run.text
    gpu = torch.cuda.is_available()
    model, tokenizer, processor = load_vllm(
        run.vllms[network.variant.tuned], torch.bfloat16 if gpu else torch.float32)
    model = model.to('cuda') if gpu else model
    read = AnswerText(tokenizer, load_component(tokens, 'tokenizer', None), asking.text_tokens)
    frame = five.pairs.picture(five.index)
    vision = vision_features(model, processor, [asking.view.vllm_view(frame)] * len(five.labels))

    def full(token_ids: Sequence[int]) -> bool:
        return len(token_ids) >= asking.text_tokens and read.fills_clip(token_ids)

    answers = answer(model, tokenizer, [question(label) for label in five.labels], vision,
                     asking.max_new_tokens, full)
    seen = ldm_picture(five.pairs, five.index, 'input', network.view, network.resolution)
    conditions = []
    for label, seen_by, said in zip(five.labels, vision, answers, strict=True):
        settle = read.settled if said.stop == 'conditioning_full' else read.whole
        conditions.append(Condition(
            five.pairs[five.index].pair_id, seen, settle(said.token_ids) or label,
            seen_by.float().cpu().numpy(),
            said.states[:asking.text_tokens].float().cpu().numpy()))
    drawn = painter.draw(conditions)
    rows: list[list[np.ndarray | str]] = [
        [seen, f'{label}\n\n{condition.words}', picture]
        for label, condition, picture in zip(five.labels, conditions, drawn, strict=True)]
    _save(path, ['the same frame', 'label, description', 'drawn'], rows)


def _possible(truth: TruthRecord, others: Iterable[TruthRecord]) -> tuple[str, ...]:
    """List actions whose things are seen, and free, in an action's input frame; its own first."""
    state, actions, verbs = truth.before, [truth.action_id], {truth.verb}
    held = {name for name, place in state.location.items() if place.endswith('_hand')}
    for other in sorted(others, key=lambda each: each.action_id):
        things = {other.thing, other.tool} - {''}
        # What is put must be held before; what is opened must be shut: as in its own frame.
        same = all(state.opening.get(name) == other.before.opening.get(name) for name in things)
        if (other.verb not in verbs and other.verb != 'put' and same and things <= set(state.boxes)
                and not things & held and len(actions) < QUESTIONS):
            actions.append(other.action_id)
            verbs.add(other.verb)
    return tuple(actions)


def _save(path: Path, titles: Sequence[str], rows: Sequence[Sequence[np.ndarray | str]]) -> None:
    """Lay pictures and words out in a grid."""
    figure = Figure(figsize=(_INCH * len(titles), _INCH * len(rows)), layout='constrained')
    FigureCanvasAgg(figure)
    axes = figure.subplots(len(rows), len(titles), squeeze=False)
    for number, row in enumerate(rows):
        for column, cell in enumerate(row):
            axis = axes[number][column]
            axis.set_axis_off()
            if isinstance(cell, str):
                wrapped = '\n'.join(textwrap.fill(part, _WRAP) for part in cell.splitlines())
                # A dollar sign would begin a formula.
                axis.text(0, 0.5, wrapped.replace('$', r'\$'), va='center', fontsize=7)
            else:
                axis.imshow(cell)
            if number == 0:
                axis.set_title(titles[column], fontsize=9)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f'.{path.name}.part')
    figure.savefig(part, dpi=_DPI, format='png')
    part.replace(path)
