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

"""Weights of eight bits: a network of a quarter of the size, for what waits for memory."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from lego_ros.engines.description import describe, KEY, missing_package, unreadable
from lego_ros.engines.export import write_model
from lego_ros.errors import ErrorCode, LegoError
import numpy as np

# The greatest of the int8 values in use; -128 stays out, so that both signs reach as far.
_MOST = 127


def quantised(path: Path, out: Path) -> str:
    """
    Write a network anew, the weights of its matrix products as int8.

    Each column w of a weight (one output channel) becomes ``round(w / s)`` with ``s = max|w| /
    127``, and is turned back into the network's number format by a DequantizeLinear before its
    product. OpenVINO and ONNX Runtime keep such weights in eight bits and turn them back as they
    multiply, so that a product with few rows, which waits for its weights, takes less time.
    Tables of embeddings and convolutions stay as they are.

    No weight moves by more than ``s / 2``, so an output of a product with the input x by no more
    than ``max|w| / 254 * sum|x|`` (and the rounding of the number format); the errors of random
    signs that there are in practice add up to ``s * ||x|| / sqrt(12)``. ONNX Runtime rounds each
    row of x to eight bits too, in blocks, which adds up to ``max|x| / 254 * sum|w|``.

    :param path: of a file of :func:`lego_ros.engines.export.export`.
    :param out: of the file to write; one that is there is replaced.
    :returns: SHA-256 of all that was written, of :func:`lego_ros.engines.export.sha256_of`.
    :raises LegoError: INVALID_SETTING: onnx is missing, or the network has no matrix product with
        weights; BUNDLE_NOT_FOUND, BUNDLE_INVALID: the file is missing or damaged;
        RECORDING_FAILED: the disk refuses.
    """
    try:
        from google.protobuf.message import DecodeError
        import onnx
        import onnx_ir
    except ImportError as error:
        raise missing_package('onnx onnxscript', 'the quantisation', error) from error
    description = describe(path)
    try:
        model = onnx_ir.load(path)
        if _quantise(model) == 0:
            raise LegoError(
                ErrorCode.INVALID_SETTING,
                f"network '{description.name}' has no matrix product with weights, so there is "
                'nothing to make int8 of; use it as it is')
        model.metadata_props[KEY] = replace(description, number_format='int8').to_json()
        return write_model(model, out)
    except (DecodeError, OSError, ValueError, onnx.checker.ValidationError,
            onnx.shape_inference.InferenceError) as error:
        raise unreadable(path, error) from error


def _quantise(model: Any) -> int:
    """Put int8 weights into a model (an onnx_ir.Model); returns how many."""
    # A weight that two products share is made int8 once, for each way that it lies.
    made: dict[tuple[str, bool, int], Any] = {}
    used = set()
    for node in list(model.graph):
        if node.op_type not in ('MatMul', 'Gemm') or node.domain:
            continue
        weight, turned = _source(node.inputs[1])
        if not _is_weight(weight):
            continue
        channels_first = node.op_type == 'Gemm' and node.attributes.get_int('transB', 0)
        key = (weight.name, turned, 0 if channels_first else 1)
        if key not in made:
            made[key] = _dequantised(model.graph, weight, *key[1:])
        used |= {weight, node.inputs[1]}
        node.replace_input_with(1, made[key])
    _remove_unused(model.graph, used)
    return len(made)


def _source(value: Any) -> tuple[Any, bool]:
    """Give the weight that a product takes, and whether it takes it transposed."""
    # The exporter transposes weights beforehand, but not those that something else needs too.
    node = value.producer()
    if node is not None and node.op_type == 'Transpose' and len(node.inputs[0].shape or ()) == 2:
        return node.inputs[0], True
    return value, False


def _remove_unused(graph: Any, values: set[Any]) -> None:
    """Take out weights, and what transposed them, that nothing needs as they were."""
    for value in sorted(values, key=lambda value: value.is_initializer()):
        if value.uses() or value.is_graph_output():
            continue
        if value.is_initializer():
            del graph.initializers[value.name]
        else:
            graph.remove(value.producer(), safe=True)


def _is_weight(value: Any) -> bool:
    """Tell whether a value is a matrix of weights in floating point."""
    return (value is not None and value.is_initializer() and not value.is_graph_input()
            and value.const_value is not None and len(value.const_value.shape) == 2
            and value.const_value.dtype.is_floating_point())


def _dequantised(graph: Any, weight: Any, turned: bool, axis: int) -> Any:
    """
    Add a weight's int8 form to a graph.

    :param graph: an onnx_ir.Graph.
    :param weight: one of its initializers, a matrix.
    :param turned: whether it is needed transposed.
    :param axis: of the channels, in what is needed.
    :returns: the value that stands for the weight.
    """
    import onnx_ir

    # NumPy's form of a bfloat16 comes from ml_dtypes, which onnx_ir brings along.
    values = weight.const_value.numpy()
    values = values.T if turned else values
    format_of_network = values.dtype
    # Rounded to the network's format first: the integers are of the scale that is kept.
    scale = (np.abs(values).max(axis=1 - axis, keepdims=True).astype(np.float32) / _MOST
             ).astype(format_of_network)
    # A column of zeros has no scale of its own. A small one, as kernels round sums of integers
    # times it; this is the smallest full number of float16.
    scale[scale == 0] = 2. ** -14
    integers = np.clip(np.rint(values.astype(np.float32) / scale.astype(np.float32)),
                       -_MOST, _MOST).astype(np.int8, order='C')
    base = f'{weight.name}{"/transposed" if turned else ""}/{axis}'
    inputs = []
    for kind, array in (('int8', integers), ('scale', scale.reshape(-1))):
        name = f'{base}/{kind}'
        value = onnx_ir.Value(
            name=name, const_value=onnx_ir.tensor(array, name=name),
            shape=onnx_ir.Shape(array.shape),
            type=onnx_ir.TensorType(onnx_ir.tensor(array).dtype))
        graph.register_initializer(value)
        inputs.append(value)
    node = onnx_ir.node(
        'DequantizeLinear', inputs, attributes={'axis': axis}, name=f'{base}/dequantise')
    [output] = node.outputs
    output.name = f'{base}/weight'
    output.shape, output.type = onnx_ir.Shape(values.shape), weight.type
    graph.insert_before(graph[0], node)
    return output
