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

"""From networks to engines in the cache, and from the cache to engines that run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import PackageNotFoundError, version
import logging
from pathlib import Path
from typing import Literal

from lego_ros import __version__
from lego_ros.engines.cache import EngineCache
from lego_ros.engines.cache_index import Exported, ExportIndex
from lego_ros.engines.cache_record import Entry, Key
from lego_ros.engines.description import describe, Description
from lego_ros.engines.engine import Engine
from lego_ros.engines.export import export, number_format
from lego_ros.engines.graph import Graph
from lego_ros.engines.onnxruntime_engine import OnnxRuntimeEngine
from lego_ros.engines.openvino_engine import OpenVinoEngine
from lego_ros.engines.tensorrt_api import load_tensorrt, TENSORRT_PACKAGES
from lego_ros.engines.tensorrt_build import build_tensorrt
from lego_ros.engines.tensorrt_engine import TensorRtEngine
from lego_ros.errors import ErrorCode, LegoError
import torch

BACKENDS = ('torch', 'onnxruntime', 'openvino', *TENSORRT_PACKAGES)
"""What can run networks. ``torch`` runs them as they are, so that nothing is built for it."""

_LOG = logging.getLogger(__name__)
_EXPORTERS = ('torch', 'onnx', 'onnx-ir', 'onnxscript')


@dataclass(frozen=True)
class Progress:
    """
    How far a build is.

    :param network: the one being worked on.
    :param index: of it, from 0.
    :param count: of all.
    :param phase: ``export``, ``build`` or ``done``.
    :param share: of the phase that is done, in [0, 1].
    """

    network: str
    index: int
    count: int
    phase: str = ''
    share: float = 0.0


@dataclass(frozen=True)
class Runner:
    """
    What runs a bundle's networks.

    :param backend: one of :data:`BACKENDS`.
    :param device: where.
    :param number_format: that the networks were exported in, such as ``bfloat16``.
    :param threads: of a run on the CPU; None = as many as PyTorch has.
    :param computing: the precision that OpenVINO computes in, whatever that of the weights.
    """

    backend: str
    device: torch.device
    number_format: str = 'float32'
    threads: int | None = None
    computing: Literal['float32', 'bfloat16'] = 'float32'


def build_engines(graphs: Sequence[Graph], backend: str, source: str, cache: EngineCache,
                  targets: Sequence[str] = (),
                  on_progress: Callable[[Progress], None] = lambda progress: None,
                  check: Callable[[], None] = lambda: None) -> list[Entry]:
    """
    Build what a backend needs, but for what the cache has unharmed.

    Every network that is done stays when the build is broken off, so it can be taken up again.

    :param graphs: the networks.
    :param backend: one of :data:`BACKENDS`.
    :param source: stands for all that the networks' weights and structure come from, such as the
        SHA-256 of the bundle's manifest: with the same text they are not exported again, unless
        their inputs, outputs or ranges differ.
    :param cache: where the engines go.
    :param targets: compute capabilities, such as ``8.6``, for ``tensorrt_rtx`` on a machine
        without them; empty = the GPU that is there.
    :param on_progress: called as it goes on.
    :param check: called often; raises to break the build off.
    :returns: the entries that the backend loads, in the order of the graphs; none for ``torch``.
    :raises LegoError: INVALID_SETTING: no such backend, a package or GPU is missing;
        BUNDLE_INVALID or INFERENCE_FAILED: a network cannot be exported or built;
        RECORDING_FAILED: the disk is full; what ``check`` raises.
    """
    _check_backend(backend)
    if backend in TENSORRT_PACKAGES:
        # Before an export that may take minutes.
        load_tensorrt(backend).architectures(targets)
    elif targets:
        raise LegoError(
            ErrorCode.INVALID_SETTING,
            f"what '{backend}' needs is the same for all devices; name compute capabilities for "
            'tensorrt_rtx only')
    if backend == 'torch':
        return []
    entries = []
    for index, graph in enumerate(graphs):
        tell = partial(_tell, on_progress, check, Progress(graph.name, index, len(graphs)))
        tell('export', 0.0)
        entry = _exported(graph, source, cache)
        if backend in TENSORRT_PACKAGES:
            tell('build', 0.0)
            entry = _built(entry, backend, targets, cache, partial(tell, 'build'))
        entries.append(entry)
        tell('done', 1.0)
    return entries


def backend_version(backend: str) -> str:
    """
    Tell the version of a backend's library.

    :param backend: one of :data:`BACKENDS`.
    :returns: the version; empty where none is installed.
    :raises LegoError: INVALID_SETTING: no such backend, or TensorRT is missing.
    """
    _check_backend(backend)
    if backend in TENSORRT_PACKAGES:
        return load_tensorrt(backend).version
    return torch.__version__ if backend == 'torch' else _version(backend)


def load_engine(network: str, source: str, runner: Runner, cache: EngineCache) -> Engine:
    """
    Load an engine that was built. Every byte of it is checked before.

    :param network: its name.
    :param source: of the build.
    :param runner: what shall run it; not ``torch``, whose engines are made from the network.
    :param cache: that holds it.
    :returns: the engine.
    :raises LegoError: BUNDLE_NOT_FOUND, BUNDLE_MISMATCH: it was not built, or for another
        version or device; BUNDLE_TAMPERED, BUNDLE_INVALID: it is damaged; what the engine raises.
    """
    _check_backend(runner.backend)
    exported = ExportIndex(cache).find(source, network, runner.number_format)
    if exported is None:
        raise LegoError(
            ErrorCode.BUNDLE_NOT_FOUND,
            f"'{cache.folder}' holds no network '{network}' in {runner.number_format} of this "
            "bundle; build it with 'lego-ros engine build'")
    made_by = exported.key.description.version
    if made_by != __version__:
        raise LegoError(
            ErrorCode.BUNDLE_MISMATCH,
            f"the network '{network}' in '{cache.folder}' was exported by lego_ros "
            f"{made_by[:40]}, and this is {__version__}; build it anew with 'lego-ros engine "
            "build'")
    if runner.backend in TENSORRT_PACKAGES:
        return _load_tensorrt(exported.key, runner, cache)
    entry = cache.get(exported.key)
    path = entry.folder / entry.file('.onnx')
    if runner.backend == 'onnxruntime':
        return OnnxRuntimeEngine(path, runner.device, runner.threads)
    if runner.backend == 'openvino':
        return OpenVinoEngine(path, runner.computing, runner.threads)
    raise LegoError(
        ErrorCode.INVALID_SETTING,
        "the backend 'torch' runs networks as they are; nothing of it is in the engine cache")


def _tell(on_progress: Callable[[Progress], None], check: Callable[[], None],
          progress: Progress, phase: str, share: float) -> None:
    check()
    on_progress(replace(progress, phase=phase, share=share))


def _load_tensorrt(onnx: Key, runner: Runner, cache: EngineCache) -> Engine:
    api = load_tensorrt(runner.backend)
    entry = cache.find(replace(
        onnx, backend=runner.backend, version=api.version,
        architectures=(api.architecture(runner.device),)))
    data = cache.read(entry, entry.file('.engine'))
    description = onnx.description
    return TensorRtEngine(
        data, runner.backend, description.name, description.inputs, description.outputs,
        description.sizes, runner.device)


def _exported(graph: Graph, source: str, cache: EngineCache) -> Entry:
    """Give the entry with a network's ONNX file, made now if need be."""
    index = ExportIndex(cache)
    exporters = {name: _version(name) for name in _EXPORTERS}
    wanted = Description(
        graph.name, number_format(graph.module), __version__, graph.inputs, graph.outputs,
        dict(graph.sizes))
    found = index.find(source, graph.name, wanted.number_format)
    if found is not None and (found.exporters, found.key.description) == (exporters, wanted):
        entry = _sound(found.key, cache)
        if entry is not None:
            return entry

    def make(folder: Path) -> Key:
        path = folder / f'{graph.name}.onnx'
        digest = export(graph, path)
        return Key(describe(path), digest, 'onnx')

    entry = cache.put(make)
    index.put(Exported(source, exporters, entry.key))
    return entry


