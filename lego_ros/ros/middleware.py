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

"""Fast DDS, set for camera images."""

from __future__ import annotations

import os
from pathlib import Path
import shutil
import sys

_PROFILE_VARIABLES = ('FASTRTPS_DEFAULT_PROFILES_FILE', 'FASTDDS_DEFAULT_PROFILES_FILE')
# Three processes (nodes, asker, viewer) with the 16 MiB of config/fastdds.xml each. A participant
# whose segment does not fit does without shared memory altogether.
_ROOM_FOR_SEGMENTS = 3 * 16 * 2**20
_SHARED_MEMORY = Path('/dev/shm')


def prepare_middleware() -> None:
    """Give Fast DDS, in this process and its children, room for whole camera images."""
    if any(os.environ.get(name) for name in _PROFILE_VARIABLES):
        return
    profile = find_shared_file('config/fastdds.xml')
    try:
        room = shutil.disk_usage(_SHARED_MEMORY).free
    except OSError:
        room = 0
    if profile is None or room < _ROOM_FOR_SEGMENTS:
        return
    # Fast DDS 2 (Humble, Jazzy) reads the one, Fast DDS 3 the other.
    for name in _PROFILE_VARIABLES:
        os.environ[name] = str(profile)


def find_shared_file(name: str) -> Path | None:
    """
    Find a file that is installed with the package.

    :param name: relative to the package's share folder.
    :returns: its path; None = it is not installed.
    """
    # ROS from PyPI has its files in the virtual environment, and nothing to source.
    prefixes = [*os.environ.get('AMENT_PREFIX_PATH', '').split(os.pathsep), sys.prefix]
    paths = (Path(prefix, 'share', 'lego_ros', name) for prefix in prefixes if prefix)
    return next((path for path in paths if path.is_file()), None)
