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

"""A small clip set of real pictures whose colours tell the action, and a network for it."""

import json

import cv2
from lego_ros.programs.parsing import parse
from lego_ros.programs.serialising import to_json
from lego_ros.training.leap.clips import ClipInfo, ClipRecord, write_clips
import numpy as np
import pytest

# What needs torch is imported by the fixtures: half of the tests here do without it.

FPS = 8.0
SECONDS = 6
ACTIONS = (('take', 'mug', 0.5, 1.5), ('put', 'mug', 2.5, 3.5), ('take', 'knife', 4.5, 5.5))
TEXTS = {
    'take': 'objects {0}, table\ninitially on({0}, table)\n'
            'reach({0}, right)\ngrasp({0}, right)\nlift({0}, right)\n',
    'put': 'objects {0}, table\n'
           'initially in_hand({0}, right), contact({0}, right), near({0}, right)\n'
           'carry({0}, table, right)\nplace({0}, table, right)\nrelease({0}, right)\n'}
_COLOURS = {('take', 'mug'): (200, 30, 30), ('put', 'mug'): (30, 200, 30),
            ('take', 'knife'): (30, 30, 200)}


def program(verb, noun):
    return json.loads(to_json(parse(TEXTS[verb].format(noun))))


def write_frame(folder, number, colour, noise=0):
    folder.mkdir(parents=True, exist_ok=True)
    picture = np.random.default_rng((number, noise)).integers(0, 40, (24, 32, 3), dtype=np.uint8)
    picture += np.array(colour, np.uint8)[::-1]
    assert cv2.imwrite(str(folder / f'frame_{number:010d}.jpg'), picture)


def write_frames(folder, noise=0):
    """Write a video in which grey turns to an action's colour a second before it begins."""
    for number in range(1, int(SECONDS * FPS) + 1):
        time = (number - 1) / FPS
        now = next(((verb, noun) for verb, noun, start, stop in ACTIONS
                    if start - 1 <= time < stop), None)
        write_frame(folder, number, _COLOURS.get(now, (100, 100, 100)), noise)


def records(video, split, person):
    return [ClipRecord(
        clip_id=f'{video}_{number}', video_id=video, participant=person, split=split,
        footage=f'frames/{video}', fps=FPS, rate=16.0, start=start, stop=stop, verb=verb,
        noun=noun, program=program(verb, noun))
        for number, (verb, noun, start, stop) in enumerate(ACTIONS)]


@pytest.fixture(scope='session')
def clip_folder(tmp_path_factory):
    """Write four videos to train on, one to validate on, two to test on: 'B' is unseen."""
    folder = tmp_path_factory.mktemp('clips')
    found = []
    for number, (split, person) in enumerate((
            ('train', 'A'), ('train', 'A'), ('train', 'C'), ('train', 'C'), ('validation', 'A'),
            ('test', 'A'), ('test', 'B'))):
        write_frames(folder / 'frames' / f'v{number}', number)
        found += records(f'v{number}', split, person)
    write_clips(folder, ClipInfo(verbs=('put', 'take'), nouns=('knife', 'mug', 'spoon')), found)
    return folder


@pytest.fixture(scope='session')
def leap_data(clip_folder):
    from lego_ros.training.leap.train import LeapData
    import torch

    torch.set_num_threads(1)
    return LeapData.open(clip_folder)


@pytest.fixture(scope='session')
def make_settings():
    """Make the settings of a training of a few seconds."""
    from lego_ros.leap.config import LeapConfig, UniFormerV2Config
    from lego_ros.training.leap.settings import LeapSettings

    def make(task='recognition', clips=0, **changes):
        backbone = UniFormerV2Config(
            frames=2, resolution=16, patch=8, width=16, layers=1, heads=2, return_list=(0,),
            n_head=2, no_lmhra=False, mlp_dropout=0.1, cls_dropout=0.1)
        network = LeapConfig(backbone=backbone, task=task, max_steps=4, head_layers=1,
                             head_heads=2, aggregated_clips=clips)
        return LeapSettings.model_validate({
            'network': network, 'steps': 4, 'epochs': None, 'batch_size': 4, 'precision': 'fp32',
            'validate_every': 100, 'checkpoint_every': 100, 'log_every': 1,
            'anticipation': {'span_frames': 16}, **changes})

    return make
