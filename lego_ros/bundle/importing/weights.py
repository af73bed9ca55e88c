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
Reading weights that others wrote, memory-mapped and without running anything.

Nothing is copied here: the tensors are views of the files, read when they are written out.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
import json
from pathlib import Path
import pickle
import re
from typing import Any

from lego_ros.errors import ErrorCode, LegoError, telling
from safetensors import safe_open, SafetensorError
import torch

PICKLES = {'.bin', '.ckpt', '.pt', '.pth'}
_IN_FOLDER = (
    'model.safetensors', 'diffusion_pytorch_model.safetensors',
    'model.fp16.safetensors', 'diffusion_pytorch_model.fp16.safetensors',
    'pytorch_model.bin', 'diffusion_pytorch_model.bin',
)
_MAX_JSON_BYTES = 16 << 20


class _ModelCheckpoint:
    """Stands in for the callback's class, which Lightning wrote as the key of its settings."""


_HARMLESS: list[Any] = [
    (_ModelCheckpoint, f'{package}.callbacks.model_checkpoint.ModelCheckpoint')
    for package in ('pytorch_lightning', 'lightning.pytorch')]


def read_json(path: Path) -> dict[str, Any]:
    """
    Read a configuration.

    :param path: of a JSON file that holds an object.
    :returns: the object.
    :raises LegoError: SOURCE_UNREADABLE when there is none.
    """
    try:
        if path.stat().st_size > _MAX_JSON_BYTES:
            raise ValueError(f'it is larger than {_MAX_JSON_BYTES} bytes')
        content = json.loads(path.read_text(encoding='utf-8'))
        if not isinstance(content, dict):
            raise ValueError('it holds no JSON object')
    except (OSError, ValueError, RecursionError) as error:
        raise unreadable(path, error) from error
    return content


def read_folder(folder: Path) -> dict[str, torch.Tensor]:
    """
    Read the weights of one network, in one file or in shards with an index.

    :param folder: as transformers or diffusers save it; safetensors are preferred to pickles.
    :returns: the weights by name, memory-mapped.
    :raises LegoError: SOURCE_UNREADABLE or BUNDLE_UNSAFE as :func:`read_weights`.
    """
    for name in _IN_FOLDER:
        index = folder / f'{name}.index.json'
        if index.is_file():
            return _read_shards(folder, index)
        if (folder / name).is_file():
            return read_weights(folder / name)
    hint = (': it is a LoRA adapter, merge it into its model first'
            if (folder / 'adapter_config.json').is_file() else '')
    raise LegoError(
        ErrorCode.SOURCE_UNREADABLE,
        f"'{folder}' holds no weights{hint}; looked for {', '.join(_IN_FOLDER)} and their indices")


def read_weights(path: Path) -> dict[str, torch.Tensor]:
    """
    Read one file of weights.

    A pickle is read by torch's restricted unpickler, which makes tensors and plain containers
    and refuses everything else. Of a Lightning file only ``state_dict`` is taken.

    :param path: ``.safetensors``, or one of :data:`PICKLES` in torch's zip format.
    :returns: the weights by name, memory-mapped, float or integer tensors with elements.
    :raises LegoError: SOURCE_UNREADABLE, the file is missing, damaged or holds no weights;
        BUNDLE_UNSAFE, it is a pickle of other things than tensors.
    """
    if path.suffix == '.safetensors':
        weights = _read_safetensors(path)
    elif path.suffix in PICKLES:
        weights = _read_pickle(path)
    else:
        raise LegoError(
            ErrorCode.SOURCE_UNREADABLE,
            f"'{path}' is no file of weights; it must end in .safetensors or in one of "
            f"{', '.join(sorted(PICKLES))}")
    for name, tensor in weights.items():
        if (not isinstance(name, str) or not isinstance(tensor, torch.Tensor)
                or tensor.layout is not torch.strided or tensor.is_quantized
                or not tensor.numel()):
            raise LegoError(
                ErrorCode.SOURCE_UNREADABLE,
                f"'{path}' holds {str(name)[:60]!r}, which is no plain tensor; it must hold a "
                'state dict, or one under state_dict')
    return weights


def unreadable(path: Path, error: Exception | str) -> LegoError:
    """
    Say that a source cannot be used.

    :param path: of the source.
    :param error: the reason.
    :returns: SOURCE_UNREADABLE, to be raised.
    """
    return LegoError(ErrorCode.SOURCE_UNREADABLE, f"'{path}' cannot be used: {error}")


def understanding(path: Path) -> AbstractContextManager[None]:
    """
    Report what a library says of a file of strangers.

    :param path: of the file.
    :returns: a context; the libraries are called in it.
    :raises LegoError: SOURCE_UNREADABLE for whatever they raise.
    """
    return telling(ErrorCode.SOURCE_UNREADABLE, f"'{path}' cannot be used")


def _read_shards(folder: Path, index: Path) -> dict[str, torch.Tensor]:
    shards = read_json(index).get('weight_map')
    if not isinstance(shards, dict) or not all(isinstance(v, str) for v in shards.values()):
        raise unreadable(index, 'it has no weight_map from names to files')
    weights: dict[str, torch.Tensor] = {}
    for name in sorted(set(shards.values())):
        if Path(name).name != name:
            raise LegoError(
                ErrorCode.BUNDLE_UNSAFE,
                f"'{index}' names {name[:60]!r}, which leads out of its folder")
        part = read_weights(folder / name)
        twice = sorted(part.keys() & weights.keys())
        if twice:
            raise unreadable(folder / name, f'another shard holds {twice[0]!r} too')
        weights.update(part)
    lost = sorted(shards.keys() - weights.keys())
    if lost:
        raise unreadable(index, f'no shard holds {", ".join(lost[:8])} ({len(lost)} in all)')
    return weights


def _read_safetensors(path: Path) -> dict[str, torch.Tensor]:
    try:
        with safe_open(path, framework='pt', device='cpu') as file:
            # Mapped, not read: the tensors stay valid after the file is closed. safe_open has no
            # iterator, only keys().
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise unreadable(path, error) from error


def _read_pickle(path: Path) -> dict[str, torch.Tensor]:
    try:
        with torch.serialization.safe_globals(_HARMLESS):
            content = torch.load(path, map_location='cpu', weights_only=True, mmap=True)
    except pickle.UnpicklingError as error:
        asked = re.search(r'GLOBAL ([\w.]{1,80})', str(error))
        named = f' ({asked.group(1)})' if asked else ''
        raise LegoError(
            ErrorCode.BUNDLE_UNSAFE,
            f"'{path}' is a pickle that holds other things than weights{named}, and loading those "
            'could run code. Take a .safetensors file of the same weights, or extract its state '
            'dict in a sandbox as docs/import.md shows') from error
    except (OSError, RuntimeError, ValueError, KeyError, TypeError, EOFError,
            AttributeError) as error:
        raise unreadable(
            path, f'{error}; it must be a whole file that torch.save wrote (1.6 or later)'
        ) from error
    content = content.get('state_dict', content) if isinstance(content, dict) else content
    if not isinstance(content, dict) or not content:
        raise unreadable(path, 'it holds no state dict')
    return content
