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

"""What the network sees of an action, that it sees nothing too late, and what it is to predict."""

from itertools import pairwise
import shutil

from hypothesis import given, strategies
from hypothesis import settings as hypothesis_settings
from lego_ros.errors import LegoError
from lego_ros.leap.frames import prepare
from lego_ros.leap.targets import IGNORED
from lego_ros.training.data.frame_folders import frame_name
from lego_ros.training.leap.clips import ClipRecord
from lego_ros.training.leap.data import LeapCollate, LeapSamples
from lego_ros.training.leap.footage import FolderFootage
from lego_ros.training.leap.sampling import (
    AnticipationSettings,
    earlier_windows,
    times_in,
    Window,
)
from lego_ros.training.leap.train import LeapData
from lego_ros.training.run.draws import Draw
import numpy as np
import pytest
import torch

TAKE_MUG, PUT_MUG, TAKE_KNIFE = range(3)


def clip(start, rate=60.0):
    return ClipRecord(
        clip_id='c', video_id='v', participant='P', split='train', footage='v', fps=8.0,
        rate=rate, start=start, stop=start + 1, verb='take', noun='mug')


@pytest.fixture(scope='module')
def samples_of(leap_data, make_settings):
    def make(split='test', data=leap_data, **changes):
        settings = make_settings(**changes)
        classes = leap_data.programs.classes('train', 1)
        return LeapSamples(data.clips, data.programs, split, classes, settings)

    return make


def test_moments_are_the_middles_of_equal_stretches():
    assert times_in(Window(1.0, 3.0), 4) == [1.25, 1.75, 2.25, 2.75]
    assert times_in(Window(-1.0, 1.0), 4) == [0.0, 0.0, 0.25, 0.75]


def test_the_papers_clips_are_256_frames_each_up_to_a_second_before():
    windows = earlier_windows(clip(20.0), 3, AnticipationSettings())
    assert windows[-1].end == 19.0
    assert [window.end - window.begin for window in windows] == pytest.approx([256 / 60] * 3)
    for one, other in pairwise(windows):
        assert one.end == other.begin
    slower = earlier_windows(clip(20.0, rate=50.0), 1, AnticipationSettings())
    assert slower[0].begin == pytest.approx(19 - 256 / 50)
    own = earlier_windows(clip(20.0), 2, AnticipationSettings(lead=0.5, span_seconds=2.0))
    assert [(window.begin, window.end) for window in own] == [(15.5, 17.5), (17.5, 19.5)]


@hypothesis_settings(max_examples=60, deadline=None)
@given(strategies.floats(0.01, 4000), strategies.integers(1, 40), strategies.integers(0, 9))
def test_no_moment_is_at_the_bound_or_after_it(start, count, seed):
    window = earlier_windows(clip(start), 1, AnticipationSettings())[0]
    if not window.present:
        return
    times = times_in(window, count, np.random.default_rng(seed))
    assert times == sorted(times)
    assert times[0] >= 0
    assert times[-1] < start - 1.0


def poisoned(leap_data, tmp_path, first):
    """Copy the clip set; in the videos to test on, no frame from ``first`` on can be read."""
    folder = tmp_path / 'poisoned'
    shutil.copytree(leap_data.clips.root, folder)
    for video in ('v5', 'v6'):
        last = len(list((folder / 'frames' / video).iterdir()))
        for number in range(first, last + 1):
            (folder / 'frames' / video / frame_name(number)).write_bytes(b'poison')
    return LeapData.open(folder)


def test_nothing_of_the_last_second_is_read(samples_of, leap_data, tmp_path):
    # "take knife" begins at 4.5 s; at 8 per second frame 29 is the first shown at 3.5 s.
    bad = poisoned(leap_data, tmp_path, 29)
    for clips in (1, 3):
        clean = samples_of(task='anticipation', clips=clips)
        blind = samples_of(task='anticipation', clips=clips, data=bad)
        for seed in range(20):
            one, other = (each[Draw(TAKE_KNIFE, seed)] for each in (clean, blind))
            assert torch.equal(one.frames, other.frames)
        assert torch.equal(clean.sample(TAKE_KNIFE).frames, blind.sample(TAKE_KNIFE).frames)
    # The test would notice: recognition reads these frames, and so does a shorter lead.
    seeing = samples_of(data=bad)
    with pytest.raises(LegoError, match='no JPEG'):
        seeing.sample(TAKE_KNIFE)
    late = samples_of(task='anticipation', clips=1, data=bad,
                      anticipation={'lead': 0.7, 'span_frames': 16})
    with pytest.raises(LegoError, match='no JPEG'):
        late.sample(TAKE_KNIFE)


