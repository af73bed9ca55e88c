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

"""Networks run by OpenVINO on the CPU, on the memory of PyTorch's tensors."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Literal, TypeAlias

from lego_ros.engines.description import describe, missing_package, unreadable
from lego_ros.engines.engine import Range, TensorSpec
from lego_ros.engines.feeds import check_feeds, check_shape, closed, failure, prepare_outputs
from lego_ros.errors import ErrorCode, LegoError
import torch
from torch import Tensor

Precision: TypeAlias = Literal['float32', 'bfloat16']
_PRECISIONS = {'float32': 'f32', 'bfloat16': 'bf16'}
_OPENVINO_TYPES = {
    torch.float32: 'f32', torch.uint8: 'u8', torch.int32: 'i32', torch.int64: 'i64',
    torch.bool: 'boolean', torch.float16: 'f16', torch.bfloat16: 'bf16'}


class OpenVinoEngine:
    """
    A network run by OpenVINO. See :class:`lego_ros.engines.engine.Engine`.

    :param path: of a file of :func:`lego_ros.engines.export.export`.
    :param precision: that matrix products and convolutions are computed in, whatever the number
        format of the weights.
    :param threads: for one run; as many as PyTorch has when not given.
    :param cache: a folder for what it makes of the network, so that the next load takes it from
        there; made when not there. Belongs to one file: what OpenVINO looks at is its path and
        time, not its content.
    :raises LegoError: INVALID_SETTING: OpenVINO is missing, or the precision is unknown or not
        one of this CPU; BUNDLE_NOT_FOUND, BUNDLE_INVALID: the file is missing or damaged;
        OUT_OF_MEMORY.
    """

    def __init__(self, path: Path, precision: Precision = 'float32', threads: int | None = None,
                 cache: Path | None = None) -> None:
        try:
            import openvino
        except ImportError as error:
            raise missing_package('openvino', 'the OpenVINO engine', error) from error
        core = _start(openvino)
        description = describe(path)
        self.device = torch.device('cpu')
        self.inputs = description.inputs
        self.outputs = description.outputs
        self._name = description.name
        self.sizes: Mapping[str, Range] = description.sizes
        self._openvino: Any = openvino
        _check_precision(precision, core)
        settings: dict[str, Any] = {
            'INFERENCE_PRECISION_HINT': _PRECISIONS[precision],
            'INFERENCE_NUM_THREADS': threads or torch.get_num_threads(),
            'PERFORMANCE_HINT': 'LATENCY'}
        if cache is not None:
            settings['CACHE_DIR'] = str(cache)
        try:
            self._request: Any = core.compile_model(str(path), 'CPU', settings
                                                    ).create_infer_request()
        except RuntimeError as error:
            known = failure(f"loading network '{description.name}' into OpenVINO", error)
            raise (known if known.code == ErrorCode.OUT_OF_MEMORY
                   else unreadable(path, error)) from error

    def run(self, feeds: Mapping[str, Tensor], into: Mapping[str, Tensor] | None = None
            ) -> dict[str, Tensor]:
        """See :meth:`lego_ros.engines.engine.Engine.run`."""
        if self._request is None:
            raise closed(self._name)
        bound = check_feeds(self.inputs, feeds, self.device, self.sizes)
        outputs = prepare_outputs(self.outputs, bound, self.device, feeds, into)
        opened = [spec for spec in self.outputs
                  if any(isinstance(size, str) and size not in bound for size in spec.shape)]
        try:
            for spec in self.inputs:
                self._request.set_tensor(spec.name, self._shared(feeds[spec.name]))
            for spec in self.outputs:
                if spec not in opened:
                    self._request.set_tensor(spec.name, self._shared(outputs[spec.name]))
            self._request.infer()
            for spec in opened:
                self._take(spec, outputs)
        except RuntimeError as error:
            raise failure(f"network '{self._name}' in OpenVINO", error) from error
        return outputs

    def close(self) -> None:
        """Free its memory."""
        self._request = None

    def _shared(self, tensor: Tensor) -> Any:
        """Give a tensor of OpenVINO on the same memory."""
        # NumPy, which is between the two, has no bfloat16.
        array = tensor.detach().view(torch.int16 if tensor.dtype == torch.bfloat16
                                     else tensor.dtype).numpy()
        return self._openvino.Tensor(
            array, self._openvino.Shape(list(tensor.shape)),
            getattr(self._openvino.Type, _OPENVINO_TYPES[tensor.dtype]))

    def _take(self, spec: TensorSpec, outputs: dict[str, Tensor]) -> None:
        """Copy an output whose sizes only the run could tell out of OpenVINO's memory."""
        value = self._request.get_tensor(spec.name)
        shape = tuple(value.shape)
        if spec.name in outputs:
            check_shape(spec, outputs[spec.name], shape)
        else:
            outputs[spec.name] = torch.empty(shape, dtype=spec.dtype)
        value.copy_to(self._shared(outputs[spec.name]))


@cache
def _start(openvino: Any) -> Any:
    """
    Start OpenVINO: once, and never ended.

    On a CPU with AMX each start puts a signal stack of its own under the thread, and each end puts
    back the one from before. Two that overlap leave a stack whose memory is gone, and the next
    signal, such as Ctrl-C, crashes the process (OpenVINO 2026.4).
    """
    return openvino.Core()


def _check_precision(precision: str, core: Any) -> None:
    """Refuse a precision that is unknown, or that this CPU would only imitate."""
    if precision not in _PRECISIONS:
        raise LegoError(
            ErrorCode.INVALID_SETTING,
            f"OpenVINO has no precision '{precision}'; choose one of {', '.join(_PRECISIONS)}")
    if precision == 'bfloat16' and 'BF16' not in core.get_property(
            'CPU', 'OPTIMIZATION_CAPABILITIES'):
        raise LegoError(
            ErrorCode.INVALID_SETTING,
            "this CPU has no bfloat16 instructions; choose the precision 'float32'")
