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

"""Captions: true, about what can be seen, and silent about actions."""

import re
import shutil

from lego_ros.errors import ErrorCode, LegoError
from lego_ros.sim.vocabulary import VERBS
from lego_ros.training.foundations.captions import caption, dialogue, facts, full_caption
from lego_ros.training.foundations.kitchen_split import KitchenSplit
from lego_ros.training.foundations.scenes import SceneState
import numpy as np
import pytest

STATE = SceneState(
    boxes={'mug': (0.1, 0.4, 0.2, 0.5), 'kettle': (0.3, 0.3, 0.45, 0.5),
           'sink': (0.6, 0.4, 0.9, 0.6), 'tap': (0.7, 0.2, 0.75, 0.4),
           'left_drawer': (0.1, 0.7, 0.4, 0.9), 'left_hand': (0.3, 0.8, 0.5, 1.0),
           'right_hand': (0.62, 0.45, 0.8, 0.6), 'sponge': (0.62, 0.5, 0.7, 0.55),
           'plate': (0.7, 0.5, 0.8, 0.58), 'egg': (0.5, 0.3, 0.505, 0.305)},
    touching={'left': (), 'right': ('sponge',)},
    opening={'left_drawer': 0.5, 'right_drawer': 1.0, 'tap': 1.0}, running=True,
    location={'mug': 'near_free_0', 'kettle': 'near_free_1', 'sponge': 'right_hand',
              'plate': 'sink', 'egg': 'far_free_0', 'fork': 'right_drawer_0'},
    liquid={'kettle': 'water', 'mug': 'milk'}, cut=(), flipped=(), dirty=('plate',))


def test_everything_that_can_be_seen_is_told():
    assert full_caption(STATE) == (
        'The person sees a mug with milk to the left of the kettle, a kettle to the right of the '
        'mug, a sponge in the right hand and a dirty plate in the sink. The left drawer is half '
        'open. Water runs from the tap. The left hand is in the middle, near the bottom. '
        'The right hand is on the right side, near the middle, with the sponge.')


def test_the_mirrored_picture_has_the_mirrored_caption():
    mirrored = STATE.mirrored()
    assert mirrored.boxes['right_drawer'] == pytest.approx((0.6, 0.7, 0.9, 0.9))
    text = full_caption(mirrored)
    assert 'a sponge in the left hand' in text
    assert 'a mug with milk to the right of the kettle' in text
    assert 'The right drawer is half open.' in text
    again = mirrored.mirrored()
    assert full_caption(again) == full_caption(STATE)
    assert again.boxes['mug'] == pytest.approx(STATE.boxes['mug'])


def test_what_cannot_be_seen_is_not_told():
    text = full_caption(STATE)
    # Too small, shut in a drawer out of view, and inside of a closed kettle.
    for hidden in ('egg', 'fork', 'right drawer', 'water to'):
        assert hidden not in text
    away = STATE.model_copy(update={
        'boxes': {name: box for name, box in STATE.boxes.items() if name != 'left_hand'}})
    assert 'The left hand is out of view.' in full_caption(away)


@pytest.mark.parametrize(('change', 'told'), [
    ({'location': {**STATE.location, 'mug': 'board'}}, 'a mug with milk on the chopping board'),
    ({'location': {**STATE.location, 'mug': 'hob_1'}}, 'a mug with milk on the hob'),
    ({'location': {**STATE.location, 'mug': 'left_drawer_0'}}, 'in the open left drawer'),
    ({'location': {**STATE.location, 'mug': 'plate'}}, 'a mug with milk on the plate'),
    ({'flipped': ('mug',), 'liquid': {}}, 'a mug turned upside down to the left'),
    ({'touching': {'left': ('mug',), 'right': ()}}, 'a mug with milk at the left hand'),
    ({'opening': {'left_drawer': 0.0, 'tap': 0.0}, 'running': False},
     'The drawer is closed. The tap is off.'),
])
def test_places_and_states(change, told):
    assert told in full_caption(STATE.model_copy(update=change))


def test_a_short_caption_holds_some_of_the_facts():
    known = {part for fact in facts(STATE) for part in (fact.phrase, fact.sentence)}
    seen = set()
    for seed in range(20):
        text = caption(STATE, np.random.default_rng(seed), 3)
        assert text == caption(STATE, np.random.default_rng(seed), 3)
        told = [part for part in known if part and part.lower() in text.lower()]
        assert 3 <= len(told) <= 6
        seen.add(text)
    assert len(seen) > 15


def test_questions_are_answered_from_the_picture():
    answers = dict(dialogue(STATE, np.random.default_rng(seed)) for seed in range(80))
    assert answers['Where is the mug?'] == 'The mug with milk is to the left of the kettle.'
    assert answers['Is the left drawer open or closed?'] == 'The left drawer is half open.'
    assert answers['What is in view?'] == full_caption(STATE)


def test_captions_of_real_scenes_tell_no_actions(splits):
    train, _ = splits
    gerunds = '|'.join(rf'{verb.gerund}|{verb.third}' for verb in VERBS.values())
    for pair in train.pairs:
        for which in ('input', 'target'):
            text = full_caption(train.scenes.state(pair, which))
            assert not re.search(rf'\b({gerunds})\b', text)
            assert text.startswith('The person sees a')


def test_the_target_shows_what_the_input_does_not(splits):
    train, _ = splits
    texts = {which: [full_caption(train.scenes.state(pair, which)) for pair in train.pairs]
             for which in ('input', 'target')}
    differ = sum(a != b for a, b in zip(texts['input'], texts['target'], strict=True))
    assert differ == len(train.pairs)


@pytest.mark.parametrize(('damage', 'told'), [
    (lambda lines: lines[1:], 'is not in it'),
    (lambda lines: [lines[0][:100] + '\n', *lines[1:]], 'line 1'),
    (lambda lines: [], 'is not in it'),
])
def test_a_truth_that_lacks_something(kitchen, tmp_path, damage, told):
    folder = tmp_path / 'data'
    shutil.copytree(kitchen, folder)
    path = folder / 'truth.jsonl'
    path.write_text(''.join(damage(path.read_text().splitlines(keepends=True))))
    with pytest.raises(LegoError, match=told) as caught:
        KitchenSplit.load(folder, 'train', 64)
    assert caught.value.code is ErrorCode.SOURCE_UNREADABLE


def test_without_a_truth(kitchen, tmp_path):
    shutil.copytree(kitchen, tmp_path / 'data')
    (tmp_path / 'data/truth.jsonl').unlink()
    with pytest.raises(LegoError, match='lego-ros sim generate'):
        KitchenSplit.load(tmp_path / 'data', 'train', 64)
