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

"""What the VLLM says of held-out frames."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from lego_ros.errors import ErrorCode, telling
from lego_ros.files import sha256_of
from lego_ros.training.data.dataset import PairDataset
from lego_ros.training.enrichment.describing import Describer, Request
from lego_ros.training.enrichment.settings import EnrichSettings, EnrichSources
from lego_ros.training.enrichment.shards import (
    EnrichmentIndex,
    shard_members,
    shard_name,
    ShardRecord,
    write_index,
    write_shard,
)
from lego_ros.training.ldm.features import Enrichment
from lego_ros.training.run.identity import values_sha256
from lego_ros.training.run.loop import Interrupted
from lego_ros.training.vllm.identity import vllm_sha256
from tqdm import tqdm
from transformers import LlavaConfig

_SHARD = 32


def ask(pairs: PairDataset, indices: Sequence[int], vllm: Path, text: Path,
        settings: EnrichSettings, folder: Path, *, stop: Callable[[], bool]) -> Enrichment:
    """
    Ask about some pairs, going on after the last whole shard of an earlier call.

    :param pairs: of a split.
    :param indices: of those that are asked about.
    :param vllm: its folder.
    :param text: folder with the LDM's tokenizer.
    :param settings: how it is asked.
    :param folder: for the answers; those of other questions lie beside them.
    :param stop: asked after each shard.
    :returns: the answers, as the training of the LDM reads them.
    :raises Interrupted: ``stop`` said so.
    :raises LegoError: the model or a picture cannot be read.
    """
    sha256 = vllm_sha256(vllm)
    asked = [[pairs[index].pair_id, pairs[index].label, pairs[index].input_sha256]
             for index in indices]
    name = values_sha256([sha256, asked, settings.model_dump(mode='json', exclude={'workers'})])
    folder = folder / f'{pairs.split}-{name[:16]}'
    folder.mkdir(parents=True, exist_ok=True)
    shards = [indices[first:first + _SHARD] for first in range(0, len(indices), _SHARD)]
    describer: Describer | None = None
    records = []
    for number, some in enumerate(tqdm(shards, desc=f'asking, {pairs.split}', unit='shard')):
        if stop():
            raise Interrupted(number)
        path = folder / shard_name(number)
        if path.is_file():
            record = ShardRecord(name=path.name, samples=len(some), sha256=sha256_of(path))
            for _ in shard_members(folder, record):
                pass
        else:
            describer = describer or Describer(EnrichSources(
                dataset=pairs.folder, split=pairs.split, vllm=vllm, text=text), settings)
            record = write_shard(folder, number, describer.samples(
                pairs, [Request(index, False) for index in some]))
        records.append(record)
    with telling(ErrorCode.BUNDLE_INVALID, f'The vllm in {vllm} cannot be loaded'):
        config = LlavaConfig.from_pretrained(vllm, local_files_only=True)
    write_index(folder, EnrichmentIndex(
        schema='lego_ros/enrichment/1', vllm=sha256, image_tokens=config.image_seq_length,
        vision_hidden=config.vision_config.hidden_size, hidden=config.text_config.hidden_size,
        samples=len(indices), shards=tuple(records), flipped=False))
    return Enrichment(folder)
