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

"""What is stored of a pair is what the run time would have made of its frame."""

import json

from lego_ros.errors import ErrorCode, LegoError
from lego_ros.ldm.view import View
from lego_ros.training.data.dataset import PairDataset
from lego_ros.training.data.flip import swap_sides
from lego_ros.training.enrichment.describing import Describer, Request
from lego_ros.training.enrichment.shards import read_shards
from lego_ros.vllm.enrichment import Enricher, EnrichmentSettings
from lego_ros.vllm.loading import load_vllm
import numpy as np
import pytest
from safetensors.torch import load
import torch
import webdataset

TEXT_TOKENS, MAX_NEW_TOKENS = 12, 20


@pytest.fixture(scope='module')
def vllm(enriched_world):
    return load_vllm(enriched_world.sources.vllm, torch.float32)


@pytest.fixture(scope='module')
def enricher(vllm, small_clip_tokenizer):
    model, tokenizer, processor = vllm
    return Enricher(model, tokenizer, processor, small_clip_tokenizer, TEXT_TOKENS)


def run_time(enricher, picture, label, view=View.WHOLE):
    return enricher.enrich(view.vllm_view(picture), label, EnrichmentSettings(
        temperature=0.0, max_new_tokens=MAX_NEW_TOKENS))


def assert_run_times(sample, wanted, model):
    assert sample.description == wanted.text
    assert sample.token_ids == wanted.token_ids
    assert sample.stop == wanted.stop
    assert len(sample.states) == wanted.text_rows == min(len(wanted.token_ids), TEXT_TOKENS)
    torch.testing.assert_close(
        torch.from_numpy(sample.states).float(), wanted.text_embeds[:wanted.text_rows],
        rtol=2e-3, atol=5e-3)
    projected = model.model.multi_modal_projector(torch.from_numpy(sample.vision).float())
    torch.testing.assert_close(projected, wanted.image_embeds, rtol=2e-3, atol=5e-3)


def test_samples_are_what_the_run_time_makes_of_the_frames(enriched_world, enricher, vllm):
    pairs, samples = enriched_world.pairs, list(read_shards(enriched_world.shards))
    assert [(sample.pair_id, sample.flipped) for sample in samples] == [
        (pair.pair_id, flipped) for pair in pairs for flipped in (False, True)]
    for number, sample in enumerate(samples):
        picture, label = pairs.picture(number // 2), pairs[number // 2].label
        if sample.flipped:
            picture, label = np.ascontiguousarray(picture[:, ::-1]), swap_sides(label)
        assert sample.label == label
        assert_run_times(sample, run_time(enricher, picture, label), vllm[0])


def test_mirror_images_have_words_and_features_of_their_own(enriched_world):
    samples = list(read_shards(enriched_world.shards))
    plain, mirrored = samples[:2]
    assert (plain.label, mirrored.label) == ('open left drawer', 'open right drawer')
    assert not np.allclose(plain.vision, mirrored.vision, atol=0.05)
    assert plain.token_ids != mirrored.token_ids


def test_the_vllms_view_is_used(enriched_world, enrich_settings, enricher, vllm):
    describer = Describer(enriched_world.sources, enrich_settings(view='center_crop'))
    sample, = describer.samples(enriched_world.pairs, [Request(2, False)])
    picture, label = enriched_world.pairs.picture(2), enriched_world.pairs[2].label
    assert_run_times(sample, run_time(enricher, picture, label, View.CENTER_CROP), vllm[0])
    whole = run_time(enricher, picture, label).image_embeds
    projected = vllm[0].model.multi_modal_projector(torch.from_numpy(sample.vision).float())
    assert not torch.allclose(projected, whole, atol=0.05)


def test_an_answer_stops_where_no_token_can_reach_the_picture(
        enriched_world, enrich_settings, vllm, small_clip_tokenizer):
    # N = 3: one word of CLIP's and three states are enough.
    describer = Describer(
        enriched_world.sources, enrich_settings(text_tokens=3, max_new_tokens=200))
    sample, = describer.samples(enriched_world.pairs, [Request(0, False)])
    wanted = Enricher(*vllm, small_clip_tokenizer, 3).enrich(
        View.WHOLE.vllm_view(enriched_world.pairs.picture(0)), enriched_world.pairs[0].label,
        EnrichmentSettings(temperature=0.0, max_new_tokens=200))
    assert sample.stop == wanted.stop == 'conditioning_full'
    assert sample.token_ids == wanted.token_ids
    assert sample.description == wanted.text
    assert sample.states.shape == (3, 64)


def test_webdataset_reads_the_shards(enriched_world):
    urls = [str(enriched_world.shards / shard.name) for shard in enriched_world.index.shards]
    rows = list(webdataset.WebDataset(urls, shardshuffle=False))
    samples = list(read_shards(enriched_world.shards))
    assert len(rows) == len(samples) == 14
    for row, sample in zip(rows, samples, strict=True):
        words = json.loads(row['json'])
        assert words['pair_id'] == sample.pair_id
        assert words['flipped'] == sample.flipped
        assert words['description'] == sample.description
        tensors = load(row['safetensors'])
        assert tensors['vision'].dtype == torch.float16
        assert torch.equal(tensors['vision'], torch.from_numpy(sample.vision))
        assert torch.equal(tensors['states'], torch.from_numpy(sample.states))


def test_features_that_are_not_finite_are_told(
        tmp_path, enriched_world, enrich_settings, save_tiny_vllm):
    folder = save_tiny_vllm(tmp_path / 'vllm')
    model, *_ = load_vllm(folder, torch.float32)
    with torch.no_grad():
        model.model.vision_tower.embeddings.class_embedding.fill_(torch.nan)
    model.save_pretrained(folder)
    describer = Describer(
        enriched_world.sources.model_copy(update={'vllm': folder}), enrich_settings())
    pairs = PairDataset(enriched_world.sources.dataset, 'train')
    with pytest.raises(LegoError, match='not finite') as error:
        describer.samples(pairs, [Request(0, False)])
    assert error.value.code is ErrorCode.INFERENCE_FAILED
