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

"""The kitchen's clips: drawn, with true times, people and programs; taken up where broken off."""

import threading

from lego_ros.programs.checking import check
from lego_ros.sim.episode import sample_episode
from lego_ros.training.data.frame_folders import frame_name
from lego_ros.training.leap.clips import ClipSet
from lego_ros.training.leap.footage import open_footage
from lego_ros.training.leap.kitchen import (
    clips_of,
    KitchenClips,
    make_kitchen_clips,
    participant,
    UNSCORED,
)
import numpy as np
import pytest

SEED = 101
SETTINGS = KitchenClips(episodes=1, seed=SEED, side=32, stride=30)


@pytest.fixture(scope='module')
def episode():
    return sample_episode(SEED)


@pytest.fixture(scope='module')
def drawn(tmp_path_factory):
    folder = tmp_path_factory.mktemp('kitchen') / 'clips'
    seen = []
    summary = make_kitchen_clips(SETTINGS, folder, 1, threading.Event(), seen.append)
    assert [(each.done, each.total) for each in seen] == [(0, 1), (1, 1)]
    return folder, summary


def test_an_episode_is_drawn_with_its_actions(drawn, episode):
    folder, summary = drawn
    clips = ClipSet(folder)
    assert sum(summary['actions'].values()) == len(episode.actions)
    assert list(clips.clips) == clips_of(episode, clips.clips[0].footage, 1.0)
    for clip, action in zip(clips.clips, episode.actions, strict=True):
        assert (clip.start, clip.stop) == (action.pre / 30, action.end / 30)
        assert (clip.verb, clip.participant) == (action.choice.verb, participant(episode))
    footage = clips.root / clips.clips[0].footage
    count = len(list(footage.iterdir()))
    assert count == -(-episode.frame_count // 30)
    first, last = open_footage(clips.root, clips.clips[0]).frames([0.0, 1e9])
    assert first.shape == (32, 32, 3)
    assert not np.array_equal(first, last)
    assert (footage / frame_name(count)).is_file()


def test_what_is_there_is_not_drawn_again(drawn):
    folder, summary = drawn
    before = {path: path.stat().st_mtime_ns for path in folder.rglob('*')}
    stopped = threading.Event()
    stopped.set()
    assert make_kitchen_clips(SETTINGS, folder, 1, stopped) == summary
    assert {path: path.stat().st_mtime_ns for path in folder.rglob('*')} == before


def test_programs_are_sound_and_of_what_is_done(episode):
    for clip in clips_of(episode, 'frames/v', 7.5):
        tree = clip.tree()
        assert not check(tree)
        assert len(list(tree.sub_actions())) >= 2


def test_who_is_unseen_and_what_is_unseen_is_not_trained_on(episode, monkeypatch):
    splits = {clip.split for clip in clips_of(episode, 'v', 7.5)}
    assert splits <= {'train', 'validation', 'test', 'test_unseen', UNSCORED}
    number = int(participant(episode).split('-')[1].split(' ')[0])
    monkeypatch.setattr('lego_ros.training.leap.kitchen.UNSEEN_SLEEVE', number)
    assert {clip.split for clip in clips_of(episode, 'v', 7.5)} <= {
        'test', 'test_unseen', UNSCORED}
    verb, noun = (getattr(clips_of(episode, 'v', 7.5)[1], name) for name in ('verb', 'noun'))
    monkeypatch.setattr('lego_ros.training.export.splits.UNSEEN_PAIRS', {(verb, noun)})
    for clip in clips_of(episode, 'v', 7.5):
        unseen = (clip.verb, clip.noun) == (verb, noun)
        assert clip.split == ('test_unseen' if unseen else UNSCORED)
