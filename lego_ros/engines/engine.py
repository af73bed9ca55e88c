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
One network, ready to run: what every backend gives and every caller uses.

An engine takes and gives tensors by name, on its own device. What is behind it (PyTorch, ONNX
Runtime, OpenVINO or TensorRT) shows only in how it is made.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

Size = int | str
"""A number, or the name of a size that each run may choose anew; equal names, equal sizes."""


@dataclass(frozen=True)
class TensorSpec:
    """
    An input or output of a network.

    :param name: unique among the network's inputs and outputs.
    :param dtype: of its values.
    :param shape: one :data:`Size` per dimension.
    """

    name: str
    dtype: torch.dtype
    shape: tuple[Size, ...]


@dataclass(frozen=True)
class Range:
    """
    What a named size may be.

    :param least: smallest value, >= 1.
    :param typical: what the network is tuned for.
    :param most: largest value.
    """

    least: int
    typical: int
    most: int


class Engine(Protocol):
    """A loaded network. Used from one thread only: contexts of TensorRT allow no more."""

    inputs: tuple[TensorSpec, ...]
    """All that a run needs."""

    outputs: tuple[TensorSpec, ...]
    """All that a run gives."""

    sizes: Mapping[str, Range]
    """What each named size may be."""

    device: torch.device
    """Where its inputs must lie, and its outputs do."""

    def run(self, feeds: Mapping[str, Tensor], into: Mapping[str, Tensor] | None = None
            ) -> dict[str, Tensor]:
        """
        Run the network once.

        :param feeds: a contiguous tensor for each input, of its dtype and shape, on the device.
        :param into: tensors that outputs are to be written to; the others get new ones.
        :returns: a tensor for each output; those of ``into`` are the very ones given. On a GPU the
            work may still be under way on PyTorch's current stream.
        :raises LegoError: INFERENCE_FAILED: an input is missing, unknown or of another kind (the
            message names it), or the backend failed; OUT_OF_MEMORY.
        """

    def close(self) -> None:
        """Free its memory. Nothing may be called afterwards but this once more."""
