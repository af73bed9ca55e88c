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
Whether a folder holds exactly what its bundle.yaml says, and nothing that could run code.

Weights are safetensors and everything else is text, so that loading a bundle from a stranger
cannot execute anything. What may be in a bundle is a short list; the rest is refused by name.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path, PurePosixPath

from lego_ros.bundle.manifest import Manifest, MANIFEST_NAME, read_manifest
from lego_ros.errors import ErrorCode, LegoError
from lego_ros.files import FileEntry, hash_file, sha256_of

ALLOWED_SUFFIXES = {'.json', '.txt', '.md', '.yaml', '.safetensors', '.jinja', '.png'}
PICKLE_SUFFIXES = {'.bin', '.ckpt', '.joblib', '.pickle', '.pkl', '.pt', '.pth'}
MAX_FILES = 1000


def verify(folder: Path, on_bytes: Callable[[int, int], None] | None = None
           ) -> tuple[Manifest, str]:
    """
    Check every file of a bundle.

    :param folder: the bundle.
    :param on_bytes: called with the bytes hashed so far and in all.
    :returns: its manifest and the SHA-256 of bundle.yaml, hexadecimal.
    :raises LegoError: BUNDLE_NOT_FOUND, BUNDLE_INVALID (a file missing, truncated or not listed),
        BUNDLE_TAMPERED (another hash), BUNDLE_UNSAFE (a pickle, a link, a path that leads out),
        BUNDLE_MISMATCH (another format).
    """
    manifest, manifest_hash = read_manifest(folder)
    for name in manifest.files:
        _check_name(folder, name)
    present = set(list_files(folder)) - {MANIFEST_NAME}
    unlisted = sorted(present - set(manifest.files))
    if unlisted:
        raise LegoError(
            ErrorCode.BUNDLE_INVALID,
            f"'{folder}' holds files that its {MANIFEST_NAME} does not list: "
            f"{', '.join(unlisted[:5])}; remove them or make the bundle anew")
    total = sum(entry.size for entry in manifest.files.values())
    done = 0
    for name, entry in manifest.files.items():
        _check_file(folder, name, entry)
        done += entry.size
        if on_bytes is not None:
            on_bytes(done, total)
    return manifest, manifest_hash


def list_files(folder: Path) -> list[str]:
    """
    List the files of a bundle, refusing what does not belong into one.

    :param folder: the bundle.
    :returns: paths relative to the folder, with ``/``, sorted.
    :raises LegoError: BUNDLE_UNSAFE or BUNDLE_INVALID (too many files).
    """
    names = []
    for path in sorted(folder.rglob('*')):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink():
            raise LegoError(
                ErrorCode.BUNDLE_UNSAFE,
                f"'{name}' in '{folder}' is a link; a bundle holds plain files only")
        if path.is_dir():
            continue
        _check_name(folder, name)
        names.append(name)
        if len(names) > MAX_FILES:
            raise LegoError(
                ErrorCode.BUNDLE_INVALID, f"'{folder}' holds more than {MAX_FILES} files")
    return names


def hash_files(folder: Path) -> dict[str, FileEntry]:
    """
    Take the inventory of a new bundle.

    :param folder: the bundle, without bundle.yaml.
    :returns: what belongs under ``files`` in its manifest.
    :raises LegoError: as :func:`list_files`.
    """
    return {
        name: hash_file(folder / name)
        for name in list_files(folder) if name != MANIFEST_NAME}


def _check_name(folder: Path, name: str) -> None:
    pure = PurePosixPath(name)
    if pure.is_absolute() or '..' in pure.parts or '\\' in name or not pure.parts:
        raise LegoError(
            ErrorCode.BUNDLE_UNSAFE, f"the path '{name}' leads out of the bundle '{folder}'")
    suffix = pure.suffix.lower()
    if suffix in PICKLE_SUFFIXES:
        raise LegoError(
            ErrorCode.BUNDLE_UNSAFE,
            f"'{name}' in '{folder}' may be a pickle, which can run code when it is loaded; "
            'convert the weights to safetensors')
    if suffix not in ALLOWED_SUFFIXES:
        raise LegoError(
            ErrorCode.BUNDLE_UNSAFE,
            f"'{name}' in '{folder}' has no place in a bundle; allowed are "
            f"{', '.join(sorted(ALLOWED_SUFFIXES))}")


def _check_file(folder: Path, name: str, entry: FileEntry) -> None:
    path = folder / name
    if not path.is_file():
        raise LegoError(
            ErrorCode.BUNDLE_INVALID,
            f"'{name}' is missing from '{folder}' (it should have {entry.size} bytes)")
    size = path.stat().st_size
    if size != entry.size:
        raise LegoError(
            ErrorCode.BUNDLE_INVALID,
            f"'{name}' in '{folder}' has {size} bytes instead of {entry.size}: it is "
            f"{'truncated' if size < entry.size else 'another file'}; copy it again")
    digest = sha256_of(path)
    if digest != entry.sha256:
        raise LegoError(
            ErrorCode.BUNDLE_TAMPERED,
            f"'{name}' in '{folder}' is not the file that the bundle was made with (SHA-256 "
            f'{digest[:12]}..., expected {entry.sha256[:12]}...); do not use it')
