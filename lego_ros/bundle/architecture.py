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
Whether the networks of a bundle are of the kinds that this version runs.

transformers and diffusers read any configuration into the class they are told to, and warn at
most: a network of another kind would load with whatever fits.
"""

from __future__ import annotations

import json
from pathlib import Path

from lego_ros.errors import ErrorCode, LegoError

ARCHITECTURES = {
    'vllm': ('model_type', 'llava'),
    'text_encoder': ('model_type', 'clip_text_model'),
    'unet': ('_class_name', 'UNet2DConditionModel'),
    'vae': ('_class_name', 'AutoencoderKL'),
    'conditioning': ('_class_name', 'LegoConditioning'),
}
"""Sub-folder: the key of its config.json that names the kind of network, and the kind."""


def check_architectures(folder: Path) -> None:
    """
    Look into the configuration of every network.

    :param folder: the bundle, its files already verified.
    :raises LegoError: BUNDLE_MISMATCH for a network of another kind, BUNDLE_INVALID where there
        is none or its configuration cannot be read.
    """
    for name, (key, expected) in ARCHITECTURES.items():
        path = folder / name / 'config.json'
        try:
            config = json.loads(path.read_text(encoding='utf-8'))
        except (OSError, ValueError, RecursionError) as error:
            raise LegoError(
                ErrorCode.BUNDLE_INVALID, f"'{path}' cannot be read: {error}") from error
        found = config.get(key) if isinstance(config, dict) else None
        if found != expected:
            raise LegoError(
                ErrorCode.BUNDLE_MISMATCH,
                f"the network '{name}' in '{folder}' is of the architecture {str(found)[:60]!r}; "
                f'this version runs {expected!r}')
