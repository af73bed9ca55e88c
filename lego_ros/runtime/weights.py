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

"""How many weights a bundle has, from the heads of its files."""

from __future__ import annotations

import math
from pathlib import Path

from lego_ros.errors import ErrorCode, LegoError
from safetensors import safe_open, SafetensorError

PARTS = ('vllm', 'unet', 'vae', 'text_encoder', 'conditioning', 'program')


def count_weights(folder: Path) -> int:
    """
    Count the weights of a bundle's networks without reading them.

    :param folder: the bundle.
    :returns: number of values in all weight files.
    :raises LegoError: BUNDLE_INVALID when one cannot be read.
    """
    return sum(_values(path) for part in PARTS
               for path in sorted((folder / part).glob('*.safetensors')))


def _values(path: Path) -> int:
    try:
        with safe_open(path, framework='pt') as file:
            # safe_open has no iterator, only keys().
            return sum(math.prod(file.get_slice(name).get_shape())
                       for name in file.keys())  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise LegoError(
            ErrorCode.BUNDLE_INVALID, f"'{path}' cannot be read: {error}") from error
