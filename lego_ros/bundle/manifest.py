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

"""bundle.yaml: what a bundle is, how it wants to be run, and the SHA-256 of its files."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
import hashlib
import math
from pathlib import Path
import re
from typing import Any

from lego_ros.errors import ErrorCode, LegoError
from lego_ros.files import FileEntry
from lego_ros.ldm.view import View
import yaml

MANIFEST_NAME = 'bundle.yaml'
FORMAT = 1
MAX_MANIFEST_BYTES = 1 << 20


@dataclass(frozen=True)
class Manifest:
    """
    The content of bundle.yaml.

    :param name: of the bundle, letters, digits, ``-``, ``_`` and ``.``.
    :param version: semantic version.
    :param trained: False for random weights; answers then say that they mean nothing.
    :param training_data: what it was trained on, in a sentence.
    :param license: SPDX identifier of the weights.
    :param resolution: side of the square that is drawn, in pixels.
    :param view: which part of the camera frame the networks see (lego_ros.ldm.view).
    :param image_tokens: M, ``text_tokens`` N and ``conditioning_channels`` D of Eq. 1.
    :param vllm_hidden: hidden size of the VLLM.
    :param steps: denoising steps unless asked otherwise; likewise the guidance scales
        ``image_scale`` s_x and ``text_scale`` s_c.
    :param sampler: class name of the diffusers scheduler.
    :param files: by path relative to the bundle, with ``/``; bundle.yaml itself is not listed.
    """

    name: str
    version: str
    trained: bool
    training_data: str
    license: str  # noqa: A003 - what such files call it
    resolution: int
    view: str
    image_tokens: int
    text_tokens: int
    conditioning_channels: int
    vllm_hidden: int
    steps: int
    image_scale: float
    text_scale: float
    sampler: str
    files: dict[str, FileEntry] = field(default_factory=dict)

    def save(self, folder: Path) -> None:
        """
        Write bundle.yaml.

        :param folder: the bundle.
        """
        text = yaml.safe_dump({'format': FORMAT, **asdict(self)}, sort_keys=False, width=99)
        (folder / MANIFEST_NAME).write_text(text, encoding='utf-8')


def read_manifest(folder: Path) -> tuple[Manifest, str]:
    """
    Read and check bundle.yaml; the files it lists are not looked at.

    :param folder: the bundle.
    :returns: the manifest, and the SHA-256 of bundle.yaml, hexadecimal: since it holds the hash
        of every file, this one number names the whole content.
    :raises LegoError: BUNDLE_NOT_FOUND, BUNDLE_INVALID or BUNDLE_MISMATCH (another format).
    """
    path = folder / MANIFEST_NAME
    if not folder.is_dir():
        raise LegoError(
            ErrorCode.BUNDLE_NOT_FOUND,
            f"there is no folder '{folder}'; give the path of a model bundle, or make one with "
            "'lego-ros bundle make'")
    if not path.is_file():
        raise LegoError(
            ErrorCode.BUNDLE_NOT_FOUND,
            f"'{folder}' holds no {MANIFEST_NAME}, so it is not a model bundle")
    if path.stat().st_size > MAX_MANIFEST_BYTES:
        raise _invalid(path, f'it is larger than {MAX_MANIFEST_BYTES} bytes')
    content = path.read_bytes()
    try:
        data = yaml.safe_load(content.decode('utf-8'))
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise _invalid(path, f'it is not YAML: {error}') from error
    if not isinstance(data, dict):
        raise _invalid(path, 'it must be a mapping')
    found = data.pop('format', None)
    if found != FORMAT:
        raise LegoError(
            ErrorCode.BUNDLE_MISMATCH,
            f"'{path}' has format {_show(found)} and this version reads format {FORMAT}; make the "
            'bundle anew, or use the version of lego_ros that it was made for')
    return _parse(path, data), hashlib.sha256(content).hexdigest()


def _parse(path: Path, data: dict[str, Any]) -> Manifest:
    known = {entry.name: entry for entry in fields(Manifest)}
    missing = sorted(set(known) - set(data))
    unknown = sorted(map(str, set(data) - set(known)))
    if missing or unknown:
        raise _invalid(path, f'missing keys: {missing[:5]}; unknown keys: {unknown[:5]}')
    kinds: dict[str, type] = {'str': str, 'int': int, 'float': float, 'bool': bool}
    for name, entry in known.items():
        kind = kinds.get(str(entry.type))
        value = data[name]
        if kind is float and type(value) is int:
            data[name] = float(value)
        elif kind is not None and type(value) is not kind:
            raise _invalid(path, f'{name} must be of type {kind.__name__}, not {_show(value)}')
    _check_ranges(path, data)
    return Manifest(**{**data, 'files': _parse_files(path, data['files'])})


def _check_ranges(path: Path, data: dict[str, Any]) -> None:
    if not re.fullmatch(r'[\w.-]{1,128}', data['name'], re.ASCII):
        raise _invalid(path, f"name must be letters, digits, '-', '_' and '.', not "
                             f"{data['name'][:60]!r}")
    if data['view'] not in [view.value for view in View]:
        raise _invalid(path, f"view must be one of {', '.join(v.value for v in View)}, not "
                             f"{data['view']!r}")
    for name, most in {'version': 32, 'training_data': 1024}.items():
        if len(data[name].encode('utf-8', 'replace')) > most:
            raise _invalid(path, f'{name} must have at most {most} bytes')
    limits = {
        'resolution': (8, 4096), 'image_tokens': (1, 65536), 'text_tokens': (1, 4096),
        'conditioning_channels': (1, 65536), 'vllm_hidden': (1, 65536), 'steps': (1, 1000),
        'image_scale': (0, 50), 'text_scale': (0, 50)}
    for name, (low, high) in limits.items():
        if not math.isfinite(data[name]) or not low <= data[name] <= high:
            raise _invalid(path, f'{name} must be from {low} to {high}, not {data[name]}')


def _parse_files(path: Path, files: Any) -> dict[str, FileEntry]:
    if not isinstance(files, dict) or not files:
        raise _invalid(path, 'files must be a mapping that is not empty')
    entries = {}
    for name, entry in files.items():
        if (not isinstance(entry, dict) or set(entry) != {'size', 'sha256'}
                or type(entry['size']) is not int or entry['size'] < 0
                or not re.fullmatch(r'[0-9a-f]{64}', str(entry['sha256']))):
            raise _invalid(path, f'the entry of file {name!r} must have a size and a sha256')
        entries[str(name)] = FileEntry(entry['size'], entry['sha256'])
    return entries


def _show(value: Any) -> str:
    # YAML's references let a small file hold a list that is endless when it is written out.
    return repr(value)[:80] if not isinstance(value, (dict, list)) else type(value).__name__


def _invalid(path: Path, reason: str) -> LegoError:
    return LegoError(ErrorCode.BUNDLE_INVALID, f"'{path}' cannot be used: {reason}")
