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
Networks of the paper's size, random weights: exported, and built by TensorRT-RTX without a GPU.

The UNet is Stable Diffusion 1.5's with eight input channels and the LEGO conditioning's context;
the decoder is one block of a Llama of 7B with its vocabulary. Each export and each build has a
process of its own. There is no target.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
import tempfile
import time

from benchmarks.child import in_child, size_of, Work
from benchmarks.engines import TARGETS
from benchmarks.report import Figure, Report
from lego_ros.bundle.environment import offline_and_quiet
from lego_ros.engines.description import describe
from lego_ros.engines.export import data_path, export
from lego_ros.engines.graph import Graph
from lego_ros.engines.tensorrt_build import build_tensorrt
from lego_ros.ldm.config import build_pipeline, paper_size
from lego_ros.ldm.graphs import ldm_graphs
from lego_ros.vllm.graphs import vllm_graphs
from lego_ros.vllm.llava import LegoLlava, llava_config
from lego_ros.vllm.tokenizers import make_clip_tokenizer
import torch
from transformers import CLIPVisionConfig, LlamaConfig

NETWORKS = ('unet', 'prefill', 'step')
_DTYPE = torch.float16
_BUILD_WITHIN = 480.0
_CAPACITY = 2048


def run(out: Path) -> Report:
    """
    Run the benchmark.

    :param out: not used.
    :returns: what was found.
    """
    figures: list[Figure] = []
    conditions: dict[str, object] = {
        'weights': f'random, {_DTYPE}', 'compute capabilities': ', '.join(TARGETS)}
    for name in NETWORKS:
        with tempfile.TemporaryDirectory(prefix='lego_ros-bench-') as folder:
            path = Path(folder) / f'{name}.onnx'
            exported = in_child(export_network, name, path)
            figures += _figures(f'{name}: export', exported, size_of(Path(folder)))
            conditions[f'weights of {name}'] = (
                'in a file of their own' if data_path(path).exists() else 'in the ONNX file')
            built = in_child(build_network, path)
            if built.result is None:
                conditions[name] = f'not built within {_BUILD_WITHIN:.0f} s'
            else:
                figures += _figures(f'{name}: build', built, built.result)
    return Report('paper_builds', conditions, figures)


def export_network(name: str, path: Path) -> str:
    """
    Make a network and export it.

    :param name: of :data:`NETWORKS`.
    :param path: of the ONNX file.
    :returns: its SHA-256.
    """
    offline_and_quiet()
    before = torch.get_default_dtype()
    # Made in half precision at once: in float32 the UNet alone would take twice the memory.
    torch.set_default_dtype(_DTYPE)
    try:
        graph = _MAKERS[name]()
    finally:
        torch.set_default_dtype(before)
    return export(graph, path)


def build_network(path: Path) -> int | None:
    """
    Build an exported network for all of ``engines.TARGETS``.

    :param path: of the ONNX file.
    :returns: bytes of the engine, or None when it takes too long.
    """
    deadline = time.monotonic() + _BUILD_WITHIN

    def in_time(share: float) -> None:
        if time.monotonic() > deadline:
            raise TimeoutError

    try:
        return len(build_tensorrt('tensorrt_rtx', path, describe(path).sizes, TARGETS, in_time))
    except TimeoutError:
        return None


def _unet() -> Graph:
    tokenizer = make_clip_tokenizer(['open the drawer'])
    return ldm_graphs(build_pipeline(paper_size(), tokenizer), _DTYPE)['unet']


def _decoder(name: str) -> Graph:
    vision = CLIPVisionConfig(
        hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=4,
        image_size=224, patch_size=14)
    text = LlamaConfig(
        vocab_size=32002, hidden_size=4096, intermediate_size=11008, num_hidden_layers=1,
        num_attention_heads=32, max_position_embeddings=4096, rms_norm_eps=1e-5)
    vllm = LegoLlava(llava_config(vision, text, image_token_id=32000)).eval()
    return vllm_graphs(vllm, _DTYPE, _CAPACITY)[name]


_MAKERS: dict[str, Callable[[], Graph]] = {
    'unet': _unet, 'prefill': lambda: _decoder('prefill'), 'step': lambda: _decoder('step')}


def _figures(name: str, work: Work, size: int) -> list[Figure]:
    return [Figure(name, 's', [work.seconds]),
            Figure(f'{name}, peak memory', 'GB', [work.peak / 1e9]),
            Figure(f'{name}, on the disk', 'GB', [size / 1e9])]
