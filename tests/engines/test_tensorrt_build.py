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

"""Engines of TensorRT-RTX, built for GPUs that are not here."""

from __future__ import annotations

from collections.abc import Callable
import logging
from pathlib import Path

from lego_ros.engines.description import describe
from lego_ros.engines.engine import Range
from lego_ros.engines.tensorrt_api import load_tensorrt
from lego_ros.engines.tensorrt_build import build_tensorrt
from lego_ros.errors import ErrorCode, LegoError
import pytest
import torch

onnx = pytest.importorskip('onnx', reason='networks are exported with onnx')
rtx = pytest.importorskip('tensorrt_rtx', reason='only TensorRT-RTX builds without a GPU')

TARGETS = ('8.6', '12.0')


def save_onnx(path: Path, nodes: list[tuple], inputs: dict[str, tuple], outputs: dict[str, tuple],
              ) -> Path:
    """Write an ONNX file by hand: of nodes that no export of ours would give."""
    def values(tensors: dict[str, tuple]) -> list:
        return [onnx.helper.make_tensor_value_info(name, kind, shape)
                for name, (kind, shape) in tensors.items()]
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node(operator, taken, given, name=name)
         for operator, taken, given, name in nodes], 'by_hand', values(inputs), values(outputs))
    onnx.save(onnx.helper.make_model(
        graph, opset_imports=[onnx.helper.make_opsetid('', 20)]), path)
    return path


@pytest.mark.parametrize('dtype', [torch.float32, torch.float16, torch.bfloat16])
def test_networks_of_each_format_and_changing_sizes_build(
    exported: Callable[..., Path], dtype: torch.dtype,
) -> None:
    path = exported('convolutions', dtype)
    shares: list[float] = []
    data = build_tensorrt('tensorrt_rtx', path, describe(path).sizes, TARGETS, shares.append)
    # Its file format begins with this; without a GPU its library can say no more of it.
    assert data[:4] == b'vtrt'
    weights = sum(each.numel() for each in [torch.empty(8, 4, 3, 3), torch.empty(4, 8, 3, 3)])
    assert len(data) > weights * dtype.itemsize
    assert shares == sorted(shares)
    assert len(shares) > 10
    assert shares[0] < 0.5
    assert shares[-1] == 1.0


def test_the_header_is_one_that_the_library_knows(exported: Callable[..., Path]) -> None:
    path = exported('embedding')
    data = build_tensorrt('tensorrt_rtx', path, describe(path).sizes, TARGETS)
    runtime = rtx.Runtime(load_tensorrt('tensorrt_rtx').logger)
    malformed = int(rtx.EngineInvalidityDiagnostics.MALFORMED_ENGINE)
    # On a machine without a GPU any engine is invalid there, but this one is not malformed.
    assert runtime.get_engine_validity(data)[1] & malformed == 0
    assert runtime.get_engine_validity(bytes(len(data)))[1] & malformed != 0


def test_the_targets_are_in_the_engine(exported: Callable[..., Path]) -> None:
    path = exported('embedding')
    first, second, both = (
        build_tensorrt('tensorrt_rtx', path, describe(path).sizes, targets)
        for targets in [('8.6',), ('12.0',), TARGETS])
    assert first != second
    assert len(both) > len(first)
    # The same network gives the same bytes, in whatever order its targets are named.
    assert both == build_tensorrt(
        'tensorrt_rtx', path, describe(path).sizes, (*TARGETS[::-1], TARGETS[0]))


def test_a_network_of_fixed_sizes_needs_no_ranges(tmp_path: Path) -> None:
    kind = onnx.TensorProto.FLOAT
    path = save_onnx(tmp_path / 'fixed.onnx', [('Relu', ['x'], ['y'], 'only')],
                     {'x': (kind, (2, 3))}, {'y': (kind, (2, 3))})
    assert build_tensorrt('tensorrt_rtx', path, {}, TARGETS)


def test_an_operator_that_it_lacks_is_named(tmp_path: Path) -> None:
    kind = onnx.TensorProto.FLOAT
    path = save_onnx(
        tmp_path / 'odd.onnx', [('Relu', ['x'], ['y'], 'first'), ('Det', ['y'], ['z'], 'second')],
        {'x': (kind, (2, 2))}, {'z': (kind, ())})
    with pytest.raises(LegoError, match=r"odd\.onnx.*Det node 'second'.*not supported") as caught:
        build_tensorrt('tensorrt_rtx', path, {}, TARGETS)
    assert caught.value.code == ErrorCode.INFERENCE_FAILED


