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

"""Which device a parameter names."""

from __future__ import annotations

from lego_ros.errors import ErrorCode, LegoError
import torch


def choose_device(name: str) -> torch.device:
    """
    Find the device that a parameter names.

    :param name: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
    :returns: the device.
    :raises LegoError: INVALID_SETTING when it is not there.
    """
    available = torch.cuda.device_count()
    if name == 'auto':
        return torch.device('cuda:0' if available else 'cpu')
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise LegoError(
            ErrorCode.INVALID_SETTING,
            f"device '{name}' is not known; use auto, cpu, cuda or cuda:N") from error
    if device.type == 'cuda' and (device.index or 0) >= available:
        raise LegoError(
            ErrorCode.INVALID_SETTING,
            f"device '{name}' is not there: PyTorch sees {available} GPU(s); use auto or cpu")
    return device
