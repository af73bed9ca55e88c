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
The shards of an enriched dataset: what the VLLM says of every pair, and what it saw.

A shard is a webdataset tar. Each sample has two members: ``<key>.json`` with the words and
``<key>.safetensors`` with the features, which are those before the projector and only the real
rows of the text embedding: a fifth of the disk that H_i and H_t padded to N rows would take.
The same samples always give the same bytes, whoever writes them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
import hashlib
import io
from pathlib import Path
import tarfile
from typing import Annotated, Literal

from lego_ros.errors import ErrorCode, LegoError
from lego_ros.files import commit, sha256_of, write_whole
from lego_ros.training.data.files import unusable
from lego_ros.training.data.records import first_fault
import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from safetensors import SafetensorError
from safetensors.numpy import load, save

SCHEMA: Literal['lego_ros/enrichment/1'] = 'lego_ros/enrichment/1'
"""Changes with every change of the format."""
INDEX = 'enrichment.json'
MAX_WORDS = 1 << 20
"""Largest ``<key>.json`` that is read, in bytes."""
MAX_ROWS = 4096
"""Most rows of a text embedding."""

Positive = Annotated[int, Field(gt=0)]
Sha256 = Annotated[str, Field(pattern=r'^[0-9a-f]{64}$')]


class _Record(BaseModel):
    model_config = ConfigDict(extra='forbid', frozen=True, allow_inf_nan=False)


class ShardRecord(_Record):
    """A shard in the index."""

    name: Annotated[str, Field(pattern=r'^shard-[0-9]{6}\.tar$')]
    samples: Positive
    sha256: Sha256


class EnrichmentIndex(_Record):
    """What ``enrichment.json`` says; it is written last, when all shards are there."""

    schema_version: Literal['lego_ros/enrichment/1'] = Field(SCHEMA, alias='schema')
    vllm: Sha256
    """Of the VLLM that made it."""
    image_tokens: Positive
    """M."""
    vision_hidden: Positive
    """Channels of the vision tower's output."""
    hidden: Positive
    """Channels of the VLLM's embeddings."""
    samples: Positive
    """In all shards."""
    shards: tuple[ShardRecord, ...]
    flipped: bool
    """Whether each pair has a second, mirrored sample."""


class SampleWords(_Record):
    """What ``<key>.json`` says."""

    pair_id: str
    flipped: bool
    """Whether this is of the mirrored frame; left and right are then swapped in the words."""
    label: str
    description: str
    token_ids: tuple[int, ...]
    """Of the VLLM's answer; row k of ``states`` predicts token k."""
    stop: str
    """Why the answer ended."""


@dataclass(frozen=True, eq=False)
class EnrichedSample:
    """
    A sample: the fields of :class:`SampleWords` and the features.

    :param vision: (M, vision_hidden) float16, the vision tower's output before the projector.
    :param states: (K, hidden) float16, the K real rows of H_t.
    """

    pair_id: str
    flipped: bool
    label: str
    description: str
    token_ids: tuple[int, ...]
    stop: str
    vision: np.ndarray
    states: np.ndarray

    @property
    def words(self) -> SampleWords:
        """All but the features."""
        return SampleWords(
            pair_id=self.pair_id, flipped=self.flipped, label=self.label,
            description=self.description, token_ids=tuple(self.token_ids), stop=self.stop)


def shard_name(number: int) -> str:
    """
    Name a shard.

    :param number: from 0.
    :returns: the file's name.
    """
    return f'shard-{number:06}.tar'


