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

"""What an entry of the engine cache is, and its record.json: written, and read with suspicion."""

from __future__ import annotations

from dataclasses import dataclass
import hashlib
import json
import math
from pathlib import Path
import re
from typing import Any

from lego_ros.engines.description import Description
from lego_ros.errors import ErrorCode, LegoError
from lego_ros.files import FileEntry

RECORD = 'record.json'
FORMAT = 1
MAX_FILES = 64
MAX_RECORD_BYTES = 1 << 20

_NAME = re.compile(r'[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}')
_HASH = re.compile(r'[0-9a-f]{64}')


@dataclass(frozen=True)
class Key:
    """
    All that an entry depends on.

    :param description: of the network: its name, number format, inputs, outputs and ranges.
    :param onnx_sha256: of its ONNX export; it holds the weights, so it stands for them.
    :param backend: ``onnx`` (the export itself), ``tensorrt`` or ``tensorrt_rtx``.
    :param version: of the backend's library, where an entry runs with that version only.
    :param architectures: what it was built for, such as ``('12.0', '8.6')``, sorted as texts;
        empty = any.
    :raises ValueError: a part of it makes no sense.
    """

    description: Description
    onnx_sha256: str
    backend: str
    version: str = ''
    architectures: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_name(self.description.name)
        check_name(self.backend)
        if not _HASH.fullmatch(self.onnx_sha256):
            raise ValueError(f'{self.onnx_sha256[:80]!r} is no SHA-256')
        if self.architectures != tuple(sorted(set(self.architectures))):
            raise ValueError(f'{self.architectures} is not sorted')

    @property
    def folder_name(self) -> str:
        """Name of its folder: for people the network and backend, for the rest a hash of all."""
        text = json.dumps(self.to_data(), sort_keys=True)
        digest = hashlib.sha256(text.encode()).hexdigest()
        return f'{self.description.name}-{self.backend}-{digest}'

    def to_data(self) -> dict[str, Any]:
        """
        Write it down.

        :returns: what belongs under ``key`` in a record, for JSON.
        """
        return {
            'description': json.loads(self.description.to_json()),
            'onnx_sha256': self.onnx_sha256, 'backend': self.backend, 'version': self.version,
            'architectures': list(self.architectures)}

    @classmethod
    def from_data(cls, data: Any) -> Key:
        """
        Read what :meth:`to_data` gave.

        :param data: of JSON.
        :returns: the key.
        :raises ValueError: it is none. So do KeyError and TypeError.
        """
        texts = {name: data[name] for name in ('onnx_sha256', 'backend', 'version')}
        architectures = tuple(data['architectures'])
        if not all(isinstance(text, str) for text in [*texts.values(), *architectures]):
            raise ValueError('a part of its key is not a text')
        return cls(Description.from_json(json.dumps(data['description'])),
                   architectures=architectures, **texts)


@dataclass(frozen=True)
class Entry:
    """
    A folder of the cache, as its record says; the files have not been looked at.

    :param folder: that holds the files.
    :param key: what it was made from and for.
    :param files: all of them but the record, by name.
    :param build_seconds: that it took to make.
    :param created: when, ISO 8601, UTC.
    """

    folder: Path
    key: Key
    files: dict[str, FileEntry]
    build_seconds: float
    created: str

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(entry.size for entry in self.files.values())

    def file(self, suffix: str) -> str:
        """
        Find a file.

        :param suffix: of its name, such as ``.onnx``.
        :returns: the name of the one that has it.
        :raises LegoError: BUNDLE_INVALID: none or several have.
        """
        names = [name for name in self.files if name.endswith(suffix)]
        if len(names) != 1:
            raise LegoError(
                ErrorCode.BUNDLE_INVALID,
                f"'{self.folder}' shall hold one file *{suffix} and lists {names[:5]}; remove it "
                "and build it anew with 'lego-ros engine build'")
        return names[0]

    def save(self) -> None:
        """
        Write record.json.

        :raises OSError: it cannot be written.
        """
        text = json.dumps({
            'format': FORMAT, 'key': self.key.to_data(),
            'files': {name: {'size': entry.size, 'sha256': entry.sha256}
                      for name, entry in sorted(self.files.items())},
            'build_seconds': round(self.build_seconds, 3), 'created': self.created}, indent=1)
        (self.folder / RECORD).write_text(f'{text}\n', encoding='utf-8')


def read_entry(folder: Path) -> Entry:
    """
    Read and check a record; the files it lists are not looked at.

    :param folder: of the entry.
    :returns: the entry.
    :raises LegoError: BUNDLE_INVALID: the record is missing or makes no sense, or names a file
        outside the folder; BUNDLE_MISMATCH: it is of another format, or of an entry that belongs
        under another name.
    """
    path = folder / RECORD
    try:
        # A link may lead to a device, which has no end.
        if path.is_symlink() or not path.is_file() or path.stat().st_size > MAX_RECORD_BYTES:
            raise ValueError(f'it has no {RECORD} of at most {MAX_RECORD_BYTES} bytes')
        data = json.loads(path.read_text(encoding='utf-8'))
        found = data['format']
        if type(found) is not int or found != FORMAT:
            raise LegoError(
                ErrorCode.BUNDLE_MISMATCH,
                f"'{folder}' was made by another version of lego_ros (format {str(found)[:20]}, "
                f"this is {FORMAT}); build it anew with 'lego-ros engine build'")
        entry = _parse(folder, data)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise LegoError(
            ErrorCode.BUNDLE_INVALID,
            f"'{folder}' is no usable entry of the engine cache ({_shown(error)}); remove it and "
            "build it anew with 'lego-ros engine build'") from error
    if entry.key.folder_name != folder.name:
        raise LegoError(
            ErrorCode.BUNDLE_MISMATCH,
            f"'{folder}' holds the entry '{entry.key.folder_name}': it was renamed, or its record "
            "was changed; remove it and build it anew with 'lego-ros engine build'")
    return entry


def check_name(name: str) -> None:
    """
    Refuse a name that could lead out of its folder.

    :param name: of a file.
    :raises ValueError: it is not of letters, digits, ``-``, ``_`` and ``.``, or hidden.
    """
    if not _NAME.fullmatch(name):
        raise ValueError(f'{name[:80]!r} is no name for a file here')


def _parse(folder: Path, data: dict[str, Any]) -> Entry:
    files = {}
    for name, each in data['files'].items():
        check_name(name)
        if (name == RECORD or type(each['size']) is not int or each['size'] < 0
                or not _HASH.fullmatch(each['sha256'])):
            raise ValueError(f'the entry of its file {name!r} makes no sense')
        files[name] = FileEntry(each['size'], each['sha256'])
    if not 0 < len(files) <= MAX_FILES:
        raise ValueError(f'it lists {len(files)} files, and has 1 to {MAX_FILES}')
    seconds = float(data['build_seconds'])
    if not math.isfinite(seconds) or not isinstance(data['created'], str):
        raise ValueError('it does not say when it was made')
    return Entry(folder, Key.from_data(data['key']), files, seconds, data['created'])


def _shown(error: BaseException) -> str:
    text = f'it lacks {error}' if isinstance(error, KeyError) else str(error)
    return ' '.join(text.split())[:300]
