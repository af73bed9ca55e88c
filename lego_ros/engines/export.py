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

"""Write a network as an ONNX file, which the backends other than PyTorch start from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
import logging
import os
from pathlib import Path
import tempfile
from typing import Any
import warnings

from lego_ros import __version__, files
from lego_ros.engines.description import Description, DTYPES, KEY, missing_package
from lego_ros.engines.engine import Engine, TensorSpec
from lego_ros.engines.graph import Graph
from lego_ros.errors import ErrorCode, LegoError
import torch
from torch import nn, Tensor

OPSET = 22
"""The version of ONNX's operators: the first whose convolutions take bfloat16."""

# Protobuf messages end at 2 GiB; the operators take far less than the rest.
_MOST_INLINE = 2_000_000_000


def export(graph: Graph, path: Path) -> str:
    """
    Write a network as ONNX; it is there whole or not at all.

    The same network gives the same bytes. Weights of more than 2 GB go to a file of their own
    beside it (:func:`data_path`).

    :param graph: the network. Its module may lie on any device.
    :param path: of the ONNX file; one that is there is replaced.
    :returns: SHA-256 of all that was written, as :func:`sha256_of` gives it.
    :raises LegoError: INVALID_SETTING: onnx or onnxscript is missing; BUNDLE_INVALID: the network
        cannot be written as ONNX, or is not as its specs say; RECORDING_FAILED: the disk refuses.
    """
    try:
        import onnx
        import onnxscript  # noqa: F401 - torch.onnx.export imports it, and says less
    except ImportError as error:
        raise missing_package('onnx onnxscript', 'the export', error) from error
    model = _captured(graph)
    _clean(model)
    _describe_in(model, graph)
    try:
        return write_model(model, path)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise _impossible(graph, error) from error


def write_model(model: Any, path: Path) -> str:
    """
    Write an ONNX model; it is there whole or not at all.

    :param model: an onnx_ir.Model.
    :param path: of the ONNX file; one that is there is replaced.
    :returns: SHA-256 of all that was written, as :func:`sha256_of` gives it.
    :raises LegoError: RECORDING_FAILED: the disk refuses.
    :raises onnx.checker.ValidationError: it is not good ONNX; so does
        onnx.shape_inference.InferenceError.
    """
    import onnx
    import onnx_ir

    large = sum(value.const_value.nbytes for value in model.graph.initializers.values()
                if value.const_value is not None) > _MOST_INLINE
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f'.{path.name}-', dir=path.parent) as folder:
            part = Path(folder) / path.name
            onnx_ir.save(model, part, external_data=data_path(part).name if large else None)
            onnx.checker.check_model(part, full_check=True)
            digest = sha256_of(part)
            _put(part, path)
    except OSError as error:
        raise LegoError(
            ErrorCode.RECORDING_FAILED,
            f"network '{path.stem}' cannot be written to '{path}': {error}. Make room, or name "
            'another folder') from error
    return digest


def data_path(path: Path) -> Path:
    """
    Give the place of a network's weights, where they are not in its ONNX file.

    :param path: of the ONNX file.
    :returns: of the file that may lie beside it.
    """
    return path.with_name(f'{path.name}.data')


def sha256_of(path: Path) -> str:
    """
    Hash an exported network.

    :param path: of the ONNX file.
    :returns: SHA-256, in hexadecimal, of that file and then of its data file where there is one.
    :raises OSError: they cannot be read.
    """
    data = data_path(path)
    return files.sha256_of(path, *([data] if data.exists() else []))


def number_format(module: nn.Module) -> str:
    """
    Name the number format of a network.

    :param module: with weights of one format.
    :returns: of its weights, such as ``bfloat16``; ``float32`` when it has none.
    """
    for weight in module.parameters():
        if weight.is_floating_point():
            return str(weight.dtype).removeprefix('torch.')
    return 'float32'


def parity(graph: Graph, engine: Engine, feeds: Mapping[str, Tensor] | None = None
           ) -> dict[str, float]:
    """
    Measure how far an engine is from the network that it was made of.

    :param graph: the network; its module runs where it lies.
    :param engine: made of it.
    :param feeds: inputs; the graph's example when not given.
    :returns: for each output, the greatest absolute difference over the greatest absolute value
        of the network's own output; infinite where one of them is not finite and the other is.
    :raises LegoError: of the engine.
    """
    feeds = feeds or dict(zip((spec.name for spec in graph.inputs), graph.example, strict=True))
    device = _device(graph.module)
    with torch.no_grad():
        outputs = graph.module(*(feeds[spec.name].to(device) for spec in graph.inputs))
    given = engine.run({name: tensor.to(engine.device) for name, tensor in feeds.items()})
    errors = {}
    for spec, reference in zip(graph.outputs, outputs, strict=True):
        wanted, came = reference.cpu().double(), given[spec.name].cpu().double()
        if wanted.numel() == 0:
            errors[spec.name] = 0.
            continue
        differences = torch.where(wanted == came, 0., (wanted - came).abs())
        scale = torch.where(wanted.isfinite(), wanted.abs(), 0.).max().clamp_min(
            torch.finfo(torch.float32).tiny)
        errors[spec.name] = torch.nan_to_num(
            differences.max() / scale, nan=torch.inf, posinf=torch.inf).item()
    return errors


