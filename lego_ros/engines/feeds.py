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

"""What goes into a run and comes out of it: checked, and given memory, alike in all backends."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from lego_ros.engines.engine import Range, TensorSpec
from lego_ros.errors import ErrorCode, LegoError
import torch
from torch import Tensor


def check_feeds(specs: Sequence[TensorSpec], feeds: Mapping[str, Tensor], device: torch.device,
                sizes: Mapping[str, Range] | None = None) -> dict[str, int]:
    """
    See that a network gets what it takes, before a backend fails in its own words.

    :param specs: the network's inputs.
    :param feeds: what it is to get.
    :param device: where they must lie; one without an index stands for all of its type.
    :param sizes: what the named sizes may be; those that are not in it may be anything from 0.
    :returns: the value of each named size.
    :raises LegoError: INFERENCE_FAILED: an input is missing, unknown or of another kind; the
        message names it, what came and what was wanted.
    """
    wanted = {spec.name for spec in specs}
    if unknown := sorted(feeds.keys() - wanted):
        raise _refused(
            f"input '{unknown[0]}' is not known; this network takes {_listed(wanted)}")
    bound: dict[str, int] = {}
    givers: dict[str, str] = {}
    for spec in specs:
        if spec.name not in feeds:
            raise _refused(
                f"input '{spec.name}' is missing; it shall be {_described(spec)} on {device}")
        tensor = feeds[spec.name]
        _check_tensor('input', spec, tensor, device)
        for axis, (size, given) in enumerate(zip(spec.shape, tensor.shape, strict=True)):
            if isinstance(size, int):
                continue
            if bound.setdefault(size, given) != given:
                raise _refused(
                    f"input '{spec.name}' has {given} as its size '{size}' (dimension {axis}), "
                    f"but input '{givers[size]}' has {bound[size]}; they shall be equal")
            givers.setdefault(size, spec.name)
            _check_range(spec.name, size, given, (sizes or {}).get(size))
    return bound


def prepare_outputs(specs: Sequence[TensorSpec], bound: Mapping[str, int], device: torch.device,
                    feeds: Mapping[str, Tensor], into: Mapping[str, Tensor] | None = None
                    ) -> dict[str, Tensor]:
    """
    Give each output its memory: what the caller named for it, or new one.

    :param specs: the network's outputs.
    :param bound: the value of each named size, of :func:`check_feeds`.
    :param device: of the outputs.
    :param feeds: the run's inputs, which no output may overwrite.
    :param into: what the caller wants outputs to be written to.
    :returns: a contiguous tensor for each output whose sizes are known beforehand; the others
        (those with a named size that no input has) are up to the backend, but for those of
        ``into``.
    :raises LegoError: INFERENCE_FAILED: a tensor of ``into`` is not of an output, is of another
        kind or overlaps an input or another one; OUT_OF_MEMORY.
    """
    into = into or {}
    if unknown := sorted(into.keys() - {spec.name for spec in specs}):
        raise _refused(f"output '{unknown[0]}' is not known; this network gives "
                       f'{_listed(spec.name for spec in specs)}')
    taken = [('input', name, tensor) for name, tensor in feeds.items()]
    outputs = {}
    for spec in specs:
        exact = _resolved(spec, bound)
        shape = [size for size in exact.shape if isinstance(size, int)]
        if spec.name in into:
            tensor = into[spec.name]
            _check_tensor('output', exact, tensor, device)
            _check_apart(spec.name, tensor, taken)
            taken.append(('output', spec.name, tensor))
            outputs[spec.name] = tensor
        elif len(shape) == len(exact.shape):
            outputs[spec.name] = _allocated(spec, shape, device)
    return outputs


def check_shape(spec: TensorSpec, tensor: Tensor, shape: Iterable[int]) -> None:
    """
    See that an output which the caller gave fits what the network makes of this run.

    :param spec: of the output.
    :param tensor: that it is to be written to.
    :param shape: of what came out.
    :raises LegoError: INFERENCE_FAILED: they differ.
    """
    if tuple(tensor.shape) != tuple(shape):
        raise _refused(f"output '{spec.name}' is to be written to a tensor of shape "
                       f'{tuple(tensor.shape)}, but is {tuple(shape)} in this run')


def failure(what: str, error: BaseException) -> LegoError:
    """
    Give a backend's failure a code.

    :param what: the network and the backend, such as "network 'unet' in ONNX Runtime".
    :param error: what the backend raised.
    :returns: OUT_OF_MEMORY or INFERENCE_FAILED, with the backend's own message.
    """
    text = ' '.join(str(error).split())[:600] or type(error).__name__
    # torch.OutOfMemoryError is a RuntimeError. The CPU allocators of PyTorch, ONNX Runtime and
    # OpenVINO raise their general errors, which show it only in their words.
    hints = ('out of memory', "can't allocate memory", 'failed to allocate', 'bad_alloc',
             'bad allocation', 'cannot allocate')
    if (isinstance(error, (MemoryError, torch.OutOfMemoryError))
            or any(hint in text.lower() for hint in hints)):
        return LegoError(
            ErrorCode.OUT_OF_MEMORY,
            f'{what} has not enough memory ({text}); close other users of the device, or load a '
            'smaller bundle or a lower precision')
    return LegoError(ErrorCode.INFERENCE_FAILED, f'{what} failed: {text}')


def closed(name: str) -> LegoError:
    """
    Make the error for a run of an engine that was closed.

    :param name: of the network.
    :returns: the error, INFERENCE_FAILED.
    """
    return _refused(f"network '{name}' was closed; load it again to run it")


def _check_tensor(kind: str, spec: TensorSpec, tensor: Tensor, device: torch.device) -> None:
    """Refuse what is not as its spec says, or not where it shall be."""
    if not isinstance(tensor, Tensor):
        raise _refused(
            f"{kind} '{spec.name}' is a {type(tensor).__name__}; it shall be a torch.Tensor")
    if tensor.dtype != spec.dtype or not _shape_fits(spec, tensor):
        raise _refused(
            f"{kind} '{spec.name}' is {_kind(tensor.dtype, tuple(tensor.shape))}; it shall be "
            f'{_described(spec)}')
    if (tensor.device.type != device.type
            or device.index not in (None, tensor.device.index)):
        raise _refused(
            f"{kind} '{spec.name}' is on {tensor.device}; it shall be on {device}")
    if not tensor.is_contiguous():
        raise _refused(f"{kind} '{spec.name}' is not contiguous; call its contiguous()")


def _shape_fits(spec: TensorSpec, tensor: Tensor) -> bool:
    """Tell whether the number of dimensions and the fixed ones among them are as they shall."""
    return tensor.dim() == len(spec.shape) and all(
        isinstance(size, str) or size == given
        for size, given in zip(spec.shape, tensor.shape, strict=True))


def _check_range(name: str, size: str, given: int, limits: Range | None) -> None:
    """Refuse a named size that the network was not made for."""
    if limits is not None and not limits.least <= given <= limits.most:
        raise _refused(
            f"input '{name}' has {given} as its size '{size}'; this network was made for "
            f'{limits.least} to {limits.most}')


def _check_apart(name: str, tensor: Tensor, others: list[tuple[str, str, Tensor]]) -> None:
    """Refuse memory that is in use: a backend may write it before it has read it."""
    first, end = _extent(tensor)
    for kind, other, memory in others:
        start, stop = _extent(memory)
        if max(first, start) < min(end, stop) and memory.device == tensor.device:
            raise _refused(
                f"output '{name}' is to be written to the memory of {kind} '{other}'; give it "
                'another one')


def _extent(tensor: Tensor) -> tuple[int, int]:
    """Give the addresses of a contiguous tensor's first byte and of the one after its last."""
    start = tensor.data_ptr()
    return start, start + tensor.numel() * tensor.element_size()


