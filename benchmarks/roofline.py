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

"""What this machine can do at best: arithmetic and memory, measured in the same run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
import time

import torch
from torch import nn, Tensor
from torch.utils.flop_counter import FlopCounterMode

_SIDE = 4096
_BYTES = 1 << 30
_TURNS = 4


def matmul_peak(dtype: torch.dtype) -> float:
    """
    Measure a large matrix product.

    :param dtype: of the matrices.
    :returns: FLOP per second of the best of some turns.
    """
    left, right = (torch.randn(_SIDE, _SIDE).to(dtype) for _ in range(2))
    result = torch.empty(_SIDE, _SIDE, dtype=dtype)
    return 2 * _SIDE**3 / _best(lambda: torch.mm(left, right, out=result))


def memory_bandwidth(size: int = _BYTES) -> float:
    """
    Measure reading memory, as a product of a matrix and a vector does.

    :param size: bytes that are read; far beyond the caches by default.
    :returns: bytes per second of the best of some turns.
    """
    matrix = torch.ones(size // 4 // _SIDE, _SIDE)
    vector = torch.ones(_SIDE)
    result = torch.empty(len(matrix))
    return matrix.nbytes / _best(lambda: torch.mv(matrix, vector, out=result))


def flops(module: nn.Module, inputs: Sequence[Tensor]) -> int:
    """
    Count the arithmetic of a network's products and convolutions.

    :param module: the network.
    :param inputs: of one run.
    :returns: FLOP of it, a multiplication with its addition counted as two.
    """
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        module(*inputs)
    return int(counter.get_total_flops())


def _best(work: Callable[[], object]) -> float:
    seconds = []
    for _ in range(_TURNS):
        begin = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - begin)
    return min(seconds)
