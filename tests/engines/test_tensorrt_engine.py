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

"""Engines of TensorRT or TensorRT-RTX on a GPU, against PyTorch on the same one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from lego_ros.engines.builder import build_engines, load_engine, Runner
from lego_ros.engines.cache import EngineCache
from lego_ros.engines.engine import Engine
from lego_ros.engines.export import parity
from lego_ros.engines.graph import Graph
from lego_ros.engines.tensorrt_api import load_tensorrt, TENSORRT_PACKAGES
from lego_ros.engines.tensorrt_engine import TensorRtEngine
from lego_ros.errors import ErrorCode, LegoError
import pytest
import torch

MakeGraph = Callable[..., Graph]
MakeFeeds = Callable[[str, int], dict[str, torch.Tensor]]


def usable() -> tuple[str | None, str]:
    """Tell which of the two libraries can run here, or why none can."""
    if not torch.cuda.is_available():
        return None, 'needs a CUDA device'
    reasons = []
    for backend in TENSORRT_PACKAGES:
        try:
            load_tensorrt(backend).architectures()
            return backend, ''
        except LegoError as error:
            reasons.append(error.message)
    return None, '; '.join(reasons)


@pytest.fixture
def gpu() -> str:
    backend, why_not = usable()
    if backend is None:
        pytest.skip(why_not)
    return backend


@pytest.fixture
def load(gpu: str, tmp_path: Path) -> Iterator[Callable[[Graph], Engine]]:
    engines: list[Engine] = []

    def build_and_load(graph: Graph) -> Engine:
        cache = EngineCache(tmp_path / 'engines')
        (entry,) = build_engines([graph], gpu, 'test', cache)
        engines.append(load_engine(
            graph.name, 'test',
            Runner(gpu, torch.device('cuda'), entry.key.description.number_format), cache))
        return engines[-1]
    yield build_and_load
    for engine in engines:
        engine.close()


@pytest.mark.gpu
@pytest.mark.parametrize(('dtype', 'tolerance'), [
    (torch.float32, 1e-3), (torch.float16, 1e-2), (torch.bfloat16, 5e-2)])
@pytest.mark.parametrize('name', ['convolutions', 'attention', 'embedding'])
def test_it_runs_like_the_network_at_every_size(
    load: Callable[[Graph], Engine], graph_of: MakeGraph, feeds_of: MakeFeeds, name: str,
    dtype: torch.dtype, tolerance: float,
) -> None:
    graph = graph_of(name, dtype)
    engine = load(graph)
    graph.module.cuda()
    for feeds in [None, feeds_of(name, 3), feeds_of(name, 17)]:
        assert max(parity(graph, engine, feeds).values()) < tolerance


@pytest.mark.gpu
def test_outputs_go_where_they_shall_even_unaligned(
    load: Callable[[Graph], Engine], graph_of: MakeGraph,
) -> None:
    graph = graph_of('convolutions')
    engine = load(graph)
    x = graph.example[0].cuda()
    wanted = engine.run({'x': x})['y']
    # Both start 4 bytes after an address that TensorRT takes.
    shifted = torch.empty(x.numel() + 1, device='cuda')[1:].view(x.shape).copy_(x)
    memory = torch.zeros(x.numel() + 2, device='cuda')
    into = memory[1:-1].view(x.shape)
    assert engine.run({'x': shifted}, {'y': into})['y'] is into
    torch.testing.assert_close(into, wanted)
    assert (memory[0], memory[-1]) == (0, 0)


@pytest.mark.gpu
def test_the_work_is_in_the_current_stream(
    load: Callable[[Graph], Engine], graph_of: MakeGraph,
) -> None:
    graph = graph_of('convolutions')
    engine = load(graph)
    x = graph.example[0].cuda()
    wanted = engine.run({'x': x})['y']
    torch.cuda.synchronize()
    with torch.cuda.stream(torch.cuda.Stream()):
        late = torch.zeros_like(x)
        torch.cuda._sleep(100_000_000)
        # The engine must wait for the copy that waits for the sleep.
        late.copy_(x)
        found = engine.run({'x': late})['y'] + 0
    torch.cuda.synchronize()
    torch.testing.assert_close(found, wanted)


@pytest.mark.gpu
def test_wrong_feeds_and_a_closed_engine_are_refused(
    load: Callable[[Graph], Engine], graph_of: MakeGraph,
) -> None:
    graph = graph_of('convolutions')
    engine = load(graph)
    for feeds in [{}, {'x': graph.example[0]}, {'x': torch.zeros(1, 4, 8, 99, device='cuda')}]:
        with pytest.raises(LegoError) as caught:
            engine.run(feeds)
        assert caught.value.code == ErrorCode.INFERENCE_FAILED
    engine.close()
    engine.close()
    with pytest.raises(LegoError, match='closed'):
        engine.run({'x': graph.example[0].cuda()})


@pytest.mark.gpu
def test_an_engine_of_another_network_is_refused(
    gpu: str, tmp_path: Path, graph_of: MakeGraph,
) -> None:
    cache = EngineCache(tmp_path / 'engines')
    (entry,) = build_engines([graph_of('embedding')], gpu, 'test', cache)
    other = graph_of('convolutions')
    with pytest.raises(LegoError, match='not the one of its record') as caught:
        TensorRtEngine(cache.read(entry, 'embedding.engine'), gpu, 'convolutions', other.inputs,
                       other.outputs, other.sizes, torch.device('cuda'))
    assert caught.value.code == ErrorCode.BUNDLE_MISMATCH


def test_without_a_gpu_it_says_so() -> None:
    pytest.importorskip('tensorrt_rtx', reason='it is loaded before the device is looked at')
    for device in ['cpu'] if torch.cuda.is_available() else ['cpu', 'cuda', 'cuda:3']:
        with pytest.raises(LegoError, match=f"NVIDIA GPU only, and '{device}'") as caught:
            TensorRtEngine(b'', 'tensorrt_rtx', 'unet', (), (), {}, torch.device(device))
        assert caught.value.code == ErrorCode.INVALID_SETTING