def _captured(graph: Graph) -> Any:
    """Turn the module into an ONNX model in memory (an onnx_ir.Model), weights not yet copied."""
    dims = {name: torch.export.Dim(name, min=size.least, max=size.most)
            for name, size in graph.sizes.items() if size.least < size.most}
    shapes = tuple(
        {axis: dims[size] for axis, size in enumerate(spec.shape)
         if isinstance(size, str) and size in dims} for spec in graph.inputs)
    device = _device(graph.module)
    try:
        with _quiet(), torch.no_grad():
            program = torch.onnx.export(
                graph.module, tuple(tensor.to(device) for tensor in graph.example), dynamo=True,
                input_names=[spec.name for spec in graph.inputs],
                output_names=[spec.name for spec in graph.outputs],
                dynamic_shapes=shapes, opset_version=OPSET, verbose=False)
    except (RuntimeError, ValueError) as error:
        raise _impossible(graph, error.__cause__ or error) from error
    assert program is not None
    return program.model


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep back what the exporter says of itself and no user can act on."""
    # torchvision is none of our dependencies, and its operators are in none of our networks.
    def about_networks(record: logging.LogRecord) -> bool:
        return not record.getMessage().startswith('torchvision is not installed')

    logger = logging.getLogger('torch.onnx._internal.exporter._registration')
    logger.addFilter(about_networks)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings(
                'ignore', r'`isinstance\(treespec, LeafSpec\)` is deprecated', FutureWarning)
            # Two inputs with one size are what the specs ask for.
            warnings.filterwarnings(
                'ignore', r'# The axis name: (\w+) will not be used, since it shares the same '
                r'shape constraints with another axis: \1\.', UserWarning)
            yield
    finally:
        logger.removeFilter(about_networks)


def _clean(model: Any) -> None:
    """Take out all that can differ between two exports of one network."""
    import onnx_ir

    # The exporter notes for each operator the file and line that it comes from: other bytes on
    # each machine, and paths that are nobody's business.
    onnx_ir.passes.common.ClearMetadataAndDocStringPass()(model)
    model.metadata_props.clear()
    model.graph.metadata_props.clear()
    for value in [*model.graph.inputs, *model.graph.initializers.values()]:
        value.metadata_props.clear()
    # It counts operators that it has optimized away, and those depend on how weights lie in
    # memory.
    outputs = set(model.graph.outputs)
    for number, node in enumerate(model.graph.all_nodes()):
        node.name = f'{node.op_type}_{number}'
        for place, value in enumerate(node.outputs):
            value.metadata_props.clear()
            if value not in outputs and value.name:
                value.name = f'{node.name}/{place}'


def _describe_in(model: Any, graph: Graph) -> None:
    """Hold the model against the graph, and put the graph's description into it."""
    for kind, specs, values in (('input', graph.inputs, model.graph.inputs),
                                ('output', graph.outputs, model.graph.outputs)):
        if [value.name for value in values] != [spec.name for spec in specs]:
            raise _impossible(
                graph, f'its {kind}s are {[value.name for value in values]}, and the specs say '
                f'{[spec.name for spec in specs]}')
        for spec, value in zip(specs, values, strict=True):
            _settle(graph, kind, spec, value)
    model.metadata_props[KEY] = Description(
        graph.name, number_format(graph.module), __version__, graph.inputs, graph.outputs,
        dict(graph.sizes)).to_json()


def _settle(graph: Graph, kind: str, spec: TensorSpec, value: Any) -> None:
    """Hold a tensor of the model against its spec, and give its sizes the spec's names."""
    import onnx_ir

    name = value.dtype.name.lower()
    dtype = DTYPES.get('float32' if name == 'float' else name)
    sizes = [size if isinstance(size, int) else None for size in value.shape]
    if dtype != spec.dtype or len(sizes) != len(spec.shape) or any(
            isinstance(wanted, int) and size not in (None, wanted)
            for size, wanted in zip(sizes, spec.shape, strict=True)):
        raise _impossible(
            graph, f"its {kind} '{spec.name}' is {value.dtype} {value.shape}, and the spec says "
            f'{spec.dtype} {spec.shape}')
    value.shape = onnx_ir.Shape([
        wanted if size is None else size for size, wanted in zip(sizes, spec.shape, strict=True)])


def _put(part: Path, path: Path) -> None:
    """Give a finished network its place: a kill leaves the old one, the new one or none."""
    parts = [file for file in (data_path(part), part) if file.exists()]
    for file in parts:
        files.sync(file)
    if data_path(path).exists() or data_path(part).exists():
        # Two files cannot be replaced at once; an operator file with another's weights is worse
        # than none.
        path.unlink(missing_ok=True)
        data_path(path).unlink(missing_ok=True)
    for file in parts:
        os.replace(file, path.with_name(file.name))
    files.sync(path.parent)


def _device(module: nn.Module) -> torch.device:
    """Tell where a module's weights are."""
    return next((weight.device for weight in module.parameters()), torch.device('cpu'))


def _impossible(graph: Graph, error: BaseException | str) -> LegoError:
    """Make the error for a network that ONNX cannot hold."""
    text = ' '.join(str(error).split())[:600]
    return LegoError(
        ErrorCode.BUNDLE_INVALID,
        f"network '{graph.name}' cannot be exported to ONNX ({text}); run it with the PyTorch "
        'engine')