def write_shard(folder: Path, number: int, samples: Sequence[EnrichedSample]) -> ShardRecord:
    """
    Write a shard; it is there whole or not at all.

    :param folder: of the shards; it exists.
    :param number: of the shard, from 0.
    :param samples: in order, at least one.
    :returns: the shard for the index.
    :raises ValueError: no samples, or features of another type or rank.
    :raises LegoError: RECORDING_FAILED: it cannot be written.
    """
    if not samples:
        raise ValueError('a shard holds at least one sample')
    path = folder / shard_name(number)
    part = folder / f'.{path.name}.part'
    try:
        with tarfile.open(part, 'w', format=tarfile.USTAR_FORMAT) as tar:
            for place, sample in enumerate(samples):
                key = f'{number:06}{place:06}'
                _add(tar, f'{key}.json', sample.words.model_dump_json().encode())
                _add(tar, f'{key}.safetensors', _features(sample))
        digest = sha256_of(part)
        commit(part, path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise LegoError(
            ErrorCode.RECORDING_FAILED,
            f"the shard '{path}' cannot be written: {error}. Make room; the same command goes on "
            'after the last whole shard') from error
    return ShardRecord(name=path.name, samples=len(samples), sha256=digest)


def write_index(folder: Path, index: EnrichmentIndex) -> None:
    """
    Write the index, which makes the shards a finished enrichment.

    :param folder: of the shards.
    :param index: what it says.
    :raises OSError: it cannot be written.
    """
    write_whole(folder / INDEX, index.model_dump_json(by_alias=True, indent=1).encode() + b'\n')


def read_index(folder: Path) -> EnrichmentIndex:
    """
    Read the index.

    :param folder: of the shards.
    :returns: what it says.
    :raises LegoError: SOURCE_UNREADABLE: there is none, or it is not one.
    """
    path = folder / INDEX
    try:
        index = EnrichmentIndex.model_validate_json(path.read_bytes())
    except FileNotFoundError as error:
        raise unusable(path, 'there is none: the enrichment is not finished; run it (again)'
                       ) from error
    except OSError as error:
        raise unusable(path, f'it cannot be read: {error}') from error
    except ValidationError as error:
        raise unusable(path, f'{first_fault(error)}. Make the enrichment anew') from error
    if sum(shard.samples for shard in index.shards) != index.samples:
        raise unusable(path, f'its shards do not hold {index.samples} samples together')
    return index


def read_shards(folder: Path) -> Iterator[EnrichedSample]:
    """
    Read an enrichment in order, one sample in memory at a time.

    :param folder: of the shards.
    :returns: an iterator over the samples.
    :raises LegoError: SOURCE_UNREADABLE, naming the file and what is wrong with it.
    """
    index = read_index(folder)
    for shard in index.shards:
        for words, place in shard_members(folder, shard):
            with open(folder / shard.name, 'rb') as file:
                file.seek(place.start)
                vision, states = parse_features(
                    folder / shard.name, index, words, file.read(len(place)))
            yield EnrichedSample(**dict(words), vision=vision, states=states)


def shard_members(folder: Path, shard: ShardRecord) -> Iterator[tuple[SampleWords, range]]:
    """
    Read the words of a shard's samples, and where in the file their features lie.

    :param folder: of the shards.
    :param shard: which.
    :returns: an iterator over words and byte ranges, in order.
    :raises LegoError: SOURCE_UNREADABLE: it is missing, damaged or not the index's.
    """
    path = folder / shard.name
    try:
        if sha256_of(path) != shard.sha256:
            raise unusable(path, f'it is not the shard that {INDEX} lists: its SHA-256 differs. '
                           'Make the enrichment anew')
        count = 0
        with tarfile.open(path, 'r:') as tar:
            while head := tar.next():
                body = tar.next()
                if body is None or body.name != head.name[:-len('json')] + 'safetensors':
                    raise unusable(path, f'{head.name} has no features after it')
                yield _words(path, tar, head), range(
                    body.offset_data, body.offset_data + body.size)
                count += 1
    except (OSError, tarfile.TarError) as error:
        raise unusable(path, f'it cannot be read: {error}') from error
    if count != shard.samples:
        raise unusable(path, f'it holds {count} samples instead of {shard.samples}')


def parse_features(path: Path, index: EnrichmentIndex, words: SampleWords, content: bytes
                   ) -> tuple[np.ndarray, np.ndarray]:
    """
    Read the features of a sample.

    :param path: of the shard, for messages.
    :param index: which sizes they have.
    :param words: of the sample, for messages.
    :param content: of ``<key>.safetensors``.
    :returns: vision (M, vision_hidden) and states (K, hidden), float16.
    :raises LegoError: SOURCE_UNREADABLE: they are not that.
    """
    try:
        tensors = load(content)
        vision, states = tensors['vision'], tensors['states']
    except (SafetensorError, KeyError, ValueError) as error:
        raise unusable(path, f'the features of {words.pair_id} cannot be read: {error}') from error
    wanted = (index.image_tokens, index.vision_hidden)
    if (vision.dtype != np.float16 or states.dtype != np.float16 or vision.shape != wanted
            or states.ndim != 2 or states.shape[1] != index.hidden
            or states.shape[0] > MAX_ROWS):
        raise unusable(
            path, f'the features of {words.pair_id} are {vision.dtype} {vision.shape} and '
            f'{states.dtype} {states.shape}, not float16 {wanted} and (K, {index.hidden})')
    return vision, states


def index_sha256(folder: Path) -> str:
    """
    Identify an enrichment: its index names the SHA-256 of every shard.

    :param folder: of the shards.
    :returns: SHA-256 of the index.
    :raises LegoError: SOURCE_UNREADABLE: there is none.
    """
    content = read_index(folder).model_dump_json(by_alias=True)
    return hashlib.sha256(content.encode()).hexdigest()


def _words(path: Path, tar: tarfile.TarFile, head: tarfile.TarInfo) -> SampleWords:
    if not head.name.endswith('.json') or head.size > MAX_WORDS:
        raise unusable(path, f'{head.name} ({head.size} bytes) is not what a sample begins with')
    file = tar.extractfile(head)
    if file is None:
        raise unusable(path, f'{head.name} is no file')
    try:
        return SampleWords.model_validate_json(file.read())
    except ValidationError as error:
        raise unusable(path, f'{head.name}: {first_fault(error)}') from error


def _features(sample: EnrichedSample) -> bytes:
    for name, rows in (('vision', sample.vision), ('states', sample.states)):
        if rows.dtype != np.float16 or rows.ndim != 2:
            raise ValueError(f'{name} of {sample.pair_id} must be two-dimensional float16, '
                             f'not {rows.dtype} of shape {rows.shape}')
        if not np.isfinite(rows).all():
            raise ValueError(f'{name} of {sample.pair_id} holds values that are not finite')
    return save({'vision': np.ascontiguousarray(sample.vision),
                 'states': np.ascontiguousarray(sample.states)})


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    # A fresh entry has neither time nor owner, so that equal samples make equal files.
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    tar.addfile(entry, io.BytesIO(content))