def _resolved(spec: TensorSpec, bound: Mapping[str, int]) -> TensorSpec:
    """Put numbers in the places of the named sizes that are known."""
    return TensorSpec(spec.name, spec.dtype, tuple(
        size if isinstance(size, int) else bound.get(size, size) for size in spec.shape))


def _allocated(spec: TensorSpec, shape: list[int], device: torch.device) -> Tensor:
    """Make a tensor for an output, its values undefined."""
    try:
        return torch.empty(shape, dtype=spec.dtype, device=device)
    except RuntimeError as error:
        raise failure(f"output '{spec.name}'", error) from error


def _described(spec: TensorSpec) -> str:
    """Say what a tensor shall be."""
    return _kind(spec.dtype, spec.shape)


def _kind(dtype: torch.dtype, shape: tuple[int | str, ...]) -> str:
    """Say what a tensor is, such as ``float32 (1, tokens, 8)``."""
    dims = ', '.join(str(size) for size in shape)
    return f'{str(dtype).removeprefix("torch.")} ({dims}{"," if len(shape) == 1 else ""})'


def _listed(names: Iterable[str]) -> str:
    """Put names into a sentence."""
    return ', '.join(f"'{name}'" for name in sorted(names))


def _refused(message: str) -> LegoError:
    """Make the error for a run that cannot be."""
    return LegoError(ErrorCode.INFERENCE_FAILED, message)
