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

"""Splits, times and byte formats by their rules."""

from hypothesis import given, settings
from hypothesis import strategies as st
from lego_ros.sim.actions.base import Choice
from lego_ros.sim.episode import sample_episode
from lego_ros.sim.vocabulary import NOUNS, VERBS
from lego_ros.training.data.epic import INPUT_LEAD, parse_timestamp, shown_frame, TARGET_FRACTION
from lego_ros.training.data.pickled_bytes import read_pickled_bytes
from lego_ros.training.export.detections import pickled
from lego_ros.training.export.epic_annotations import NOUN_CLASSES
from lego_ros.training.export.epic_times import epic_times, timestamp
from lego_ros.training.export.ids import action_uid, clip_uid, epic_video, video_uid
from lego_ros.training.export.masks import polygons
from lego_ros.training.export.splits import (
    annotated,
    is_unseen,
    noun_of,
    split_of,
    split_of_seed,
    UNSEEN_PAIRS,
)
import numpy as np


@given(st.integers(0, 200_000), st.integers(16, 3000))
@settings(max_examples=500, deadline=None)
def test_times_land_on_the_frames(pre_15, later):
    pnr = pre_15 + later
    start, stop = (parse_timestamp(timestamp(value)) for value in epic_times(pre_15, pnr))
    assert stop > start
    before, after = start - INPUT_LEAD, start + TARGET_FRACTION * (stop - start)
    for seconds, frame in ((before, pre_15), (after, pnr)):
        # As a video at 30 and as extracted frames at 60 per second show it.
        assert np.floor(seconds * 30 + 1e-6) == frame
        assert shown_frame(seconds, 60) == 2 * frame + 1


def test_splits_hang_on_the_seed_alone():
    found = [split_of_seed(seed) for seed in range(20_000)]
    assert found == [split_of_seed(seed) for seed in range(20_000)]
    shares = {name: found.count(name) / len(found) for name in set(found)}
    assert set(shares) == {'train', 'validation', 'test'}
    assert abs(shares['train'] - 0.8) < 0.01
    assert abs(shares['validation'] - 0.1) < 0.01
    # No pattern of seeds lies in one split only.
    for step in (2, 5, 10, 100):
        assert {split_of_seed(seed) for seed in range(0, 300 * step, step)} == set(shares)


def test_unseen_verbs_and_nouns_are_seen_with_others():
    words = {*NOUN_CLASSES}
    for verb, noun in UNSEEN_PAIRS:
        assert verb in VERBS
        assert noun in words
        assert sum(other == verb for other, _ in UNSEEN_PAIRS) < 3
        if noun in NOUNS:
            uses = NOUNS[noun].uses
            held_out = {v.replace(' ', '_') for v, n in UNSEEN_PAIRS if n == noun}
            assert len({*uses, 'put'} - held_out) > 1


def test_unseen_pairs_occur_in_their_split_only():
    unseen = seen = 0
    for seed in range(60):
        if unseen and seen > 3:
            break
        episode = sample_episode(seed)
        split = split_of(episode)
        numbers = annotated(episode)
        pairs = {(action.choice.verb, noun_of(action.choice)) for action in episode.actions}
        exported = [episode.actions[number].choice for number in numbers]
        if split == 'test_unseen':
            unseen += 1
            assert exported
            assert all(is_unseen(choice) for choice in exported)
        else:
            seen += 1
            assert split == split_of_seed(seed)
            assert not pairs & UNSEEN_PAIRS
            assert numbers == list(range(len(episode.actions)))
    assert unseen
    assert seen


def test_the_noun_is_without_its_side():
    assert noun_of(Choice('open', 'left drawer', 'left', 'left_drawer')) == 'drawer'
    assert noun_of(Choice('take', 'mug', 'left', 'mug')) == 'mug'


def test_names_are_unique():
    seeds = range(3000, 6000)
    for name in (video_uid, clip_uid, epic_video):
        assert len({name(seed) for seed in seeds}) == len(seeds)
    assert len({action_uid(seed, number) for seed in range(100) for number in range(6)}) == 600
    assert video_uid(1) != clip_uid(1)


@given(st.lists(st.binary(max_size=300)))
@settings(max_examples=50, deadline=None)
def test_the_reader_reads_the_list(tmp_path_factory, messages):
    path = tmp_path_factory.mktemp('pickle') / 'a.pkl'
    path.write_bytes(pickled(messages))
    assert read_pickled_bytes(path) == messages


def test_outlines_enclose_the_mask():
    mask = np.zeros((64, 64), bool)
    mask[10:20, 5:30] = True
    mask[40:42, 50:51] = True
    found = sorted(polygons(mask), key=lambda polygon: polygon[0][0])
    assert len(found) == 2
    for polygon, (x1, y1, x2, y2) in zip(found, ((5, 10, 30, 20), (50, 40, 51, 42)), strict=True):
        points = np.array(polygon) / (1920, 1080) * 64
        assert np.allclose([*points.min(0), *points.max(0)], (x1, y1, x2, y2), atol=0.05)
