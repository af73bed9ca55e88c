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
The figures of predictions: of each clip, and with intervals over the videos.

A figure's name is ``part/subset/measure``. Part: verb, noun, action. Subset: all, unseen (who does
not occur in training) and tail (rare classes; of actions, verb or noun is rare). Measure: top1,
top5, and recall5, the mean over classes of the five best. ``program/...`` are S-Verb, Obj(A),
Obj(B) and how many sub-verb sequences are exactly right.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from lego_ros.leap.classes import ProgramClasses
from lego_ros.training.data.files import unusable
from lego_ros.training.evaluation.bootstrap import bootstrap, Interval
from lego_ros.training.leap.clips import ClipSet
from lego_ros.training.leap.metrics import (
    action_labels,
    action_scores,
    by_class,
    class_mean,
    program_hits,
    tail_classes,
    top_k,
)
from lego_ros.training.leap.predicting import Predictions
from lego_ros.training.leap.train import TRAIN
import numpy as np

PARTS = ('verb', 'noun', 'action')
SUBSETS = ('all', 'unseen', 'tail')
MEASURES = ('top1', 'top5', 'recall5')
PROGRAM = ('s_verb', 'obj_a', 'obj_b', 'exact')
Columns = dict[str, np.ndarray]
"""By figure: (N,), or (N, classes) for recall5; NaN = the clip is not in the subset."""


@dataclass(frozen=True)
class Truth:
    """
    What is true of the clips of a split.

    :param videos: of the N clips.
    :param verbs: (N,) numbers of their classes.
    :param nouns: (N,) likewise.
    :param subsets: (N,) bool by part and subset, such as ``noun/tail``.
    """

    videos: tuple[str, ...]
    verbs: np.ndarray
    nouns: np.ndarray
    subsets: dict[str, np.ndarray]


def truth_of(clips: ClipSet, split: str) -> Truth:
    """
    Say what is true of a split.

    :param clips: with the split and a training split, which tells who and what is seen there.
    :param split: to evaluate on.
    :returns: the truth.
    :raises LegoError: SOURCE_UNREADABLE, there is no such split, or a clip of it has no label.
    """
    records, info = clips.split(split), clips.info
    verbs, nouns = (_numbers(clips, split, kind) for kind in ('verb', 'noun'))
    trained = clips.split(TRAIN)
    seen = {clip.participant for clip in trained}
    unseen = np.array([clip.participant not in seen if info.unseen_participants is None
                       else clip.participant in info.unseen_participants for clip in records])
    tails = {}
    for kind, numbers, names, given in (('verb', verbs, info.verbs, info.tail_verbs),
                                        ('noun', nouns, info.nouns, info.tail_nouns)):
        rare = given if given is not None else tail_classes(
            _numbers(clips, TRAIN, kind), len(names))
        tails[kind] = np.isin(numbers, sorted(rare))
    tails['action'] = tails['verb'] | tails['noun']
    everyone = np.ones(len(records), bool)
    subsets = {f'{part}/{name}': mask for part in PARTS for name, mask in (
        ('all', everyone), ('unseen', unseen), ('tail', tails[part]))}
    return Truth(tuple(clip.video_id for clip in records), verbs, nouns, subsets)


def columns_of(predictions: Predictions, truth: Truth, classes: ProgramClasses) -> Columns:
    """
    Judge predictions clip by clip.

    :param predictions: of all clips of the split, in its order.
    :param truth: of the same split.
    :param classes: of the network: its pairs of verb and noun are the valid actions.
    :returns: the columns.
    """
    pairs = classes.actions
    scores = {'verb': (predictions.verb, truth.verbs), 'noun': (predictions.noun, truth.nouns),
              'action': (action_scores(predictions.verb, predictions.noun, pairs),
                         action_labels(truth.verbs, truth.nouns, pairs))}
    kinds = {'verb': truth.verbs, 'noun': truth.nouns,
             'action': truth.verbs * len(classes.nouns) + truth.nouns}
    found: Columns = {}
    for part, (values, labels) in scores.items():
        right = {k: top_k(values, labels, k) for k in (1, 5)}
        recall = by_class(right[5], kinds[part])
        for subset in SUBSETS:
            inside = truth.subsets[f'{part}/{subset}']
            for k, hits in right.items():
                found[f'{part}/{subset}/top{k}'] = np.where(inside, hits.astype(float), np.nan)
            some = np.where(inside[:, None], recall, np.nan)
            # Classes that do not occur in the subset are none of it.
            found[f'{part}/{subset}/recall5'] = some[:, ~np.isnan(some).all(0)]
    hits = program_hits(predictions.predicted, predictions.truth, predictions.known)
    return {**found, **{f'program/{name}': values for name, values in hits.items()}}


def mean_columns(columns: Sequence[Columns]) -> Columns:
    """
    Average over networks that differ in their seeds.

    :param columns: of each network, of the same clips.
    :returns: their mean, clip by clip.
    """
    return {name: np.mean([each[name] for each in columns], 0) for name in columns[0]}


def interval(name: str, columns: Columns, videos: Sequence[str]) -> Interval:
    """
    Give a figure with its interval.

    :param name: of the figure.
    :param columns: of the clips.
    :param videos: of the clips; they are drawn as a whole.
    :returns: the figure.
    """
    return combined(name, [columns], lambda figures: figures[0], videos)


def combined(name: str, variants: Sequence[Columns],
             combine: Callable[[list[np.ndarray]], np.ndarray], videos: Sequence[str]
             ) -> Interval:
    """
    Compare variants on the same clips.

    :param name: of the figure.
    :param variants: columns of each.
    :param combine: makes one (R,) of the variants' figures, (R,) each.
    :param videos: of the clips.
    :returns: what is made of them, with its interval.
    """
    tables = [each[name].reshape(len(videos), -1) for each in variants]
    ends = np.cumsum([0, *(table.shape[1] for table in tables)])
    if not ends[-1]:
        return Interval(float('nan'), float('nan'), float('nan'), 0)

    def figure(means: np.ndarray) -> np.ndarray:
        return combine([class_mean(means[:, first:last])
                        for first, last in pairwise(ends)])

    return bootstrap(np.concatenate(tables, 1), figure, scenes=videos)


def _numbers(clips: ClipSet, split: str, kind: str) -> np.ndarray:
    names = clips.info.verbs if kind == 'verb' else clips.info.nouns
    places = {name: number for number, name in enumerate(names)}
    found = []
    for clip in clips.split(split):
        label = getattr(clip, kind)
        if label is None:
            raise unusable(clips.path, f'{clip.clip_id} of {split!r} has no label to compare with')
        found.append(places[label])
    return np.array(found, np.int64)
