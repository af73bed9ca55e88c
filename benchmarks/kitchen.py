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
What the benchmarks of the engines share: a bundle of the kitchen's size, its engines, its frames.

The bundle is ``models/kitchen`` where the repository has it, else one of the same size with random
weights: these cost as much time, but their pictures and words mean nothing. Engines are built into
a folder that lives as long as the process, so that none is older than the code.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
import os
from pathlib import Path
import signal
import tempfile
import time
from typing import Any, TypeVar

from lego_ros.bundle.environment import offline_and_quiet
from lego_ros.bundle.integrity import hash_files, verify
from lego_ros.bundle.making import new_bundle, save_networks
from lego_ros.bundle.manifest import Manifest
from lego_ros.engines.builder import build_engines
from lego_ros.engines.cache import EngineCache
from lego_ros.engines.engine import Engine
from lego_ros.ldm.config import build_pipeline, kitchen_size
from lego_ros.runtime.networks import (
    built_engines,
    bundle_graphs,
    DTYPES,
    load_networks,
    network_names,
    Networks,
    runner_for,
    torch_engines,
)
from lego_ros.runtime.timings import percentile
from lego_ros.sim.episode import sample_episode
from lego_ros.sim.render import Renderer
from lego_ros.vllm.enrichment import Enricher
from lego_ros.vllm.language import transformers_vllm
from lego_ros.vllm.llava import kitchen_llava_config, LegoLlava
from lego_ros.vllm.loading import load_processors
from lego_ros.vllm.templates import question, QUESTION_TEMPLATES
from lego_ros.vllm.tokenizers import make_clip_tokenizer, make_llava_tokenizer
import numpy as np
import torch

BACKENDS = (('torch', 'float32'), ('torch', 'bfloat16'), ('onnxruntime', 'float32'),
            ('openvino', 'float32'), ('openvino', 'bfloat16'))
"""Backends that run on a CPU, and the precisions in which they do."""

TRAINED = Path('models/kitchen')
_ACTIONS = ('open the left drawer', 'cut the carrot with the knife', 'pour the water into the cup',
            'wash the red bowl at the sink', 'take the mug from the shelf')
_SEED = 0

Item = TypeVar('Item')


@dataclass(frozen=True, eq=False)
class Bundle:
    """
    What is measured.

    :param folder: of the bundle.
    :param manifest: its manifest.
    :param source: SHA-256 of its manifest.
    :param cache: folder that its engines are built to.
    :param weights: what they are, in words.
    """

    folder: Path
    manifest: Manifest
    source: str
    cache: Path
    weights: str

    def networks(self, precision: str = 'float32') -> Networks:
        """
        Load its networks anew, as PyTorch has them.

        :param precision: of ``runtime.model.PRECISIONS``.
        :returns: the networks.
        """
        return load_networks(self.folder, self.manifest, DTYPES[precision])

    def engines(self, backend: str, precision: str) -> dict[str, Engine]:
        """
        Make its engines; those that must be built are, once in a process.

        :param backend: of ``engines.builder.BACKENDS``, one that runs here.
        :param precision: of ``runtime.model.PRECISIONS``.
        :returns: an engine for each network.
        """
        runner = runner_for(backend, torch.device('cpu'), precision)
        if backend == 'torch':
            graphs = bundle_graphs(self.networks(precision), DTYPES[precision])
            return torch_engines(graphs, runner.device)
        self.build(backend, precision)
        return built_engines(
            network_names(self.folder), self.source, runner, EngineCache(self.cache))

    def build(self, backend: str, precision: str) -> None:
        """
        Build its engines, but for those that are there.

        :param backend: see :meth:`engines`.
        :param precision: see :meth:`engines`.
        """
        number_format = runner_for(backend, torch.device('cpu'), precision).number_format
        if backend == 'torch':
            return
        graphs = bundle_graphs(self.networks(number_format), DTYPES[number_format])
        build_engines(list(graphs.values()), backend, self.source, EngineCache(self.cache))

    def enricher(self, vllm: LegoLlava) -> Enricher:
        """
        Let transformers run the VLLM.

        :param vllm: of :meth:`networks`.
        :returns: what describes.
        """
        tokenizer, processor = load_processors(self.folder / 'vllm')
        pipeline = self.networks().pipeline
        return Enricher(transformers_vllm(vllm), tokenizer, processor, pipeline.tokenizer,
                        self.manifest.text_tokens)


