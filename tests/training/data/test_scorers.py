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

"""Scorers: the embedded defaults, and CLIP and the aesthetic predictor from local weights."""

import os
import pickle

import cv2
from lego_ros.errors import ErrorCode, LegoError
from lego_ros.training.data.clip_scorers import AestheticPredictor, ClipEmbedder
from lego_ros.training.data.scorers import GistCosine, Sharpness
import numpy as np
from PIL import Image
import pytest
from safetensors.torch import load_file, save_file
import torch
from transformers import (
    CLIPConfig,
    CLIPImageProcessorPil,
    CLIPModel,
    CLIPVisionModelWithProjection,
)

DIMENSION = 16
WIDTHS = [(DIMENSION, 12), (12, 8), (8, 6), (6, 4), (4, 1)]


def scene(seed=0, size=256):
    """Draw a picture with edges, areas and colours."""
    generator = np.random.default_rng(seed)
    picture = np.full((size, size, 3), generator.integers(60, 200, 3), np.uint8)
    for _ in range(25):
        corner = [int(value) for value in generator.integers(0, size, 2)]
        other = [corner[0] + int(generator.integers(10, 90)),
                 corner[1] + int(generator.integers(10, 90))]
        colour = [int(value) for value in generator.integers(0, 255, 3)]
        cv2.rectangle(picture, corner, other, colour, -1)
    return picture


def test_blur_lowers_sharpness_step_by_step():
    picture = scene()
    blurred = [cv2.GaussianBlur(picture, (0, 0), sigma) for sigma in (0.5, 1, 2, 3)]
    scores = Sharpness().scores([picture, *blurred])
    assert scores.shape == (5,)
    assert np.all(np.diff(scores) < 0)
    assert np.all((scores >= 0) & (scores <= 1))


def test_sharpness_is_about_edges_not_about_contrast():
    picture = scene()
    dim = (picture * 0.5).astype(np.uint8)
    sharp, faint = Sharpness().scores([picture, dim])
    assert faint == pytest.approx(sharp, rel=0.05)
    assert Sharpness().scores([np.zeros((64, 64, 3), np.uint8)])[0] == 0.0


def test_gist_tells_the_same_scene_from_another():
    picture = scene(1)
    shifted = np.roll(picture, 6, axis=1)
    noisy = np.clip(picture + np.random.default_rng(0).normal(0, 6, picture.shape), 0, 255)
    embedder = GistCosine()
    embeds = embedder.embed([
        picture, picture, noisy.astype(np.uint8), shifted, scene(2), scene(3)])
    assert np.linalg.norm(embeds, axis=1) == pytest.approx(np.ones(6))
    same, noise, shift, *others = (float(embeds[0] @ embeds[index]) for index in range(1, 6))
    assert same == pytest.approx(1.0)
    assert 1 > noise > shift > max(others)


def test_gist_of_extreme_pictures():
    flat = [np.full((30, 50, 3), value, np.uint8) for value in (0, 127, 255)]
    embeds = GistCosine().embed(flat)
    assert np.all(np.isfinite(embeds))
    assert embeds.shape == (3, 704)


@pytest.fixture(scope='module')
def clip_folder(tmp_path_factory):
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp('models') / 'clip'
    config = CLIPConfig(
        text_config={'hidden_size': 16, 'intermediate_size': 16, 'num_hidden_layers': 1,
                     'num_attention_heads': 2, 'vocab_size': 64, 'max_position_embeddings': 8},
        vision_config={'hidden_size': 32, 'intermediate_size': 32, 'num_hidden_layers': 2,
                       'num_attention_heads': 2, 'image_size': 32, 'patch_size': 8},
        projection_dim=DIMENSION)
    CLIPModel(config).save_pretrained(folder)
    CLIPImageProcessorPil(
        size={'shortest_edge': 32}, crop_size={'height': 32, 'width': 32}
    ).save_pretrained(folder)
    return folder


def test_a_clip_model_from_a_folder(clip_folder):
    embedder = ClipEmbedder(clip_folder)
    pictures = [scene(0), scene(1, 300), scene(0)]
    embeds = embedder.embed(pictures)
    assert embeds.shape == (3, DIMENSION) == (3, embedder.size)
    assert embeds[0] == pytest.approx(embeds[2])
    assert np.linalg.norm(embeds, axis=1) == pytest.approx(np.ones(3), abs=1e-5)
    # The whole model's own way of embedding images.
    model = CLIPModel.from_pretrained(clip_folder, local_files_only=True).eval()
    processor = CLIPImageProcessorPil.from_pretrained(clip_folder)
    with torch.inference_mode():
        pixels = processor(images=[Image.fromarray(pictures[1])], return_tensors='pt')
        features = model.get_image_features(**pixels).pooler_output[0]
    assert embeds[1] == pytest.approx((features / features.norm()).numpy(), abs=1e-5)


def test_its_name_tells_the_weights(clip_folder, tmp_path):
    name = ClipEmbedder(clip_folder).name
    assert name.startswith('clip_cosine:clip:')
    assert name == ClipEmbedder(clip_folder).name
    model = CLIPModel.from_pretrained(clip_folder)
    with torch.no_grad():
        model.visual_projection.weight += 1
    model.save_pretrained(tmp_path / 'clip')
    CLIPImageProcessorPil.from_pretrained(clip_folder).save_pretrained(tmp_path / 'clip')
    assert ClipEmbedder(tmp_path / 'clip').name != name


