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

"""Playback in a thread, and which frame is shown when."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
import threading
import time

from lego_ros.camera.frames import Frame, FrameSource, Picture, unreadable
from lego_ros.camera.opening import open_source
from lego_ros.camera.pacing import Pacer
from lego_ros.camera.playback import Playback
from lego_ros.errors import ErrorCode
import numpy as np
import pytest


class Scripted(FrameSource):
    """Frames at given times; then an end or an error."""

    def __init__(self, times, error=None, live=False, stamp=None):
        super().__init__('script', (4, 4), 10.0)
        self.times, self.error, self.live, self.stamp = times, error, live, stamp
        self.decoded = []
        self.closed = False

    def frames(self) -> Iterator[Frame]:
        for index, offset in enumerate(self.times):
            def decode(index=index):
                self.decoded.append(index)
                return np.full((4, 4, 3), index, np.uint8)
            stamp = None if self.stamp is None else self.stamp + round(offset * 1e9)
            yield Frame(Picture(decode), offset, 0.1, stamp)
        if self.error is not None:
            raise self.error

    def close(self):
        self.closed = True


def until(condition, timeout=10.0):
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, 'it never came true'
        time.sleep(0.001)


@pytest.fixture
def play():
    playbacks = []

    def start(*args, **kwargs):
        playbacks.append(Playback(*args, **kwargs))
        return playbacks[-1]
    yield start
    for playback in playbacks:
        playback.close()
        assert playback.source.closed


def take_all(playback, position):
    """Take frames until the playback ended, or nothing more is due."""
    offsets = []
    while True:
        until(lambda: playback.ready or playback.ended)
        if playback.ended:
            return offsets
        frame, upcoming = playback.take(position)
        offsets.append(frame.offset if frame else None)
        if frame is None and upcoming is not None:
            return offsets[:-1]


def test_a_loop_is_one_line_of_time(play):
    playback = play(Scripted([0.0, 0.1, 0.5], stamp=10**18), loop=True)
    taken = []
    for position in (0.0, 0.1, 0.5, 0.6, 0.7, 1.1, 1.2):
        until(lambda: playback.ready)
        frame, _ = playback.take(position)
        taken.append((frame.offset, frame.stamp - 10**18))
    assert [offset for offset, _ in taken] == pytest.approx([0, .1, .5, .6, .7, 1.1, 1.2])
    assert [stamp / 1e9 for _, stamp in taken] == pytest.approx([0, .1, .5, .6, .7, 1.1, 1.2])


def test_a_reader_that_has_fallen_behind_catches_up_at_once(play):
    """A consumer that comes once in 20 s finds the newest frame, not one queue further."""
    source = Scripted([index / 30 for index in range(1801)])
    playback = play(source, loop=False)
    shown = []
    for position in (0.0, 20.0, 40.0):
        until(lambda position=position: playback.ready)
        playback.take(position)
        until(lambda: len(playback._waiting) == 4)
        frame, _ = playback.take(position)
        shown.append((position, frame))
    for position, frame in shown[1:]:
        assert frame.offset == pytest.approx(position)
    assert playback.skipped >= 1100
    assert source.decoded == []


def test_late_frames_are_skipped_and_counted_and_never_decoded(play):
    source = Scripted([0.0, 0.1, 0.2, 0.3])
    playback = play(source, loop=False)
    until(lambda: playback.ready)
    until(lambda: len(playback._waiting) == 4)
    frame, upcoming = playback.take(0.25)
    assert (frame.offset, upcoming) == (0.2, 0.3)
    assert playback.skipped == 2
    assert frame.picture.rgb[0, 0, 0] == 2
    assert source.decoded == [2]
    assert not playback.ended
    assert playback.take(0.3)[0].offset == 0.3
    assert playback.ended
    assert playback.take(9.0) == (None, None)


def test_slow_work_is_done_ahead_but_not_for_late_frames(play):
    asked = []
    entered, gate = threading.Event(), threading.Event()

    def prepare(frame, in_time):
        entered.set()
        gate.wait(10)
        asked.append((frame.offset, in_time))
        return replace(frame, frame_id='prepared')
    playback = play(Scripted([0.0, 0.1, 0.2, 0.9]), False, prepare)
    # The clock runs while the first frame is being decoded.
    assert entered.wait(10)
    assert playback.take(0.5) == (None, None)
    gate.set()
    until(lambda: len(asked) == 4)
    assert asked == [(0.0, True), (0.1, False), (0.2, False), (0.9, True)]
    until(lambda: len(playback._waiting) == 2)
    frame, upcoming = playback.take(0.5)
    assert (frame.offset, frame.frame_id, upcoming) == (0.2, 'prepared', 0.9)
    assert playback.skipped == 2


def test_reading_ahead_is_bounded(play):
    playback = play(Scripted([index / 10 for index in range(1000)]), loop=True)
    until(lambda: len(playback._waiting) == 4)
    for index in range(20):
        until(lambda: playback.ready)
        frame, _ = playback.take(index / 10)
        assert frame.offset == pytest.approx(index / 10)
        assert len(playback._waiting) <= 4
    # close() of the fixture ends a thread that waits for room.


def test_a_live_source_keeps_only_the_newest(play):
    arrived = []
    playback = play(Scripted([0.0, 0.1, 0.2], live=True), loop=True,
                    arrived=lambda: arrived.append(1))
    until(lambda: len(arrived) == 4)
    assert playback.take(float('inf'))[0].offset == 0.2
    assert playback.skipped == 2
    # A live source is not looped.
    assert playback.ended


@pytest.mark.parametrize('error', [unreadable('script', 'cut.'), RuntimeError('codec')])
def test_what_was_read_before_an_error_is_shown(play, error):
    playback = play(Scripted([0.0, 0.1], error=error), loop=True)
    until(lambda: playback.failure)
    assert playback.failure.code == ErrorCode.SOURCE_UNREADABLE
    assert 'script' in playback.failure.message
    assert not playback.ended
    assert take_all(playback, 1.0) == [0.1]
    assert playback.ended


def test_a_video_that_goes_away_breaks_off(make_video):
    path = make_video()
    source = open_source(str(path))
    # The file goes away after it was opened, as a stick that is pulled.
    path.write_bytes(b'')
    playback = Playback(source, loop=True)
    until(lambda: playback.failure)
    playback.close()
    assert 'video.mp4' in playback.failure.message


def steps(pacer, playback, nows):
    shown = []
    for now in nows:
        until(lambda: playback.ready or playback.ended)
        frame, delay = pacer.step(now)
        assert delay > 0
        shown.append(frame.offset if frame else None)
    return shown


def test_own_times_of_a_variable_rate(play):
    playback = play(Scripted([0.0, 0.03, 0.1, 0.4]), loop=False)
    pacer = Pacer(playback, 0.0, repeat=True)
    until(lambda: len(playback._waiting) == 4)
    now, shown = 100.0, []
    while not playback.ended:
        frame, delay = pacer.step(now)
        shown.append((frame.offset, now - 100.0))
        now += delay + 1e-9
    # Each frame is shown when it is due, with one step for each.
    assert [offset for offset, _ in shown] == [0.0, 0.03, 0.1, 0.4]
    assert [at for _, at in shown] == pytest.approx([0.0, 0.03, 0.1, 0.4], abs=1e-6)


def test_nothing_is_shown_before_the_first_frame_is_ready(play):
    gate = threading.Event()
    playback = play(Scripted([0.0, 0.1]), False, lambda frame, _: (gate.wait(10), frame)[1])
    pacer = Pacer(playback, 0.0, repeat=True)
    assert pacer.step(5.0)[0] is None
    assert pacer.position(6.0) == 0.0
    gate.set()
    until(lambda: playback.ready)
    # The source's time begins only now.
    assert pacer.step(7.0)[0].offset == 0.0
    assert pacer.position(7.25) == 0.25


def test_a_higher_rate_repeats_and_a_lower_one_skips(play):
    playback = play(Scripted([0.0, 0.1, 0.2]), loop=False)
    pacer = Pacer(playback, 20.0, repeat=True)
    until(lambda: len(playback._waiting) == 3)
    assert steps(pacer, playback, (0.0, 0.05, 0.1, 0.15)) == [0.0, 0.0, 0.1, 0.1]
    playback = play(Scripted([0.0, 0.1, 0.2, 0.3]), loop=False)
    pacer = Pacer(playback, 5.0, repeat=False)
    until(lambda: len(playback._waiting) == 4)
    assert steps(pacer, playback, (0.0, 0.1999, 0.2)) == [0.0, 0.1, 0.2]
    assert pacer.step(0.21) == (None, pytest.approx(0.19))


def test_a_clock_that_jumps_back_does_not_take_the_playback_back(play):
    playback = play(Scripted([0.0, 0.1, 0.2, 0.3]), loop=False)
    pacer = Pacer(playback, 0.0, repeat=True)
    until(lambda: len(playback._waiting) == 4)
    assert steps(pacer, playback, (50.0, 50.1)) == [0.0, 0.1]
    # The loop of a bag: simulated time begins again.
    assert steps(pacer, playback, (10.0, 10.05, 10.1)) == [None, None, 0.2]
