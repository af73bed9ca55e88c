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

"""The figure of an answer, by its pixels."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st
from lego_ros.cli.figure import Answered, draw, WARNING, wrap_lines
import numpy as np
import pytest

BLUE, GREEN = (0, 0, 255), (0, 255, 0)
WARNED = tuple(bytes.fromhex(WARNING[1:]))


def answered(frame=(400, 600), picture=(64, 64), **changes):
    return replace(Answered(
        'How do I pick up the cup?',
        np.full((*frame, 3), BLUE, np.uint8), np.full((*picture, 3), GREEN, np.uint8),
        'The person takes the handle of the cup.', [('bundle', 'tiny'), ('seed', '5')]), **changes)


def box(pixels, color):
    """Find where a colour is: top, bottom, left, right."""
    rows, columns = np.nonzero((pixels == color).all(-1))
    return rows.min(), rows.max() + 1, columns.min(), columns.max() + 1


@pytest.mark.parametrize('frame', [(400, 600), (720, 1280), (1280, 720), (8, 8), (1, 5000)])
def test_both_pictures_are_shown_whole_and_undistorted(frame):
    pixels = draw(answered(frame))
    for color, (height, width) in ((BLUE, frame), (GREEN, (64, 64))):
        top, bottom, left, right = box(pixels, color)
        assert (pixels[top:bottom, left:right] == color).all()
        if min(frame) > 1:
            assert (right - left) / (bottom - top) == pytest.approx(width / height, rel=0.02)
    assert box(pixels, BLUE)[3] < box(pixels, GREEN)[2]
    if frame == (400, 600):
        assert box(pixels, BLUE)[:2] == box(pixels, GREEN)[:2]


@pytest.mark.parametrize('text', [
    'short', 'word ' * 3000, 'x' * 16384, '$100 and $x^2$ and \\$',
    'a cup \N{HOT BEVERAGE}\U0001f600', '', '\N{REPLACEMENT CHARACTER}' * 200])
def test_any_text_stays_within_the_margins(text):
    pixels = draw(answered(
        question=text, description=text, facts=[('name', text)], warning='mind'))
    inner = pixels[30:-30, 30:-30]
    assert (pixels.sum() - inner.sum()) == 255 * (pixels.size - inner.size)
    # The text column ends below the pictures' foot nowhere.
    bottom = box(pixels, GREEN)[1]
    assert (pixels[bottom + 12:] == 255).all()


def test_a_longer_description_shows_as_more_ink():
    def ink(description):
        pixels = draw(answered(description=description))
        return (pixels[:, box(pixels, GREEN)[3] + 10:].max(-1) < 100).sum()
    assert ink('') < ink('one line of text') < ink('a text of several lines ' * 10)


def test_the_warning_is_red_and_only_there_when_due():
    assert not (draw(answered()) == WARNED).all(-1).any()
    pixels = draw(answered(warning='UNTRAINED bundle'))
    assert (pixels == WARNED).all(-1).sum() > 200
    # Above the pictures.
    assert box(pixels, WARNED)[1] < box(pixels, BLUE)[0]


@given(text=st.text(max_size=200), width=st.integers(1, 30), most=st.integers(1, 50))
@settings(max_examples=300, deadline=None)
def test_wrapping_keeps_the_words_and_the_width(text, width, most):
    lines = wrap_lines(text, lambda line: len(line) <= width, most)
    assert 1 <= len(lines) <= most
    assert all(len(line) <= width for line in lines)
    kept = ''.join(lines).replace(' ', '')
    everything = ''.join(text.split())
    assert everything.startswith(kept)
    if len(lines) < most:
        assert kept == everything
