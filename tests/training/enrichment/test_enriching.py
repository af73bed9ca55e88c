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

"""Enrichment as a stage: shards, workers, what breaks off and what is refused."""

import os
import shutil
import signal
import subprocess
import sys
import threading
import time

from lego_ros.errors import ErrorCode, LegoError
from lego_ros.training.enrichment.enrich import enrich, ShardWorker
from lego_ros.training.enrichment.ray_workers import cluster
from lego_ros.training.enrichment.shards import read_index, read_shards
from lego_ros.training.run.loop import Interrupted
import pytest

PICTURE = 'pictures/train6_input.png'
"""Of the only pair of the last shard."""


def after(n):
    """Make a stop that says yes when it is asked for the n-th time."""
    asked = iter(range(1, 1000))
    return lambda: next(asked) >= n


@pytest.fixture
def made(monkeypatch):
    """Count the shards that are made."""
    numbers, make = [], ShardWorker.make

    def counting(self, task):
        numbers.append(task.number)
        return make(self, task)

    monkeypatch.setattr(ShardWorker, 'make', counting)
    return numbers


@pytest.fixture
def damaged(tmp_path, enriched_world):
    """Give sources of which one picture is damaged."""
    shutil.copytree(enriched_world.sources.dataset, tmp_path / 'data')
    (tmp_path / 'data' / PICTURE).write_bytes(b'not a picture')
    return enriched_world.sources.model_copy(update={'dataset': tmp_path / 'data'})


def test_the_index_says_what_is_there(enriched_world):
    index = read_index(enriched_world.shards)
    assert index == enriched_world.index
    assert (index.image_tokens, index.vision_hidden, index.hidden) == (16, 32, 64)
    assert [shard.samples for shard in index.shards] == [4, 4, 4, 2]
    assert index.samples == 14
    assert index.flipped


def test_without_mirror_images(tmp_path, enriched_world, enrich_settings):
    index = enrich(enrich_settings(flipped=False, shard_pairs=7), enriched_world.sources, tmp_path)
    assert (index.samples, index.flipped, len(index.shards)) == (7, False, 1)
    assert not any(sample.flipped for sample in read_shards(tmp_path))


def test_broken_off_and_resumed_gives_the_same_bytes(
        tmp_path, enriched_world, enrich_settings, contents, made):
    with pytest.raises(Interrupted):
        enrich(enrich_settings(), enriched_world.sources, tmp_path, stop=after(1))
    assert not (tmp_path / 'enrichment.json').exists()
    with pytest.raises(Interrupted):
        enrich(enrich_settings(), enriched_world.sources, tmp_path, stop=after(2))
    enrich(enrich_settings(), enriched_world.sources, tmp_path)
    assert made == [0, 1, 2, 3]
    assert contents(tmp_path) == contents(enriched_world.shards)


def test_a_killed_enrichment_goes_on(
        tmp_path, enriched_world, enrich_settings, contents, made):
    code = f"""
from pathlib import Path
from lego_ros.training.enrichment.enrich import enrich
from lego_ros.training.enrichment.settings import EnrichSettings, EnrichSources
enrich(EnrichSettings.model_validate_json({enrich_settings().model_dump_json()!r}),
       EnrichSources.model_validate_json({enriched_world.sources.model_dump_json()!r}),
       Path({str(tmp_path)!r}))
"""
    process = subprocess.Popen(
        [sys.executable, '-c', code], stderr=subprocess.PIPE,
        env={**os.environ, 'OMP_NUM_THREADS': '1'})
    deadline = time.monotonic() + 120
    while not (tmp_path / 'shard-000000.tar').exists():
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.001)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    there = len(list(tmp_path.glob('shard-*.tar')))
    enrich(enrich_settings(), enriched_world.sources, tmp_path)
    assert made == list(range(there, 4))
    assert contents(tmp_path) == contents(enriched_world.shards)


def test_a_finished_enrichment_is_given_again_and_a_lost_shard_made_again(
        tmp_path, enriched_world, enrich_settings, contents, made):
    folder = tmp_path / 'copy'
    shutil.copytree(enriched_world.shards, folder)
    assert enrich(enrich_settings(), enriched_world.sources, folder) == enriched_world.index
    assert made == []
    (folder / 'shard-000002.tar').unlink()
    assert enrich(enrich_settings(), enriched_world.sources, folder) == enriched_world.index
    assert made == [2]
    assert contents(folder) == contents(enriched_world.shards)


