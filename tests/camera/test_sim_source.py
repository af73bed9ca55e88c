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

"""The simulated kitchen as a source of frames."""

from __future__ import annotations

import itertools
import os
from pathlib import Path
import subprocess
import sys
import threading
import time

from lego_ros.camera.opening import open_source
from lego_ros.camera.pacing import Pacer
from lego_ros.camera.playback import Playback
from lego_ros.camera.sim import HEIGHT, WIDTH
from lego_ros.errors import ErrorCode, LegoError
from lego_ros.sim.episode import sample_episode
from lego_ros.sim.render import Renderer
import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
SHORT = 'sim:11:open'
"""161 frames."""


@pytest.fixture
def source():
    source = open_source(SHORT)
    yield source
    source.close()


@pytest.fixture(scope='module')
def drawn():
    """Pictures of some frames, by the renderer alone."""
    episode = sample_episode(11, 'open')
    with Renderer(episode, WIDTH, HEIGHT, samples=0) as renderer:
        return {number: renderer.rgb(number) for number in range(0, episode.frame_count, 20)}


def test_frames_are_the_renderers(source, drawn):
    episode = sample_episode(11, 'open')
    frames = list(source.frames())
    assert len(frames) == episode.frame_count == 161
    assert (source.size, source.fps, source.live) == ((WIDTH, HEIGHT), 30.0, False)
    for number, frame in enumerate(frames):
        assert frame.offset == pytest.approx(number / 30)
        assert frame.duration == pytest.approx(1 / 30)
    # In any order, as by a subscriber that comes late.
    for number in reversed(drawn):
        np.testing.assert_array_equal(frames[number].picture.rgb, drawn[number])
    assert len({picture.tobytes() for picture in drawn.values()}) == len(drawn)


def test_calibration_is_the_renderers(source):
    episode = sample_episode(11, 'open')
    with Renderer(episode, WIDTH, HEIGHT) as renderer:
        true = renderer.intrinsics
    k, p = source.calibration.k, source.calibration.p
    assert (source.calibration.width, source.calibration.height) == (WIDTH, HEIGHT)
    assert k[0] == k[4] == p[0] == p[5] == pytest.approx(true.focal)
    # The renderer counts from the picture's corner, ROS from the middle of the first pixel.
    assert (k[2], k[5]) == pytest.approx((true.cx - 0.5, true.cy - 0.5))
    assert source.calibration.d == (0.0,) * 5


def test_seeds_name_scenes(drawn):
    for name, same in (('sim:11:open', True), ('sim:12:open', False), ('sim', False)):
        other = open_source(name)
        try:
            first = next(other.frames()).picture.rgb
            assert np.array_equal(first, drawn[0]) is same
        finally:
            other.close()


@pytest.mark.parametrize(('name', 'code', 'reason'), [
    ('sim:', ErrorCode.SOURCE_UNREADABLE, 'sim:SEED:VERB'),
    ('sim:1.5', ErrorCode.SOURCE_UNREADABLE, 'sim:SEED:VERB'),
    ('sim:' + 5000 * '9', ErrorCode.SOURCE_UNREADABLE, 'sim:SEED:VERB'),
    ('sim:1:juggle', ErrorCode.INVALID_SETTING, r'juggle.*turn over'),
    ('simulation', ErrorCode.SOURCE_UNREADABLE, 'Give sim, photo'),
])
def test_bad_names(name, code, reason):
    with pytest.raises(LegoError, match=reason) as caught:
        open_source(name)
    assert caught.value.code is code


def test_playback_loops_the_scene_without_a_gap(source, drawn):
    """Played by a clock that goes as fast as the frames are drawn."""
    threads = set()

    def prepare(frame, in_time):
        threads.add(threading.current_thread().name)
        return frame

    playback = Playback(source, True, prepare)
    try:
        seen, position = [], 0.0
        deadline = time.monotonic() + 60
        while len(seen) < 340:
            assert time.monotonic() < deadline
            assert playback.failure is None
            frame, _ = playback.take(position)
            if frame is not None:
                seen.append(frame)
                position = frame.offset + frame.duration + 1e-6
        assert playback.skipped == 0
    finally:
        playback.close()
    assert threads == {'camera playback'}
    assert [frame.offset for frame in seen] == pytest.approx(
        [number / 30 for number in range(340)])
    # Closed, the source draws no more; what was drawn before the end is kept.
    with pytest.raises(ValueError, match='closed'):
        _ = seen[20].picture.rgb


def test_the_second_round_shows_what_the_first_did(source, drawn):
    playback = Playback(source, True)
    try:
        shown, position = {}, 0.0
        deadline = time.monotonic() + 60
        while position <= 6.5:
            assert time.monotonic() < deadline
            frame, _ = playback.take(position)
            if frame is not None:
                number = round(frame.offset * 30)
                if number % 161 in drawn:
                    shown[number] = frame.picture.rgb
                position = frame.offset + frame.duration + 1e-6
    finally:
        playback.close()
    assert {0, 20, 160, 161, 181} <= set(shown)
    for number, picture in shown.items():
        np.testing.assert_array_equal(picture, drawn[number % 161])


def test_drawing_leaves_room_at_the_rate(source):
    """The quickest of several: what else runs on the machine makes drawing dearer."""
    costs = []
    for frame in list(source.frames())[::8]:
        begin = time.process_time()
        _ = frame.picture.rgb
        costs.append(time.process_time() - begin)
    assert min(costs) < 0.9 / 30, f'{min(costs) * 1e3:.1f} ms'


def test_played_in_real_time_it_does_not_fall_behind(source):
    def prepare(frame, in_time):
        if in_time:
            _ = frame.picture.rgb
        return frame

    playback = Playback(source, True, prepare)
    pacer = Pacer(playback, 0.0, repeat=False)
    try:
        shown, behind = [], []
        begin = None
        while begin is None or time.monotonic() - begin < 2.0:
            frame, delay = pacer.step(time.monotonic())
            if frame is not None:
                begin = begin or time.monotonic()
                shown.append(frame.offset)
                behind.append(time.monotonic() - begin - frame.offset)
            threading.Event().wait(min(delay, 0.05))
    finally:
        playback.close()
    # 60 frames where nothing else runs; the other tests of the run share the machine.
    assert 10 <= len(shown) <= 61
    assert sorted(behind)[len(behind) // 2] < 0.5
    assert all(first < second for first, second in itertools.pairwise(shown))


def test_without_opengl_the_camera_says_what_to_install():
    code = ('from lego_ros.camera.opening import open_source\n'
            'from lego_ros.errors import LegoError\n'
            'try:\n    open_source("sim")\n'
            'except LegoError as error:\n    print(error)\n')
    result = subprocess.run(
        [sys.executable, '-c', code], capture_output=True, text=True, check=False, cwd=ROOT,
        timeout=60, env={**os.environ, '__EGL_VENDOR_LIBRARY_DIRS': '/nonexistent'})
    assert result.stdout.startswith('SOURCE_UNREADABLE: '), result
    assert 'apt-get install -y libegl1' in result.stdout


def test_other_sources_do_without_mujoco():
    code = ('import sys\n'
            'from lego_ros.camera.opening import open_source\n'
            'open_source("photo").close()\n'
            'print("mujoco" in sys.modules)')
    result = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True,
                            check=True, cwd=ROOT, timeout=60)
    assert result.stdout.strip() == 'False'
