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

"""Exact frames, by number and by time, out of videos that make seeking go wrong."""

from fractions import Fraction
import random

import av
import cv2
from lego_ros.training.data.actions import Moment
from lego_ros.training.data.frame_folders import FolderFrames, frame_name
from lego_ros.training.data.frames import VideoFrames, Window
from lego_ros.training.data.problems import ProblemLog, Reason
import numpy as np
import pytest

BASE = Fraction(1, 600)
CONSTANT = [20 * index for index in range(300)]


def at(time):
    return Moment(time, None, 1, 60.0, 'test')


def numbered(number, base=0, fps=30.0):
    return Moment((number - base) / fps, number, base, fps, 'test')


def taken(reader, moments, painted, before=0, after=0):
    """Return the painted numbers and the shots by window, and the problems."""
    log = ProblemLog()
    windows = [Window(str(index), moment, before, after) for index, moment in enumerate(moments)]
    found = {int(window.key): shots for window, shots in reader.windows(windows, log)}
    for shots in found.values():
        for shot in shots:
            # The reader's own number must be the one in the picture.
            assert painted.read(shot.rgb) == shot.number - reader.base
    return {key: [(shot.number, shot.offset) for shot in shots]
            for key, shots in found.items()}, list(log)


def variable_times():
    generator = random.Random(3)
    ticks = [0]
    for _ in range(399):
        ticks.append(ticks[-1] + generator.choice([4, 10, 20, 20, 25, 47, 300]))
    return ticks


@pytest.mark.parametrize('b_frames', [0, 3])
@pytest.mark.parametrize('gop', [12, 250])
def test_constant_rate_by_number(tmp_path, painted, b_frames, gop):
    path = painted.write(tmp_path / 'v.mp4', CONSTANT, BASE, gop, b_frames)
    wanted = [0, 1, 11, 12, 13, 249, 250, 251, 298, 299, 0, 137]
    found, problems = taken(VideoFrames(path), [numbered(n) for n in wanted], painted)
    assert problems == []
    assert found == {index: [(number, 0)] for index, number in enumerate(wanted)}


def test_numbers_that_count_from_one(tmp_path, painted):
    path = painted.write(tmp_path / 'v.mp4', CONSTANT, BASE)
    found, problems = taken(
        VideoFrames(path), [numbered(1, base=1), numbered(300, base=1)], painted)
    assert (found, problems) == ({0: [(0, 0)], 1: [(299, 0)]}, [])
    found, problems = taken(
        VideoFrames(path), [numbered(0, base=1), numbered(301, base=1)], painted)
    assert found == {}
    assert [problem.reason for problem in problems] == [Reason.OUT_OF_VIDEO] * 2


@pytest.mark.parametrize('start', [0, 7200])
@pytest.mark.parametrize('suffix', ['mp4', 'mkv'])
def test_variable_rate_by_time(tmp_path, painted, start, suffix):
    ticks = variable_times()
    path = painted.write(
        tmp_path / f'v.{suffix}', [start + tick for tick in ticks], BASE, 250, 3)
    # Matroska rounds to milliseconds; stay off the edges by more than that.
    margin = 2e-3
    times, expected = [], []
    for number in range(0, 399, 7):
        shown, until = float(ticks[number] * BASE), float(ticks[number + 1] * BASE)
        times += [shown + margin, until - margin]
        expected += [number, number]
    found, problems = taken(VideoFrames(path), [at(time) for time in times], painted)
    assert problems == []
    assert found == {index: [(number, 0)] for index, number in enumerate(expected)}


def test_a_frames_own_time_is_its_first_moment(tmp_path, painted):
    path = painted.write(tmp_path / 'v.mp4', CONSTANT, BASE, 250, 3)
    # Times come out of arithmetic in doubles, and may be a bit short.
    found, problems = taken(
        VideoFrames(path), [at(float(np.nextafter(n / 30, 0))) for n in range(300)], painted)
    assert problems == []
    assert found == {n: [(n, 0)] for n in range(300)}


