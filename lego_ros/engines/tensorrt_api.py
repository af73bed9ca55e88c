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
TensorRT and TensorRT-RTX behind one door: their Python interfaces have the same names.

TensorRT (10.x, 11.x, JetPack's) builds for the GPU that is there. TensorRT-RTX builds for GPUs
that are named, on any machine, and compiles the last step on the GPU itself.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from functools import cache
import importlib
import logging
from types import ModuleType
from typing import Any

from lego_ros.errors import ErrorCode, LegoError
import torch

_LOG = logging.getLogger(__name__)

TENSORRT_PACKAGES = {'tensorrt': 'tensorrt', 'tensorrt_rtx': 'tensorrt-rtx-cu12'}
"""What to install for each backend; a backend's module has its name."""


class TensorRt:
    """
    One of the two libraries.

    :param backend: ``tensorrt`` or ``tensorrt_rtx``.
    :param module: its Python interface.
    """

    def __init__(self, backend: str, module: ModuleType) -> None:
        self.backend = backend
        self.module: Any = module
        self.version: str = module.__version__
        self._errors: deque[str] = deque(maxlen=64)
        # One for the process: the library wants no other beside it, and it must outlive all that
        # was made with it.
        self.logger = _make_logger(self.module, self._errors)

    def take_errors(self) -> list[str]:
        """
        Take what the library said was wrong since the last call; it tells its logger only.

        :returns: the messages, oldest first: the cause, then what followed from it.
        """
        found = list(self._errors)
        self._errors.clear()
        return found

    def torch_dtype(self, dtype: Any) -> torch.dtype:
        """
        Translate a number format.

        :param dtype: the library's ``DataType``.
        :returns: PyTorch's.
        :raises LegoError: INVALID_SETTING: PyTorch has no such format.
        """
        kinds = self.module.DataType
        known = {
            kinds.FLOAT: torch.float32, kinds.HALF: torch.float16, kinds.BF16: torch.bfloat16,
            kinds.INT64: torch.int64, kinds.INT32: torch.int32, kinds.INT8: torch.int8,
            kinds.UINT8: torch.uint8, kinds.BOOL: torch.bool}
        if dtype not in known:
            raise LegoError(
                ErrorCode.INVALID_SETTING,
                f'{dtype} cannot be the format of an input or output; convert it in the network')
        return known[dtype]

    def targets(self) -> tuple[str, ...]:
        """
        List the compute capabilities that can be built for without their GPU.

        :returns: such as ``8.6``; empty where the library builds for the GPU that is there.
        """
        kinds = getattr(self.module, 'ComputeCapability', None)
        names = kinds.__members__ if kinds is not None else ()
        return tuple(f'{name[2:-1]}.{name[-1]}' for name in names if name.startswith('SM'))

    def architecture(self, device: torch.device) -> str:
        """
        Tell for what an engine must have been built to run on a GPU.

        :param device: of kind ``cuda``.
        :returns: its compute capability, such as ``8.6``; for TensorRT, whose engines belong to
            one model of GPU, its name beside it.
        :raises LegoError: INVALID_SETTING: there is no such GPU.
        """
        if device.type != 'cuda' or not torch.cuda.is_available():
            raise LegoError(
                ErrorCode.INVALID_SETTING,
                f"TensorRT engines run on an NVIDIA GPU only, and '{device}' is none that PyTorch "
                'can use here; choose another backend or device')
        major, minor = torch.cuda.get_device_capability(device)
        if self.targets():
            return f'{major}.{minor}'
        return f'{major}.{minor} {torch.cuda.get_device_name(device)}'

    def architectures(self, targets: Sequence[str] = ()) -> tuple[str, ...]:
        """
        Tell what an engine is built for.

        :param targets: compute capabilities that are wanted; empty = the GPU that is there.
        :returns: they, each once, sorted, or that GPU's :meth:`architecture`.
        :raises LegoError: INVALID_SETTING: it cannot be built for these, or there is no GPU.
        """
        known = self.targets()
        if targets and not known:
            raise LegoError(
                ErrorCode.INVALID_SETTING,
                'TensorRT builds for the GPU that is there and for no other; leave out the '
                'compute capabilities, or choose the backend tensorrt_rtx')
        if not targets and not torch.cuda.is_available():
            raise LegoError(
                ErrorCode.INVALID_SETTING, 'there is no GPU here to build for; ' + (
                    f"name compute capabilities, of {', '.join(known)}" if known else
                    'build on the machine of the engine, or choose the backend tensorrt_rtx'))
        found = tuple(sorted(set(targets))) or (self.architecture(torch.device('cuda')),)
        unknown = sorted(set(found) - set(known))
        if known and unknown:
            raise LegoError(
                ErrorCode.INVALID_SETTING,
                f'TensorRT-RTX {self.version} cannot build for compute capability '
                f"{', '.join(unknown)[:60]}; it can for {', '.join(known)}")
        return found


@cache
def load_tensorrt(backend: str) -> TensorRt:
    """
    Import a library.

    :param backend: ``tensorrt`` or ``tensorrt_rtx``.
    :returns: it; the same at every call.
    :raises LegoError: INVALID_SETTING: it is not known, not installed, or older than 10.
    """
    if backend not in TENSORRT_PACKAGES:
        raise LegoError(
            ErrorCode.INVALID_SETTING,
            f"'{backend[:60]}' is no TensorRT; choose one of {', '.join(TENSORRT_PACKAGES)}")
    try:
        module = importlib.import_module(backend)
    # Its shared libraries are loaded by ctypes, which reports a missing one as an OSError.
    except (ImportError, OSError) as error:
        raise LegoError(
            ErrorCode.INVALID_SETTING,
            f"the backend '{backend}' cannot be loaded ({error}): pip install "
            f'{TENSORRT_PACKAGES[backend]}, or choose another backend') from error
    # TensorRT-RTX counts its versions from 1.
    if backend == 'tensorrt' and int(module.__version__.split('.')[0]) < 10:
        raise LegoError(
            ErrorCode.INVALID_SETTING,
            f'TensorRT {module.__version__} is too old; install 10.0 or newer')
    return TensorRt(backend, module)


def _make_logger(module: Any, errors: deque[str]) -> Any:
    severity = module.ILogger.Severity
    # An error is told by the exception that follows from it, so that it does not show twice.
    levels = {
        severity.INTERNAL_ERROR: logging.INFO, severity.ERROR: logging.INFO,
        severity.WARNING: logging.INFO, severity.INFO: logging.DEBUG}

    class Logger(module.ILogger):
        def __init__(self) -> None:
            module.ILogger.__init__(self)

        def log(self, level: Any, message: str) -> None:
            # What is below has thousands of lines a build.
            if level in levels:
                _LOG.log(levels[level], '%s', message)
            if level in (severity.INTERNAL_ERROR, severity.ERROR):
                errors.append(message)

    return Logger()
