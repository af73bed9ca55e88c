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

"""Names for weights by their content."""

from __future__ import annotations

import hashlib
import json

import torch
from torch import nn


def module_sha256(module: nn.Module) -> str:
    """
    Identify a module by its weights.

    :param module: on any device, of any type.
    :returns: SHA-256 in hexadecimal; the same after saving and loading.
    """
    digest = hashlib.sha256()
    for name, weight in sorted(module.state_dict().items()):
        digest.update(f'{name} {weight.dtype} {tuple(weight.shape)}\n'.encode())
        plain = weight.detach().cpu().contiguous()
        digest.update(plain.reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()


def values_sha256(values: object) -> str:
    """
    Identify JSON values.

    :param values: dicts, lists, strings, numbers.
    :returns: SHA-256 of their canonical form.
    """
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()
