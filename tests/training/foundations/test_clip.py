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

"""The kitchen's CLIP: its loss, its training, and what is made of it."""

import json
import pickle
import shutil

from lego_ros.errors import ErrorCode, LegoError
from lego_ros.ldm.view import View
from lego_ros.training.data.clip_scorers import ClipEmbedder
from lego_ros.training.data.flip import swap_sides
from lego_ros.training.foundations.clip import (
    build_clip,
    ClipSettings,
    load_clip,
    TEXT_ENCODER,
    train_clip,
)
from lego_ros.training.foundations.contrast import (
    contrast,
    ContrastCollate,
    ContrastObjective,
    PicturesWithTexts,
)
from lego_ros.training.foundations.pictures import (
    image_processor,
    normalised,
    stacked,
    tower_view,
)
from lego_ros.training.run.draws import Draw
from lego_ros.training.run.journal import read_metrics
from lego_ros.training.run.loop import Interrupted
import numpy as np
from PIL.Image import Resampling
from pydantic import ValidationError
import pytest
from safetensors.torch import load_file
import torch
from transformers import CLIPTextModel

SETTINGS = ClipSettings(epochs=None, steps=24, batch_size=6, lr=3e-3, warmup=0.0, log_every=4,
                        precision='fp32', validate_every=24, checkpoint_every=10)


@pytest.fixture(scope='module')
def trained(splits, size, tokenizers, tower, tmp_path_factory):
    root = tmp_path_factory.mktemp('clip')
    folder = train_clip(
        SETTINGS, size, *splits, tokenizers[1], tower, root / 'clip', root / 'runs')
    return folder, root / 'runs'


def test_equal_texts_are_not_told_apart():
    perfect = torch.tensor([[9.0, 9.0, 0.0], [9.0, 9.0, 0.0], [0.0, 0.0, 9.0]])
    loss, matched = contrast(perfect, torch.tensor([0, 0, 1]))
    assert matched == 1
    # The best that can be done: each picture's probability is halved between its two texts.
    assert float(loss) == pytest.approx(2 / 3 * np.log(2), abs=1e-3)
    strict, _ = contrast(perfect, torch.tensor([0, 1, 2]))
    assert float(strict) == pytest.approx(float(loss), abs=1e-3)
    wrong, unmatched = contrast(perfect.flip(0), torch.tensor([0, 0, 1]))
    assert float(wrong) > 5
    assert float(unmatched) == pytest.approx(1 / 3)


def test_the_contrast_is_clips_where_texts_differ():
    logits = torch.randn(5, 5, generator=torch.Generator().manual_seed(0))
    numbers = torch.arange(5)
    expected = (torch.nn.functional.cross_entropy(logits, numbers)
                + torch.nn.functional.cross_entropy(logits.T, numbers)) / 2
    assert float(contrast(logits, numbers)[0]) == pytest.approx(float(expected), abs=1e-6)


def test_pictures_are_as_at_run_time(splits):
    train, _ = splits
    processor = image_processor(64)
    rgb = train.pairs.picture(0, 'input')
    # What lego_ros.vllm.enrichment does with a frame.
    expected = processor(
        images=View.WHOLE.vllm_view(rgb), do_resize=True, size={'height': 64, 'width': 64},
        resample=Resampling.BICUBIC, do_center_crop=False, input_data_format='channels_last',
        return_tensors='pt')['pixel_values']
    ours = normalised(stacked([train.pictures.get(0, 'input')]), processor)
    assert torch.allclose(ours, expected, atol=1e-5)
    assert np.array_equal(train.pictures.get(0, 'input'), tower_view(rgb, 64))
    assert np.array_equal(train.pictures.get(0, 'input', mirrored=True)[:, ::-1],
                          train.pictures.get(0, 'input'))


def test_pictures_kept_in_memory_stay_behind(splits):
    train, _ = splits
    picture = train.pictures.get(0, 'target')
    sent = pickle.dumps(train.pictures)
    assert len(sent) < train.pictures.get(0, 'target').nbytes * len(train.pairs)
    assert np.array_equal(pickle.loads(sent).get(0, 'target'), picture)


def test_a_draw_always_gives_the_same_true_text(splits):
    train, _ = splits
    data = PicturesWithTexts(train, 4)
    said = []
    for seed in range(40):
        picture, text = data[Draw(1, seed)]
        again, same = data[Draw(1, seed)]
        assert text == same
        assert np.array_equal(picture, again)
        said.append(text)
    true = train.pairs[1].description
    described = [text for text in said if text in (true, swap_sides(true))]
    assert 3 < len(described) < 20
    assert len(set(said)) > 20


