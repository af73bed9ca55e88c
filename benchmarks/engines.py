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
Building and loading a bundle's engines: time, size on the disk and memory. There is no target.

Each is done in a process of its own. ONNX Runtime and OpenVINO load the same exported files, so
that nothing is left to build for the second; TensorRT-RTX builds for GPUs that are not there.
"""

from __future__ import annotations

from pathlib import Path
import tempfile

from benchmarks.child import in_child, size_of, Work
from benchmarks.kitchen import kitchen_bundle
from benchmarks.report import Figure, Report
from lego_ros.bundle.environment import offline_and_quiet
from lego_ros.bundle.integrity import verify
from lego_ros.bundle.making import make_tiny
from lego_ros.engines.cache import EngineCache
from lego_ros.engines.tensorrt_api import load_tensorrt
from lego_ros.errors import LegoError
from lego_ros.runtime.networks import build_bundle, built_engines, network_names, runner_for
import torch

TARGETS = ('8.6', '12.0')
"""Compute capabilities: of Ampere's and of Blackwell's consumer cards."""

_LOADED = (('onnxruntime', 'float32'), ('openvino', 'float32'), ('openvino', 'bfloat16'))
_TENSORRT = 'tensorrt_rtx'


def run(out: Path) -> Report:
    """
    Run the benchmark.

    :param out: not used.
    :returns: what was found.
    """
    kitchen = kitchen_bundle()
    figures = []
    conditions: dict[str, object] = {'weights of the kitchen size': kitchen.weights}
    with tempfile.TemporaryDirectory(prefix='lego_ros-bench-') as folder:
        tiny = Path(folder) / 'tiny'
        make_tiny(tiny)
        for name, bundle in (('tiny', tiny), ('kitchen', kitchen.folder)):
            cache = Path(folder) / f'{name}-engines'
            for backend, precision in _LOADED:
                what = f'{name}, {backend} {precision}'
                figures += _figures(f'{what}: build', in_child(
                    build, bundle, backend, precision, cache))
                figures += _figures(f'{what}: load', in_child(
                    load, bundle, backend, precision, cache))
            try:
                load_tensorrt(_TENSORRT)
            except LegoError as error:
                conditions[_TENSORRT] = f'left out: {error.message}'
                continue
            targets = ' and '.join(TARGETS)
            figures += _figures(f'{name}, {_TENSORRT} float16 for {targets}: build', in_child(
                build, bundle, _TENSORRT, 'float16', cache, TARGETS))
    return Report('engines', conditions, figures)


def build(bundle: Path, backend: str, precision: str, cache: Path,
          targets: tuple[str, ...] = ()) -> int:
    """
    Build a bundle's engines, but for what is there.

    :param bundle: its folder.
    :param backend: of ``engines.builder.BACKENDS``.
    :param precision: of ``runtime.model.PRECISIONS``.
    :param cache: where they go.
    :param targets: compute capabilities.
    :returns: bytes of the files that the backend loads.
    """
    offline_and_quiet()
    entries = build_bundle(bundle, backend, precision, EngineCache(cache), targets)
    return sum(size_of(entry.folder) for entry in entries)


def load(bundle: Path, backend: str, precision: str, cache: Path) -> int:
    """
    Load a bundle's engines.

    :param bundle: see :func:`build`.
    :param backend: see :func:`build`.
    :param precision: see :func:`build`.
    :param cache: see :func:`build`.
    :returns: 0, for nothing is written.
    """
    offline_and_quiet()
    runner = runner_for(backend, torch.device('cpu'), precision)
    engines = built_engines(
        network_names(bundle), verify(bundle)[1], runner, EngineCache(cache))
    for engine in engines.values():
        engine.close()
    return 0


def _figures(name: str, work: Work) -> list[Figure]:
    figures = [Figure(name, 's', [work.seconds]),
               Figure(f'{name}, peak memory', 'MB', [work.peak / 1e6])]
    if work.result:
        figures.append(Figure(f'{name}, on the disk', 'MB', [work.result / 1e6]))
    return figures
