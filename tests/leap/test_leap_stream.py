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

"""The last seconds of a camera: what is kept, what is shown, and what a jump in time does."""

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st
from lego_ros.leap.stream import FrameRing, LATE, Sight, Stream
from lego_ros.training.leap.clips import ClipRecord
from lego_ros.training.leap.sampling import AnticipationSettings, earlier_windows, times_in
import numpy as np
import pytest

SECOND = 1_000_000_000


def picture(number, side=1):
    """Make a square that tells its number."""
    return np.full((side, side, 3), [number >> 16, number >> 8 & 255, number & 255], np.uint8)


def number_of(frame):
    return int(frame[0, 0, 0]) << 16 | int(frame[0, 0, 1]) << 8 | int(frame[0, 0, 2])


def numbers(clip):
    return [number_of(frame) for frame in clip]


def offer(stream, stamp, number=0):
    return stream.offer(stamp, number, lambda sides: [picture(number, side) for side in sides])


@given(st.integers(1, 3), st.integers(1, 500), st.integers(1, 5),
       st.lists(st.integers(1, 300), min_size=1, max_size=150), st.integers(0, 400))
@settings(max_examples=150, deadline=None)
def test_what_is_shown_is_the_last_frame_at_or_before_its_time(clips, span, frames, gaps, late):
    """Whatever the camera drops: as if all had been kept, but for less than the spacing."""
    ring = FrameRing(Sight(clips, span, frames, 1))
    bytes_before = ring.nbytes
    stamps = list(itertools.accumulate(gaps))
    for number, stamp in enumerate(stamps):
        ring.add(stamp, picture(number))
        assert len(ring) <= ring.sight.capacity
    assert ring.nbytes == bytes_before

    now = stamps[-1] + late
    shown = ring.clips(now)
    assert len(shown) == clips
    assert shown[-1] is not None
    for age, clip in zip(reversed(range(clips)), shown, strict=True):
        begin = now - (age + 1) * span
        if age and begin + span <= stamps[0]:
            assert clip is None
            continue
        for place, number in enumerate(numbers(clip)):
            time = begin + int((place + 0.5) * span / frames)
            if time < stamps[0]:
                assert number == 0
                continue
            assert stamps[number] <= time
            newest = max(stamp for stamp in stamps if stamp <= time)
            assert newest - stamps[number] < ring.sight.spacing


def test_the_moments_are_those_of_training():
    """Of a regular stream, the frames that training takes of a video that ends now."""
    sight = Sight(3, 3 * SECOND, 4, 1)
    ring = FrameRing(sight)
    rate = 30
    for number in range(12 * rate):
        ring.add(number * SECOND // rate, picture(number))
    now = (12 * rate - 1) / rate
    action = ClipRecord(clip_id='a', video_id='v', participant='p', split='train', footage='v',
                        fps=None, rate=rate, start=now + 1.0, stop=now + 2.0)
    windows = earlier_windows(action, 3, AnticipationSettings(lead=1.0, span_seconds=3.0))
    for window, clip in zip(windows, ring.clips(round(now * SECOND)), strict=True):
        for time, number in zip(times_in(window, 4), numbers(clip), strict=True):
            assert 0 <= time - number / rate < sight.spacing / SECOND + 1 / rate


def test_the_newest_frame_is_always_there():
    ring = FrameRing(Sight(1, 80, 4, 1))
    for stamp in range(300):
        ring.add(stamp, picture(stamp))
        # A clip of one moment that is now.
        assert numbers(ring.clips(stamp + 10)[-1])[-1] == stamp
    # Two frames or so to each that is shown, of 300.
    assert len(ring) <= 8 + 3


def test_before_the_first_frame():
    """A clip that begins before it repeats it, one that ends before it is none: as in training."""
    ring = FrameRing(Sight(3, 100, 4, 1))
    with pytest.raises(ValueError, match='empty'):
        ring.clips(0)
    ring.add(1000, picture(7))
    old, before, now = ring.clips(1000)
    assert (old, before, numbers(now)) == (None, None, [7, 7, 7, 7])
    ring.add(1060, picture(8))
    ring.add(1120, picture(9))
    old, before, now = ring.clips(1130)
    # The one before ends at 1030, and begins 70 before the first frame.
    assert (old, numbers(before), numbers(now)) == (None, [7, 7, 7, 7], [7, 8, 8, 8])


def test_frames_that_come_late_or_twice_are_left_out():
    stream = Stream([Sight(1, SECOND, 2, 1)], SECOND)
    assert stream.look() is None
    assert stream.newest is None
    assert offer(stream, 10 * SECOND, 1)
    assert not offer(stream, 10 * SECOND, 2)
    assert not offer(stream, 10 * SECOND - LATE + 1, 3)
    assert stream.figures().late == 1
    assert offer(stream, 10 * SECOND + 1, 4)
    look = stream.look()
    assert (look.stamp, look.source) == (10 * SECOND + 1, 4)
    assert numbers(look.clips[0][0]) == [1, 1]
    assert stream.figures().breaks == 0


@pytest.mark.parametrize('stamp', [10 * SECOND - LATE, 0, 12 * SECOND + 1])
def test_a_jump_in_time_begins_another_stream(stamp):
    """A bag that begins again, a clock that is set, a camera that was away."""
    stream = Stream([Sight(2, SECOND, 2, 1), Sight(1, 4 * SECOND, 2, 2)], 2 * SECOND)
    for number in range(20):
        offer(stream, 8 * SECOND + number * SECOND // 10, number)
    offer(stream, 10 * SECOND, 20)
    assert offer(stream, stamp, 99)
    look = stream.look()
    assert (look.stamp, look.source) == (stamp, 99)
    (before, now), (other,) = look.clips
    assert before is None
    assert numbers(now) == numbers(other) == [99, 99]
    assert stream.figures().breaks == 1


def test_a_gap_that_is_no_break_shows_the_frame_before_it():
    stream = Stream([Sight(1, 2 * SECOND, 4, 1)], 2 * SECOND)
    offer(stream, 0, 1)
    offer(stream, 2 * SECOND, 2)
    assert numbers(stream.look().clips[0][0]) == [1, 1, 1, 1]


def test_a_frame_that_cannot_be_decoded_is_left_out():
    stream = Stream([Sight(1, SECOND, 2, 1)], SECOND)
    offer(stream, SECOND, 1)

    def broken(_):
        raise ValueError('no picture')
    with pytest.raises(ValueError, match='no picture'):
        stream.offer(SECOND + 1, 2, broken)
    assert stream.newest == SECOND
    assert offer(stream, SECOND + 2, 3)
    assert stream.figures().kept == 2


def test_what_was_looked_at_stays_as_it_was():
    stream = Stream([Sight(1, 10, 2, 1)], SECOND)
    offer(stream, 0, 1)
    look = stream.look()
    for number in range(2, 60):
        offer(stream, number, number)
    assert numbers(look.clips[0][0]) == [1, 1]