@pytest.mark.parametrize('missing', ['config.json', 'model.safetensors',
                                     'preprocessor_config.json'])
def test_what_a_clip_folder_lacks_is_named(clip_folder, tmp_path, missing):
    for path in clip_folder.iterdir():
        if path.name != missing:
            (tmp_path / path.name).write_bytes(path.read_bytes())
    with pytest.raises(LegoError, match=missing) as caught:
        ClipEmbedder(tmp_path)
    assert caught.value.code is ErrorCode.SOURCE_UNREADABLE


def test_cut_clip_weights_are_named(clip_folder, tmp_path):
    for path in clip_folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    weights = tmp_path / 'model.safetensors'
    weights.write_bytes(weights.read_bytes()[:5000])
    with pytest.raises(LegoError, match='cannot be loaded'):
        ClipEmbedder(tmp_path)


def test_a_vision_model_alone_gives_the_same(clip_folder, tmp_path):
    model = CLIPModel.from_pretrained(clip_folder)
    config = model.config.vision_config
    config.projection_dim = DIMENSION
    alone = CLIPVisionModelWithProjection(config)
    alone.vision_model.load_state_dict(model.vision_model.state_dict())
    alone.visual_projection.load_state_dict(model.visual_projection.state_dict())
    alone.save_pretrained(tmp_path)
    CLIPImageProcessorPil.from_pretrained(clip_folder).save_pretrained(tmp_path)
    assert ClipEmbedder(tmp_path).embed([scene()]) == pytest.approx(
        ClipEmbedder(clip_folder).embed([scene()]), abs=1e-6)


def test_weights_that_lack_a_layer_are_refused(clip_folder, tmp_path):
    for path in clip_folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    weights = load_file(clip_folder / 'model.safetensors')
    del weights['visual_projection.weight']
    save_file(weights, tmp_path / 'model.safetensors', {'format': 'pt'})
    with pytest.raises(LegoError, match=r'lacks visual_projection\.weight'):
        ClipEmbedder(tmp_path)


def predictor_weights(widths=WIDTHS):
    """Make weights of the released layout: dropout takes numbers between the layers."""
    torch.manual_seed(1)
    state = {}
    for number, (inside, outside) in zip((0, 2, 4, 6, 7), widths, strict=True):
        state[f'layers.{number}.weight'] = torch.randn(outside, inside)
        state[f'layers.{number}.bias'] = torch.randn(outside)
    return state


@pytest.mark.parametrize('suffix', ['pth', 'safetensors'])
def test_the_aesthetic_predictor(clip_folder, tmp_path, suffix):
    state = predictor_weights()
    path = tmp_path / f'predictor.{suffix}'
    torch.save(state, path) if suffix == 'pth' else save_file(state, path)
    embedder = ClipEmbedder(clip_folder)
    predictor = AestheticPredictor(path, embedder)
    pictures = [scene(0), scene(1)]
    values = embedder.embed(pictures).astype(np.float64)
    for number in (0, 2, 4, 6, 7):
        values = (values @ state[f'layers.{number}.weight'].double().numpy().T
                  + state[f'layers.{number}.bias'].double().numpy())
    scores = predictor.scores(pictures)
    assert scores.shape == (2,)
    assert scores == pytest.approx(values[:, 0], rel=1e-4, abs=1e-4)
    assert predictor.name.startswith(f'aesthetic:predictor.{suffix}:')


class Evil:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (self.path,)


def test_weights_that_run_code_are_refused(clip_folder, tmp_path):
    path = tmp_path / 'predictor.pth'
    torch.save({'layers.0.weight': Evil(str(tmp_path / 'ran'))}, path)
    with pytest.raises(LegoError, match=r'predictor\.pth'):
        AestheticPredictor(path, ClipEmbedder(clip_folder))
    path.write_bytes(pickle.dumps(Evil(str(tmp_path / 'ran'))))
    with pytest.raises(LegoError, match=r'predictor\.pth'):
        AestheticPredictor(path, ClipEmbedder(clip_folder))
    assert not (tmp_path / 'ran').exists()


@pytest.mark.parametrize(('change', 'message'), [
    (lambda state: state.pop('layers.4.bias'), r'layers\.4\.bias'),
    (lambda state: state.update({'layers.7.weight': torch.zeros(2, 4)}), 'layer 7'),
    (lambda state: state.update({'layers.2.weight': torch.zeros(8, 11)}), 'layer 2'),
    (lambda state: state.update({'head': torch.zeros(1)}), 'no weights of the aesthetic'),
    (lambda state: state.clear(), 'one number'),
])
def test_other_weights_are_refused(clip_folder, tmp_path, change, message):
    state = predictor_weights()
    change(state)
    save_file(state, tmp_path / 'p.safetensors')
    with pytest.raises(LegoError, match=message):
        AestheticPredictor(tmp_path / 'p.safetensors', ClipEmbedder(clip_folder))


def test_a_missing_predictor_and_one_for_another_clip(clip_folder, tmp_path):
    embedder = ClipEmbedder(clip_folder)
    with pytest.raises(LegoError, match='linearMSE'):
        AestheticPredictor(tmp_path / 'p.pth', embedder)
    save_file(predictor_weights([(768, 12), *WIDTHS[1:]]), tmp_path / 'p.safetensors')
    with pytest.raises(LegoError, match='768') as caught:
        AestheticPredictor(tmp_path / 'p.safetensors', embedder)
    assert caught.value.code is ErrorCode.INVALID_SETTING
