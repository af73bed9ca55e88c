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

"""Small networks of the kinds that the models are made of, as graphs and as ONNX files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from lego_ros.engines.engine import Range, TensorSpec
from lego_ros.engines.export import export
from lego_ros.engines.graph import Graph
import pytest
import torch
from torch import nn, Tensor

MakeGraph = Callable[..., Graph]
Exported = Callable[..., Path]


class Convolutions(nn.Module):
    """A residual block, as of the UNet and the auto-encoder."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(2, 8)
        self.first = nn.Conv2d(4, 8, 3, padding=1)
        self.second = nn.Conv2d(8, 4, 3, padding=1)

    def forward(self, x: Tensor) -> tuple[Tensor]:
        hidden = nn.functional.silu(self.norm(self.first(x.to(self.first.weight.dtype))))
        return ((x + self.second(hidden)).float(),)


class Attention(nn.Module):
    """Attention to the first keys of a buffer, as of a decoder with its cache."""

    def __init__(self) -> None:
        super().__init__()
        self.query = nn.Linear(16, 16)
        self.value = nn.Linear(16, 16)

    def forward(self, x: Tensor, keys: Tensor, values: Tensor, length: Tensor
                ) -> tuple[Tensor, Tensor]:
        dtype = self.query.weight.dtype
        query = self.query(x.to(dtype)).view(1, -1, 2, 8).transpose(1, 2)
        key = keys.to(dtype).view(1, -1, 2, 8).transpose(1, 2)
        value = self.value(values.to(dtype)).view(1, -1, 2, 8).transpose(1, 2)
        mask = torch.arange(keys.shape[1], device=x.device) < length
        attended = nn.functional.scaled_dot_product_attention(
            query, key, value, attn_mask=mask[None, None, None])
        # The second one's size is known to the run alone: no input has it.
        return attended.transpose(1, 2).flatten(2).float(), torch.cat([x, keys], 1)


class Embedding(nn.Module):
    """A table, which gives its rows in its own number format."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(50, 16)

    def forward(self, ids: Tensor) -> tuple[Tensor, Tensor]:
        rows = self.table(ids)
        return rows, rows.float().mean(0)


def make_graph(name: str, dtype: torch.dtype = torch.float32, seed: int = 0) -> Graph:
    torch.manual_seed(seed)
    f32, i64 = torch.float32, torch.int64
    if name == 'convolutions':
        return Graph(
            name, Convolutions().eval().to(dtype),
            (TensorSpec('x', f32, (1, 4, 'height', 'width')),),
            (TensorSpec('y', f32, (1, 4, 'height', 'width')),),
            (torch.randn(1, 4, 8, 6),), {'height': Range(1, 8, 32), 'width': Range(1, 6, 32)})
    if name == 'attention':
        return Graph(
            name, Attention().eval().to(dtype),
            (TensorSpec('x', f32, (1, 'tokens', 16)), TensorSpec('keys', f32, (1, 'capacity', 16)),
             TensorSpec('values', f32, (1, 'capacity', 16)), TensorSpec('length', i64, (1,))),
            (TensorSpec('attended', f32, (1, 'tokens', 16)),
             TensorSpec('joined', f32, (1, 'both', 16))),
            (torch.randn(1, 5, 16), torch.randn(1, 9, 16), torch.randn(1, 9, 16),
             torch.tensor([7])),
            {'tokens': Range(1, 5, 64), 'capacity': Range(2, 9, 64)})
    return Graph(
        name, Embedding().eval().to(dtype), (TensorSpec('ids', i64, ('prompt',)),),
        (TensorSpec('rows', dtype, ('prompt', 16)), TensorSpec('mean', f32, (16,))),
        (torch.arange(6),), {'prompt': Range(1, 6, 40)})


def make_feeds(name: str, size: int) -> dict[str, Tensor]:
    """Make inputs of other sizes than the example's."""
    torch.manual_seed(size)
    if name == 'convolutions':
        return {'x': torch.randn(1, 4, size, size + 1)}
    if name == 'attention':
        return {'x': torch.randn(1, size, 16), 'keys': torch.randn(1, size + 3, 16),
                'values': torch.randn(1, size + 3, 16), 'length': torch.tensor([size + 1])}
    return {'ids': torch.randint(50, (size,))}


@pytest.fixture
def graph_of() -> MakeGraph:
    return make_graph


@pytest.fixture
def feeds_of() -> Callable[[str, int], dict[str, Tensor]]:
    return make_feeds


@pytest.fixture(scope='session')
def exported(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """Give the ONNX file of a graph, made once in a test run."""
    folder = tmp_path_factory.mktemp('exported')

    def path_of(name: str, dtype: torch.dtype = torch.float32) -> Path:
        path = folder / f'{name}-{str(dtype).removeprefix("torch.")}.onnx'
        if not path.exists():
            export(make_graph(name, dtype), path)
        return path
    return path_of