def _built(onnx: Entry, backend: str, targets: Sequence[str], cache: EngineCache,
           progress: Callable[[float], None]) -> Entry:
    """Give the entry with a network's TensorRT engine, built now if need be."""
    api = load_tensorrt(backend)
    key = replace(onnx.key, backend=backend, version=api.version,
                  architectures=api.architectures(targets))
    entry = _sound(key, cache)
    if entry is not None:
        return entry

    def make(folder: Path) -> Key:
        data = build_tensorrt(backend, onnx.folder / onnx.file('.onnx'),
                              key.description.sizes, targets, progress)
        (folder / f'{key.description.name}.engine').write_bytes(data)
        return key

    return cache.put(make)


def _sound(key: Key, cache: EngineCache) -> Entry | None:
    """Give an entry that may be loaded, or None where it must be made anew."""
    try:
        return cache.get(key)
    except LegoError as error:
        if error.code not in (ErrorCode.BUNDLE_NOT_FOUND, ErrorCode.BUNDLE_MISMATCH):
            _LOG.warning('%s: it is built anew', error.message)
        return None


def _check_backend(backend: str) -> None:
    if backend not in BACKENDS:
        raise LegoError(
            ErrorCode.INVALID_SETTING,
            f"'{backend[:60]}' cannot run networks; choose one of {', '.join(BACKENDS)}")


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ''
