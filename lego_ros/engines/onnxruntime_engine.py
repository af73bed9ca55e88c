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

"""Networks run by ONNX Runtime, on the memory of PyTorch's tensors."""

from __future__ import annotations

from collections.abc import Mapping
import ctypes
from pathlib import Path
from typing import Any

from lego_ros.engines.description import describe, missing_package, unreadable
from lego_ros.engines.engine import Range
from lego_ros.engines.feeds import check_feeds, check_shape, closed, failure, prepare_outputs
from lego_ros.errors import ErrorCode, LegoError
import torch
from torch import Tensor

# Of onnx.proto, TensorProto.DataType.
_ONNX_TYPES = {torch.float32: 1, torch.uint8: 2, torch.int32: 6, torch.int64: 7, torch.bool: 9,
               torch.float16: 10, torch.bfloat16: 16}
_PROVIDERS = {'cpu': 'CPUExecutionProvider', 'cuda': 'CUDAExecutionProvider'}
# Its logger prints what its exceptions say too; only what kills the process is left to it.
_FATAL = 4


class OnnxRuntimeEngine:
    """
    A network run by ONNX Runtime. See :class:`lego_ros.engines.engine.Engine`.

    :param path: of a file of :func:`lego_ros.engines.export.export`.
    :param device: ``cpu``, ``cuda`` or ``cuda:1``.
    :param threads: for one run on the CPU; as many as PyTorch has when not given.
    :raises LegoError: INVALID_SETTING: ONNX Runtime is missing, cannot use the device or has not
        all operators in the network's number format; BUNDLE_NOT_FOUND, BUNDLE_INVALID: the file
        is missing or damaged; OUT_OF_MEMORY.
    """

    def __init__(self, path: Path, device: str | torch.device = 'cpu', threads: int | None = None
                 ) -> None:
        try:
            import onnxruntime
            from onnxruntime.capi import onnxruntime_pybind11_state as state
        except ImportError as error:
            raise missing_package('onnxruntime', 'the ONNX Runtime engine', error) from error
        description = describe(path)
        self.device = torch.device(device)
        self.inputs = description.inputs
        self.outputs = description.outputs
        self._name = description.name
        self.sizes: Mapping[str, Range] = description.sizes
        # Its errors have no common base but Exception.
        self._errors: tuple[type[Exception], ...] = (RuntimeError, *(
            kind for kind in vars(state).values()
            if isinstance(kind, type) and issubclass(kind, Exception)))
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or torch.get_num_threads()
        options.log_severity_level = _FATAL
        try:
            session = onnxruntime.InferenceSession(
                str(path), options, providers=[_provider(self.device, onnxruntime)])
        except state.NotImplemented as error:
            raise LegoError(
                ErrorCode.INVALID_SETTING,
                f"ONNX Runtime cannot run network '{description.name}' in "
                f'{description.number_format} on {self.device} ({error}); use float32, or another '
                'engine') from error
        except self._errors as error:
            known = failure(f"loading network '{description.name}' into ONNX Runtime", error)
            raise (known if known.code == ErrorCode.OUT_OF_MEMORY
                   else unreadable(path, error)) from error
        # It goes on with the CPU when the CUDA libraries do not load.
        if (first := session.get_providers()[0]) != _PROVIDERS[self.device.type]:
            raise _no_device(self.device, f'it fell back to {first}')
        self._session: Any = session

    def run(self, feeds: Mapping[str, Tensor], into: Mapping[str, Tensor] | None = None
            ) -> dict[str, Tensor]:
        """See :meth:`lego_ros.engines.engine.Engine.run`."""
        if self._session is None:
            raise closed(self._name)
        bound = check_feeds(self.inputs, feeds, self.device, self.sizes)
        outputs = prepare_outputs(self.outputs, bound, self.device, feeds, into)
        binding = self._session.io_binding()
        for spec in self.inputs:
            binding.bind_input(spec.name, *self._place(feeds[spec.name]))
        # A wrong size here would be written past the end, so what the specs leave open is
        # ONNX Runtime's own memory first.
        opened = [spec for spec in self.outputs
                  if any(isinstance(size, str) and size not in bound for size in spec.shape)]
        for spec in self.outputs:
            if spec in opened:
                binding.bind_output(spec.name, 'cpu')
            else:
                binding.bind_output(spec.name, *self._place(outputs[spec.name]))
        try:
            if self.device.type == 'cuda':
                # Its stream is not PyTorch's.
                torch.cuda.current_stream(self.device).synchronize()
            self._session.run_with_iobinding(binding)
            binding.synchronize_outputs()
        except self._errors as error:
            raise failure(f"network '{self._name}' in ONNX Runtime", error) from error
        values = dict(zip((spec.name for spec in self.outputs), binding.get_outputs(),
                          strict=True))
        for spec in opened:
            made = _copied(values[spec.name], spec.dtype)
            if spec.name in outputs:
                check_shape(spec, outputs[spec.name], made.shape)
                outputs[spec.name].copy_(made)
            else:
                outputs[spec.name] = made.to(self.device)
        return outputs

    def close(self) -> None:
        """Free its memory."""
        self._session = None

    def _place(self, tensor: Tensor) -> tuple[str, int, int, list[int], int]:
        """Say where a tensor is, and what, in the words of a binding."""
        return (self.device.type, tensor.device.index or 0, _ONNX_TYPES[tensor.dtype],
                list(tensor.shape), tensor.data_ptr())


def _provider(device: torch.device, onnxruntime: Any) -> tuple[str, dict[str, Any]]:
    """Name the part of ONNX Runtime that runs on a device, with its options."""
    name = _PROVIDERS.get(device.type)
    if name is None or name not in onnxruntime.get_available_providers():
        raise _no_device(device, 'it was built for ' + ', '.join(
            onnxruntime.get_available_providers()))
    return name, {'device_id': device.index or 0} if device.type == 'cuda' else {}


def _no_device(device: torch.device, why: str) -> LegoError:
    """Make the error for a device that is not to be had."""
    return LegoError(
        ErrorCode.INVALID_SETTING,
        f"ONNX Runtime cannot use the device '{device}' ({why}); choose 'cpu', or for a CUDA "
        'device pip install onnxruntime-gpu')


def _copied(value: Any, dtype: torch.dtype) -> Tensor:
    """Make a tensor of a value in ONNX Runtime's own memory, on the CPU."""
    tensor = torch.empty(value.shape(), dtype=dtype)
    # Its own way out is NumPy, which has no bfloat16.
    ctypes.memmove(tensor.data_ptr(), value.data_ptr(), tensor.numel() * tensor.element_size())
    return tensor
