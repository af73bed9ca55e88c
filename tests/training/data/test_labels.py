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

"""Ego4D's narrations as labels."""

from lego_ros.training.data.labels import Actor, parse_narration
from lego_ros.training.data.verbs import base_form, KNOWN
import pytest

THIRD_PERSON = """
opens:open closes:close takes:take picks:pick puts:put places:place pours:pour cuts:cut stirs:stir
washes:wash rinses:rinse turns:turn pushes:push pulls:pull wipes:wipe shakes:shake drops:drop
holds:hold lifts:lift moves:move carries:carry dries:dry fries:fry unties:untie ties:tie lies:lie
presses:press passes:pass tosses:toss mixes:mix fixes:fix stretches:stretch touches:touch
brushes:brush squeezes:squeeze slices:slice dices:dice peels:peel uses:use raises:raise
releases:release adjusts:adjust attaches:attach catches:catch switches:switch scratches:scratch
goes:go does:do undoes:undo has:have is:be focuses:focus buzzes:buzz tightens:tighten sews:sew
knits:knit applies:apply scrapes:scrape sprinkles:sprinkle chops:chop kneads:knead unscrews:unscrew
sees:see frees:free dyes:dye aches:ache staples:staple grates:grate
"""
OTHER_FORMS = """
cutting:cut taking:take closing:close pressing:press rolling:roll stirring:stir putting:put
chopping:chop wiping:wipe holding:hold drying:dry tying:tie sewing:sew adding:add opened:open
closed:close dropped:drop carried:carry took:take broke:break poured:pour fixing:fix grabbed:grab
open:open press:press focus:focus pass:pass squabbing:squab vroom:vroom ring:ring red:red
"""


def pairs(text):
    return [tuple(word.split(':')) for word in text.split()]


@pytest.mark.parametrize(('word', 'base'), pairs(THIRD_PERSON) + pairs(OTHER_FORMS))
def test_base_form(word, base):
    assert base_form(word) == base
    assert base_form(word.capitalize()) == base


@pytest.mark.parametrize('base', sorted(KNOWN))
def test_known_verbs_survive_the_third_person(base):
    assert base_form(base) == base
    if base in {'be', 'have'}:
        return
    if base.endswith(('s', 'sh', 'ch', 'x', 'z', 'o')):
        third = base + 'es'
    elif base.endswith('y') and base[-2] not in 'aeiou':
        third = base[:-1] + 'ies'
    else:
        third = base + 's'
    assert base_form(third) == base


@pytest.mark.parametrize(('text', 'label'), [
    ('#C C opens the drawer', 'open the drawer'),
    ('#C C opens the drawer.', 'open the drawer'),
    ('#c c Opens the drawer', 'open the drawer'),
    ('# C  C   picks  up a knife ', 'pick up a knife'),
    ('#CC washes the plates', 'wash the plates'),
    ('#C opens the fridge', 'open the fridge'),
    ('#C C, takes a pan', 'take a pan'),
    ('#C C is cutting the onion', 'cut the onion'),
    ('#C C slowly pours water', 'pour water slowly'),
    ('#C C opens the drawer and takes a knife', 'open the drawer and take a knife'),
    ('#C C washes plates and spoons in the sink', 'wash plates and spoons in the sink'),
    ('#C C cuts the bread and dips it', 'cut the bread and dip it'),
    ('#C C gives the man Y a cup', 'give the man Y a cup'),
    ('#C C carries carrots', 'carry carrots'),
])
def test_the_wearers_narrations(text, label):
    narration = parse_narration(text)
    assert narration.actor is Actor.WEARER
    assert narration.label == label
    assert narration.verb == label.split()[0]


@pytest.mark.parametrize(('text', 'actor'), [
    ('#O man X opens the drawer', Actor.OTHER),
    ('#o A woman sits', Actor.OTHER),
    ('#O C watches', Actor.OTHER),
    ('#unsure', Actor.UNSURE),
    ('#C C takes a #unsure from the shelf', Actor.UNSURE),
    ('#C C takes a #Unsure', Actor.UNSURE),
    ('opens the drawer', Actor.UNTAGGED),
    ('C opens the drawer', Actor.UNTAGGED),
    ('#summary C cooked', Actor.UNTAGGED),
    ('', Actor.UNTAGGED),
])
def test_everybody_elses(text, actor):
    narration = parse_narration(text)
    assert (narration.actor, narration.label, narration.verb) == (actor, '', '')


@pytest.mark.parametrize('text', ['#C C', '#C C ', '#C C .', '#C'])
def test_a_tag_alone_says_nothing(text):
    narration = parse_narration(text)
    assert (narration.actor, narration.label) == (Actor.WEARER, '')
