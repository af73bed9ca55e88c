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
EPIC-KITCHENS-100's figures (Damen et al., 2022, Sec. 4.1 and 4.3), and those of programs.

Everything is told of each sample first, so that intervals can be computed; means come last.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

TAIL = 0.2
"""Share of the training instances that the rare classes account for together, at most."""


@dataclass(frozen=True)
class StepClasses:
    """
    Programs as classes, 0 for no step and for no object.

    :param sub_verb: (N, S) int.
    :param object_a: (N, S) int.
    :param object_b: (N, S) int.
    """

    sub_verb: np.ndarray
    object_a: np.ndarray
    object_b: np.ndarray


def top_k(scores: np.ndarray, labels: np.ndarray, k: int) -> np.ndarray:
    """
    Tell which samples have their class among the k best.

    Of classes with the same score those of smaller numbers count as better, so that scores that
    are all the same do not make every sample right.

    :param scores: (N, C), the higher the better; minus infinity is allowed.
    :param labels: (N,) int; one that is no class of the scores is never right.
    :param k: 1 or more.
    :returns: (N,) bool.
    :raises ValueError: the shapes do not fit, or a score is not a number.
    """
    if scores.ndim != 2 or labels.shape != scores.shape[:1] or k < 1:
        raise ValueError(f'scores {scores.shape}, labels {labels.shape}, k = {k}')
    if np.isnan(scores).any():
        raise ValueError(f'sample {int(np.isnan(scores).any(1).argmax())} has a score that is '
                         'not a number')
    known = (labels >= 0) & (labels < scores.shape[1])
    if not known.any():
        return np.zeros(len(labels), bool)
    safe = np.where(known, labels, 0)[:, None]
    own = np.take_along_axis(scores, safe, 1)
    numbers = np.arange(scores.shape[1])[None]
    better = (scores > own) | ((scores == own) & (numbers < safe))
    return known & (better.sum(1) < k)


def action_scores(verbs: np.ndarray, nouns: np.ndarray, pairs: Sequence[tuple[int, int]]
                  ) -> np.ndarray:
    """
    Score actions: an action's probability is its verb's times its noun's.

    The challenge's evaluation does so for submissions without scores of their own for actions.

    :param verbs: (N, V) logits.
    :param nouns: (N, M) logits.
    :param pairs: the valid actions, verb and noun.
    :returns: (N, len(pairs)) logarithms of probabilities.
    """
    first, second = np.array(pairs, np.int64).reshape(-1, 2).T
    return _log_softmax(verbs)[:, first] + _log_softmax(nouns)[:, second]


def action_labels(verbs: np.ndarray, nouns: np.ndarray, pairs: Sequence[tuple[int, int]]
                  ) -> np.ndarray:
    """
    Give actions their numbers.

    :param verbs: (N,) int.
    :param nouns: (N,) int.
    :param pairs: as given to :func:`action_scores`.
    :returns: (N,) int; -1 where the pair is none of them.
    """
    numbers = {pair: number for number, pair in enumerate(pairs)}
    return np.array([numbers.get(pair, -1) for pair in zip(
        verbs.tolist(), nouns.tolist(), strict=True)], np.int64)


def by_class(right: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """
    Sort samples by their classes; the mean of the columns' means is the mean class recall.

    With the five best it is the mean top-5 recall (Furnari et al., 2018). Classes that do not
    occur have no column.

    :param right: (N,) which samples are right.
    :param labels: (N,) their classes.
    :returns: (N, classes) float: 1 or 0 in the sample's own column, NaN in the others.
    """
    classes = np.unique(labels)
    return np.where(labels[:, None] == classes[None], right[:, None].astype(float), np.nan)


def class_mean(means: np.ndarray) -> np.ndarray:
    """
    Average recalls over classes.

    :param means: (R, classes) of each resample and class; NaN where the class was not drawn.
    :returns: (R,).
    """
    there = ~np.isnan(means)
    count = there.sum(1)
    return np.where(count > 0, np.where(there, means, 0.0).sum(1) / np.maximum(count, 1), np.nan)


def tail_classes(labels: np.ndarray, count: int) -> frozenset[int]:
    """
    Find the rare classes: the smallest that account for 20 % of the training instances together.

    The class with which they would be more than that is no longer one; where sizes are equal,
    larger numbers come first. EPIC-KITCHENS publishes its own lists, which this is not for.

    :param labels: (N,) of the training split.
    :param count: of all classes; those that do not occur are rare.
    :returns: their numbers.
    """
    sizes = np.bincount(labels, minlength=count)
    order = sorted(range(count), key=lambda number: (sizes[number], -number))
    shares = np.cumsum(sizes[order])
    return frozenset(order[:int((shares <= TAIL * sizes.sum()).sum())])


def program_hits(predicted: StepClasses, truth: StepClasses, known: np.ndarray
                 ) -> dict[str, np.ndarray]:
    """
    Compare programs: S-Verb, Obj(A) and Obj(B). How LEAP counts is not known; this is ours.

    Steps are compared place by place, up to the end of the longer program. Of objects those
    places count where either program has one. So steps too many cost as much as steps too few.

    :param predicted: by the network; a program ends at its first step that is none.
    :param truth: likewise.
    :param known: (N,) bool: which samples have a program.
    :returns: (N,) shares of right places by ``s_verb``, ``obj_a``, ``obj_b``, and ``exact``: 1
        where all sub-verbs and the length are right. NaN where there is nothing to compare.
    """
    ours, theirs = _ended(predicted), _ended(truth)
    found = {}
    for name, one, other in (('s_verb', ours.sub_verb, theirs.sub_verb),
                             ('obj_a', ours.object_a, theirs.object_a),
                             ('obj_b', ours.object_b, theirs.object_b)):
        # Sub-verbs that the network does not know are negative, and cannot be right.
        places = ((one != 0) | (other != 0)).sum(1)
        right = ((one == other) & (other != 0)).sum(1)
        share = np.where(places > 0, right / np.maximum(places, 1), np.nan)
        found[name] = np.where(known, share, np.nan)
    exact = (ours.sub_verb == theirs.sub_verb).all(1).astype(float)
    found['exact'] = np.where(known, exact, np.nan)
    return found


def _ended(program: StepClasses) -> StepClasses:
    """Take away what follows the first step that is none."""
    within = np.cumprod(program.sub_verb != 0, axis=1).astype(bool)
    return StepClasses(*(np.where(within, each, 0) for each in (
        program.sub_verb, program.object_a, program.object_b)))


def _log_softmax(logits: np.ndarray) -> np.ndarray:
    shifted = logits.astype(float) - logits.max(1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
