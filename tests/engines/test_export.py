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

"""Networks as ONNX files: whole or not at all, the same bytes each time, and quiet."""

from __future__ import annotations

from collections.abc import Callable
import dataclasses
import os
from pathlib import Path
import resource
import subprocess
import sys
from typing import Any

from lego_ros.engines import export as export_module
from lego_ros.engines.description import describe
from lego_ros.engines.engine import TensorSpec
from lego_ros.engines.export import export, number_format, OPSET, parity, sha256_of
from lego_ros.engines.graph import Graph
from lego_ros.engines.onnxruntime_engine import OnnxRuntimeEngine
from lego_ros.engines.openvino_engine import OpenVinoEngine
from lego_ros.engines.torch_engine import TorchEngine
from lego_ros.errors import ErrorCode, LegoError
import onnx
import pytest
import torch
from torch import nn, Tensor

ROOT = Path(__file__).parents[2]
ANOTHER_PROCESS = """
import importlib.util
from pathlib import Path
import sys
spec = importlib.util.spec_from_file_location('networks', sys.argv[1])
networks = importlib.util.module_from_spec(spec)
spec.loader.exec_module(networks)
print(networks.export(networks.make_graph('attention'), Path(sys.argv[2])))
"""


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_another_process_writes_the_same_bytes_and_says_nothing(
        exported: Callable, tmp_path: Path) -> None:
    path = tmp_path / 'attention.onnx'
    result = subprocess.run(
        [sys.executable, '-c', ANOTHER_PROCESS, Path(__file__).with_name('conftest.py'), path],
        capture_output=True, text=True, check=True, cwd=ROOT, timeout=240,
        env=os.environ | {'PYTHONHASHSEED': '7', 'PYTHONPATH': str(ROOT)})
    assert result.stderr == ''
    assert result.stdout.split() == [sha256_of(path)]
    assert path.read_bytes() == exported('attention').read_bytes()


def test_an_engine_of_the_same_module_changes_nothing(
        graph_of: Callable, exported: Callable, tmp_path: Path) -> None:
    # It lets the weights lie in another order.
    graph = graph_of('convolutions')
    TorchEngine(graph)
    assert export(graph, tmp_path / 'x.onnx') == sha256_of(exported('convolutions'))


@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16, torch.float16])
def test_the_file_is_good_onnx(exported: Callable, dtype: torch.dtype) -> None:
    model = onnx.load(exported('convolutions', dtype))
    onnx.checker.check_model(model, full_check=True)
    assert [(entry.domain, entry.version) for entry in model.opset_import] == [('', OPSET)]
    weight = {tensor.name: tensor for tensor in model.graph.initializer}['first.weight']
    assert onnx.TensorProto.DataType.Name(weight.data_type) == {
        torch.float32: 'FLOAT', torch.bfloat16: 'BFLOAT16', torch.float16: 'FLOAT16'}[dtype]
    [given] = model.graph.input
    assert [size.dim_value or size.dim_param for size in given.type.tensor_type.shape.dim] == [
        1, 4, 'height', 'width']


def test_the_file_tells_nothing_of_this_machine(exported: Callable) -> None:
    content = exported('convolutions').read_bytes()
    assert str(ROOT).encode() not in content
    assert b'.py' not in content


def test_large_weights_lie_beside(
        graph_of: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export_module, '_MOST_INLINE', 1000)
    graph = graph_of('convolutions')
    path = tmp_path / 'sub' / 'unet.onnx'
    digest = export(graph, path)
    assert names_in(path.parent) == ['unet.onnx', 'unet.onnx.data']
    assert digest == sha256_of(path)
    for engine in (OnnxRuntimeEngine(path), OpenVinoEngine(path)):
        assert max(parity(graph, engine).values()) < 1e-4
        engine.close()
    # Weights that are not those of the file are seen, and so are those that are gone.
    content = bytearray(export_module.data_path(path).read_bytes())
    content[100] ^= 1
    export_module.data_path(path).write_bytes(content)
    assert sha256_of(path) != digest
    export_module.data_path(path).unlink()
    for kind in (OnnxRuntimeEngine, OpenVinoEngine):
        with pytest.raises(LegoError, match=r'unet\.onnx') as caught:
            kind(path)
        assert caught.value.code == ErrorCode.BUNDLE_INVALID
    # A smaller network in its place leaves nothing of it.
    monkeypatch.undo()
    assert export(graph, path) == sha256_of(path)
    assert names_in(path.parent) == ['unet.onnx']


