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

"""The slot of the newest frame, against a reader that keeps the newest one as DDS does."""

from __future__ import annotations

from hypothesis import given, strategies
from lego_ros.errors import ErrorCode, LegoError
from lego_ros.runtime.frame_slot import FrameSlot, RawFrame
import pytest

SECOND = 10**9


class Reader:
    """Keep last 1."""

    def __init__(self):
        self.newest = None
        self.published = 0

    def publish(self, stamp=0, numbered=True):
        self.published += 1
        self.newest = RawFrame(
            b'%d' % self.published, stamp, self.published if numbered else 0)

    def __call__(self):
        taken, self.newest = self.newest, None
        return taken


def test_nothing_yet():
    slot = FrameSlot(Reader())
    assert slot.refresh() is None
    with pytest.raises(LegoError) as caught:
        slot.take(lambda: 0, 1.)
    assert caught.value.code == ErrorCode.NO_FRAME


def test_newest_is_taken():
    reader = Reader()
    slot = FrameSlot(reader)
    for _ in range(5):
        reader.publish(stamp=3 * SECOND)
    frame, age = slot.take(lambda: 4 * SECOND, 2.)
    assert (frame.message, age) == (b'5', SECOND)
    # It may be used again while nothing newer comes.
    assert slot.take(lambda: 5 * SECOND, 2.) == (frame, 2 * SECOND)


def test_several_that_came_since():
    """A reader that kept more than one: the last wins, and all were fetched."""
    frames = [RawFrame(b'1', 1, 1), RawFrame(b'2', 2, 2), None]
    slot = FrameSlot(lambda: frames.pop(0) if frames else None)
    assert slot.refresh().message == b'2'
    assert slot.figures().fetched == 2


@pytest.mark.parametrize(('age', 'limit', 'stale'), [
    (1., 1., False), (1.001, 1., True), (1e6, 0., False), (-5., 1., False)])
def test_age_limit(age, limit, stale):
    reader = Reader()
    slot = FrameSlot(reader)
    reader.publish(stamp=100 * SECOND)
    now = 100 * SECOND + round(age * SECOND)
    if not stale:
        assert slot.take(lambda: now, limit)[1] == round(age * SECOND)
        return
    with pytest.raises(LegoError, match='max_frame_age is 1 s') as caught:
        slot.take(lambda: now, limit)
    assert caught.value.code == ErrorCode.STALE_FRAME
    figures = slot.figures()
    assert (figures.refused_stale, figures.used) == (1, 0)


def test_recovers_from_stale():
    reader = Reader()
    slot = FrameSlot(reader)
    reader.publish(stamp=0)
    with pytest.raises(LegoError):
        slot.take(lambda: 10 * SECOND, 1.)
    reader.publish(stamp=10 * SECOND)
    assert slot.take(lambda: 10 * SECOND, 1.)[1] == 0


@given(strategies.lists(strategies.sampled_from(['publish', 'take', 'refresh'])))
def test_figures_add_up(actions):
    reader = Reader()
    slot = FrameSlot(reader)
    # The first frame that is seen starts the count: a publisher may be older than the slot.
    reader.publish()
    slot.refresh()
    for action in actions:
        if action == 'publish':
            reader.publish()
        elif action == 'refresh':
            slot.refresh()
        else:
            slot.take(lambda: 0, 0.)
    slot.refresh()
    figures = slot.figures()
    assert figures.published == reader.published
    assert figures.used == actions.count('take')
    assert figures.fetched <= figures.published
    assert figures.skipped == max(0, figures.published - figures.used)


def test_publisher_that_starts_again():
    """Its numbers begin at 1 again: no negative gap, no loss of the frame."""
    frames = [RawFrame(b'', 0, 500), None, RawFrame(b'', 1, 1), None, RawFrame(b'', 2, 4), None]
    slot = FrameSlot(lambda: frames.pop(0))
    for _ in range(3):
        slot.refresh()
    assert slot.figures().published == 1 + 1 + 3


def test_publisher_without_numbers():
    reader = Reader()
    slot = FrameSlot(reader)
    for _ in range(3):
        reader.publish(numbered=False)
        slot.refresh()
    assert slot.figures().published == 3


def test_clear_forgets_what_came_and_what_waits():
    reader = Reader()
    slot = FrameSlot(reader)
    reader.publish()
    slot.refresh()
    reader.publish()
    slot.clear()
    assert slot.refresh() is None


def test_figures_are_a_copy():
    slot = FrameSlot(Reader())
    slot.figures().used = 5
    assert slot.figures().used == 0
