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

"""Frames by their times: the right ones, and none that is not to be seen."""

from lego_ros.errors import LegoError
from lego_ros.training.data.actions import Moment
from lego_ros.training.data.frame_folders import frame_name
from lego_ros.training.data.frames import VideoFrames, Window
from lego_ros.training.data.problems import ProblemLog
from lego_ros.training.export.clips import GOP, write_folder, write_video
from lego_ros.training.leap.footage import FolderFootage, VideoFootage
import numpy as np
import pytest

FPS = 7.5


def numbered(count, side=16):
    """Yield pictures whose brightness tells their number."""
    for number in range(count):
        yield np.full((side, side, 3), 3 * number % 256, np.uint8)


def number_of(frame):
    return round(float(frame.mean()) / 3)


@pytest.fixture
def folder(tmp_path):
    write_folder(tmp_path / 'v', numbered(20), 1)
    return tmp_path / 'v'


def shown(footage, times, before=float('inf')):
    return [number_of(frame) for frame in footage.frames(times, before)]


def test_a_time_means_the_last_frame_shown_by_then(folder):
    footage = FolderFootage(folder, FPS)
    assert shown(footage, [0, 0.13, 1 / 7.5, 0.2, 2.0]) == [0, 0, 1, 1, 15]
    # Before the beginning the first, after the end the last.
    assert shown(footage, [0.0, 9.0]) == [0, 19]


def test_a_frame_that_begins_at_the_bound_is_not_read(folder):
    footage = FolderFootage(folder, FPS)
    # Frame 15 is first shown at 2.0 s.
    assert shown(footage, [1.0, 1.99999999, 2.0, 3.0], before=2.0) == [7, 14, 14, 14]
    assert shown(footage, [3.0], before=2.001) == [15]
    for number in range(16, 21):
        (folder / frame_name(number)).write_bytes(b'poison')
    assert shown(footage, [1.0, 1.99999999, 3.0], before=2.0) == [7, 14, 14]
    with pytest.raises(LegoError, match=r'frame_0000000016.*no JPEG'):
        footage.frames([3.0], before=2.001)


@pytest.mark.parametrize('before', [0.0, -1.0])
def test_nothing_is_shown_before_the_beginning(folder, before):
    with pytest.raises(LegoError, match='nothing is shown before'):
        FolderFootage(folder, FPS).frames([0.0], before)


def test_missing_frames_are_named(folder, tmp_path):
    (folder / frame_name(3)).unlink()
    with pytest.raises(LegoError, match='frame_0000000003'):
        FolderFootage(folder, FPS).frames([0.3])
    (tmp_path / 'empty').mkdir()
    for name in ('empty', 'none'):
        with pytest.raises(LegoError, match='there are no frames'):
            FolderFootage(tmp_path / name, FPS)
    with pytest.raises(LegoError, match='not its own'):
        FolderFootage(tmp_path / 'P01_109', FPS)


@pytest.fixture(scope='module')
def video(tmp_path_factory):
    """Write an H.264 file with B-frames and more than one group of pictures."""
    path = tmp_path_factory.mktemp('video') / 'v.mp4'
    noise = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    write_video(path, ((np.roll(noise, number, 1) // 2 + number % 100).astype(np.uint8)
                       for number in range(GOP + 30)), 16)
    return path


def test_seeking_gives_what_decoding_from_the_beginning_gives(video):
    numbers = [0, 1, 7, 100, GOP - 1, GOP, GOP + 1, GOP + 29]
    wanted = [Window(str(number), Moment(number / 30, None, 0, 30.0, 'test'))
              for number in numbers]
    log = ProblemLog()
    truth = {window.key: shots[0].rgb for window, shots in VideoFrames(video).windows(wanted, log)}
    assert not list(log)
    footage = VideoFootage(video)
    for first in range(len(numbers)):
        found = footage.frames([number / 30 for number in numbers[first:]])
        for number, frame in zip(numbers[first:], found, strict=True):
            assert np.array_equal(frame, truth[str(number)]), number


def test_of_a_video_too_nothing_is_given_from_the_bound_on(video):
    footage = VideoFootage(video)
    last = footage.frames([59 / 30])[0]
    for frame in footage.frames([2.0, 2.5, 50.0], before=2.0):
        assert np.array_equal(frame, last)
    end = footage.frames([(GOP + 29) / 30])[0]
    # A little after the end its last frame is taken.
    assert np.array_equal(footage.frames([10.0])[0], end)
    with pytest.raises(LegoError, match='nothing is shown'):
        footage.frames([1.0], before=0.0)


def test_a_video_that_ends_too_early_is_named(folder, video):
    for footage in (FolderFootage(folder, FPS), VideoFootage(video)):
        with pytest.raises(LegoError, match=r'ends at .* and a frame of 40\.00 s is wanted'):
            footage.frames([40.0, 41.0])


def test_a_file_that_is_no_video(tmp_path):
    for name, content in (('a.mp4', b'no video'), ('b.mp4', b'')):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(LegoError, match='cannot be decoded'):
            VideoFootage(tmp_path / name).frames([0.0])
    with pytest.raises(LegoError, match='cannot be decoded'):
        VideoFootage(tmp_path / 'none.mp4').frames([0.0])
