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
How sure a figure is: bootstrap intervals (Efron, 1979; the percentile method).

Scenes are drawn, with all their samples: samples of one scene are alike, and intervals that took
them for independent would be too narrow.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

RESAMPLES = 2000
LEVEL = 0.95
_ENDS = (50 * (1 - LEVEL), 50 * (1 + LEVEL))


@dataclass(frozen=True)
class Interval:
    """
    A figure with its interval.

    :param value: of all samples; NaN = it is not defined.
    :param low: the lower end of the 95 % interval; NaN = there is but one scene.
    :param high: its upper end, likewise.
    :param samples: how many there are.
    """

    value: float
    low: float
    high: float
    samples: int


def bootstrap(columns: np.ndarray, figure: Callable[[np.ndarray], np.ndarray] | None = None, *,
              scenes: Sequence[str] | None = None, seed: int = 0) -> Interval:
    """
    Give the interval of a figure.

    Rows are drawn as a whole, so that what is compared within a row stays paired.

    :param columns: (samples,) or (samples, k), one row for each sample; NaN = has none.
    :param figure: makes the figure (R,) of the columns' means (R, k); None: the only column's.
    :param scenes: of the samples; None = each sample is a scene of its own.
    :param seed: the same seed draws the same scenes.
    :returns: the figure of all samples and its percentile interval.
    """
    rows = columns.reshape(len(columns), -1).astype(float)
    there = ~np.isnan(rows)
    figure = figure or _first
    if not len(rows) or not there.any(0).all():
        return Interval(float('nan'), float('nan'), float('nan'), len(rows))
    numbers = (np.arange(len(rows)) if scenes is None
               else np.unique(np.asarray(scenes), return_inverse=True)[1])
    total = int(numbers.max()) + 1
    sums, weights = np.zeros((total, rows.shape[1])), np.zeros((total, rows.shape[1]))
    np.add.at(sums, numbers, np.where(there, rows, 0.0))
    np.add.at(weights, numbers, there.astype(float))
    rng = np.random.default_rng((seed, total))
    # How often each scene is drawn; a resample's means are then two matrix products.
    counts = rng.multinomial(total, np.full(total, 1 / total), size=RESAMPLES)
    with np.errstate(invalid='ignore', divide='ignore'):
        drawn = figure((counts @ sums) / (counts @ weights))
    # A resample may have none of the rows that count; one scene says nothing of others.
    drawn = drawn[np.isfinite(drawn)] if total > 1 else drawn[:0]
    low, high = np.percentile(drawn, _ENDS) if drawn.size else (float('nan'), float('nan'))
    value = float(figure(np.nanmean(rows, 0)[None])[0])
    return Interval(value, float(low), float(high), int(there.all(1).sum()))


def difference(means: np.ndarray) -> np.ndarray:
    """
    Compare two variants on the same samples.

    :param means: (R, 2).
    :returns: (R,) the first less the second.
    """
    return means[:, 0] - means[:, 1]


def share_of_span(means: np.ndarray) -> np.ndarray:
    """
    Place a figure between floor and ceiling.

    :param means: (R, 3): the figure, its floor, its ceiling.
    :returns: (R,) 0 at the floor, 1 at the ceiling; NaN where the ceiling is not above the floor.
    """
    span = means[:, 2] - means[:, 1]
    return np.where(span > 0, (means[:, 0] - means[:, 1]) / np.where(span > 0, span, 1), np.nan)


def _first(means: np.ndarray) -> np.ndarray:
    return means[:, 0]
