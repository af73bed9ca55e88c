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

"""A bundle's networks: as graphs to build engines from, and as engines that run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from lego_ros.bundle.architecture import check_architectures
from lego_ros.bundle.integrity import verify
from lego_ros.bundle.manifest import Manifest
from lego_ros.engines.builder import build_engines, load_engine, Progress, Runner
from lego_ros.engines.cache import EngineCache
from lego_ros.engines.cache_record import Entry
from lego_ros.engines.engine import Engine
from lego_ros.engines.graph import Graph
from lego_ros.engines.torch_engine import TorchEngine
from lego_ros.errors import ErrorCode, LegoError
from lego_ros.ldm.graphs import ldm_graphs
from lego_ros.ldm.pipeline import LegoPipeline
from lego_ros.runtime.model import PRECISIONS
from lego_ros.vllm.adapter import adapted
from lego_ros.vllm.engine_language import engine_language, EngineLanguage
from lego_ros.vllm.graphs import language_graphs, vllm_graphs
from lego_ros.vllm.llava import LegoLlava
from lego_ros.vllm.loading import load_vllm
import torch

DTYPES: dict[str, torch.dtype] = {name: getattr(torch, name) for name in PRECISIONS}
NETWORKS = ('vision', 'embed', 'prefill', 'step', 'text_encoder', 'conditioning',
            'cross_attention', 'time_embedding', 'unet', 'unet_full', 'vae_encoder', 'vae_decoder')
PROGRAM = 'program'
"""Folder of a bundle with the VLLM's adapter for programs; there may be none."""
_PREFIX = 'program_'

Check = Callable[[], None]


@dataclass(frozen=True, eq=False)
class Networks:
    """
    A bundle's networks as PyTorch has them, on the CPU.

    :param vllm: describes.
    :param pipeline: draws.
    :param writer: the VLLM with the adapter that writes programs; None = the bundle has none.
    """

    vllm: LegoLlava
    pipeline: LegoPipeline
    writer: LegoLlava | None = None


def network_names(folder: Path) -> tuple[str, ...]:
    """
    Name the graphs of a bundle.

    :param folder: the bundle.
    :returns: :data:`NETWORKS`, and those of its program writer.
    """
    if not (folder / PROGRAM).is_dir():
        return NETWORKS
    return (*NETWORKS, f'{_PREFIX}prefill', f'{_PREFIX}step')


def load_networks(folder: Path, manifest: Manifest, dtype: torch.dtype,
                  check: Check = lambda: None) -> Networks:
    """
    Load a bundle's networks.

    :param folder: the bundle, verified.
    :param manifest: its manifest.
    :param dtype: number format of all networks.
    :param check: called between the parts; raises LegoError to stop.
    :returns: the networks.
    :raises LegoError: a BUNDLE code.
    """
    vllm, _, _ = load_vllm(folder / 'vllm', dtype)
    check()
    pipeline = LegoPipeline.from_pretrained(folder, torch_dtype=dtype)
    _check_sizes(folder, manifest, vllm, pipeline)
    check()
    program = folder / PROGRAM
    return Networks(vllm, pipeline, adapted(vllm, program) if program.is_dir() else None)


def bundle_graphs(networks: Networks, dtype: torch.dtype) -> dict[str, Graph]:
    """
    Take a bundle's networks as graphs.

    :param networks: of :func:`load_networks`.
    :param dtype: of their weights.
    :returns: a graph for each of :func:`network_names`, by name.
    :raises LegoError: INVALID_SETTING, BUNDLE_MISMATCH: a network that graphs cannot stand for.
    """
    capacity = networks.vllm.config.text_config.max_position_embeddings
    graphs = {**vllm_graphs(networks.vllm, dtype, capacity),
              **ldm_graphs(networks.pipeline, dtype)}
    writing = {} if networks.writer is None else language_graphs(
        networks.writer, dtype, capacity, _PREFIX)
    return {name: graphs[name] for name in NETWORKS} | writing


def program_language(engines: Mapping[str, Engine]) -> EngineLanguage:
    """
    Take the language model that writes a bundle's programs.

    :param engines: of its graphs, by name.
    :returns: the one with the adapter; where there is none, the VLLM's own.
    """
    return engine_language(engines, _PREFIX if f'{_PREFIX}step' in engines else '')


def torch_engines(graphs: dict[str, Graph], device: torch.device) -> dict[str, Engine]:
    """
    Let PyTorch run networks as they are.

    :param graphs: of :func:`bundle_graphs`.
    :param device: where.
    :returns: an engine for each.
    """
    return {name: TorchEngine(graph, device, 'eager') for name, graph in graphs.items()}


