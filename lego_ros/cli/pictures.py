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

"""Pictures on disk."""

from __future__ import annotations

import os
from pathlib import Path
import tempfile

import numpy as np


def save_png(rgb: np.ndarray, path: Path) -> None:
    """
    Write a picture; the file is there whole or not at all.

    :param rgb: (H, W, 3) uint8.
    :param path: of the PNG; one that is there is replaced.
    :raises OSError: it cannot be written.
    """
    from PIL import Image

    # Beside its place, since a rename does not cross file systems.
    number, part = tempfile.mkstemp(prefix=f'.{path.name}-', dir=path.parent)
    try:
        with os.fdopen(number, 'wb') as file:
            Image.fromarray(rgb).save(file, format='PNG')
        # mkstemp lets nobody else read it; files are made with what the umask leaves.
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(part, 0o666 & ~umask)
        os.replace(part, path)
    except BaseException:
        os.unlink(part)
        raise
