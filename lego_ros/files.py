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

"""Files: their hashes, and the way to the disk, whole or not at all."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
import hashlib
import os
from pathlib import Path

_BLOCK = 1 << 20


@dataclass(frozen=True)
class FileEntry:
    """One file: its size in bytes and its SHA-256, hexadecimal."""

    size: int
    sha256: str


def hash_file(path: Path) -> FileEntry:
    """
    Take a file's size and hash, without reading it into memory at once.

    :param path: of the file.
    :returns: both.
    :raises OSError: it cannot be read.
    """
    return _hash([path])


def sha256_of(*paths: Path) -> str:
    """
    Hash files without reading them into memory at once.

    :param paths: of the files, whose contents count as one text.
    :returns: SHA-256 in hexadecimal.
    :raises OSError: one cannot be read.
    """
    return _hash(paths).sha256


def sync(path: Path) -> None:
    """
    Bring a file, or a folder's list of files, to the disk.

    :param path: of either.
    :raises OSError: the disk refuses.
    """
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def write_whole(path: Path, content: bytes, durable: bool = True) -> None:
    """
    Write a file so that a kill leaves the old one or the new one.

    :param path: of the file; one that is there is replaced.
    :param content: all of it.
    :param durable: whether a power cut must not lose it either; that waits for the disk.
    :raises OSError: it cannot be written.
    """
    # Always the same name: what a kill leaves is overwritten when the work is taken up again.
    part = path.with_name(f'.{path.name}.part')
    part.write_bytes(content)
    commit(part, path, durable)


def commit(part: Path, path: Path, durable: bool = True) -> None:
    """
    Give a finished file its name.

    :param part: the file, closed, in the folder of ``path``.
    :param path: the name it gets.
    :param durable: whether to wait until the disk has both.
    :raises OSError: it cannot be renamed.
    """
    if durable:
        sync(part)
    os.replace(part, path)
    if durable:
        sync(path.parent)


def _hash(paths: Iterable[Path]) -> FileEntry:
    digest, size = hashlib.sha256(), 0
    for path in paths:
        with open(path, 'rb') as file:
            while block := file.read(_BLOCK):
                digest.update(block)
                size += len(block)
    return FileEntry(size, digest.hexdigest())
