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
Which networks of which bundle have been exported: without it only a new export would tell.

An index record holds no weights and is cheap to lose: what is damaged counts as not there.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
import hashlib
import json
import logging
import os
from pathlib import Path

from lego_ros.engines.cache import EngineCache
from lego_ros.engines.cache_record import Key, MAX_RECORD_BYTES
from lego_ros.errors import ErrorCode, LegoError
from lego_ros.files import sync

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Exported:
    """
    An export that was made.

    :param source: what the network's weights and structure come from; a text of the caller's,
        such as the SHA-256 of a bundle's manifest.
    :param exporters: versions of the packages that made it.
    :param key: of the ONNX file's entry in the cache.
    """

    source: str
    exporters: dict[str, str]
    key: Key


class ExportIndex:
    """
    The exports of a cache by what they were made from.

    :param cache: that holds the ONNX files.
    """

    def __init__(self, cache: EngineCache) -> None:
        self._cache = cache
        self._folder = cache.folder / 'index'

    def find(self, source: str, network: str, number_format: str) -> Exported | None:
        """
        Find the last export of a network.

        :param source: see :class:`Exported`.
        :param network: its name.
        :param number_format: of its weights.
        :returns: the export; None = there is none. Whether its file still is, the cache knows.
        """
        path = self._path(source, network, number_format)
        if not path.is_file():
            return None
        found = _read(path)
        if found is None or (found.source, found.key.description.name,
                             found.key.description.number_format) != (
                                 source, network, number_format):
            return None
        return found

    def put(self, exported: Exported) -> None:
        """
        Note an export, in place of an earlier one of the same network and source.

        :param exported: what was made.
        :raises LegoError: RECORDING_FAILED: the disk is full, or refuses.
        """
        description = exported.key.description
        path = self._path(exported.source, description.name, description.number_format)
        text = json.dumps({'source': exported.source, 'exporters': exported.exporters,
                           'key': exported.key.to_data()}, indent=1)
        try:
            with self._cache.workspace() as part:
                self._folder.mkdir(exist_ok=True)
                (part / path.name).write_text(f'{text}\n', encoding='utf-8')
                sync(part / path.name)
                os.replace(part / path.name, path)
                sync(self._folder)
        except OSError as error:
            raise LegoError(
                ErrorCode.RECORDING_FAILED,
                f"'{path}' cannot be written: {error}. Make room, or name another folder for the "
                'engines') from error

    def prune(self, sources: Collection[str]) -> set[str]:
        """
        Forget the exports of other sources.

        :param sources: that stay.
        :returns: SHA-256 of the ONNX files that stay.
        :raises LegoError: RECORDING_FAILED: one cannot be removed.
        """
        used = set()
        for path in sorted(self._folder.glob('*.json')):
            exported = _read(path)
            if exported is not None and exported.source in sources:
                used.add(exported.key.onnx_sha256)
                continue
            try:
                path.unlink(missing_ok=True)
            except OSError as error:
                raise LegoError(
                    ErrorCode.RECORDING_FAILED, f"'{path}' cannot be removed: {error}") from error
        return used

    def _path(self, source: str, network: str, number_format: str) -> Path:
        parts = json.dumps([source, network, number_format]).encode()
        return self._folder / f'{hashlib.sha256(parts).hexdigest()}.json'


def _read(path: Path) -> Exported | None:
    try:
        if path.is_symlink() or path.stat().st_size > MAX_RECORD_BYTES:
            raise ValueError(f'it is no file of at most {MAX_RECORD_BYTES} bytes')
        data = json.loads(path.read_text(encoding='utf-8'))
        return Exported(
            str(data['source']),
            {str(name): str(version) for name, version in dict(data['exporters']).items()},
            Key.from_data(data['key']))
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        _LOG.warning("'%s' cannot be read (%s): it counts as not there", path, error)
        return None
