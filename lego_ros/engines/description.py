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

"""What an exported network says of itself, read without its weights."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
import json
from pathlib import Path
from typing import Any, BinaryIO

from lego_ros.engines.engine import Range, TensorSpec
from lego_ros.errors import ErrorCode, LegoError
import torch

KEY = 'lego_ros'
"""Of the metadata entry that holds a description."""

DTYPES = {str(dtype).removeprefix('torch.'): dtype for dtype in (
    torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.uint8,
    torch.bool)}
"""What networks may take and give, by name."""

# Of onnx.proto: ModelProto.metadata_props, and key and value of a StringStringEntryProto.
_METADATA, _ENTRY_KEY, _ENTRY_VALUE = 14, 1, 2
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_MOST_METADATA = 1 << 20


@dataclass(frozen=True)
class Description:
    """
    A network in a file.

    :param name: of the network, such as ``unet``.
    :param number_format: of its weights: ``float32``, ``bfloat16``, ``float16`` or ``int8``.
    :param version: of the lego_ros that exported it.
    :param inputs: that it takes.
    :param outputs: that it gives.
    :param sizes: the range of each named size.
    """

    name: str
    number_format: str
    version: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    sizes: dict[str, Range] = field(default_factory=dict)

    def to_json(self) -> str:
        """
        Write it down.

        :returns: JSON, the same for the same description.
        """
        return json.dumps({
            'name': self.name, 'number_format': self.number_format, 'version': self.version,
            'inputs': [_tensor_to_json(spec) for spec in self.inputs],
            'outputs': [_tensor_to_json(spec) for spec in self.outputs],
            'sizes': {name: [size.least, size.typical, size.most]
                      for name, size in self.sizes.items()},
        }, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Description:
        """
        Read what :meth:`to_json` wrote.

        :param text: JSON.
        :returns: the description.
        :raises ValueError: it is none. So do KeyError and TypeError.
        """
        data = json.loads(text)
        return cls(
            str(data['name']), str(data['number_format']), str(data['version']),
            tuple(_tensor_from_json(tensor) for tensor in data['inputs']),
            tuple(_tensor_from_json(tensor) for tensor in data['outputs']),
            {str(name): Range(*(int(bound) for bound in bounds))
             for name, bounds in dict(data['sizes']).items()})


def describe(path: Path) -> Description:
    """
    Read the description of an exported network.

    Only its few hundred bytes are read: a file may hold gigabytes of weights.

    :param path: of the ONNX file.
    :returns: the description.
    :raises LegoError: BUNDLE_NOT_FOUND: there is no such file; BUNDLE_INVALID: it is damaged, or
        was not written by :func:`lego_ros.engines.export.export`.
    """
    try:
        with open(path, 'rb') as file:
            entries = dict(_metadata(file))
        return Description.from_json(entries[KEY])
    except FileNotFoundError as error:
        raise LegoError(
            ErrorCode.BUNDLE_NOT_FOUND,
            f"there is no network '{path}'; export it again") from error
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise unreadable(path, error) from error


def unreadable(path: Path, error: BaseException | str) -> LegoError:
    """
    Make the error for a file that holds no usable network.

    :param path: of the file.
    :param error: what is wrong with it.
    :returns: the error, BUNDLE_INVALID.
    """
    text = ' '.join(str(error).split())[:600]
    return LegoError(
        ErrorCode.BUNDLE_INVALID,
        f"'{path}' is not a network that lego_ros exported, or is damaged ({text}); export it "
        'again')


def missing_package(package: str, what: str, error: ImportError) -> LegoError:
    """
    Make the error for a backend that is not installed.

    :param package: on the package index.
    :param what: needs it.
    :param error: of its import.
    :returns: the error, INVALID_SETTING.
    """
    return LegoError(
        ErrorCode.INVALID_SETTING,
        f"{what} needs the package '{package}', which cannot be imported ({error}); "
        f'pip install {package}')


def _metadata(file: BinaryIO) -> Iterator[tuple[str, str]]:
    """
    Give the metadata entries of an ONNX model: a protobuf message, whose other fields are skipped.

    The encoding: https://protobuf.dev/programming-guides/encoding/.
    """
    end = file.seek(0, 2)
    file.seek(0)
    while file.tell() < end:
        tag = _varint(file)
        if tag & 7 != _BYTES:
            _skip(file, tag & 7)
            continue
        length = _varint(file)
        if file.tell() + length > end:
            raise ValueError('it ends too early')
        if tag >> 3 != _METADATA:
            file.seek(length, 1)
            continue
        if length > _MOST_METADATA:
            raise ValueError(f'it has a metadata entry of {length} bytes')
        yield _entry(file, file.tell() + length)


def _entry(file: BinaryIO, end: int) -> tuple[str, str]:
    """Read a StringStringEntryProto, which ends at a given place."""
    strings = {}
    while file.tell() < end:
        tag = _varint(file)
        if tag & 7 != _BYTES:
            raise ValueError('a metadata entry holds something other than strings')
        strings[tag >> 3] = file.read(min(_varint(file), end - file.tell())).decode()
    return strings.get(_ENTRY_KEY, ''), strings.get(_ENTRY_VALUE, '')


def _varint(file: BinaryIO) -> int:
    """Read a number: seven bits a byte, the lowest first, the last byte without its top bit."""
    value = 0
    for shift in range(0, 70, 7):
        byte = file.read(1)
        if not byte:
            raise ValueError('it ends too early')
        value |= (byte[0] & 0x7f) << shift
        if byte[0] < 0x80:
            return value
    raise ValueError('it holds a number that is too long')


def _skip(file: BinaryIO, kind: int) -> None:
    """Pass over a field that is not a string."""
    if kind == _VARINT:
        _varint(file)
    elif kind in (_FIXED64, _FIXED32):
        file.seek(8 if kind == _FIXED64 else 4, 1)
    else:
        raise ValueError(f'it holds a field of the unknown kind {kind}')


def _tensor_to_json(spec: TensorSpec) -> dict[str, Any]:
    """Describe a tensor."""
    return {'name': spec.name, 'dtype': str(spec.dtype).removeprefix('torch.'),
            'shape': list(spec.shape)}


def _tensor_from_json(data: dict[str, Any]) -> TensorSpec:
    """Read a tensor's description."""
    shape = data['shape']
    if not all(isinstance(size, (int, str)) for size in shape):
        raise ValueError(f'{shape} is no shape')
    return TensorSpec(str(data['name']), DTYPES[data['dtype']], tuple(shape))
