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

"""The cache of what the vision tower sees."""

from lego_ros.errors import ErrorCode, LegoError
from lego_ros.ldm.view import View
from lego_ros.training.data.dataset import PairDataset
from lego_ros.training.run.loop import Interrupted
from lego_ros.training.vllm import features as module
from lego_ros.training.vllm.features import FrameFeatures, vision_features
from lego_ros.vllm.enrichment import Enricher, EnrichmentSettings
import pytest
import torch
from transformers import CLIPImageProcessorPil


@pytest.fixture(scope='module')
def pairs(tmp_path_factory, write_described):
    return write_described(tmp_path_factory.mktemp('data'))


@pytest.fixture(autouse=True)
def small_portions(monkeypatch):
    monkeypatch.setattr(module, 'CHUNK', 2)
    monkeypatch.setattr(module, 'BATCH', 2)


@pytest.fixture
def make(tmp_path, pairs, make_vllm):
    def make(frame='input', view=View.WHOLE, vllm='a' * 64, data=pairs):
        return FrameFeatures(tmp_path / 'features', data, make_vllm(), vllm, frame, view)

    return make


def fill(features, model, **more):
    features.fill(model, CLIPImageProcessorPil(), **more)


@pytest.mark.parametrize('view', [View.WHOLE, View.CENTER_CROP])
@pytest.mark.parametrize('frame', ['input', 'target'])
def test_projected_they_are_the_run_times_image_embedding(
        make, pairs, make_vllm, vllm_tokenizer, small_clip_tokenizer, frame, view):
    model = make_vllm()
    features = make(frame, view)
    fill(features, model)
    enricher = Enricher(model, vllm_tokenizer, CLIPImageProcessorPil(), small_clip_tokenizer)
    seen = []
    for index in range(len(pairs)):
        wanted = enricher.enrich(
            view.vllm_view(pairs.picture(index, frame)), 'open drawer',
            EnrichmentSettings(max_new_tokens=1)).image_embeds
        assert features.get(index).dtype == torch.float16
        found = model.model.multi_modal_projector(features.get(index).float())
        torch.testing.assert_close(found, wanted, rtol=2e-3, atol=5e-3)
        seen.append(wanted)
    assert not torch.allclose(seen[0], seen[1], atol=0.1)


def test_mirror_images_come_after_the_frames(pairs, make_vllm, tmp_path):
    model = make_vllm()
    plain, both = (
        FrameFeatures(tmp_path / str(mirrored), pairs, model, 'a' * 64, 'input', View.WHOLE,
                      mirrored=mirrored) for mirrored in (False, True))
    fill(plain, model)
    fill(both, model)
    for index in range(len(pairs)):
        assert torch.equal(both.get(index), plain.get(index))
        image = View.WHOLE.vllm_view(pairs.picture(index, 'input', mirrored=True))
        wanted = vision_features(model, CLIPImageProcessorPil(), [image])[0]
        torch.testing.assert_close(
            both.get(index, mirrored=True).float(), wanted, rtol=2e-3, atol=5e-3)
        assert not torch.equal(both.get(index, mirrored=True), both.get(index))
    with pytest.raises(LegoError, match='computed for another'):
        FrameFeatures(tmp_path / 'True', pairs, model, 'a' * 64, 'input', View.WHOLE)


def test_they_go_on_after_a_kill(make, make_vllm, monkeypatch):
    class Killed(Exception):
        pass

    model, compute, calls = make_vllm(), module.vision_features, []

    def dying(*arguments):
        calls.append(1)
        if len(calls) == 2:
            raise Killed
        return compute(*arguments)

    monkeypatch.setattr(module, 'vision_features', dying)
    with pytest.raises(Killed):
        fill(make(), model)
    features = make()
    # Five frames in twos: the first portion is there, the other two are not.
    fill(features, model)
    assert len(calls) == 2 + 2
    fill(make(), model)
    assert len(calls) == 4
    monkeypatch.setattr(module, 'vision_features', compute)
    assert torch.equal(features.get(4), make().get(4))


def test_they_stop_when_told_to(make, make_vllm):
    model = make_vllm()
    with pytest.raises(Interrupted):
        fill(make(), model, stop=lambda: True)
    with pytest.raises(LegoError) as error:
        make().get(4)
    assert error.value.code is ErrorCode.SOURCE_UNREADABLE
    fill(make(), model, stop=lambda: False)
    assert make().get(4).shape == (16, 32)


def test_processes_share_the_work(make, make_vllm):
    model, features = make_vllm(), make()
    fill(features, model, share=(0, 2))
    with pytest.raises(LegoError):
        features.get(2)
    fill(features, model, share=(1, 2))
    assert all(features.get(index).isfinite().all() for index in range(5))


def test_those_of_something_else_are_refused(make, tmp_path, write_described):
    make()
    others = write_described(tmp_path / 'others', train=4)
    for changes in ({'frame': 'target'}, {'view': View.CENTER_CROP}, {'vllm': 'b' * 64},
                    {'data': others}):
        with pytest.raises(LegoError, match='computed for another') as error:
            make(**changes)
        assert error.value.code is ErrorCode.INVALID_SETTING
    make()


def test_a_damaged_picture_is_named(make_vllm, tmp_path, write_described):
    write_described(tmp_path / 'data')
    damaged = tmp_path / 'data/pictures/train3_input.png'
    damaged.write_bytes(b'not a picture')
    pairs = PairDataset(tmp_path / 'data', 'train')
    features = FrameFeatures(
        tmp_path / 'features', pairs, make_vllm(), 'a' * 64, 'input', View.WHOLE)
    with pytest.raises(LegoError, match=r'train3_input\.png') as error:
        fill(features, make_vllm())
    assert error.value.code is ErrorCode.SOURCE_UNREADABLE
