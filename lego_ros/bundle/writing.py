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
Writing the networks of a bundle in a chosen precision, also those still in the files of others.

The libraries' own ``save_pretrained`` would hold a whole network in the new type at once: 26 GB
for LLaVA-13B. Here no more than one file of weights is held.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
import json
from pathlib import Path
import shutil
from typing import Any

from lego_ros.errors import ErrorCode, LegoError
from lego_ros.ldm.pipeline import LegoPipeline
from lego_ros.vllm.adapter import CONFIG, WEIGHTS
from lego_ros.vllm.llava import LegoLlava
from safetensors.torch import load_file, save_file
import torch
from transformers import CLIPImageProcessorPil, PreTrainedModel, PreTrainedTokenizerBase

DTYPES = {
    'float16': torch.float16, 'bfloat16': torch.bfloat16, 'float32': torch.float32}
SHARD_BYTES = 4 << 30


def network_bytes(network: torch.nn.Module, dtype: torch.dtype) -> int:
    """
    Count what a network will take.

    :param network: with or without its weights.
    :param dtype: that it is to be written in.
    :returns: bytes.
    """
    return sum(tensor.numel() for tensor in network.state_dict().values()) * dtype.itemsize


def write_networks(
    folder: Path, vllm: LegoLlava, tokenizer: PreTrainedTokenizerBase,
    processor: CLIPImageProcessorPil, pipeline: LegoPipeline, dtype: torch.dtype,
    on_bytes: Callable[[int, int], None] | None = None,
) -> None:
    """
    Write all networks of a bundle, and what goes with them.

    :param folder: of the bundle.
    :param vllm: goes to ``vllm/``.
    :param tokenizer: of the VLLM.
    :param processor: of the VLLM.
    :param pipeline: its parts go to ``unet/``, ``vae/``, ``text_encoder/`` and so on.
    :param dtype: of the weights.
    :param on_bytes: called with the bytes written so far and in all.
    :raises LegoError: BUNDLE_INVALID, a weight is not finite, or not in this type.
    """
    networks = {
        'vllm': vllm, 'unet': pipeline.unet, 'vae': pipeline.vae,
        'text_encoder': pipeline.text_encoder, 'conditioning': pipeline.conditioning}
    total = sum(network_bytes(network, dtype) for network in networks.values())
    done = 0

    def count(more: int) -> None:
        nonlocal done
        done += more
        if on_bytes is not None:
            on_bytes(done, total)

    for name, network in networks.items():
        write_network(network, folder / name, dtype, count)
    tokenizer.save_pretrained(folder / 'vllm')
    processor.save_pretrained(folder / 'vllm')
    pipeline.tokenizer.save_pretrained(folder / 'tokenizer')
    pipeline.scheduler.save_pretrained(folder / 'scheduler')
    pipeline.save_config(folder)


def write_adapter(source: Path, folder: Path, dtype: torch.dtype) -> None:
    """
    Write the adapter of a bundle's VLLM.

    :param source: what PEFT wrote, as ``lego_ros.vllm.adapter.adapted`` reads it.
    :param folder: to be made.
    :param dtype: of the weights.
    :raises LegoError: BUNDLE_INVALID, a weight is not finite, or not in this type.
    """
    folder.mkdir()
    shutil.copyfile(source / CONFIG, folder / CONFIG)
    save_file({name: _cast(tensor, name, folder.name, dtype)
               for name, tensor in load_file(source / WEIGHTS).items()}, folder / WEIGHTS)


def write_network(
    network: Any, folder: Path, dtype: torch.dtype, on_bytes: Callable[[int], None],
    shard_bytes: int = SHARD_BYTES,
) -> None:
    """
    Write a network as its library does: configuration, weights, and an index for several files.

    :param network: of transformers or diffusers.
    :param folder: to be made.
    :param dtype: of the weights.
    :param on_bytes: called with the size of each file after it was written.
    :param shard_bytes: the most in a file, unless one weight has more.
    :raises LegoError: BUNDLE_INVALID, a weight is not finite, or not in this type.
    """
    folder.mkdir()
    if isinstance(network, PreTrainedModel):
        stem = 'model'
        network.config.architectures = [type(network).__name__]
        network.config.dtype = dtype
        network.config.save_pretrained(folder)
    else:
        stem = 'diffusion_pytorch_model'
        # Where it was loaded from is nobody's business.
        network.register_to_config(_name_or_path='')
        network.save_config(folder)
    state = network.state_dict()
    shards = list(_shards(state, dtype.itemsize, shard_bytes))
    places = {}
    for number, names in enumerate(shards, start=1):
        counted = f'-{number:05}-of-{len(shards):05}' if len(shards) > 1 else ''
        file = folder / f'{stem}{counted}.safetensors'
        save_file({name: _cast(state[name], name, folder.name, dtype) for name in names}, file,
                  metadata={'format': 'pt'})
        places.update(dict.fromkeys(names, file.name))
        on_bytes(sum(state[name].numel() for name in names) * dtype.itemsize)
    if len(shards) > 1:
        index = {'metadata': {'total_size': network_bytes(network, dtype)}, 'weight_map': places}
        (folder / f'{stem}.safetensors.index.json').write_text(
            json.dumps(index, indent=1), encoding='utf-8')


def _shards(
    state: dict[str, torch.Tensor], item_bytes: int, shard_bytes: int,
) -> Iterator[list[str]]:
    names: list[str] = []
    size = 0
    for name, tensor in state.items():
        more = tensor.numel() * item_bytes
        if names and size + more > shard_bytes:
            yield names
            names, size = [], 0
        names.append(name)
        size += more
    yield names


def _cast(tensor: torch.Tensor, name: str, network: str, dtype: torch.dtype) -> torch.Tensor:
    cast = tensor.detach().to(dtype).contiguous()
    if not bool(torch.isfinite(cast).all()):
        whole = bool(torch.isfinite(tensor).all())
        reason = (f'has values beyond {dtype}; choose bfloat16 or float32' if whole
                  else 'has values that are not finite; the source is damaged')
        raise LegoError(ErrorCode.BUNDLE_INVALID, f'The weight {name!r} of the {network} {reason}')
    return cast