def test_open_groups_of_pictures(tmp_path, painted):
    path = painted.write(
        tmp_path / 'v.mp4', CONSTANT, BASE, 30, 3, {'x264-params': 'open-gop=1:b-adapt=0'})
    found, problems = taken(VideoFrames(path), [numbered(n) for n in range(0, 300)], painted)
    assert problems == []
    assert found == {n: [(n, 0)] for n in range(300)}


def test_windows_overlap_and_are_cut_at_the_ends(tmp_path, painted):
    path = painted.write(tmp_path / 'v.mp4', CONSTANT, BASE)
    found, problems = taken(
        VideoFrames(path), [numbered(50), numbered(52), at(50.5 / 30), numbered(1),
                            numbered(298), at(299.5 / 30)], painted, before=3, after=3)
    assert problems == []
    around_50 = [(50 + offset, offset) for offset in range(-3, 4)]
    assert found[0] == found[2] == around_50
    assert found[1] == [(52 + offset, offset) for offset in range(-3, 4)]
    assert found[3] == [(1 + offset, offset) for offset in range(-1, 4)]
    assert found[4] == [(298 + offset, offset) for offset in range(-3, 2)]
    assert found[5] == [(299 + offset, offset) for offset in range(-3, 1)]


def test_times_outside_are_reported(tmp_path, painted):
    path = painted.write(tmp_path / 'v.mp4', CONSTANT, BASE)
    found, problems = taken(
        VideoFrames(path), [at(-0.01), at(9.99), at(10.1), numbered(300)], painted)
    assert found == {1: [(299, 0)]}
    assert sorted((problem.row, problem.reason) for problem in problems) == [
        ('0', Reason.OUT_OF_VIDEO), ('2', Reason.OUT_OF_VIDEO), ('3', Reason.OUT_OF_VIDEO)]
    assert {problem.file for problem in problems} == {str(path)}
    assert '10.100 s' in next(problem.detail for problem in problems if problem.row == '2')


def test_numbers_of_another_rate_are_reported(tmp_path, painted):
    # A video at 25 frames per second, asked for frames that count in 30.
    path = painted.write(tmp_path / 'v.mp4', [24 * index for index in range(200)], BASE)
    found, problems = taken(VideoFrames(path), [numbered(2), numbered(120)], painted)
    assert found == {0: [(2, 0)]}
    assert [(problem.row, problem.reason) for problem in problems] == [('1', Reason.FRAME_RATE)]


@pytest.mark.parametrize('where', ['index first', 'index last'])
def test_a_truncated_file_is_reported(tmp_path, painted, where):
    options = {'movflags': 'faststart'} if where == 'index first' else {}
    path = painted.write(
        tmp_path / 'v.mp4', CONSTANT, BASE, container_options=options)
    path.write_bytes(path.read_bytes()[:path.stat().st_size * 6 // 10])
    found, problems = taken(VideoFrames(path), [numbered(3), numbered(290), at(9.8)], painted)
    reasons = {problem.row: problem.reason for problem in problems}
    if where == 'index first':
        assert found == {0: [(3, 0)]}
        assert reasons == {'1': Reason.TRUNCATED, '2': Reason.TRUNCATED}
    else:
        assert found == {}
        assert reasons == dict.fromkeys('012', Reason.TRUNCATED)


def test_a_missing_file_and_a_file_that_is_no_video(tmp_path, painted):
    found, problems = taken(VideoFrames(tmp_path / 'no.mp4'), [numbered(0), at(1.0)], painted)
    assert found == {}
    assert [problem.reason for problem in problems] == [Reason.MISSING_VIDEO] * 2
    assert str(tmp_path / 'no.mp4') == problems[0].file
    (tmp_path / 'text.mp4').write_text('not a video ' * 100)
    found, problems = taken(VideoFrames(tmp_path / 'text.mp4'), [numbered(0)], painted)
    assert (found, [problem.reason for problem in problems]) == ({}, [Reason.TRUNCATED])


def test_sound_alone_is_no_video(tmp_path, painted):
    with av.open(str(tmp_path / 'v.mka'), 'w') as container:
        stream = container.add_stream('pcm_s16le', rate=8000, layout='mono')
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), 's16', 'mono')
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    found, problems = taken(VideoFrames(tmp_path / 'v.mka'), [numbered(0)], painted)
    assert (found, [problem.reason for problem in problems]) == ({}, [Reason.MALFORMED])


