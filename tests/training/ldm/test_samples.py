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

import pickle

from lego_ros.errors import ErrorCode, LegoError
from lego_ros.ldm.view import View
from lego_ros.training.ldm.data import LdmData, Words
from lego_ros.training.ldm.features import Enrichment
from lego_ros.training.ldm.latents import Latents
from lego_ros.training.ldm.texts import TextEncodings
from lego_ros.training.ldm.variants import VARIANTS
from lego_ros.training.run.draws import Draw, mix
import numpy as np
import pytest
import torch
from torch.utils.data import default_collate


@pytest.fixture
def samples(world, tmp_path):
    """Make the samples of a variant."""
    parts = world.pipeline

    def make(name='joint', flip=True):
        variant = VARIANTS[name]
        opened = Enrichment(world.sources.enrichment) if variant.enriched else None
        words = Words(world.pairs, opened, variant, flip)
        latents = Latents(tmp_path / 'latents', world.pairs, parts.vae, View.WHOLE, 64, flip)
        latents.fill(parts.vae)
        texts = TextEncodings(
            tmp_path / 'texts', words.all(), parts.text_encoder, parts.tokenizer, 77)
        texts.fill(parts.text_encoder, parts.tokenizer)
        return LdmData(world.pairs, words, latents, texts, opened, variant, flip), latents, texts

    return make


@pytest.mark.parametrize('flipped', [False, True])
def test_a_sample_joins_what_belongs_together(world, samples, enriched, flipped):
    data, latents, texts = samples()
    index = 4
    sample = data[Draw(index, seed=2 + flipped)]
    expected = enriched(world.pairs[index], flipped, index)
    assert data.name(index) == world.pairs[index].pair_id
    assert data.words(index, flipped) == expected.description
    assert ('right hand' in expected.description) is flipped
    for name, array in (
            ('vision', expected.vision), ('psi', texts.read(expected.description)),
            ('input', latents.read(index, flipped)[0]), ('mean', latents.read(index, flipped)[1]),
            ('std', latents.read(index, flipped)[2])):
        assert np.array_equal(sample[name].numpy(), array), name
        assert sample[name].dtype == torch.float16
    rows = min(len(expected.states), 77)
    assert np.array_equal(sample['states'][:rows].numpy(), expected.states[:rows])
    assert sample['states'].shape == (77, 64)
    assert not sample['states'][rows:].any()
    # The mirror image is another picture, with other features.
    other = data[Draw(index, seed=2 + (not flipped))]
    assert all(not torch.equal(sample[name], other[name]) for name in sample)


def test_half_of_the_draws_are_mirrored_and_none_without_flip(world, samples):
    data, _, _ = samples()
    plain = data.sample(1, False)['input']
    draws = [Draw(1, mix(0, epoch, 1)) for epoch in range(200)]
    share = np.mean([not torch.equal(data[draw]['input'], plain) for draw in draws])
    assert 0.4 < share < 0.6
    data, _, _ = samples(flip=False)
    assert all(torch.equal(data[draw]['input'], plain) for draw in draws)


@pytest.mark.parametrize(('name', 'more'), [
    ('labels', set()), ('description', set()), ('image', {'vision'}), ('text', {'states'}),
    ('joint', {'vision', 'states'})])
def test_a_sample_holds_what_the_variant_needs(world, samples, name, more):
    data, _, texts = samples(name)
    batch = default_collate([data[Draw(index, 1)] for index in range(3)])
    assert set(batch) == {'input', 'mean', 'std', 'psi'} | more
    assert batch['input'].shape == (3, 4, 8, 8)
    if name == 'labels':
        assert world.pairs[0].label == 'open left drawer'
        assert data.words(0, True) == 'open right drawer'
        assert np.array_equal(batch['psi'][0].numpy(), texts.read('open right drawer'))


def test_samples_go_to_another_process(samples):
    data, _, _ = samples()
    before = data[Draw(2, 5)]
    copy = pickle.loads(pickle.dumps(data))
    assert all(torch.equal(before[name], value) for name, value in copy[Draw(2, 5)].items())


def test_words_of_other_pairs_are_refused(world):
    joint = VARIANTS['joint']
    other = Enrichment(world.sources.held_out_enrichment)
    with pytest.raises(LegoError, match='kitchen/train0') as error:
        Words(world.pairs, other, joint, flip=False)
    assert error.value.code is ErrorCode.INVALID_SETTING
    with pytest.raises(LegoError, match='no mirror images'):
        Words(world.held_out, other, joint, flip=True)
    with pytest.raises(LegoError, match='name an enrichment'):
        Words(world.pairs, None, joint, flip=False)
    Words(world.held_out, other, joint, flip=False)
    Words(world.pairs, None, VARIANTS['labels'], flip=True)