def test_frames_up_to_the_bound_are_read(samples_of, leap_data, tmp_path):
    bad = samples_of(task='anticipation', clips=1, data=poisoned(leap_data, tmp_path, 28))
    assert any(_fails(bad, seed) for seed in range(40))


def _fails(samples, seed):
    try:
        samples[Draw(TAKE_KNIFE, seed)]
    except LegoError:
        return True
    return False


def test_what_lies_before_the_video_is_absent_or_its_first_frame(samples_of, clip_folder):
    # "put mug" begins at 2.5 s: clips of 1 s end at 1.5 s, 0.5 s and -0.5 s.
    sample = samples_of(task='anticipation', clips=3).sample(PUT_MUG)
    assert sample.present.tolist() == [False, True, True]
    assert not sample.frames[0].any()
    # The middle one, from -0.5 s on, begins with the video's first frame, and goes on at 0.25 s.
    footage = FolderFootage(clip_folder / 'frames' / 'v5', 8.0)
    assert torch.equal(sample.frames[1], prepare(np.stack(footage.frames([0.0, 0.25])), 16))
    alone = samples_of(task='anticipation', clips=1).sample(TAKE_MUG)
    # It begins at 0.5 s: nothing can be seen, yet it is told of.
    assert alone.present.tolist() == [True]
    assert not alone.frames.any()
    assert alone.programs == (None,)


def test_programs_are_those_of_what_is_done_in_each_clip(samples_of):
    samples = samples_of(task='anticipation', clips=3)
    classes = samples.classes
    # Clips of "take knife" end at 1.5, 2.5 and 3.5 s: take mug, nothing, put mug.
    first, second, third = samples.sample(TAKE_KNIFE).programs
    assert second is None
    assert [classes.sub_verbs[number - 1] for number in first.sub_verb[:first.length]] == [
        'reach', 'grasp', 'lift']
    assert [classes.sub_verbs[number - 1] for number in third.sub_verb[:third.length]] == [
        'carry', 'place', 'release']
    assert samples.sample(TAKE_KNIFE).label == (1, 0)
    own = samples_of().sample(TAKE_KNIFE)
    assert own.frames.shape == (1, 3, 2, 16, 16)
    assert classes.objects[own.programs[0].object_a[0] - 1] == 'knife'


def test_training_sees_other_frames_in_each_epoch_and_the_same_for_a_draw(samples_of):
    samples = samples_of()
    assert torch.equal(samples[Draw(0, 5)].frames, samples[Draw(0, 5)].frames)
    found = [samples[Draw(0, seed)].frames for seed in range(8)]
    assert any(not torch.equal(found[0], other) for other in found[1:])


def test_a_batch_holds_labels_of_samples_and_programs_of_clips(samples_of):
    samples = samples_of(task='anticipation', clips=3)
    batch = LeapCollate(samples.classes, 4)([samples.sample(TAKE_KNIFE), samples.sample(PUT_MUG)])
    assert batch['frames'].shape == (2, 3, 3, 2, 16, 16)
    verb, _, _, sub_verb, _, _, length, pre, _ = batch['targets']
    assert verb.tolist() == [1, 0]
    assert sub_verb.shape == (6, 4)
    assert length.tolist() == [3, 0, 3, 0, 0, 3]
    assert pre.shape == (6, len(samples.classes.predicates))


def test_a_clip_without_labels_is_ignored(samples_of, leap_data):
    samples = samples_of()
    unknown = samples.records[0].model_copy(update={'verb': None, 'noun': None})
    samples.records = (unknown, *samples.records[1:])
    assert samples.sample(0).label == (IGNORED, IGNORED)