def test_the_rest_of_the_video_is_not_decoded(tmp_path, painted):
    path = painted.write(tmp_path / 'v.mp4', CONSTANT, BASE, 12,
                         container_options={'movflags': 'faststart'})
    # The damage behind the wanted frame would be reported if it were read.
    data = bytearray(path.read_bytes())
    path.write_bytes(data[:len(data) * 6 // 10])
    assert taken(VideoFrames(path), [numbered(20)], painted) == ({0: [(20, 0)]}, [])


@pytest.fixture
def folder(tmp_path, painted):
    path = tmp_path / 'P03_101'
    path.mkdir()
    for number in range(1, 21):
        cv2.imwrite(str(path / frame_name(number)), painted.paint(number - 1))
    return path


def test_a_folder_of_frames_counts_from_one(folder, painted):
    reader = FolderFrames(folder, 50.0)
    assert frame_name(7) == 'frame_0000000007.jpg'
    found, problems = taken(
        reader, [at(0.0), at(0.0199), at(0.02), at(0.39), numbered(5, 1, 50.0),
                 numbered(5, 0, 50.0)], painted)
    assert problems == []
    assert found == {0: [(1, 0)], 1: [(1, 0)], 2: [(2, 0)], 3: [(20, 0)], 4: [(5, 0)],
                     5: [(6, 0)]}
    found, _ = taken(reader, [at(0.0), at(0.38)], painted, 3, 3)
    assert found[0] == [(1, 0), (2, 1), (3, 2), (4, 3)]
    assert found[1] == [(17, -3), (18, -2), (19, -1), (20, 0)]


def test_a_folder_and_a_video_give_the_same_frames(folder, tmp_path, painted):
    path = painted.write(tmp_path / 'v.mp4', [12 * index for index in range(20)], BASE)
    moments = [at(n / 50 + part) for n in range(20) for part in (0.0, 0.019)]
    from_folder, _ = taken(FolderFrames(folder, 50.0), moments, painted, 1, 1)
    from_video, _ = taken(VideoFrames(path), moments, painted, 1, 1)
    assert {key: [(number - 1, offset) for number, offset in shots]
            for key, shots in from_folder.items()} == from_video


def test_frames_missing_from_a_folder_are_reported(folder, tmp_path, painted):
    (folder / frame_name(8)).unlink()
    (folder / frame_name(10)).write_bytes(b'not a picture')
    reader = FolderFrames(folder, 50.0)
    found, problems = taken(
        reader, [numbered(n, 1, 50.0) for n in (8, 9, 10, 21)], painted, 1, 1)
    assert found == {1: [(9, 0)]}
    assert [(problem.row, problem.reason) for problem in problems] == [
        ('0', Reason.MISSING_FRAME), ('2', Reason.MISSING_FRAME), ('3', Reason.OUT_OF_VIDEO)]
    found, problems = taken(FolderFrames(tmp_path / 'P03_102', 50.0), [at(0.0)], painted)
    assert (found, problems[0].reason) == ({}, Reason.MISSING_VIDEO)


def test_the_folders_known_to_be_wrong_are_refused(tmp_path, painted):
    (tmp_path / 'P01_109').mkdir()
    found, problems = taken(FolderFrames(tmp_path / 'P01_109', 50.0), [at(0.0)], painted)
    assert (found, problems[0].reason) == ({}, Reason.KNOWN_ERROR)
