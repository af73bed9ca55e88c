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

"""Weights of eight bits: as near as they promise, and only where they were asked for."""

from __future__ import annotations

from collections.abc import Callable
import dataclasses
from pathlib import Path
import sys
from typing import Any

from lego_ros.engines.description import describe
from lego_ros.engines.engine import Range, TensorSpec
from lego_ros.engines.export import export, parity, sha256_of
from lego_ros.engines.graph import Graph
from lego_ros.engines.onnxruntime_engine import OnnxRuntimeEngine
from lego_ros.engines.openvino_engine import OpenVinoEngine
from lego_ros.engines.quantise import quantised
from lego_ros.errors import ErrorCode, LegoError
import onnx
import pytest
import torch
from torch import nn, Tensor


class Decoding(nn.Module):
    """Rows of a table through a linear layer, held against the same table."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(300, 64)
        self.linear = nn.Linear(64, 64)
        with torch.no_grad():
            # A channel without weights, and one a thousand times as large as the others.
            self.table.weight[5] = 0
            self.table.weight[6] *= 1000

    def forward(self, ids: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        rows = self.table(ids)
        hidden = self.linear(rows)
        return rows, hidden, (hidden[None] @ self.table.weight.T)[0]


def decoding() -> Graph:
    torch.manual_seed(0)
    f32 = torch.float32
    return Graph(
        'decoding', Decoding().eval(), (TensorSpec('ids', torch.int64, ('prompt',)),),
        (TensorSpec('rows', f32, ('prompt', 64)), TensorSpec('hidden', f32, ('prompt', 64)),
         TensorSpec('logits', f32, ('prompt', 300))),
        (torch.tensor([1, 9, 5, 250]),), {'prompt': Range(1, 4, 16)})


@pytest.fixture(scope='module')
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp('quantised')
    path, out = folder / 'decoding.onnx', folder / 'sub' / 'decoding-int8.onnx'
    export(decoding(), path)
    assert quantised(path, out) == sha256_of(out)
    return path, out


def test_products_take_int8_and_tables_do_not(files: tuple[Path, Path]) -> None:
    path, out = files
    model = onnx.load(out)
    kinds = {tensor.name: tensor.data_type for tensor in model.graph.initializer}
    integers = [name for name, kind in kinds.items() if kind == onnx.TensorProto.INT8]
    operators = [node.op_type for node in model.graph.node]
    assert operators.count('DequantizeLinear') == len(integers) == 2
    # One of a Gemm, whose channels are its rows, and one of a MatMul, whose are its columns.
    assert {'Gemm', 'MatMul', 'Gather'} <= set(operators)
    assert 'Transpose' not in operators
    # The table itself stays; of the linear layer no second weight does.
    assert kinds['table.weight'] == onnx.TensorProto.FLOAT
    assert 'linear.weight' not in kinds
    assert describe(out) == dataclasses.replace(describe(path), number_format='int8')


@pytest.mark.parametrize('kind', [OnnxRuntimeEngine, OpenVinoEngine])
def test_outputs_are_as_near_as_promised(files: tuple[Path, Path], kind: Any) -> None:
    graph = decoding()
    engine = kind(files[1], threads=1)
    ids = torch.tensor([3, 5, 6, 7, 200, 299])
    given = engine.run({'ids': ids})
    with torch.no_grad():
        rows, hidden, _ = graph.module(ids)
        assert torch.equal(given['rows'], rows)
        for name, x, weight, wanted in (
                ('hidden', rows, graph.module.linear.weight, hidden),
                ('logits', given['hidden'], graph.module.table.weight,
                 given['hidden'] @ graph.module.table.weight.T)):
            large, heavy = x.abs().amax(1, keepdim=True), weight.abs().amax(1)
            bound = x.abs().sum(1, keepdim=True) * heavy / 254
            if kind is OnnxRuntimeEngine:
                # It rounds the inputs of a product as well.
                bound += large / 254 * (weight.abs().sum(1) + 64 * heavy / 254)
            error = (given[name] - wanted).abs()
            rounding = 1e-5 * (x.abs() @ weight.abs().T) + 1e-6
            assert bool((error <= bound + rounding).all())
            # It is int8 indeed: float32 would be nearer by four digits.
            assert error.max() > bound.max() * 1e-3
    assert given['logits'][:, 5].abs().max() < 1e-6
    # Measured: 4e-3.
    assert max(parity(graph, engine).values()) < 2e-2
    engine.close()


def test_the_same_bytes_each_time(files: tuple[Path, Path], tmp_path: Path) -> None:
    assert quantised(files[0], tmp_path / 'again.onnx') == sha256_of(files[1])


def test_a_network_without_products(exported: Callable, tmp_path: Path) -> None:
    with pytest.raises(LegoError, match="'convolutions' has no matrix product") as caught:
        quantised(exported('convolutions'), tmp_path / 'x.onnx')
    assert caught.value.code == ErrorCode.INVALID_SETTING
    assert not list(tmp_path.iterdir())


def test_a_damaged_network(files: tuple[Path, Path], tmp_path: Path) -> None:
    content = files[0].read_bytes()
    path = tmp_path / 'broken.onnx'
    path.write_bytes(content.replace(b'Gather', b'Father'))
    with pytest.raises(LegoError, match=r"'.*broken\.onnx' is not a network") as caught:
        quantised(path, tmp_path / 'x.onnx')
    assert caught.value.code == ErrorCode.BUNDLE_INVALID
    assert [file.name for file in tmp_path.iterdir()] == ['broken.onnx']


def test_without_onnx(files: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
                      ) -> None:
    monkeypatch.setitem(sys.modules, 'onnx_ir', None)
    with pytest.raises(LegoError, match='pip install onnx onnxscript') as caught:
        quantised(files[0], tmp_path / 'x.onnx')
    assert caught.value.code == ErrorCode.INVALID_SETTING