class Wide(nn.Module):
    """A megabyte of weights."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(512, 512)

    def forward(self, x: Tensor) -> tuple[Tensor]:
        return (self.linear(x),)


def one_input(module: nn.Module, shape: tuple[int, ...] = (2, 512)) -> Graph:
    spec = TensorSpec('x', torch.float32, shape)
    return Graph('wide', module.eval(), (spec,), (dataclasses.replace(spec, name='y'),),
                 (torch.randn(shape),))


@pytest.mark.parametrize('most_inline', [1000, 2_000_000_000])
def test_a_full_disk_leaves_what_was_there(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most_inline: int) -> None:
    path = tmp_path / 'wide.onnx'
    path.write_bytes(b'the old one')
    monkeypatch.setattr(export_module, '_MOST_INLINE', most_inline)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 19, hard))
    try:
        with pytest.raises(LegoError, match=r'cannot be written.*Make room') as caught:
            export(one_input(Wide()), path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert caught.value.code == ErrorCode.RECORDING_FAILED
    assert names_in(tmp_path) == ['wide.onnx']
    assert path.read_bytes() == b'the old one'


def test_an_interrupt_leaves_what_was_there(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / 'wide.onnx'
    path.write_bytes(b'the old one')

    def interrupt(*args: Any, **kwargs: Any) -> None:
        assert len(names_in(tmp_path)) == 2
        raise KeyboardInterrupt

    monkeypatch.setattr(onnx.checker, 'check_model', interrupt)
    with pytest.raises(KeyboardInterrupt):
        export(one_input(Wide()), path)
    assert names_in(tmp_path) == ['wide.onnx']
    assert path.read_bytes() == b'the old one'


class Choosing(nn.Module):
    """What a graph cannot hold: values that decide what is computed."""

    def forward(self, x: Tensor) -> tuple[Tensor]:
        return (x + 1,) if x.sum().item() > 0 else (x.mul(2),)


def test_a_module_that_onnx_cannot_hold(tmp_path: Path) -> None:
    with pytest.raises(LegoError, match="network 'wide' cannot be exported") as caught:
        export(one_input(Choosing()), tmp_path / 'x.onnx')
    assert caught.value.code == ErrorCode.BUNDLE_INVALID
    assert names_in(tmp_path) == []


@pytest.mark.parametrize('spec', [
    TensorSpec('y', torch.float16, (2, 512)), TensorSpec('y', torch.float32, (2, 3)),
    TensorSpec('y', torch.float32, (2,))])
def test_specs_that_the_module_does_not_keep(tmp_path: Path, spec: TensorSpec) -> None:
    graph = dataclasses.replace(one_input(Wide()), outputs=(spec,))
    with pytest.raises(LegoError, match=r"its output 'y' is FLOAT .*the spec says"):
        export(graph, tmp_path / 'x.onnx')
    assert names_in(tmp_path) == []


def test_without_onnx(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, 'onnxscript', None)
    with pytest.raises(LegoError, match='pip install onnx onnxscript') as caught:
        export(one_input(Wide()), tmp_path / 'x.onnx')
    assert caught.value.code == ErrorCode.INVALID_SETTING


def test_number_formats() -> None:
    assert number_format(nn.Linear(1, 1).bfloat16()) == 'bfloat16'
    assert number_format(Choosing()) == 'float32'


class Fixed:
    """An engine that gives what it was told to."""

    def __init__(self, graph: Graph, output: Tensor) -> None:
        self.inputs, self.outputs = graph.inputs, graph.outputs
        self.device = torch.device('cpu')
        self.output = output

    def run(self, feeds: Any, into: Any = None) -> dict[str, Tensor]:
        return {'y': self.output}

    def close(self) -> None:
        pass


class Given(nn.Module):
    def forward(self, x: Tensor) -> tuple[Tensor]:
        return (x,)


@pytest.mark.parametrize(('wanted', 'came', 'error'), [
    ([1., -4.], [1., -3.], .25), ([0., 0.], [0., 0.], 0.),
    ([1., -torch.inf], [1., -torch.inf], 0.), ([4., -torch.inf], [3., -torch.inf], .25),
    ([1., -torch.inf], [1., -9.], torch.inf),
    ([1., 2.], [1., torch.nan], torch.inf), ([torch.nan, 1.], [torch.nan, 1.], torch.inf),
])
def test_parity_is_relative_to_the_greatest(
        wanted: list[float], came: list[float], error: float) -> None:
    graph = one_input(Given(), (2,))
    engine = Fixed(graph, torch.tensor(came))
    assert parity(graph, engine, {'x': torch.tensor(wanted)}) == {'y': pytest.approx(error)}


def test_the_description_of_a_file_with_fixed_sizes(tmp_path: Path) -> None:
    graph = one_input(Wide())
    export(graph, tmp_path / 'x.onnx')
    description = describe(tmp_path / 'x.onnx')
    assert (description.inputs, description.outputs) == (graph.inputs, graph.outputs)
