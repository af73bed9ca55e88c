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

"""The engine that is always there: PyTorch itself, as it is, compiled, or as a CUDA graph."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from lego_ros.engines.engine import Range, TensorSpec
from lego_ros.engines.feeds import check_feeds, check_shape, closed, failure, prepare_outputs
from lego_ros.engines.graph import Graph
from lego_ros.errors import ErrorCode, LegoError
import torch
from torch import Tensor

Mode: TypeAlias = Literal['eager', 'compiled', 'cuda_graph']
_MODES = ('eager', 'compiled', 'cuda_graph')

# cuBLAS and cuDNN choose and set up their kernels in the first runs, which a capture forbids.
_WARM_UPS = 3


@dataclass
class _Capture:
    """A recorded run: the memory it reads and writes each time, and the record."""

    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    record: torch.cuda.CUDAGraph


class TorchEngine:
    """
    A network run by PyTorch. See :class:`lego_ros.engines.engine.Engine`.

    :param graph: the network. Its module is moved to the device, and its convolutions to
        channels last, in place.
    :param device: such as ``cpu`` or ``cuda``.
    :param mode: ``eager``: as it is; ``compiled``: by torch.compile in the first run, which takes
        minutes; ``cuda_graph``: recorded once for each set of input shapes, then replayed whole,
        which spares the launch of its thousand kernels.
    :raises LegoError: INVALID_SETTING: an unknown mode or device; OUT_OF_MEMORY.
    """

    def __init__(self, graph: Graph, device: str | torch.device = 'cpu', mode: Mode = 'eager'
                 ) -> None:
        if mode not in _MODES:
            raise LegoError(
                ErrorCode.INVALID_SETTING,
                f"the PyTorch engine has no mode '{mode}'; choose one of {', '.join(_MODES)}")
        self.device = _usable(device)
        if mode == 'cuda_graph' and self.device.type != 'cuda':
            raise LegoError(
                ErrorCode.INVALID_SETTING,
                f"mode 'cuda_graph' needs a CUDA device, not '{self.device}'; choose 'eager' or "
                "'compiled'")
        self.inputs: tuple[TensorSpec, ...] = graph.inputs
        self.outputs: tuple[TensorSpec, ...] = graph.outputs
        self._name = graph.name
        self.sizes: Mapping[str, Range] = dict(graph.sizes)
        self._mode = mode
        try:
            module = graph.module.to(self.device)
            # Convolutions of all CPUs and GPUs of today are at home with channels last. The stubs
            # of PyTorch leave this way of calling it out.
            module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        except RuntimeError as error:
            raise failure(f"moving network '{graph.name}' to {self.device}", error) from error
        self._forward: Callable[..., Any] | None = module
        if mode == 'compiled':
            # One compilation for all values of a named size.
            self._forward = torch.compile(module, dynamic=True if graph.sizes else None)
        self._captures: dict[tuple[tuple[int, ...], ...], _Capture] = {}
        # What a module may hand out as its output and the caller must not write to.
        self._weights = {tensor.untyped_storage().data_ptr()
                         for tensor in (*module.parameters(), *module.buffers())}

    def run(self, feeds: Mapping[str, Tensor], into: Mapping[str, Tensor] | None = None
            ) -> dict[str, Tensor]:
        """See :meth:`lego_ros.engines.engine.Engine.run`."""
        if self._forward is None:
            raise closed(self._name)
        bound = check_feeds(self.inputs, feeds, self.device, self.sizes)
        into = into or {}
        given = prepare_outputs(
            [spec for spec in self.outputs if spec.name in into], bound, self.device, feeds, into)
        inputs = tuple(feeds[spec.name] for spec in self.inputs)
        try:
            with torch.no_grad():
                if self._mode == 'cuda_graph':
                    outputs = self._replayed(self._forward, inputs)
                else:
                    outputs = self._forward(*inputs)
                return self._handed_out(inputs, outputs, given)
        except (RuntimeError, IndexError, ValueError, MemoryError) as error:
            raise failure(f"network '{self._name}' in PyTorch", error) from error

    def close(self) -> None:
        """Let go of the module, which lives on for as long as its graph does."""
        self._forward = None
        self._captures.clear()

    def _handed_out(self, inputs: tuple[Tensor, ...], outputs: tuple[Tensor, ...],
                    given: dict[str, Tensor]) -> dict[str, Tensor]:
        """Give each output memory that is the caller's alone."""
        taken = self._weights | {tensor.untyped_storage().data_ptr() for tensor in inputs}
        taken |= {tensor.untyped_storage().data_ptr()
                  for capture in self._captures.values() for tensor in capture.outputs}
        result = {}
        for spec, output in zip(self.outputs, outputs, strict=True):
            if spec.name in given:
                check_shape(spec, given[spec.name], output.shape)
                result[spec.name] = given[spec.name].copy_(output)
                continue
            own = output.contiguous()
            if own.untyped_storage().data_ptr() in taken:
                own = own.clone()
            taken.add(own.untyped_storage().data_ptr())
            result[spec.name] = own
        return result

    def _replayed(self, forward: Callable[..., Any], inputs: tuple[Tensor, ...]
                  ) -> tuple[Tensor, ...]:
        """Run the record for these shapes, made when they are first seen."""
        shapes = tuple(tuple(tensor.shape) for tensor in inputs)
        if (capture := self._captures.get(shapes)) is None:
            capture = self._captures[shapes] = self._recorded(forward, inputs)
        for static, tensor in zip(capture.inputs, inputs, strict=True):
            static.copy_(tensor)
        capture.record.replay()
        return capture.outputs

    def _recorded(self, forward: Callable[..., Any], inputs: tuple[Tensor, ...]
                  ) -> _Capture:
        """Record a run of these shapes."""
        static = tuple(tensor.clone() for tensor in inputs)
        # Captures must not be on the default stream, nor overtake the copies that came before.
        side = torch.cuda.Stream(self.device)
        side.wait_stream(torch.cuda.current_stream(self.device))
        with torch.cuda.stream(side):
            for _ in range(_WARM_UPS):
                forward(*static)
        torch.cuda.current_stream(self.device).wait_stream(side)
        record = torch.cuda.CUDAGraph()
        with torch.cuda.device(self.device), torch.cuda.graph(record):
            outputs = forward(*static)
        return _Capture(static, tuple(outputs), record)


def _usable(device: str | torch.device) -> torch.device:
    """Make a device of its name, or refuse it."""
    try:
        device = torch.device(device)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise LegoError(
            ErrorCode.INVALID_SETTING,
            f"PyTorch cannot use the device '{device}' ({str(error).splitlines()[0]}); choose "
            "'cpu', or one that torch.cuda lists") from error
    return device
