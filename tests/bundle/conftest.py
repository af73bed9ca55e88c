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

"""A bundle that needs no networks: files of the allowed kinds and a manifest that fits them."""

from __future__ import annotations

from pathlib import Path

from lego_ros.bundle.integrity import hash_files
from lego_ros.bundle.manifest import Manifest
import pytest


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    folder = tmp_path / 'bundle'
    (folder / 'unet').mkdir(parents=True)
    (folder / 'unet' / 'weights.safetensors').write_bytes(bytes(range(256)) * 8)
    (folder / 'unet' / 'config.json').write_text('{}')
    (folder / 'README.md').write_text('# a bundle\n')
    Manifest(
        name='small', version='1.0.0', trained=False, training_data='none', license='Apache-2.0',
        resolution=64, view='whole', image_tokens=16, text_tokens=77, conditioning_channels=32,
        vllm_hidden=64, steps=100, image_scale=1.5, text_scale=7.5,
        sampler='EulerAncestralDiscreteScheduler', files=hash_files(folder)).save(folder)
    return folder
