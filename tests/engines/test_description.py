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

"""What an exported network says of itself, and files that say nothing of the kind."""

from __future__ import annotations

from collections.abc import Callable
import json
from pathlib import Path

from hypothesis import given, settings, strategies
from lego_ros import __version__
from lego_ros.engines.description import describe, Description, KEY
from lego_ros.errors import ErrorCode, LegoError
import onnx
import pytest
import torch


def test_a_network_describes_itself(graph_of: Callable, exported: Callable) -> None:
    graph = graph_of('attention')
    description = describe(exported('attention'))
    assert description == Description(
        'attention', 'float32', __version__, graph.inputs, graph.outputs, graph.sizes)
    assert (description.inputs, description.outputs) == (graph.inputs, graph.outputs)
    assert describe(exported('embedding', torch.bfloat16)).number_format == 'bfloat16'


def test_onnx_reads_the_same_entry(exported: Callable) -> None:
    model = onnx.load(exported('attention'))
    [entry] = model.metadata_props
    assert entry.key == KEY
    assert Description.from_json(entry.value) == describe(exported('attention'))


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(LegoError, match='there is no network') as caught:
        describe(tmp_path / 'unet.onnx')
    assert caught.value.code == ErrorCode.BUNDLE_NOT_FOUND


@pytest.mark.parametrize('share', [0., .1, .5, .9, .999])
def test_a_cut_file(exported: Callable, tmp_path: Path, share: float) -> None:
    content = exported('convolutions').read_bytes()
    path = tmp_path / 'cut.onnx'
    path.write_bytes(content[:int(len(content) * share)])
    with pytest.raises(LegoError, match=r"'.*cut\.onnx' is not a network that lego_ros") as caught:
        describe(path)
    assert caught.value.code == ErrorCode.BUNDLE_INVALID


def test_a_model_of_someone_else(tmp_path: Path) -> None:
    x = onnx.helper.make_tensor_value_info('x', onnx.TensorProto.FLOAT, [1])
    y = onnx.helper.make_tensor_value_info('y', onnx.TensorProto.FLOAT, [1])
    onnx.save(onnx.helper.make_model(onnx.helper.make_graph(
        [onnx.helper.make_node('Relu', ['x'], ['y'])], 'other', [x], [y])), tmp_path / 'x.onnx')
    with pytest.raises(LegoError, match='export it again'):
        describe(tmp_path / 'x.onnx')


@pytest.mark.parametrize('change', [
    {'inputs': [{'name': 'x', 'dtype': 'complex64', 'shape': [1]}]},
    {'inputs': [{'name': 'x', 'dtype': 'float32', 'shape': [1.5]}]},
    {'inputs': 3}, {'sizes': {'tokens': [1]}}, {'sizes': [1]}, {'outputs': [[]]},
])
def test_descriptions_that_are_none(exported: Callable, tmp_path: Path, change: dict) -> None:
    model = onnx.load(exported('attention'))
    model.metadata_props[0].value = json.dumps(
        json.loads(model.metadata_props[0].value) | change)
    onnx.save(model, tmp_path / 'x.onnx')
    with pytest.raises(LegoError) as caught:
        describe(tmp_path / 'x.onnx')
    assert caught.value.code == ErrorCode.BUNDLE_INVALID


@settings(max_examples=200, deadline=None)
@given(strategies.binary(max_size=200))
def test_any_bytes_are_refused_in_the_same_words(
        tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / 'any.onnx'
    path.write_bytes(content)
    with pytest.raises(LegoError) as caught:
        describe(path)
    assert caught.value.code == ErrorCode.BUNDLE_INVALID
