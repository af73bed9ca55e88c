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

from __future__ import annotations

import re

from lego_ros.sim.actions import ACTIONS
from lego_ros.sim.annotate import surface_name
from lego_ros.sim.vocabulary import VERBS
import pytest

WORDS = {
    'open': r'\bopens?\b', 'close': r'\bclose[sd]\b', 'take': r'\btakes?\b', 'put': r'\bputs\b',
    'pour': r'\bpours\b', 'cut': r'\bcuts\b', 'stir': r'\bstirs\b', 'wash': r'\bwashes\b',
    'turn on': r'\bturns the \w+ on\b', 'turn off': r'\bturns the \w+ off\b',
    'push': r'\bpushes\b', 'wipe': r'\bwipes\b', 'turn over': r'\bturns it over\b',
    'shake': r'\bshakes\b',
}


def _episodes(episode_of):
    for verb in sorted(ACTIONS):
        for seed in (1, 2):
            yield episode_of(seed, verb)
    for seed in range(12):
        yield episode_of(seed)


def test_labels_and_narrations_have_the_form_of_ego4d(episode_of):
    for episode in _episodes(episode_of):
        for action in episode.actions:
            verb, noun = VERBS[action.choice.verb], surface_name(action.choice.noun)
            assert action.label == f'{verb.lemma} {noun}'
            assert action.narration.startswith(f'#C C {verb.third} the {noun}')
            assert re.fullmatch(r'#C C [a-z ]+', action.narration)


def test_descriptions_name_verb_noun_and_the_acting_hand(episode_of):
    for episode in _episodes(episode_of):
        for action in episode.actions:
            text = action.description
            assert re.fullmatch(r'The person [a-z, ]+\.', text)
            assert re.search(WORDS[action.choice.verb], text), text
            if action.choice.verb != 'stir':
                assert surface_name(action.choice.noun) in text, text
            assert action.choice.target in text or action.choice.target.replace('_', ' ') in text \
                or surface_name(action.choice.target) in text \
                or action.choice.target.split('_')[-1] in text, text
            assert f'{action.choice.hand} hand' in text, text
            other = 'left' if action.choice.hand == 'right' else 'right'
            if action.choice.verb not in ('cut',):
                assert f'{other} hand' not in text, text


def test_left_right_before_and_behind_are_true(episode_of):
    """Checks each relation between two things against their positions when the action begins."""
    checked = 0
    pattern = re.compile(r'the (\w+) (to the left of|to the right of|in front of|behind) '
                         r'the (\w+)')
    for episode in _episodes(episode_of):
        for action in episode.actions:
            things = episode.truth(action.pre).things
            for one, relation, other in pattern.findall(action.description):
                if one not in things or other not in things or action.choice.verb == 'put':
                    continue
                dx, dy, _ = (things[one].pos - things[other].pos).tolist()
                holds = {'to the left of': dx < -0.05, 'to the right of': dx > 0.05,
                         'in front of': dy < -0.05, 'behind': dy > 0.05}
                assert holds[relation], (action.description, dx, dy)
                checked += 1
    assert checked > 10


def test_places_are_true(episode_of):
    checked = 0
    for episode in _episodes(episode_of):
        spots = episode.scene.layout.spots
        for action in episode.actions:
            where = episode.truth(action.pre).location
            for noun, row in re.findall(r'the (\w+) on the (hob|chopping board)',
                                        action.description):
                if noun in where and action.choice.verb != 'put' and where[noun] in spots:
                    assert spots[where[noun]].row == row.split()[-1]
                    checked += 1
            for noun, inside in re.findall(r'the (\w+) in the open ([a-z ]*(?:drawer|fridge|'
                                           r'cupboard))', action.description):
                if noun in where and action.choice.verb == 'take':
                    name = spots[where[noun]].inside
                    assert episode.scene.layout.fixtures[name].phrase == inside
                    assert episode.truth(action.pre).opening[name] > 0.99
                    checked += 1
    assert checked > 3


@pytest.mark.parametrize('verb', sorted(ACTIONS))
def test_the_wording_varies(verb, episode_of):
    texts = set()
    for seed in range(1, 7):
        for action in episode_of(seed, verb).actions:
            if action.choice.verb == verb:
                nouns = rf'\b({"|".join(map(re.escape, episode_of(seed, verb).scene.things))})\b'
                texts.add(re.sub(nouns, 'X', action.description))
    assert len(texts) >= 3
