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

"""A network before it is an engine: a PyTorch module, with names and sizes of its tensors."""

from __future__ import annotations

from dataclasses import dataclass, field

from lego_ros.engines.engine import Range, TensorSpec
from torch import nn, Tensor


@dataclass(frozen=True, eq=False)
class Graph:
    """
    A network that can be exported, compiled or run as it is.

    :param name: of the network, such as ``unet``; names its files.
    :param module: in evaluation mode; ``forward`` takes the inputs in their order and gives a
        tuple of the outputs. Its number format is that of its weights; it converts at its borders
        to what the specs say.
    :param inputs: of ``forward``.
    :param outputs: of ``forward``.
    :param example: inputs of a typical run: every named size is its ``typical``.
    :param sizes: the range of each named size.
    """

    name: str
    module: nn.Module
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    example: tuple[Tensor, ...]
    sizes: dict[str, Range] = field(default_factory=dict)
