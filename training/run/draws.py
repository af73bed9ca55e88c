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
Which samples a step sees: a function of the seed and the step alone.

So a run that was broken off goes on with the very samples, and the very chances, that it would
have had.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
import hashlib

import numpy as np
from torch.utils.data import Sampler


@dataclass(frozen=True)
class Draw:
    """
    A request for one sample.

    :param index: into the data.
    :param seed: for whatever is drawn for the sample; another one in each epoch.
    """

    index: int
    seed: int


def mix(*numbers: int) -> int:
    """
    Make one seed of several numbers.

    :param numbers: any; the order counts.
    :returns: 0 to 2^63 - 1.
    """
    digest = hashlib.sha256(repr(numbers).encode()).digest()
    return int.from_bytes(digest[:8], 'little') >> 1


def spread(count: int, wanted: int) -> list[int]:
    """
    Choose some of the numbers from 0 on, evenly.

    :param count: of the numbers.
    :param wanted: how many are chosen; all where there are fewer.
    :returns: in order.
    """
    wanted = min(count, wanted)
    return [place * count // wanted for place in range(wanted)]


class StepSampler(Sampler[list[Draw]]):
    """
    The draws of a process's forward passes, from any step on.

    All epochs make one endless row, each in an order of its own; step s takes the s-th portion of
    ``batch`` samples from it. Of a portion, process r takes the r-th part.

    :param samples: in the data, >= 1.
    :param batch: samples per step over all processes.
    :param micro: samples per forward pass; divides ``batch / processes``.
    :param seed: of the orders.
    :param steps: first step and the one after the last.
    :param rank: number of this process.
    :param processes: of all.
    """

    def __init__(self, samples: int, batch: int, micro: int, seed: int, steps: range,
                 rank: int = 0, processes: int = 1) -> None:
        self._samples, self._batch, self._micro, self._seed = samples, batch, micro, seed
        self._steps = steps
        self._share = range(rank * batch // processes, (rank + 1) * batch // processes, micro)
        self._epoch = -1
        self._order = np.empty(0, np.int64)

    def __len__(self) -> int:
        """Give the number of forward passes."""
        return len(self._steps) * len(self._share)

    def __iter__(self) -> Iterator[list[Draw]]:
        """Give each forward pass's draws."""
        for step in self._steps:
            for first in self._share:
                begin = step * self._batch + first
                yield [self._draw(position) for position in range(begin, begin + self._micro)]

    def _draw(self, position: int) -> Draw:
        epoch, place = divmod(position, self._samples)
        if epoch != self._epoch:
            self._epoch = epoch
            self._order = np.random.default_rng((self._seed, epoch)).permutation(self._samples)
        index = int(self._order[place])
        return Draw(index, mix(self._seed, epoch, index))
