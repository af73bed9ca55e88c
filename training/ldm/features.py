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

"""The VLLM's words and features of every pair, in any order, straight out of the shards."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
import mmap
from pathlib import Path

from lego_ros.training.data.files import unusable
from lego_ros.training.enrichment.shards import (
    EnrichmentIndex,
    index_sha256,
    parse_features,
    read_index,
    SampleWords,
    shard_members,
)
import numpy as np


@dataclass(frozen=True)
class _Row:
    words: SampleWords
    shard: int
    place: range


class Enrichment:
    """
    An enrichment, opened.

    A tar holds its files as they are; they are read where they lie. The words are in memory, the
    shards are mapped.

    :param folder: of the shards.
    :raises LegoError: SOURCE_UNREADABLE: something is missing, damaged or there twice.
    """

    def __init__(self, folder: Path) -> None:
        self.index: EnrichmentIndex = read_index(folder)
        self.sha256 = index_sha256(folder)
        self._folder = folder
        self._maps: dict[int, mmap.mmap] = {}
        self._rows: dict[tuple[str, bool], _Row] = {}
        for number, shard in enumerate(self.index.shards):
            for words, place in shard_members(folder, shard):
                key = (words.pair_id, words.flipped)
                if key in self._rows:
                    raise unusable(folder / shard.name, f'{words.pair_id} is there twice')
                self._rows[key] = _Row(words, number, place)

    def __contains__(self, key: tuple[str, bool]) -> bool:
        """Tell whether a pair, or its mirror image, is there."""
        return key in self._rows

    def __getstate__(self) -> dict:
        """Leave the mapped files out; another process maps them again."""
        return {**self.__dict__, '_maps': {}}

    def words(self, pair_id: str, flipped: bool) -> SampleWords:
        """
        Give the words of a sample.

        :param pair_id: of the pair.
        :param flipped: whether of its mirror image.
        :returns: label, description and tokens.
        """
        return self._rows[pair_id, flipped].words

    def descriptions(self) -> Iterator[str]:
        """Give all descriptions, in order."""
        return (row.words.description for row in self._rows.values())

    def features(self, pair_id: str, flipped: bool) -> tuple[np.ndarray, np.ndarray]:
        """
        Read the features of a sample.

        :param pair_id: of the pair.
        :param flipped: whether of its mirror image.
        :returns: vision (M, vision_hidden) and states (K, hidden), float16.
        :raises LegoError: SOURCE_UNREADABLE: they cannot be read.
        """
        row = self._rows[pair_id, flipped]
        path = self._folder / self.index.shards[row.shard].name
        if row.shard not in self._maps:
            try:
                with open(path, 'rb') as file:
                    self._maps[row.shard] = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            except (OSError, ValueError) as error:
                raise unusable(path, f'it cannot be read: {error}') from error
        content = self._maps[row.shard][row.place.start:row.place.stop]
        return parse_features(path, self.index, row.words, content)
