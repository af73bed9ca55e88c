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

"""What of the engine cache is no longer of use."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from lego_ros.engines.cache import EngineCache
from lego_ros.engines.cache_index import ExportIndex
from lego_ros.engines.cache_record import Entry
from lego_ros.engines.tensorrt_api import load_tensorrt, TENSORRT_PACKAGES
from lego_ros.errors import LegoError


def prune_all(cache: EngineCache) -> list[Path]:
    """
    Empty a cache.

    :param cache: to empty.
    :returns: the folders that are gone.
    :raises LegoError: RECORDING_FAILED.
    """
    return prune_unused(cache, ())


def prune_unused(cache: EngineCache, sources: Collection[str]) -> list[Path]:
    """
    Remove what was made from bundles that are no more, and from their earlier exports.

    :param cache: to clean.
    :param sources: of all bundles that are still there, as they were given to
        :func:`lego_ros.engines.builder.build_engines`.
    :returns: the folders that are gone.
    :raises LegoError: RECORDING_FAILED.
    """
    used = ExportIndex(cache).prune(sources)
    return cache.prune(lambda entry: entry.key.onnx_sha256 in used)


def prune_outdated(cache: EngineCache) -> list[Path]:
    """
    Remove engines of other versions of their library than the installed one.

    :param cache: to clean.
    :returns: the folders that are gone. What belongs to a library that is not installed here
        stays: another machine may share the folder.
    :raises LegoError: RECORDING_FAILED.
    """
    versions = {}
    for backend in TENSORRT_PACKAGES:
        try:
            versions[backend] = load_tensorrt(backend).version
        except LegoError:
            # Not installed: there is no version to compare with.
            continue

    def current(entry: Entry) -> bool:
        return versions.get(entry.key.backend, entry.key.version) == entry.key.version

    return cache.prune(current)