@dataclass(frozen=True, eq=False)
class Scene:
    """
    A frame of the simulated kitchen just before an action.

    :param rgb: (S, S, 3) uint8 of the LDM's resolution.
    :param action: what is to be done.
    """

    rgb: np.ndarray
    action: str


@cache
def kitchen_bundle() -> Bundle:
    """
    Give the bundle, and let PyTorch use all cores.

    :returns: the same one for the process.
    """
    offline_and_quiet()
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    if (TRAINED / 'bundle.yaml').is_file():
        folder, weights = TRAINED, f'those of {TRAINED}'
    else:
        folder = make_random(Path(_scratch().name) / 'kitchen')
        weights = f'random (seed {_SEED}), of the size kitchen'
    manifest, source = verify(folder)
    return Bundle(folder, manifest, source, Path(_scratch().name) / 'engines', weights)


def make_random(folder: Path) -> Path:
    """
    Make a bundle of the kitchen's size with random weights.

    :param folder: where it shall be; must not exist.
    :returns: the folder.
    """
    texts = [question(action, index) for action in _ACTIONS
             for index in range(len(QUESTION_TEMPLATES))]
    tokenizer = make_llava_tokenizer(texts)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(_SEED)
        vllm = LegoLlava(kitchen_llava_config(len(tokenizer))).eval()
    size = kitchen_size(vllm.config.text_config.hidden_size, vllm.image_tokens)
    words = make_clip_tokenizer(texts, max_length=size.conditioning['text_tokens'])
    pipeline = build_pipeline(size, words, _SEED)
    wiring = pipeline.conditioning.config
    with new_bundle(folder) as part:
        save_networks(part, vllm, tokenizer, pipeline)
        Manifest(
            name='kitchen-random', version='0', trained=False,
            training_data=f'none: random weights (seed {_SEED})', license='Apache-2.0',
            resolution=pipeline.resolution, view='whole', image_tokens=wiring.image_tokens,
            text_tokens=wiring.text_tokens, conditioning_channels=wiring.cross_attention_dim,
            vllm_hidden=wiring.vllm_hidden, steps=100, image_scale=1.5, text_scale=7.5,
            sampler=type(pipeline.scheduler).__name__, files=hash_files(part)).save(part)
    return folder


def scenes(count: int, side: int) -> list[Scene]:
    """
    Draw frames of the simulated kitchen, each of another episode.

    :param count: of frames.
    :param side: of them [px].
    :returns: the frames.
    """
    found = []
    # Far from the episodes that a training takes, which are counted from 0.
    for seed in range(900_000, 900_000 + count):
        episode = sample_episode(seed)
        action = episode.actions[0]
        with Renderer(episode, side, side) as renderer:
            found.append(Scene(renderer.rgb(action.pre), action.label))
    return found


def interleaved(ways: Mapping[str, Callable[[], Any]], rounds: int, warm_ups: int = 1,
                ) -> dict[str, list[float]]:
    """
    Time several ways of doing the same, turn by turn, so that the machine's moods hit all.

    :param ways: what to call, by name.
    :param rounds: how many times each is timed.
    :param warm_ups: how many times each is called before.
    :returns: seconds of each call, by name.
    """
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(warm_ups + rounds):
        for name, way in ways.items():
            begin = time.perf_counter()
            way()
            if turn >= warm_ups:
                seconds[name].append(time.perf_counter() - begin)
    return seconds


def ratio(slower: list[float], faster: list[float]) -> float:
    """
    Compare two ways.

    :param slower: seconds.
    :param faster: seconds.
    :returns: the ratio of the medians.
    """
    return percentile(slower, 50) / percentile(faster, 50)


def fastest(seconds: Mapping[str, list[float]], names: list[str]) -> str:
    """
    Find the fastest of some ways.

    :param seconds: of :func:`interleaved`.
    :param names: of the ways.
    :returns: the name of that with the smallest median.
    """
    return min(names, key=lambda name: percentile(seconds[name], 50))


class _TookTooLong(BaseException):
    """Passes through a compiler that takes every Exception for a fault of what it compiles."""


@contextmanager
def at_most(seconds: int) -> Iterator[None]:
    """
    Break off what takes too long; in the main thread only.

    :param seconds: of the clock.
    :returns: a context that raises TimeoutError.
    """
    def stop(*_: object) -> None:
        raise _TookTooLong

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    except _TookTooLong:
        raise TimeoutError(f'not done within {seconds} s') from None
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@cache
def _scratch() -> tempfile.TemporaryDirectory[str]:
    """Make a folder that is removed when the process ends."""
    return tempfile.TemporaryDirectory(prefix='lego_ros-bench-')
