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

"""What is where in a picture, and the tower that learns it."""

import itertools

from lego_ros.errors import ErrorCode, LegoError
from lego_ros.training.foundations.pictures import image_processor
from lego_ros.training.foundations.scenes import SceneState
from lego_ros.training.foundations.sight import (
    collate,
    load_tower,
    Seen,
    SightObjective,
    SightSettings,
    Things,
    told,
    train_sight,
)
from lego_ros.training.run.draws import Draw
from lego_ros.training.run.journal import read_metrics
from lego_ros.training.run.loop import Interrupted
import numpy as np
import pytest
from safetensors.torch import load_file
import torch
from transformers import CLIPVisionModel

SETTINGS = SightSettings(epochs=None, steps=80, batch_size=8, lr=4e-3, warmup=0.0,
                         precision='fp32', log_every=5, validate_every=40, checkpoint_every=30)
STATE = SceneState(
    boxes={'mug': (0.0, 0.0, 0.5, 0.25), 'left_drawer': (0.25, 0.5, 0.75, 1.0),
           'left_hand': (0.5, 0.0, 0.51, 0.01), 'tap': (0.75, 0.0, 1.0, 0.5)},
    touching={'left': ('left_drawer',), 'right': ()},
    opening={'left_drawer': 0.5, 'tap': 1.0, 'right_cupboard': 1.0}, running=True,
    location={'mug': 'right_hand', 'fork': 'left_hand'}, liquid={'mug': 'milk'}, cut=('egg',),
    flipped=(), dirty=('mug',))


@pytest.fixture(scope='module')
def trained(splits, size, tmp_path_factory):
    root = tmp_path_factory.mktemp('sight')
    return train_sight(SETTINGS, size, *splits, root / 'sight', root / 'runs'), root / 'runs'


def test_what_is_told_of_a_state():
    told_names = [name for name, _ in told(STATE)]
    assert set(told_names) == {
        'mug', 'left_drawer', 'left_hand', 'tap', 'dirty', 'with milk', 'half open', 'open',
        'touched by left', 'in right_hand', 'running'}
    # What cannot be seen (cupboard, fork, egg) is not told of.
    assert dict(told(STATE))['open'] == STATE.boxes['tap']


def test_the_map_is_how_much_of_a_patch_or_of_the_thing_is_there():
    things = Things([STATE])
    where = things.map(STATE, 4).reshape(4, 4, len(things.names))
    mug = where[..., things.names.index('mug')]
    assert mug.tolist() == [[1, 1, 0, 0], [0] * 4, [0] * 4, [0] * 4]
    # Half a patch wide on either side.
    drawer = where[..., things.names.index('left_drawer')]
    assert drawer[2].tolist() == [0, 1, 1, 0]
    # Far smaller than a patch, and wholly in this one.
    hand = where[..., things.names.index('left_hand')]
    assert hand[0, 2] == pytest.approx(1)
    assert hand.sum() == pytest.approx(1)


def test_a_thing_on_an_edge_is_shared():
    state = STATE.model_copy(update={'boxes': {'mug': (0.2, 0.0, 0.3, 0.1)}})
    where = Things([state]).map(state, 4)
    assert where[0, 0] == pytest.approx(0.5)
    assert where[1, 0] == pytest.approx(0.5)


def test_the_mirrored_map_is_the_map_mirrored():
    mirrored = STATE.mirrored()
    things = Things([STATE, mirrored])
    here = things.map(STATE, 4).reshape(4, 4, -1)
    there = things.map(mirrored, 4).reshape(4, 4, -1)
    swaps = {'left': 'right', 'right': 'left'}

    def other(name):
        return '_'.join(swaps.get(part, part) for part in name.replace(' ', '_').split('_'))

    for index, name in enumerate(things.names):
        partner = next(each for each in things.names if each.replace(' ', '_') == other(name))
        assert np.allclose(here[:, ::-1, index], there[..., things.names.index(partner)],
                           atol=1e-6), name


def test_a_draw_always_gives_the_same(splits):
    train, _ = splits
    data = Seen(train, Things([train.scenes.state(train.pairs[0], 'input')]), 4)
    pictures = set()
    for seed in range(8):
        picture, where = data[Draw(0, seed)]
        again, same = data[Draw(0, seed)]
        assert np.array_equal(picture, again)
        assert np.array_equal(where, same)
        pictures.add(picture.tobytes())
    # Input and target, each mirrored or not.
    assert len(pictures) == 4


def test_it_learns_what_is_where(trained):
    figures = read_metrics(trained[1])
    learned = [each for each in figures if 'found' in each]
    assert learned[-1]['loss'] < 0.5 * learned[0]['loss']
    assert learned[-1]['found'] > learned[0]['found'] + 0.2
    assert learned[-1]['right'] > 0.5
    # The other kitchen is judged by the same figures.
    judged = [each for each in figures if 'validation/found' in each]
    assert [each['step'] for each in judged] == [40, 80]
    assert all(0 < each['validation/loss'] < 1 for each in judged)


def test_the_last_layer_is_left_alone(size):
    config = size.llava(64)
    tower = CLIPVisionModel(config.vision_config)
    objective = SightObjective(tower, image_processor(64), 3, config.vision_feature_layer)
    batch = collate([(np.zeros((64, 64, 3), np.uint8), np.ones((16, 3), np.float32))] * 2)
    objective(batch)[0].backward()
    still = {name for name, value in tower.named_parameters() if value.grad is None}
    assert still
    assert all('layers.2.' in name or 'post_layernorm' in name for name in still)


def test_broken_off_and_taken_up_again_it_is_the_same(trained, splits, size, tmp_path):
    asked = itertools.count()
    places = tmp_path / 'sight', tmp_path / 'runs'
    with pytest.raises(Interrupted):
        train_sight(SETTINGS, size, *splits, *places, stop=lambda: next(asked) == 33)
    assert not places[0].exists()
    train_sight(SETTINGS, size, *splits, *places)
    whole, resumed = (load_file(each / 'model.safetensors') for each in (trained[0], places[0]))
    assert whole.keys() == resumed.keys()
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


@pytest.mark.parametrize('damage', ['missing', 'cut off', 'not a tower'])
def test_a_tower_that_cannot_be_loaded(trained, tmp_path, damage):
    folder = tmp_path / 'sight'
    if damage != 'missing':
        folder.mkdir()
        for path in trained[0].iterdir():
            (folder / path.name).write_bytes(path.read_bytes())
    if damage == 'cut off':
        weights = folder / 'model.safetensors'
        weights.write_bytes(weights.read_bytes()[:1000])
    elif damage == 'not a tower':
        (folder / 'config.json').write_text('{"model_type": "llama"')
    with pytest.raises(LegoError, match='the vision tower cannot be loaded') as caught:
        load_tower(folder)
    assert caught.value.code is ErrorCode.SOURCE_UNREADABLE