def test_a_damaged_shard_is_named(tmp_path, enriched_world, enrich_settings):
    with pytest.raises(Interrupted):
        enrich(enrich_settings(), enriched_world.sources, tmp_path, stop=after(1))
    shard = tmp_path / 'shard-000000.tar'
    shard.write_bytes(shard.read_bytes()[:3000])
    with pytest.raises(LegoError, match=r'shard-000000\.tar') as error:
        enrich(enrich_settings(), enriched_world.sources, tmp_path)
    assert error.value.code is ErrorCode.SOURCE_UNREADABLE


def test_another_model_other_pairs_and_other_settings_are_refused(
        tmp_path, enriched_world, enrich_settings, save_tiny_vllm, write_described):
    write_described(tmp_path / 'data', train=4)
    text = tmp_path / 'text'
    shutil.copytree(enriched_world.sources.text, text)
    (text / 'tokenizer/tokenizer_config.json').write_text('{}')
    sources, same = enriched_world.sources, enrich_settings()
    for settings, changes, name in (
            (same, {'vllm': save_tiny_vllm(tmp_path / 'vllm', seed=4)}, 'vllm'),
            (same, {'dataset': tmp_path / 'data'}, 'pairs'),
            (same, {'split': 'validation'}, 'pairs'), (same, {'text': text}, 'tokenizer'),
            (enrich_settings(text_tokens=5), {}, 'text_tokens'),
            (enrich_settings(flipped=False), {}, 'flipped')):
        with pytest.raises(LegoError, match=f'with other {name}:') as error:
            enrich(settings, sources.model_copy(update=changes), enriched_world.shards)
        assert error.value.code is ErrorCode.INVALID_SETTING
    assert enrich(same, sources, enriched_world.shards) == enriched_world.index


def test_a_damaged_picture_is_named_and_what_was_made_is_kept(
        tmp_path, damaged, enrich_settings):
    folder = tmp_path / 'shards'
    with pytest.raises(LegoError, match=r'train6_input\.png') as error:
        enrich(enrich_settings(), damaged, folder)
    assert error.value.code is ErrorCode.SOURCE_UNREADABLE
    assert len(list(folder.glob('shard-*'))) == 3


def test_a_missing_model_is_told(tmp_path, enriched_world, enrich_settings):
    sources = enriched_world.sources.model_copy(update={'vllm': tmp_path / 'none'})
    with pytest.raises(LegoError, match='none') as error:
        enrich(enrich_settings(), sources, tmp_path / 'shards')
    assert error.value.code is ErrorCode.BUNDLE_NOT_FOUND


def test_ray_workers_give_the_same_bytes_and_their_error_reaches_the_caller(
        tmp_path, enriched_world, damaged, enrich_settings, contents, made):
    folder, taken, done = tmp_path / 'shards', set(), threading.Event()

    def look(ray):
        while not done.wait(0.05):
            taken.add(ray.cluster_resources()['CPU'] - ray.available_resources().get('CPU', 0))

    with cluster() as ray:
        looking = threading.Thread(target=look, args=[ray])
        looking.start()
        try:
            # On two processors one has no room, and the others do the work.
            with pytest.raises(LegoError, match=r'train6_input\.png') as error:
                enrich(enrich_settings(workers=3), damaged, folder)
        finally:
            done.set()
            looking.join()
    assert error.value.code is ErrorCode.SOURCE_UNREADABLE
    assert max(taken) >= 2
    assert not made
    whole = contents(enriched_world.shards)
    shards = {f'shard-00000{number}.tar' for number in range(3)}
    assert {name: whole[name] for name in shards | {'identity.json'}} == contents(folder)
    # With the picture back, another number of workers makes the rest.
    shutil.copy(enriched_world.sources.dataset / PICTURE, damaged.dataset / PICTURE)
    assert enrich(enrich_settings(workers=0), damaged, folder) == enriched_world.index
    assert made == [3]
    assert contents(folder) == whole
