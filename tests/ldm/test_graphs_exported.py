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

"""Exporting takes most of the time of these tests, so each graph is exported once for all."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from lego_ros.engines.engine import Engine
from lego_ros.engines.export import export, parity
from lego_ros.engines.graph import Graph
from lego_ros.engines.onnxruntime_engine import OnnxRuntimeEngine
from lego_ros.engines.openvino_engine import OpenVinoEngine
from lego_ros.ldm.drawing import DrawingSettings, EnginePipeline
from lego_ros.ldm.fast import FastSettings
from lego_ros.ldm.graphs import ldm_graphs
from lego_ros.ldm.pipeline import LegoPipeline
import numpy as np
import pytest
import torch

NAMES = ('text_encoder', 'conditioning', 'cross_attention', 'time_embedding', 'unet', 'unet_full',
         'vae_encoder', 'vae_decoder')
LOADERS = {
    'onnxruntime': lambda path: OnnxRuntimeEngine(path, threads=1),
    'openvino': lambda path: OpenVinoEngine(path, threads=1),
    'openvino bfloat16': lambda path: OpenVinoEngine(path, 'bfloat16', threads=1)}
PROMPT = 'pull the handle with the right hand'


@pytest.fixture(scope='module')
def graphs(pipeline: LegoPipeline) -> dict[str, Graph]:
    return ldm_graphs(pipeline)


@pytest.fixture(scope='module')
def files(graphs: dict[str, Graph], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    assert set(graphs) == set(NAMES)
    folder = tmp_path_factory.mktemp('graphs')
    for name, graph in graphs.items():
        export(graph, folder / f'{name}.onnx')
    return {name: folder / f'{name}.onnx' for name in graphs}


@pytest.mark.parametrize('backend', ['onnxruntime', 'openvino'])
@pytest.mark.parametrize('name', NAMES)
def test_every_graph_is_the_same_once_exported(
    graphs: dict[str, Graph], files: dict[str, Path], name: str, backend: str,
) -> None:
    graph = graphs[name]
    engine = LOADERS[backend](files[name])
    try:
        assert {(spec.name, spec.dtype, spec.shape) for spec in engine.inputs} == {
            (spec.name, spec.dtype, spec.shape) for spec in graph.inputs}
        assert max(parity(graph, engine).values()) < 1e-4
    finally:
        engine.close()


@pytest.mark.parametrize(('backend', 'most'), [
    ('onnxruntime', 1e-4), ('openvino', 1e-4), ('openvino bfloat16', 0.1)])
def test_the_pipelines_picture(
    pipeline: LegoPipeline, files: dict[str, Path], frame: np.ndarray,
    embeds: dict[str, torch.Tensor], backend: str, most: float,
) -> None:
    load: Callable[[Path], Engine] = LOADERS[backend]
    expected = pipeline(frame, PROMPT, num_inference_steps=10, **embeds,
                        generator=torch.Generator().manual_seed(3)).images
    # The sines of timesteps need more digits than bfloat16 has.
    engines = {
        name: LOADERS['openvino'](path) if name == 'time_embedding' else load(path)
        for name, path in files.items()}
    drawer = EnginePipeline(engines, pipeline.tokenizer, pipeline.scheduler)

    def draw(fast: FastSettings | None = None) -> np.ndarray:
        return drawer.draw(
            frame, [PROMPT], **embeds, settings=DrawingSettings(10, fast=fast),
            generator=torch.Generator().manual_seed(3))

    try:
        np.testing.assert_allclose(draw(), expected, rtol=0, atol=most)
        np.testing.assert_allclose(draw(FastSettings(10, 10)), expected, rtol=0, atol=most)
        assert np.abs(draw(FastSettings(5, 2)) - expected).max() > 1e-3
    finally:
        for engine in engines.values():
            engine.close()
