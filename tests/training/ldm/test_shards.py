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

import hashlib
import io
import json
import pickle
import resource
import shutil
import tarfile

from lego_ros.errors import ErrorCode, LegoError
from lego_ros.training.enrichment.shards import (
    INDEX,
    read_index,
    read_shards,
    write_index,
    write_shard,
)
from lego_ros.training.ldm.features import Enrichment
import numpy as np
import pytest
from safetensors.numpy import load
import webdataset


@pytest.fixture
def folder(world, tmp_path):
    return shutil.copytree(world.sources.enrichment, tmp_path / 'enriched')


def relist(folder, number):
    """Put a changed shard's hash into the index, so that its content is looked at."""
    index = json.loads((folder / INDEX).read_text())
    path = folder / index['shards'][number]['name']
    index['shards'][number]['sha256'] = hashlib.sha256(path.read_bytes()).hexdigest()
    (folder / INDEX).write_text(json.dumps(index))


def test_what_is_written_is_read(world, enriched):
    samples = list(read_shards(world.sources.enrichment))
    assert [(sample.pair_id, sample.flipped) for sample in samples] == [
        (pair.pair_id, flipped) for pair in world.pairs for flipped in (False, True)]
    for place, sample in enumerate(samples):
        expected = enriched(world.pairs[place // 2], bool(place % 2), place // 2)
        assert sample.words == expected.words
        assert np.array_equal(sample.vision, expected.vision)
        assert np.array_equal(sample.states, expected.states)
        assert sample.states.shape == (len(expected.token_ids), 64)


def test_any_sample_is_read_where_it_lies(world, enriched):
    table = pickle.loads(pickle.dumps(Enrichment(world.sources.enrichment)))
    for index in (4, 0, 5):
        pair = world.pairs[index]
        for flipped in (True, False):
            vision, states = table.features(pair.pair_id, flipped)
            expected = enriched(pair, flipped, index)
            assert np.array_equal(vision, expected.vision)
            assert np.array_equal(states, expected.states)
            assert table.words(pair.pair_id, flipped) == expected.words
    assert ('kitchen/none', False) not in table
    # A copy that went to another process opens the shards anew.
    assert len(pickle.dumps(table)) < 20_000


def test_webdataset_reads_the_shards(world):
    folder = world.sources.enrichment
    urls = [str(folder / shard.name) for shard in read_index(folder).shards]
    found = list(webdataset.WebDataset(urls, shardshuffle=False))
    assert len(found) == 2 * len(world.pairs)
    words = json.loads(found[0]['json'])
    assert words['pair_id'] == world.pairs[0].pair_id
    assert words['stop'] == 'eos'
    assert load(found[0]['safetensors'])['vision'].dtype == np.float16


def test_equal_samples_make_equal_files(world, enriched, tmp_path):
    samples = [enriched(world.pairs[0], False, 0)]
    names = [tmp_path / 'a', tmp_path / 'b']
    for name in names:
        name.mkdir()
    first, second = (write_shard(name, 3, samples) for name in names)
    assert first == second
    assert first.name == 'shard-000003.tar'


def test_features_of_another_kind_are_refused(world, enriched, tmp_path):
    sample = enriched(world.pairs[0], False, 0)
    object.__setattr__(sample, 'vision', sample.vision.astype(np.float32))
    with pytest.raises(ValueError, match='float32'):
        write_shard(tmp_path, 0, [sample])
    object.__setattr__(sample, 'vision', np.full((16, 32), np.inf, np.float16))
    with pytest.raises(ValueError, match='not finite'):
        write_shard(tmp_path, 0, [sample])
    with pytest.raises(ValueError, match='at least one'):
        write_shard(tmp_path, 0, [])


def test_a_sample_without_states_is_allowed(world, enriched, tmp_path):
    sample = enriched(world.pairs[0], False, 0)
    object.__setattr__(sample, 'states', np.zeros((0, 64), np.float16))
    record = write_shard(tmp_path, 0, [sample])
    index = read_index(world.sources.enrichment)
    write_index(tmp_path, index.model_copy(update={'shards': (record,), 'samples': 1}))
    assert next(read_shards(tmp_path)).states.shape == (0, 64)


def test_a_full_disk_leaves_no_part(world, enriched, tmp_path):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    # A limit on the size of files stands in for a full disk: the same call fails, for real.
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        with pytest.raises(LegoError) as error:
            write_shard(tmp_path, 0, [enriched(world.pairs[0], False, 0)])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert error.value.code is ErrorCode.RECORDING_FAILED
    assert 'shard-000000' in str(error.value)
    assert not list(tmp_path.iterdir())


def damage_hash(folder):
    path = folder / 'shard-000001.tar'
    path.write_bytes(path.read_bytes()[:-1] + b'x')


def damage_missing(folder):
    (folder / 'shard-000001.tar').unlink()


def damage_index(folder):
    path = folder / INDEX
    path.write_text(path.read_text().replace('"hidden": 64', '"hidden": "many"'))


def damage_count(folder):
    path = folder / INDEX
    path.write_text(path.read_text().replace('"samples": 12', '"samples": 13'))


def damage_members(folder):
    path = folder / 'shard-000001.tar'
    with tarfile.open(path) as tar:
        members = [(member, tar.extractfile(member).read()) for member in tar]
    with tarfile.open(path, 'w') as tar:
        for member, content in members[1:]:
            tar.addfile(member, io.BytesIO(content))
    relist(folder, 1)


def damage_cut(folder):
    path = folder / 'shard-000001.tar'
    path.write_bytes(path.read_bytes()[:700])
    relist(folder, 1)


def damage_sizes(folder):
    path = folder / INDEX
    path.write_text(path.read_text().replace('"hidden": 64', '"hidden": 65'))


@pytest.mark.parametrize(('damage', 'named'), [
    (damage_hash, 'shard-000001.tar.*SHA-256'), (damage_missing, 'shard-000001.tar'),
    (damage_index, 'enrichment.json.*hidden'), (damage_count, 'enrichment.json.*13'),
    (damage_members, 'shard-000001.tar'), (damage_cut, 'shard-000001.tar'),
    (damage_sizes, 'kitchen/train0.*65')])
def test_damage_is_named(folder, damage, named):
    damage(folder)
    with pytest.raises(LegoError, match=named) as error:
        list(read_shards(folder))
    assert error.value.code is ErrorCode.SOURCE_UNREADABLE


def test_an_unfinished_enrichment_is_told(tmp_path):
    with pytest.raises(LegoError, match='not finished'):
        read_index(tmp_path)
