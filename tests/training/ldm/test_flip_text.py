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

from hypothesis import given, strategies
from lego_ros.training.data.flip import swap_sides
import pytest


@pytest.mark.parametrize(('text', 'swapped'), [
    ('open left drawer', 'open right drawer'),
    ("The person's left hand holds the pan.", "The person's right hand holds the pan."),
    ('Left, RIGHT and right', 'Right, LEFT and left'),
    ('from left to right', 'from right to left'),
    ('the leftmost, left-hand, left-handed, leftward and left_hand one',
     'the rightmost, right-hand, right-handed, rightward and right_hand one'),
    ('the cup is left of the plate', 'the cup is right of the plate'),
    ('is to the right of the mug, on the left side',
     'is to the left of the mug, on the right side'),
    ('has left hand on the tap', 'has right hand on the tap'),
    ('on the left a bowl stands', 'on the right a bowl stands'),
    ('turns it left a little', 'turns it right a little'),
])
def test_directions_are_swapped(text, swapped):
    assert swap_sides(text) == swapped
    assert swap_sides(swapped) == text


@pytest.mark.parametrize('text', [
    'put leftover bread away', 'the left-over rice', 'lifts the upright bright bottle',
    'the knife that is left on the table', 'nothing was still left in the bowl',
    'what is left of the bread', 'what is right of the bread', 'she left the kitchen',
    'turns the tap on right away',
    'right side up', 'at a right angle', 'they left behind a cup', 'pours the right amount',
    'copyright, aleft, lefty', '',
])
def test_other_words_stay(text):
    assert swap_sides(text) == text


_WORDS = strategies.sampled_from([
    'left', 'right', 'Left', 'RIGHT', 'is', 'what', 'of', 'the', 'hand', 'over', '-', ' ', ', ',
    'most', 'still', "'s", 'side', 'up', 'away', 'a', 'little', 'person', '_', '\n'])


@given(strategies.lists(_WORDS, max_size=14), strategies.booleans())
def test_twice_is_nothing(words, spaced):
    text = (' ' if spaced else '').join(words)
    assert swap_sides(swap_sides(text)) == text
