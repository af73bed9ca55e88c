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

"""What an answer or a measurement was made with."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
import platform

from lego_ros import __version__


def versions(packages: Iterable[str]) -> dict[str, str]:
    """
    Tell versions.

    :param packages: names of distributions.
    :returns: by name: lego_ros's, Python's, and those of the packages that are installed.
    """
    found = {'lego_ros': __version__, 'python': platform.python_version()}
    for name in packages:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            # Where ROS 2 comes from a distribution, some have no Python metadata.
            continue
    return found
