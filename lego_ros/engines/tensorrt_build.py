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

"""
From an ONNX file to a TensorRT engine.

Networks are strongly typed: every number format is the one that the ONNX file says, which is all
that TensorRT 11 and TensorRT-RTX know.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from lego_ros.engines.engine import Range
from lego_ros.engines.tensorrt_api import load_tensorrt, TensorRt
from lego_ros.errors import ErrorCode, LegoError


def build_tensorrt(backend: str, onnx: Path, sizes: Mapping[str, Range],
                   targets: Sequence[str] = (),
                   progress: Callable[[float], None] | None = None) -> bytes:
    """
    Build an engine.

    What its inputs and outputs are cannot be read back from the bytes without a GPU: keep what
    the ONNX file says beside them.

    :param backend: ``tensorrt`` or ``tensorrt_rtx``.
    :param onnx: the network; its external data lie beside it.
    :param sizes: the range of each named size of its inputs; the engine is tuned for the typical.
    :param targets: compute capabilities to build for, such as ``8.6``; that works without a GPU,
        and only with ``tensorrt_rtx``. Empty = the GPU that is there.
    :param progress: called with the share that is done, in [0, 1], never less than before; it may
        raise to stop the build, within a step of it.
    :returns: the engine, as it is written to a file. It runs with this version of the library
        only.
    :raises LegoError: INVALID_SETTING: the library is missing, cannot build for such a target,
        or needs a GPU; INFERENCE_FAILED: the network cannot be read or built (the message names
        the node and the reason).
    """
    api = load_tensorrt(backend)
    architectures = api.architectures(targets)
    api.take_errors()
    builder = api.module.Builder(api.logger)
    network = builder.create_network(
        1 << int(api.module.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = api.module.OnnxParser(network, api.logger)
    _parse(api, parser, network, onnx)
    config = builder.create_builder_config()
    if api.targets():
        config.num_compute_capabilities = len(architectures)
        for index, each in enumerate(architectures):
            kind = getattr(api.module.ComputeCapability, f"SM{each.replace('.', '')}")
            if not config.set_compute_capability(kind, index):
                raise _failed(api, onnx, f'cannot be built for {each}')
    _set_ranges(api, builder, config, network, sizes, onnx)
    monitor = _make_monitor(api.module, progress)
    config.progress_monitor = monitor
    plan = builder.build_serialized_network(network, config)
    if monitor.error is not None:
        raise monitor.error
    if plan is None:
        raise _failed(api, onnx, 'cannot be built')
    if progress is not None:
        progress(1.0)
    return bytes(plan)


def _parse(api: TensorRt, parser: Any, network: Any, onnx: Path) -> None:
    if not onnx.is_file():
        raise LegoError(ErrorCode.INFERENCE_FAILED, f"'{onnx}' is not there to be built")
    if not parser.parse_from_file(str(onnx)):
        reasons = []
        for index in range(parser.num_errors):
            error = parser.get_error(index)
            # The first line is the reason; what follows repeats where in the library it arose.
            # An operator that it does not have is a failed assertion of 'false'.
            first, _, rest = error.desc().partition('\n')
            reason = first if not rest else rest.partition('\n')[0]
            if error.code() == api.module.ErrorCode.UNSUPPORTED_NODE and reason == 'false':
                reason = 'it is not supported'
            where = f"{error.node_operator()} node '{error.node_name()}'"
            reasons.append(f'{where}: {reason}' if error.node() >= 0 else reason)
        api.take_errors()
        raise LegoError(
            ErrorCode.INFERENCE_FAILED,
            f"TensorRT cannot use '{onnx.name}': {'; '.join(reasons[:4])}")
    # It takes bytes that are no network for one without layers.
    if network.num_outputs == 0:
        raise LegoError(
            ErrorCode.INFERENCE_FAILED, f"'{onnx}' holds no network; export it anew")


def _set_ranges(api: TensorRt, builder: Any, config: Any, network: Any,
                sizes: Mapping[str, Range], onnx: Path) -> None:
    """Give each input of changing size its smallest, its typical and its largest shape."""
    profile = builder.create_optimization_profile()
    dynamic = False
    for index in range(network.num_inputs):
        tensor = network.get_input(index)
        shapes: tuple[list[int], list[int], list[int]] = ([], [], [])
        for axis, size in enumerate(tensor.shape):
            if size < 0:
                dynamic = True
                each = sizes.get(tensor.get_dimension_name(axis) or '')
                if each is None:
                    raise LegoError(
                        ErrorCode.INVALID_SETTING,
                        f"dimension {axis} ('{tensor.get_dimension_name(axis)}') of input "
                        f"'{tensor.name}' of '{onnx.name}' changes, and no range is given for it")
            else:
                each = Range(size, size, size)
            for shape, value in zip(shapes, (each.least, each.typical, each.most), strict=True):
                shape.append(value)
        profile.set_shape(tensor.name, *shapes)
    # TensorRT refuses a profile where nothing changes only in some versions; it needs none.
    if dynamic and config.add_optimization_profile(profile) < 0:
        raise _failed(api, onnx, f'cannot be built for the sizes {dict(sizes)}')


def _failed(api: TensorRt, onnx: Path, what: str) -> LegoError:
    reason = next(iter(api.take_errors()), 'it gives no reason')
    return LegoError(
        ErrorCode.INFERENCE_FAILED, f"'{onnx.name}' {what} by TensorRT: {reason[:600]}")


def _make_monitor(module: Any, progress: Callable[[float], None] | None) -> Any:
    class Monitor(module.IProgressMonitor):
        """Adds up the library's phases, each of which is a step of the one around it."""

        def __init__(self) -> None:
            module.IProgressMonitor.__init__(self)
            self.error: BaseException | None = None
            self._phases: dict[str, list[int]] = {}
            self._told = 0.0

        def phase_start(self, name: str, parent: str | None, steps: int) -> None:
            self._phases[name] = [0, steps]

        def step_complete(self, name: str, step: int) -> bool:
            if name in self._phases:
                self._phases[name][0] = step + 1
            return self._tell()

        def phase_finish(self, name: str) -> None:
            self._phases.pop(name, None)

        def _tell(self) -> bool:
            share = 0.0
            # Innermost first: a phase is so far as its steps and the share of the one under way.
            for done, steps in reversed(list(self._phases.values())):
                share = min((done + share) / max(steps, 1), 1.0)
            if progress is not None and self.error is None and share > self._told:
                self._told = share
                try:
                    progress(share)
                # Whatever it is, it must not cross the library's C++; the caller gets it after.
                except BaseException as error:  # noqa: BLE001
                    self.error = error
            return self.error is None

    return Monitor()