def test_formats_are_never_converted_silently(tmp_path: Path) -> None:
    path = save_onnx(
        tmp_path / 'mixed.onnx', [('Add', ['x', 'w'], ['y'], 'sum')],
        {'x': (onnx.TensorProto.FLOAT, (2, 3)), 'w': (onnx.TensorProto.FLOAT16, (2, 3))},
        {'y': (onnx.TensorProto.FLOAT, (2, 3))})
    with pytest.raises(LegoError, match=r"Add node 'sum'.*must have same input types.*Half"):
        build_tensorrt('tensorrt_rtx', path, {}, TARGETS)


@pytest.mark.parametrize('content', [b'', b'no network' * 100])
def test_bytes_that_are_no_network_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / 'broken.onnx'
    path.write_bytes(content)
    with pytest.raises(LegoError, match=r'broken\.onnx'):
        build_tensorrt('tensorrt_rtx', path, {}, TARGETS)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(LegoError, match=r'absent\.onnx.*not there'):
        build_tensorrt('tensorrt_rtx', tmp_path / 'absent.onnx', {}, TARGETS)


def test_a_range_that_is_missing_or_upside_down_is_named(exported: Callable[..., Path]) -> None:
    path = exported('convolutions')
    with pytest.raises(LegoError, match=r"\('width'\) of input 'x'.*no range"):
        build_tensorrt('tensorrt_rtx', path, {'height': Range(1, 8, 32)}, TARGETS)
    with pytest.raises(LegoError, match='MIN<=OPT<=MAX'):
        build_tensorrt('tensorrt_rtx', path,
                       {'height': Range(9, 8, 7), 'width': Range(1, 6, 32)}, TARGETS)


def test_targets_that_it_cannot_build_for_are_refused(exported: Callable[..., Path]) -> None:
    path = exported('convolutions', torch.bfloat16)
    sizes = describe(path).sizes
    with pytest.raises(LegoError, match=r'cannot build for compute capability 5\.0.*12\.0'):
        build_tensorrt('tensorrt_rtx', path, sizes, ('8.6', '5.0'))
    # Turing has no bfloat16: the library's own reason must come through.
    with pytest.raises(LegoError, match=r'sm75.*b16'):
        build_tensorrt('tensorrt_rtx', path, sizes, ('7.5',))


def test_without_a_gpu_targets_must_be_named(exported: Callable[..., Path]) -> None:
    if torch.cuda.is_available():
        pytest.skip('there is a GPU here, which would be built for')
    with pytest.raises(LegoError, match=r'no GPU here.*8\.6') as caught:
        build_tensorrt('tensorrt_rtx', exported('convolutions'), {})
    assert caught.value.code == ErrorCode.INVALID_SETTING


def test_what_progress_raises_stops_the_build_and_comes_out(exported: Callable[..., Path]) -> None:
    path = exported('convolutions')
    heard: list[float] = []

    def cancel(share: float) -> None:
        heard.append(share)
        if share > 0.2:
            raise LegoError(ErrorCode.CANCELED, 'enough')
    with pytest.raises(LegoError, match='enough'):
        build_tensorrt('tensorrt_rtx', path, describe(path).sizes, TARGETS, cancel)
    # Within a step, and not asked again.
    assert 0.2 < heard[-1] < 0.9


def test_the_library_is_quiet_and_its_log_is_ours(
    exported: Callable[..., Path], capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    path = exported('convolutions')
    with caplog.at_level(logging.DEBUG, logger='lego_ros.engines.tensorrt_api'):
        build_tensorrt('tensorrt_rtx', path, describe(path).sizes, TARGETS)
    assert any('Engine generation completed' in record.message for record in caplog.records)
    assert max(record.levelno for record in caplog.records) < logging.WARNING
    assert capfd.readouterr() == ('', '')


def test_a_library_that_is_not_there_says_what_to_install() -> None:
    with pytest.raises(LegoError, match='choose one of tensorrt, tensorrt_rtx'):
        load_tensorrt('torch')
    try:
        import tensorrt  # noqa: F401 - only whether it is there
    except ImportError:
        with pytest.raises(LegoError, match='pip install tensorrt'):
            load_tensorrt('tensorrt')
