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
Enrichment at scale: shards of described pairs, by any number of workers.

A shard is the unit of work, of resumption and of what is decoded together. So neither the order
nor a single number depends on how many workers there are or on how often the work was broken off.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import closing
import json
from pathlib import Path

from lego_ros.errors import ErrorCode, LegoError
from lego_ros.files import sha256_of, write_whole
from lego_ros.training.data.dataset import PairDataset
from lego_ros.training.data.files import unusable
from lego_ros.training.enrichment.describing import Describer, Request
from lego_ros.training.enrichment.settings import EnrichSettings, EnrichSources
from lego_ros.training.enrichment.shards import (
    EnrichmentIndex,
    INDEX,
    read_index,
    shard_members,
    shard_name,
    ShardRecord,
    write_index,
    write_shard,
)
from lego_ros.training.run.identity import values_sha256
from lego_ros.training.run.loop import Interrupted
from lego_ros.training.vllm.identity import vllm_sha256
from pydantic import BaseModel, ConfigDict
import torch
from tqdm import tqdm


class ShardTask(BaseModel):
    """
    All that a worker must know to make a shard; plain values, for it may be on another machine.

    Folders must be the same on all machines.
    """

    model_config = ConfigDict(frozen=True)

    sources: EnrichSources
    settings: EnrichSettings
    folder: Path
    number: int


class ShardWorker:
    """
    Makes shards; the model and the list of pairs stay loaded between them.

    :param task: any of the tasks.
    :raises LegoError: the pairs or the model cannot be read.
    """

    def __init__(self, task: ShardTask) -> None:
        torch.set_num_threads(task.settings.threads)
        self._pairs = PairDataset(task.sources.dataset, task.sources.split, described=False)
        self._describer = Describer(task.sources, task.settings)

    def make(self, task: ShardTask) -> ShardRecord:
        """
        Make a shard.

        :param task: which.
        :returns: the shard for the index.
        :raises LegoError: a picture or the model failed, or the shard cannot be written.
        """
        requests = requests_of(task.number, len(self._pairs), task.settings)
        return write_shard(
            task.folder, task.number, self._describer.samples(self._pairs, requests))


def requests_of(number: int, pairs: int, settings: EnrichSettings) -> list[Request]:
    """
    Give the frames of a shard.

    :param number: of the shard.
    :param pairs: how many there are in all.
    :param settings: see there.
    :returns: the frames in the manifest's order, each mirrored one after its own.
    """
    first = number * settings.shard_pairs
    return [Request(index, flipped)
            for index in range(first, min(first + settings.shard_pairs, pairs))
            for flipped in ((False, True) if settings.flipped else (False,))]


def enrich(settings: EnrichSettings, sources: EnrichSources, folder: Path, *,
           stop: Callable[[], bool] = lambda: False) -> EnrichmentIndex:
    """
    Enrich the pairs of a split, going on after the last whole shard of an earlier call.

    :param settings: of the stage.
    :param sources: what is enriched, and with what.
    :param folder: for the shards and their index.
    :param stop: asked after each shard; True ends it with nothing lost.
    :returns: the index.
    :raises Interrupted: ``stop`` said so.
    :raises LegoError: INVALID_SETTING: the folder holds the enrichment of something else; and
        what the workers raise.
    """
    pairs = PairDataset(sources.dataset, sources.split, described=False)
    model = vllm_sha256(sources.vllm)
    # True descriptions and target pictures are not looked at, and may change.
    asked = [[pair.pair_id, pair.label, pair.input_sha256] for pair in pairs]
    _claim(folder, {
        'vllm': model, 'pairs': values_sha256(asked),
        'tokenizer': vllm_sha256(sources.text / 'tokenizer'),
        **settings.model_dump(mode='json', exclude={'workers'})})
    if (folder / INDEX).is_file():
        index = read_index(folder)
        if all((folder / shard.name).is_file() for shard in index.shards):
            return index
    count = -(-len(pairs) // settings.shard_pairs)
    tasks = [ShardTask(sources=sources, settings=settings, folder=folder, number=number)
             for number in range(count)]
    records = {task.number: _found(task, len(pairs)) for task in tasks
               if (folder / shard_name(task.number)).is_file()}
    missing = [task for task in tasks if task.number not in records]
    with (tqdm(total=count, initial=len(records), desc='enrichment', unit='shard',
               dynamic_ncols=True, disable=not missing) as bar,
          closing(_made(missing, settings.workers)) as made):
        for task, record in zip(missing, made, strict=True):
            records[task.number] = record
            bar.update()
            if len(records) < count and stop():
                raise Interrupted(len(records))
    index = _index(sources.vllm, model, [records[number] for number in range(count)], settings)
    write_index(folder, index)
    return index


def _made(tasks: list[ShardTask], workers: int) -> Generator[ShardRecord, None, None]:
    """Make shards, in order."""
    if not tasks:
        return
    if workers:
        # Ray is heavy, and only needed here.
        from lego_ros.training.enrichment.ray_workers import make_shards

        yield from make_shards(tasks, workers)
        return
    # The number of threads is this process's own again afterwards.
    threads = torch.get_num_threads()
    try:
        worker = ShardWorker(tasks[0])
        for task in tasks:
            yield worker.make(task)
    finally:
        torch.set_num_threads(threads)


def _found(task: ShardTask, pairs: int) -> ShardRecord:
    """Give the record of a shard that an earlier call made."""
    path = task.folder / shard_name(task.number)
    record = ShardRecord(
        name=path.name, samples=len(requests_of(task.number, pairs, task.settings)),
        sha256=sha256_of(path))
    for _ in shard_members(task.folder, record):
        pass
    return record


def _index(vllm: Path, sha256: str, records: list[ShardRecord], settings: EnrichSettings
           ) -> EnrichmentIndex:
    config = json.loads((vllm / 'config.json').read_text(encoding='utf-8'))
    return EnrichmentIndex(
        schema='lego_ros/enrichment/1', vllm=sha256, image_tokens=config['image_seq_length'],
        vision_hidden=config['vision_config']['hidden_size'],
        hidden=config['text_config']['hidden_size'],
        samples=sum(record.samples for record in records), shards=tuple(records),
        flipped=settings.flipped)


def _claim(folder: Path, identity: dict) -> None:
    """Refuse a folder with the enrichment of something else."""
    path = folder / 'identity.json'
    try:
        found = json.loads(path.read_text(encoding='utf-8')) if path.is_file() else None
    except (OSError, ValueError) as error:
        raise unusable(path, f'it cannot be read: {error}. Remove the folder to make it anew'
                       ) from error
    if found is None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            write_whole(path, (json.dumps(identity, indent=1) + '\n').encode())
        except OSError as error:
            raise LegoError(ErrorCode.RECORDING_FAILED,
                            f"'{path}' cannot be written: {error}") from error
    elif found != identity:
        differ = [key for key in identity
                  if not isinstance(found, dict) or found.get(key) != identity[key]]
        raise LegoError(
            ErrorCode.INVALID_SETTING,
            f"'{folder}' holds an enrichment with other {', '.join(differ) or 'contents'}: remove "
            'it, or name another folder')
