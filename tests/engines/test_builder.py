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

"""From networks over the cache to engines that run, with the real libraries."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
import os
from pathlib import Path
import shutil

from lego_ros.engines import builder
from lego_ros.engines.builder import build_engines, load_engine, Progress, Runner
from lego_ros.engines.cache import EngineCache
from lego_ros.engines.cache_pruning import prune_all, prune_outdated, prune_unused
from lego_ros.engines.cache_record import Key
from lego_ros.engines.engine import Range
from lego_ros.engines.export import parity
from lego_ros.engines.graph import Graph
from lego_ros.errors import ErrorCode, LegoError
import pytest
import torch

pytest.importorskip('onnx', reason='networks are exported with onnx')

SOURCE = 'the hash of a bundle'
CPU = torch.device('cpu')
TARGETS = ('12.0', '8.6')
MakeGraph = Callable[..., Graph]


@pytest.fixture(scope='module')
def _built(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {'folder': tmp_path_factory.mktemp('built')}


@pytest.fixture
def cache(_built: dict[str, Path], graph_of: MakeGraph, tmp_path: Path) -> EngineCache:
    """Give a cache with the ONNX file of one network, exported once for all tests."""
    if 'ready' not in _built:
        build_engines([graph_of('embedding')], 'onnxruntime', SOURCE,
                      EngineCache(_built['folder'] / 'engines'))
        _built['ready'] = _built['folder']
    shutil.copytree(_built['folder'] / 'engines', tmp_path / 'engines')
    return EngineCache(tmp_path / 'engines')


def no_export(*_: object) -> str:
    raise AssertionError('it is exported again')


def backends_of(cache: EngineCache) -> list[str]:
    return sorted(entry.key.backend for entry in cache.entries()[0])


@pytest.mark.parametrize('backend', ['onnxruntime', 'openvino'])
def test_what_was_built_runs_like_the_network(
    cache: EngineCache, graph_of: MakeGraph, backend: str, monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip(backend, reason='an extra of the package')
    monkeypatch.setattr(builder, 'export', no_export)
    graph = graph_of('embedding')
    (entry,) = build_engines([graph], backend, SOURCE, cache)
    assert entry.key.description.inputs == graph.inputs
    assert entry.key.description.sizes == graph.sizes
    engine = load_engine('embedding', SOURCE, Runner(backend, CPU, threads=1), cache)
    assert max(parity(graph, engine).values()) < 1e-5
    engine.close()


def test_engines_of_tensorrt_are_built_once(
    cache: EngineCache, graph_of: MakeGraph, monkeypatch: pytest.MonkeyPatch,
) -> None:
    rtx = pytest.importorskip('tensorrt_rtx', reason='only TensorRT-RTX builds without a GPU')
    monkeypatch.setattr(builder, 'export', no_export)
    heard: list[Progress] = []
    graph = graph_of('embedding')
    (entry,) = build_engines([graph], 'tensorrt_rtx', SOURCE, cache, TARGETS[::-1], heard.append)
    assert (entry.key.version, entry.key.architectures) == (rtx.__version__, TARGETS)
    assert list(entry.files) == ['embedding.engine']
    assert entry.size > 50 * 16 * 4
    assert entry.build_seconds > 0
    assert [each.phase for each in heard][:2] == ['export', 'build']
    assert heard[-1] == Progress('embedding', 0, 1, 'done', 1.0)
    shares = [each.share for each in heard if each.phase == 'build']
    assert shares == sorted(shares)
    assert len(shares) > 10

    monkeypatch.setattr(builder, 'build_tensorrt', no_export)
    assert build_engines([graph], 'tensorrt_rtx', SOURCE, cache, TARGETS)[0].folder == entry.folder
    assert backends_of(cache) == ['onnx', 'tensorrt_rtx']
    # It needs a GPU to run, and says so before it reads the file.
    if not torch.cuda.is_available():
        with pytest.raises(LegoError, match='run on an NVIDIA GPU only') as caught:
            load_engine('embedding', SOURCE, Runner('tensorrt_rtx', torch.device('cuda')), cache)
        assert caught.value.code == ErrorCode.INVALID_SETTING


def test_a_damaged_engine_is_built_anew(
    cache: EngineCache, graph_of: MakeGraph, caplog: pytest.LogCaptureFixture,
) -> None:
    pytest.importorskip('tensorrt_rtx', reason='only TensorRT-RTX builds without a GPU')
    graph = graph_of('embedding')
    (entry,) = build_engines([graph], 'tensorrt_rtx', SOURCE, cache, TARGETS)
    os.truncate(entry.folder / 'embedding.engine', 100)
    (again,) = build_engines([graph], 'tensorrt_rtx', SOURCE, cache, TARGETS)
    cache.verify(again)
    assert 'it is built anew' in caplog.text


@pytest.mark.parametrize('backend', ['onnxruntime', 'openvino'])
def test_a_damaged_network_is_not_loaded(cache: EngineCache, backend: str) -> None:
    entry = cache.entries()[0][0]
    path = entry.folder / 'embedding.onnx'
    data = bytearray(path.read_bytes())
    data[-10] ^= 4
    path.write_bytes(data)
    with pytest.raises(LegoError, match='another SHA-256') as caught:
        load_engine('embedding', SOURCE, Runner(backend, CPU), cache)
    assert caught.value.code == ErrorCode.BUNDLE_TAMPERED


@pytest.mark.parametrize(('network', 'source', 'number_format'), [
    ('unet', SOURCE, 'float32'), ('embedding', 'another', 'float32'),
    ('embedding', SOURCE, 'float16')])
def test_what_was_not_built_is_not_found(
    cache: EngineCache, network: str, source: str, number_format: str,
) -> None:
    with pytest.raises(LegoError, match=f"'{network}' in {number_format}.*engine build") as caught:
        load_engine(network, source, Runner('openvino', CPU, number_format), cache)
    assert caught.value.code == ErrorCode.BUNDLE_NOT_FOUND


def test_an_export_of_another_lego_ros_is_stale(
    cache: EngineCache, monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(builder, '__version__', '99.0.0')
    with pytest.raises(LegoError, match=r'and this is 99\.0\.0; build it anew') as caught:
        load_engine('embedding', SOURCE, Runner('onnxruntime', CPU), cache)
    assert caught.value.code == ErrorCode.BUNDLE_MISMATCH


@pytest.mark.parametrize('change', ['ranges', 'exporters', 'file', 'index', 'source', 'format'])
def test_what_may_differ_is_exported_again(
    cache: EngineCache, graph_of: MakeGraph, monkeypatch: pytest.MonkeyPatch, change: str,
) -> None:
    graph, source = graph_of('embedding'), SOURCE
    if change == 'ranges':
        graph = replace(graph, sizes={'prompt': Range(1, 6, 80)})
    elif change == 'exporters':
        monkeypatch.setattr(builder, '_version', lambda package: f'new {package}')
    elif change == 'file':
        (cache.entries()[0][0].folder / 'embedding.onnx').unlink()
    elif change == 'index':
        for path in (cache.folder / 'index').iterdir():
            path.write_text('{')
    elif change == 'source':
        source = 'another'
    else:
        graph = graph_of('embedding', torch.float16)
    monkeypatch.setattr(builder, 'export', no_export)
    with pytest.raises(AssertionError, match='exported again'):
        build_engines([graph], 'onnxruntime', source, cache)


def test_a_build_that_is_broken_off_goes_on_where_it_was(
    cache: EngineCache, graph_of: MakeGraph, monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip('tensorrt_rtx', reason='only TensorRT-RTX builds without a GPU')
    # Of two networks, the second is broken off in the middle of its build.
    graphs = [graph_of('embedding'), replace(graph_of('embedding'), name='second')]
    heard: list[Progress] = []

    def check() -> None:
        if heard and heard[-1].index == 1 and heard[-1].share > 0.2:
            raise LegoError(ErrorCode.CANCELED, 'enough')
    with pytest.raises(LegoError, match='enough'):
        build_engines(graphs, 'tensorrt_rtx', SOURCE, cache, TARGETS, heard.append, check)
    assert heard[-1].phase == 'build'
    assert backends_of(cache) == ['onnx', 'onnx', 'tensorrt_rtx']
    assert list((cache.folder / 'parts').iterdir()) == [cache.folder / 'parts' / 'lock']

    monkeypatch.setattr(builder, 'export', no_export)
    entries = build_engines(graphs, 'tensorrt_rtx', SOURCE, cache, TARGETS)
    assert [entry.key.description.name for entry in entries] == ['embedding', 'second']
    for entry in entries:
        cache.verify(entry)


def test_nothing_is_built_for_pytorch_or_for_what_is_unknown(
    tmp_path: Path, graph_of: MakeGraph,
) -> None:
    cache = EngineCache(tmp_path / 'engines')
    assert build_engines([graph_of('embedding')], 'torch', SOURCE, cache) == []
    with pytest.raises(LegoError, match='choose one of torch, onnxruntime') as caught:
        build_engines([graph_of('embedding')], 'caffe', SOURCE, cache)
    assert caught.value.code == ErrorCode.INVALID_SETTING
    with pytest.raises(LegoError, match='for tensorrt_rtx only'):
        build_engines([graph_of('embedding')], 'openvino', SOURCE, cache, TARGETS)
    assert not cache.folder.exists()


def test_targets_are_checked_before_the_export(
    tmp_path: Path, graph_of: MakeGraph, monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip('tensorrt_rtx', reason='only TensorRT-RTX builds without a GPU')
    monkeypatch.setattr(builder, 'export', no_export)
    with pytest.raises(LegoError, match=r'cannot build for compute capability 3\.5'):
        build_engines([graph_of('embedding')], 'tensorrt_rtx', SOURCE,
                      EngineCache(tmp_path / 'engines'), ('3.5',))


def test_engines_of_bundles_that_are_gone_are_pruned(cache: EngineCache) -> None:
    assert prune_unused(cache, [SOURCE, 'another']) == []
    load_engine('embedding', SOURCE, Runner('onnxruntime', CPU), cache).close()
    assert len(prune_unused(cache, ['another'])) == 1
    assert backends_of(cache) == []
    assert list((cache.folder / 'index').iterdir()) == []


def test_engines_of_other_versions_are_pruned(cache: EngineCache) -> None:
    pytest.importorskip('tensorrt_rtx', reason='there is no version to compare with')
    onnx = cache.entries()[0][0]

    def make(version: str) -> None:
        def fill(folder: Path) -> Key:
            (folder / 'embedding.engine').write_bytes(b'of a version')
            return replace(onnx.key, backend='tensorrt_rtx', version=version)
        cache.put(fill)
    import tensorrt_rtx
    make('0.9')
    make(tensorrt_rtx.__version__)
    assert len(prune_outdated(cache)) == 1
    assert [entry.key.version for entry in cache.entries()[0]] == ['', tensorrt_rtx.__version__]
    assert len(prune_all(cache)) == 2
    assert cache.entries() == ([], [])
