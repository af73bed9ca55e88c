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

"""An engine of TensorRT or TensorRT-RTX, run on PyTorch's tensors and its current stream."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lego_ros.engines.engine import Range, TensorSpec
from lego_ros.engines.feeds import check_feeds, check_shape, closed, failure, prepare_outputs
from lego_ros.engines.tensorrt_api import load_tensorrt
from lego_ros.errors import ErrorCode, LegoError
import torch
from torch import Tensor

# Of addresses, in bytes. PyTorch's own allocations have it; views into them may not.
_ALIGNMENT = 256


class TensorRtEngine:
    """
    A loaded engine; see :class:`lego_ros.engines.engine.Engine`.

    The work goes to PyTorch's current stream. On the default stream TensorRT waits for the whole
    GPU at each run: for speed, run it in ``torch.cuda.stream(...)`` of another.

    :param data: what :func:`lego_ros.engines.tensorrt_build.build_tensorrt` gave. Bytes that are
        not can crash the process: check their hash before.
    :param backend: the library that built it.
    :param name: of the network, for messages.
    :param inputs: of the network; an engine knows no names of sizes, so they come from its
        record and are compared.
    :param outputs: of the network.
    :param sizes: what each named size may be.
    :param device: a GPU.
    :raises LegoError: INVALID_SETTING: no such library or GPU; BUNDLE_MISMATCH: built by another
        version, for another GPU or of another network; OUT_OF_MEMORY; INFERENCE_FAILED.
    """

    def __init__(self, data: bytes, backend: str, name: str, inputs: Sequence[TensorSpec],
                 outputs: Sequence[TensorSpec], sizes: Mapping[str, Range],
                 device: torch.device) -> None:
        self._api = load_tensorrt(backend)
        self._api.architecture(device)
        self.inputs = tuple(inputs)
        self.outputs = tuple(outputs)
        self.device = torch.device('cuda', torch.cuda.current_device()
                                   if device.index is None else device.index)
        self._name = f"network '{name}' in TensorRT"
        self.sizes: Mapping[str, Range] = dict(sizes)
        self._api.take_errors()
        # What PyTorch has set aside and does not use is no memory to TensorRT.
        torch.cuda.empty_cache()
        with torch.cuda.device(self.device):
            self._runtime = self._api.module.Runtime(self._api.logger)
            self._engine = self._runtime.deserialize_cuda_engine(data)
            if self._engine is None:
                raise self._failed()
            self._host = self._check_tensors()
            self._context = self._engine.create_execution_context()
        if self._context is None:
            raise self._failed()

    def run(self, feeds: Mapping[str, Tensor], into: Mapping[str, Tensor] | None = None
            ) -> dict[str, Tensor]:
        """See :meth:`lego_ros.engines.engine.Engine.run`; the work may still be under way."""
        if self._context is None:
            raise closed(self._name)
        bound = check_feeds(self.inputs, feeds, self.device, self.sizes)
        outputs = prepare_outputs(self.outputs, bound, self.device, feeds, into)
        try:
            with torch.cuda.device(self.device):
                self._enqueue(feeds, outputs)
        except torch.OutOfMemoryError as error:
            raise failure(self._name, error) from error
        return outputs

    def close(self) -> None:
        """Free its memory, after the work that is under way."""
        if self._context is not None:
            torch.cuda.synchronize(self.device)
        # In this order: each uses the next.
        self._context = self._engine = self._runtime = None

    def _enqueue(self, feeds: Mapping[str, Tensor], outputs: dict[str, Tensor]) -> None:
        """Put a run into the current stream, with memory for the outputs that have none."""
        self._api.take_errors()
        # Held until all is in the stream: PyTorch gives memory on to later work of it only.
        given = {spec.name: self._placed(spec.name, feeds[spec.name]) for spec in self.inputs}
        accepted = [
            *(self._context.set_input_shape(name, tuple(tensor.shape))
              for name, tensor in given.items()),
            *(self._context.set_tensor_address(name, tensor.data_ptr())
              for name, tensor in given.items())]
        if not all(accepted):
            raise self._failed()
        made = {}
        for spec in self.outputs:
            shape = tuple(self._context.get_tensor_shape(spec.name))
            if -1 in shape:
                raise failure(self._name, RuntimeError(
                    f"the size of output '{spec.name}' depends on the values of the inputs"))
            if spec.name not in outputs:
                outputs[spec.name] = torch.empty(shape, dtype=spec.dtype, device=self.device)
            # A wrong size would be written past the end.
            check_shape(spec, outputs[spec.name], shape)
            made[spec.name] = _aligned(outputs[spec.name])
            if not self._context.set_tensor_address(spec.name, made[spec.name].data_ptr()):
                raise self._failed()
        stream = torch.cuda.current_stream(self.device).cuda_stream
        if not self._context.execute_async_v3(stream):
            raise self._failed()
        for name, tensor in made.items():
            if tensor is not outputs[name]:
                outputs[name].copy_(tensor)

    def _check_tensors(self) -> set[str]:
        """Compare the engine with the specs; give the inputs that it reads on the host."""
        engine, modes = self._engine, self._api.module.TensorIOMode
        names = [engine.get_tensor_name(index) for index in range(engine.num_io_tensors)]
        for specs, mode in ((self.inputs, modes.INPUT), (self.outputs, modes.OUTPUT)):
            found = {
                name: (self._api.torch_dtype(engine.get_tensor_dtype(name)),
                       tuple(engine.get_tensor_shape(name)))
                for name in names if engine.get_tensor_mode(name) == mode}
            if (found.keys() != {spec.name for spec in specs}
                    or not all(_matches(spec, *found[spec.name]) for spec in specs)):
                raise LegoError(
                    ErrorCode.BUNDLE_MISMATCH,
                    f'{self._name} is not the one of its record: it has {found} instead of '
                    f'{tuple(specs)}; build it anew')
        host = self._api.module.TensorLocation.HOST
        return {name for name in names if engine.get_tensor_location(name) == host}

    def _placed(self, name: str, tensor: Tensor) -> Tensor:
        # An input that decides on shapes is read on the host.
        return tensor.cpu() if name in self._host else _aligned(tensor, copy=True)

    def _failed(self) -> LegoError:
        # The cause comes first, but memory may be told of in what follows from it.
        errors = self._api.take_errors()
        text = '; '.join(errors)[:600] or 'it gives no reason'
        if 'outofmemory' in text.lower().replace(' ', ''):
            return failure(self._name, MemoryError(text))
        return failure(self._name, RuntimeError(text))


def _matches(spec: TensorSpec, dtype: torch.dtype, shape: tuple[int, ...]) -> bool:
    """Tell whether a tensor of an engine, in which -1 stands for any size, is as it shall be."""
    return dtype == spec.dtype and len(shape) == len(spec.shape) and all(
        isinstance(size, str) or found in (-1, size)
        for size, found in zip(spec.shape, shape, strict=True))


def _aligned(tensor: Tensor, copy: bool = False) -> Tensor:
    """Give a tensor whose address TensorRT accepts: the same one, where it does."""
    if tensor.data_ptr() % _ALIGNMENT == 0:
        return tensor
    return tensor.clone() if copy else torch.empty_like(tensor)
