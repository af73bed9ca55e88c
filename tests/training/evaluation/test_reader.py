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

from lego_ros.ldm.view import View
from lego_ros.training.evaluation.reader import ReaderSettings, train_reader
from lego_ros.training.evaluation.reader_data import (
    classes_of,
    facts_of,
    frames_of,
    numbers_of,
    state_of,
    UNKNOWN,
)
from PIL import Image
import pytest

SIDE = 32
COLOURS = {'open': (220, 30, 30), 'take': (30, 220, 30), 'cut': (30, 30, 220),
           'wash': (220, 220, 30)}


@pytest.fixture
def coloured(tmp_path, write_described, make_truth):
    """Write pairs whose verb shows in the target alone."""
    pairs = write_described(tmp_path, train=10)
    for pair in pairs:
        Image.new('RGB', (SIDE, SIDE), (128, 128, 128)).save(pair.input_path)
        Image.new('RGB', (SIDE, SIDE), COLOURS[pair.verb]).save(pair.target_path)
    truth = make_truth()
    return pairs, {pair.action_id: truth for pair in pairs}


def _trained(coloured, folder):
    settings = ReaderSettings(epochs=None, steps=80, batch_size=10, lr=5e-3, precision='fp32',
                              widths=(8, 16))
    frames = frames_of(coloured[0], View.WHOLE, SIDE)
    return train_reader(settings, *coloured, frames, folder, view='whole', side=SIDE), frames


def test_the_target_tells_the_action_and_the_input_does_not(coloured, tmp_path):
    pairs, truths = coloured
    reader, frames = _trained(coloured, tmp_path / 'reader')
    inputs, targets = ([frames.get(index, which) for index in range(len(pairs))]
                       for which in ('input', 'target'))
    facts = [facts_of(pair, truths[pair.action_id]) for pair in pairs]

    def right(candidates):
        rows = reader.read(inputs, candidates, facts)
        return sum(row['verb'] for row in rows) / len(rows)

    assert right(targets) > right(inputs) + 0.3
    weights = tmp_path / 'reader' / 'result' / 'model.safetensors'
    written = weights.stat().st_mtime_ns
    again, _ = _trained(coloured, tmp_path / 'reader')
    assert weights.stat().st_mtime_ns == written
    assert again.read(inputs, targets, facts) == reader.read(inputs, targets, facts)


def test_unknown_classes_are_never_right(coloured, tmp_path):
    pairs, truths = coloured
    classes = classes_of(pairs, truths)
    assert numbers_of(('fly', pairs[0].noun, 'empty'), classes)[0] == UNKNOWN
    reader, frames = _trained(coloured, tmp_path / 'reader')
    row = reader.read([frames.get(0, 'input')], [frames.get(0, 'target')],
                      [('fly', pairs[0].noun, 'empty')])[0]
    assert (row['verb'], row['action']) == (False, False)


@pytest.mark.parametrize(('after', 'thing', 'state'), [
    ({'location': {'mug': 'left_hand'}}, 'mug', 'in the left hand'),
    ({'touching': {'left': (), 'right': ('mug',)}}, 'mug', 'at the right hand'),
    ({'flipped': ('mug',)}, 'mug', 'upside down'),
    ({'liquid': {'mug': 'water'}}, 'mug', 'filled'),
    ({}, 'mug', 'empty'),
    ({'opening': {'left_drawer': 0.4}}, 'left_drawer', 'ajar'),
    ({'opening': {'left_drawer': 0.9}}, 'left_drawer', 'open'),
    ({'opening': {'tap': 1.0}}, 'tap', 'on')])
def test_states_are_those_of_the_target(make_truth, after, thing, state):
    assert state_of(make_truth(after=after, thing=thing)) == state


def test_a_mirror_image_is_held_by_the_other_hand(coloured, make_truth):
    truth = make_truth(after={'location': {'mug': 'left_hand'}})
    assert facts_of(coloured[0][0], truth, mirrored=True)[2] == 'in the right hand'