def test_it_learns_which_text_is_whose(splits, size, tokenizers):
    train, _ = splits
    data = PicturesWithTexts(train, 4)
    # Captions of four scenes and of their mirror images differ.
    batch = ContrastCollate(tokenizers[1])([
        data.captioned(index, np.random.default_rng(index), mirrored=mirrored)
        for index in range(4) for mirrored in (False, True)])
    objective = ContrastObjective(build_clip(size, tokenizers[1], 0), image_processor(64))
    optimizer = torch.optim.Adam(objective.parameters(), lr=2e-3)
    losses = []
    while len(losses) < 150 and (not losses or losses[-1] > 0.6 * losses[0]):
        loss, figures = objective(batch)
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert losses[-1] <= 0.6 * losses[0]
    assert figures['matched'] > 0.25


def test_it_is_validated_and_logged(trained):
    _, run = trained
    last = read_metrics(run)[-1]
    assert 0 <= last['validation/captions/text_found'] <= 1
    assert 0 <= last['validation/descriptions/picture_found'] <= 1
    assert next(iter(run.glob('tensorboard/*')))


def test_its_text_encoder_is_psi(trained, tokenizers):
    folder, _ = trained
    model, tokenizer, _ = load_clip(folder)
    psi = CLIPTextModel.from_pretrained(folder / TEXT_ENCODER, local_files_only=True)
    assert tokenizer.get_vocab() == tokenizers[1].get_vocab()
    tokens = tokenizer(['open the drawer'], padding='max_length', return_tensors='pt')
    assert tokens['input_ids'].shape == (1, psi.config.max_position_embeddings)
    with torch.no_grad():
        assert torch.allclose(psi(**tokens).last_hidden_state,
                              model.text_model(**tokens).last_hidden_state, atol=1e-5)
        # A text is pooled at its end token, wherever that is.
        short = tokenizer(['open the drawer'], return_tensors='pt')
        assert torch.allclose(model.get_text_features(**tokens).pooler_output,
                              model.get_text_features(**short).pooler_output, atol=1e-4)


def test_the_filter_takes_it_with_its_own_bounds(trained, splits, tmp_path):
    folder, _ = trained
    train, _ = splits
    embedder = ClipEmbedder(folder)
    cosines = [
        float(np.prod(embedder.embed([train.pairs.picture(index, 'input'),
                                      train.pairs.picture(index, 'target')]), axis=0).sum())
        for index in range(len(train.pairs))]
    lowest, highest = embedder.bounds
    assert min(cosines) - 0.02 < lowest < highest < max(cosines) + 0.02
    copy = tmp_path / 'clip'
    shutil.copytree(folder, copy)
    for bounds in ({'lowest': 0.9, 'highest': 0.1}, {'lowest': 0.1}, 'none'):
        (copy / 'similarity.json').write_text(json.dumps(bounds))
        with pytest.raises(LegoError, match=r'similarity\.json.*no bounds'):
            ClipEmbedder(copy)
    (copy / 'similarity.json').unlink()
    assert ClipEmbedder(copy).bounds == (0.81, 0.97)


def test_an_interrupted_training_ends_the_same(trained, splits, size, tokenizers, tower,
                                               tmp_path):
    folder, _ = trained
    asked = iter(range(1, 100))
    places = tmp_path / 'clip', tmp_path / 'runs'
    with pytest.raises(Interrupted):
        train_clip(SETTINGS, size, *splits, tokenizers[1], tower, *places,
                   stop=lambda: next(asked) == 13)
    assert not places[0].exists()
    train_clip(SETTINGS, size, *splits, tokenizers[1], tower, *places)
    whole, resumed = (load_file(each / 'model.safetensors') for each in (folder, places[0]))
    assert whole.keys() == resumed.keys()
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


def test_a_run_on_other_data_is_refused(trained, splits, size, tokenizers, tower):
    folder, run = trained
    train, validation = splits
    with pytest.raises(LegoError, match='other values of data') as caught:
        train_clip(SETTINGS, size, validation, train, tokenizers[1], tower, folder, run)
    assert caught.value.code is ErrorCode.INVALID_SETTING


def test_a_batch_cannot_be_split():
    with pytest.raises(ValidationError, match='micro_batch must be null'):
        ClipSettings(batch_size=8, micro_batch=4)


def test_a_damaged_model_is_named(trained, tmp_path):
    shutil.copytree(trained[0], tmp_path / 'clip')
    weights = tmp_path / 'clip/model.safetensors'
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(LegoError, match='cannot be loaded') as caught:
        load_clip(tmp_path / 'clip')
    assert caught.value.code is ErrorCode.SOURCE_UNREADABLE
