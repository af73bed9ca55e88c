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

"""PyTorch as an engine: its modes, its memory and its failures."""

from __future__ import annotations

from collections.abc import Callable
import gc
import weakref

from lego_ros.engines.engine import TensorSpec
from lego_ros.engines.export import parity
from lego_ros.engines.graph import Graph
from lego_ros.engines.torch_engine import TorchEngine
from lego_ros.errors import ErrorCode, LegoError
import pytest
import torch
from torch import nn, Tensor

ROWS = TensorSpec('x', torch.float32, ('rows', 4))


def graph_with(module: nn.Module, outputs: tuple[str, ...]) -> Graph:
    return Graph('odd', module.eval(), (ROWS,),
                 tuple(TensorSpec(name, torch.float32, ('rows', 4)) for name in outputs),
                 (torch.randn(3, 4),))


class Sharing(nn.Module):
    """Hands out its input, its weight, one result twice, and one that is not contiguous."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.arange(12.).view(3, 4))

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        result = x + 1
        return x, self.weight[:x.shape[0]], result, result, (x.mT @ x).expand(4, 4)[:3].mT.mT


def test_outputs_share_memory_with_nothing() -> None:
    module = Sharing()
    graph = graph_with(module, ('input', 'weight', 'one', 'two', 'odd'))
    engine = TorchEngine(graph)
    x = torch.randn(3, 4)
    before = x.clone()
    outputs = engine.run({'x': x})
    assert all(tensor.is_contiguous() and not tensor.requires_grad for tensor in outputs.values())
    outputs['input'].zero_()
    outputs['weight'].zero_()
    outputs['one'].zero_()
    assert torch.equal(x, before)
    assert torch.equal(module.weight, torch.arange(12.).view(3, 4))
    assert torch.equal(outputs['two'], x + 1)


def test_convolutions_lie_channels_last(graph_of: Callable, feeds_of: Callable) -> None:
    graph = graph_of('convolutions')
    engine = TorchEngine(graph)
    assert graph.module.first.weight.is_contiguous(memory_format=torch.channels_last)
    assert engine.run(feeds_of('convolutions', 9))['y'].is_contiguous()


def test_a_closed_engine_lets_its_module_go() -> None:
    module = Sharing()
    engine = TorchEngine(graph_with(module, ('input',)))
    watch = weakref.ref(module)
    engine.close()
    del module
    gc.collect()
    assert watch() is None


class Greedy(nn.Module):
    def forward(self, x: Tensor) -> tuple[Tensor]:
        return (torch.empty(1 << 50) + x[0, 0],)


def test_no_memory() -> None:
    engine = TorchEngine(graph_with(Greedy(), ('y',)))
    with pytest.raises(LegoError, match="network 'odd' in PyTorch has not enough") as caught:
        engine.run({'x': torch.zeros(1, 4)})
    assert caught.value.code == ErrorCode.OUT_OF_MEMORY


class Broken(nn.Module):
    def forward(self, x: Tensor) -> tuple[Tensor]:
        return (x @ x,)


def test_other_failures() -> None:
    engine = TorchEngine(graph_with(Broken(), ('y',)))
    with pytest.raises(LegoError, match="'odd' in PyTorch failed: mat1 and mat2") as caught:
        engine.run({'x': torch.zeros(3, 4)})
    assert caught.value.code == ErrorCode.INFERENCE_FAILED


def test_settings_that_do_not_exist(graph_of: Callable) -> None:
    graph = graph_of('convolutions')
    for device, mode, message in (
            ('cpu', 'fast', "no mode 'fast'; choose one of eager, compiled, cuda_graph"),
            ('cpu', 'cuda_graph', "needs a CUDA device, not 'cpu'"),
            ('cuda:77', 'eager', "cannot use the device 'cuda:77'"),
            ('toaster', 'eager', "cannot use the device 'toaster'")):
        with pytest.raises(LegoError, match=message) as caught:
            TorchEngine(graph, device, mode)
        assert caught.value.code == ErrorCode.INVALID_SETTING


def test_compiled(graph_of: Callable, feeds_of: Callable) -> None:
    graph = graph_of('convolutions')
    engine = TorchEngine(graph, mode='compiled')
    for size in (5, 13):
        assert max(parity(graph, engine, feeds_of('convolutions', size)).values()) < 1e-4
    engine.close()
    with pytest.raises(LegoError, match='was closed'):
        engine.run(feeds_of('convolutions', 5))


@pytest.mark.gpu
@pytest.mark.parametrize('mode', ['eager', 'compiled', 'cuda_graph'])
@pytest.mark.parametrize('name', ['convolutions', 'attention', 'embedding'])
def test_modes_on_a_gpu(graph_of: Callable, feeds_of: Callable, name: str, mode: str) -> None:
    if not torch.cuda.is_available():
        pytest.skip('needs a CUDA device')
    reference = graph_of(name)
    engine = TorchEngine(graph_of(name), 'cuda', mode)
    # Shapes seen again are replayed, with other values.
    for size in (5, 13, 5):
        errors = parity(reference, engine, feeds_of(name, size))
        # Convolutions may run in TF32, with a mantissa of 10 bits.
        assert max(errors.values()) < 5e-3
    feeds = {key: tensor.cuda() for key, tensor in feeds_of(name, 6).items()}
    first = engine.run(feeds)
    kept = {key: tensor.clone() for key, tensor in first.items()}
    engine.run({key: tensor.flip(0) if tensor.dtype == torch.int64 else tensor * 2
                for key, tensor in feeds.items()})
    assert all(torch.equal(first[key], kept[key]) for key in kept)
    engine.close()
