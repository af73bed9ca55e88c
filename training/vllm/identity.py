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

"""A name for a VLLM by its content."""

from __future__ import annotations

import hashlib
from pathlib import Path

from lego_ros.errors import ErrorCode, LegoError
from lego_ros.files import sha256_of


def vllm_sha256(folder: Path) -> str:
    """
    Identify a VLLM by its files.

    :param folder: of the VLLM.
    :returns: SHA-256 over names and contents.
    :raises LegoError: BUNDLE_NOT_FOUND.
    """
    files = sorted(path for path in folder.glob('*') if path.is_file())
    if not files:
        raise LegoError(ErrorCode.BUNDLE_NOT_FOUND, f"there is no model in '{folder}'")
    digest = hashlib.sha256()
    for path in files:
        digest.update(f'{path.name} {sha256_of(path)}\n'.encode())
    return digest.hexdigest()
