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

"""A small dataset with its enrichment, and the frozen parts: real modules with random weights."""

from dataclasses import dataclass
import hashlib
from pathlib import Path

from lego_ros.ldm.config import build_pipeline, tiny_size
from lego_ros.ldm.pipeline import LegoPipeline
from lego_ros.training.data.dataset import PairDataset
from lego_ros.training.data.manifest import PairRecord, to_line
from lego_ros.training.enrichment.shards import (
    EnrichedSample,
    EnrichmentIndex,
    write_index,
    write_shard,
)
from lego_ros.training.ldm.finetune import Sources
from lego_ros.training.ldm.settings import LdmSettings
from lego_ros.training.vllm.identity import vllm_sha256
from lego_ros.vllm.llava import LegoLlava, tiny_llava_config
from lego_ros.vllm.tokenizers import make_clip_tokenizer
import numpy as np
from PIL import Image
import pytest
import torch

torch.set_num_threads(1)

TRAIN, HELD_OUT = 6, 3
SIDE = 64
VISION, HIDDEN, IMAGE_TOKENS = 32, 64, 16
VERBS = ('open', 'take', 'wash')


@dataclass
class World:
    """All that fine-tuning needs, on the disk."""

    sources: Sources
    pipeline: LegoPipeline
    llava: LegoLlava
    pairs: PairDataset
    held_out: PairDataset


def _picture(folder, name, noise):
    low = noise.integers(0, 256, (4, 4, 3), dtype=np.uint8)
    image = Image.fromarray(low).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    path = folder / 'pictures' / name
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)
    return f'pictures/{name}', hashlib.sha256(path.read_bytes()).hexdigest()


def _record(folder, number, split, noise):
    verb, side = VERBS[number % len(VERBS)], ('left', 'right')[number % 2]

    def picture(role, frame):
        path, sha256 = _picture(folder, f'{split}_{number}_{role}.png', noise)
        return {
            'asked_time': frame / 30, 'asked_frame': None, 'asked_base': 0, 'asked_fps': 30.0,
            'asked_source': 'rule', 'frame': frame, 'base': 0, 'fps': 30.0,
            'numbering': 'frames', 'time': frame / 30,
            'candidates': [{'frame': frame, 'time': frame / 30, 'quality': 0.5}],
            'path': path, 'sha256': sha256, 'width': SIDE, 'height': SIDE}

    action = f'{split}{number}'
    return PairRecord.model_validate({
        'pair_id': f'kitchen/{action}', 'dataset': 'kitchen', 'action_id': action,
        'video_id': f'v{number}', 'video': f'v{number}.mp4', 'split': split,
        'label': f'{verb} {side} drawer', 'narration': f'{verb} {side} drawer',
        'description': f'The person {verb}s the drawer with the {side} hand, number {number}.',
        'verb': verb, 'verb_class': None, 'noun': 'drawer', 'noun_class': None, 'hand': side,
        'boxes': [], 'input': picture('input', 15), 'target': picture('target', 30),
        'quality_by': 'order', 'similarity': 0.9, 'similarity_by': 'cosine', 'kept': True,
        'reason': 'kept'})


def enriched(pair, flipped, seed):
    """Make what a VLLM might say and see."""
    noise = np.random.default_rng((seed, flipped))
    swap = {'left': 'right', 'right': 'left'}

    def words(text):
        return ' '.join(swap.get(word, word) for word in text.split()) if flipped else text

    rows = int(noise.integers(1, 90))
    return EnrichedSample(
        pair_id=pair.pair_id, flipped=flipped, label=words(pair.label),
        description=words(f'Seen: {pair.description}'), token_ids=tuple(range(rows)), stop='eos',
        vision=noise.standard_normal((IMAGE_TOKENS, VISION)).astype(np.float16),
        states=noise.standard_normal((rows, HIDDEN)).astype(np.float16))


def write_enrichment(folder, pairs, vllm, flipped=True, per_shard=2):
    """Write an enrichment of all pairs."""
    folder.mkdir(parents=True, exist_ok=True)
    shards = []
    for first in range(0, len(pairs), per_shard):
        samples = [
            enriched(pairs[index], mirrored, index)
            for index in range(first, min(first + per_shard, len(pairs)))
            for mirrored in ((False, True) if flipped else (False,))]
        shards.append(write_shard(folder, len(shards), samples))
    write_index(folder, EnrichmentIndex(
        schema='lego_ros/enrichment/1', vllm=vllm, image_tokens=IMAGE_TOKENS,
        vision_hidden=VISION, hidden=HIDDEN, samples=sum(shard.samples for shard in shards),
        shards=tuple(shards), flipped=flipped))


def write_dataset(folder):
    """Write pictures and manifest."""
    noise = np.random.default_rng(8)
    records = [_record(folder, number, split, noise) for split, count in
               (('train', TRAIN), ('validation', HELD_OUT)) for number in range(count)]
    (folder / 'pairs.jsonl').write_bytes(b''.join(to_line(record) for record in records))


@pytest.fixture(scope='session')
def world(tmp_path_factory) -> World:
    """Give one that tests only read; its cache is filled by whoever comes first."""
    folder: Path = tmp_path_factory.mktemp('world')
    write_dataset(folder / 'data')
    tokenizer = make_clip_tokenizer(
        ['The person opens the left drawer with the right hand.'], 600)
    pipeline = build_pipeline(tiny_size(HIDDEN, IMAGE_TOKENS), tokenizer, seed=4)
    pipeline.save_pretrained(folder / 'parts')
    torch.manual_seed(2)
    llava = LegoLlava(tiny_llava_config(40)).eval()
    llava.save_pretrained(folder / 'vllm')
    pairs, held_out = (
        PairDataset(folder / 'data', split) for split in ('train', 'validation'))
    vllm = vllm_sha256(folder / 'vllm')
    write_enrichment(folder / 'enriched', pairs, vllm)
    write_enrichment(folder / 'enriched_held_out', held_out, vllm, flipped=False)
    return World(
        Sources(folder / 'data', folder / 'parts', folder / 'parts', folder / 'cache',
                folder / 'vllm', folder / 'enriched', folder / 'enriched_held_out'),
        pipeline, llava, pairs, held_out)


@pytest.fixture
def settings():
    """Make settings of a short run at the tiny size."""
    def make(loop=None, **changes):
        return LdmSettings.model_validate({
            'size': 'tiny', 'resolution': SIDE,
            'shown': {'loss_pairs': 3, 'grid_pairs': 2, 'steps': 2},
            'loop': {'steps': 4, 'batch_size': 4, 'lr': 1e-3, 'ema': 0.99,
                     'checkpoint_every': 2, 'validate_every': 4, 'log_every': 1, **(loop or {})},
            **changes})

    return make


@pytest.fixture(name='enriched')
def _enriched():
    """Give the function that makes a sample, to compare with."""
    return enriched