def built_engines(names: Sequence[str], source: str, runner: Runner, cache: EngineCache,
                  check: Check = lambda: None) -> dict[str, Engine]:
    """
    Load a bundle's engines from the cache.

    :param names: of :func:`network_names`.
    :param source: SHA-256 of the bundle's manifest.
    :param runner: what runs them.
    :param cache: where they were built to.
    :param check: called between them; raises LegoError to stop.
    :returns: an engine for each name.
    :raises LegoError: see :func:`lego_ros.engines.builder.load_engine`.
    """
    engines: dict[str, Engine] = {}
    try:
        for name in names:
            check()
            # The sines of timesteps need more digits than bfloat16 has.
            exact = replace(runner, computing='float32') if name == 'time_embedding' else runner
            engines[name] = load_engine(name, source, exact, cache)
    # An interrupt too: what is loaded holds the GPU's memory.
    except BaseException:
        for engine in engines.values():
            engine.close()
        raise
    return engines


def build_bundle(folder: Path, backend: str, precision: str, cache: EngineCache,
                 targets: Sequence[str] = (),
                 on_progress: Callable[[Progress], None] = lambda progress: None,
                 check: Check = lambda: None) -> list[Entry]:
    """
    Build a bundle's engines, but for those that are there.

    :param folder: the bundle; every file of it is checked first.
    :param backend: of ``engines.builder.BACKENDS``.
    :param precision: one of :data:`lego_ros.runtime.model.PRECISIONS`.
    :param cache: where they go.
    :param targets: see :func:`lego_ros.engines.builder.build_engines`.
    :param on_progress: called as it goes on.
    :param check: called often; raises to break it off.
    :returns: an entry for each of :func:`network_names`; none for ``torch``.
    :raises LegoError: a BUNDLE code; what :func:`runner_for` and ``build_engines`` raise.
    """
    number_format = runner_for(backend, torch.device('cpu'), precision).number_format
    manifest, manifest_hash = verify(folder, lambda done, total: check())
    check_architectures(folder)
    dtype = DTYPES[number_format]
    graphs = bundle_graphs(load_networks(folder, manifest, dtype, check), dtype)
    return build_engines(list(graphs.values()), backend, manifest_hash, cache, targets,
                         on_progress, check)


def runner_for(backend: str, device: torch.device, precision: str, threads: int | None = None
               ) -> Runner:
    """
    Say how a backend runs networks in a precision.

    :param backend: of ``engines.builder.BACKENDS``.
    :param device: where.
    :param precision: one of :data:`lego_ros.runtime.model.PRECISIONS`.
    :param threads: on the CPU; None = as many as PyTorch has.
    :returns: OpenVINO takes networks in float32 and computes in the precision; all others take
        networks whose weights are in it.
    :raises LegoError: INVALID_SETTING: the backend does not compute in it.
    """
    if backend != 'openvino':
        return Runner(backend, device, precision, threads)
    if precision not in ('float32', 'bfloat16'):
        raise LegoError(
            ErrorCode.INVALID_SETTING,
            f'openvino does not compute in {precision} on a CPU; use float32 or bfloat16')
    return Runner(backend, device, 'float32', threads,
                  'bfloat16' if precision == 'bfloat16' else 'float32')


def _check_sizes(folder: Path, manifest: Manifest, vllm: LegoLlava,
                 pipeline: LegoPipeline) -> None:
    conditioning = pipeline.conditioning.config
    found = {
        'resolution': pipeline.resolution,
        'image_tokens': vllm.image_tokens,
        'text_tokens': conditioning.text_tokens,
        'conditioning_channels': conditioning.cross_attention_dim,
        'vllm_hidden': vllm.config.text_config.hidden_size,
    }
    wrong = [
        f'{name} is {value} in the networks and {getattr(manifest, name)} in bundle.yaml'
        for name, value in found.items() if value != getattr(manifest, name)]
    if conditioning.image_tokens != manifest.image_tokens:
        wrong.append(f'the conditioning takes {conditioning.image_tokens} image tokens')
    if conditioning.vllm_hidden != manifest.vllm_hidden:
        wrong.append(f'the conditioning takes hidden states of {conditioning.vllm_hidden}')
    if wrong:
        raise LegoError(
            ErrorCode.BUNDLE_MISMATCH,
            f"the networks in '{folder}' do not fit each other: {'; '.join(wrong)}")
