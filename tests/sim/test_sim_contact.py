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

from lego_ros.sim.actions import ACTIONS
from lego_ros.sim.episode import ARM_TOLERANCE, TOLERANCE
from lego_ros.sim.grasping import Clearance
from lego_ros.sim.vocabulary import HANDS
import numpy as np
import pytest


def _held(episode, action):
    """(hand, thing, first frame, last frame) of what a hand holds all the time in an action."""
    for touch in episode.touches:
        if touch.name not in episode.scene.things:
            continue
        start = max(touch.start, action.pre)
        end = min(action.end if touch.end is None else touch.end, action.end) - 1
        if end - start > 10:
            yield touch.hand, touch.name, start, end


@pytest.mark.parametrize('verb', ['take', 'put', 'pour', 'stir', 'wash', 'wipe', 'shake', 'push'])
def test_what_is_held_moves_with_the_hand(verb, episode_of):
    episode = episode_of(1, verb)
    action = next(a for a in episode.actions if a.choice.verb == verb)
    spans = [span for span in _held(episode, action)
             if span[1] in (action.choice.target, action.choice.tool)]
    assert spans
    for hand, noun, start, end in spans:
        seen, moved = [], []
        for t in range(start, end):
            truth = episode.truth(t)
            relative = truth.hands[hand].inverse() @ truth.things[noun]
            still = truth.location[noun] != f'{hand}_hand' and verb == 'push'
            if still and not action.contact <= t <= action.post:
                continue
            seen.append(np.concatenate([relative.pos, np.abs(relative.quat)]))
            moved.append(truth.things[noun].pos)
        assert np.max(np.ptp(np.array(seen), axis=0)) < 1e-6
        assert np.max(np.ptp(np.array(moved), axis=0)) > 0.03, 'it must have moved at all'


@pytest.mark.parametrize('verb', sorted(ACTIONS))
def test_things_move_only_while_touched_or_carried_by_what_is(verb, episode_of):
    episode = episode_of(2, verb)
    touched = {t: {name for names in episode.truth(t).touching.values() for name in names}
               for t in range(0, episode.frame_count - 1, 3)}
    for t in list(touched)[:-1]:
        one, two = episode.truth(t), episode.truth(t + 3)
        for noun in one.things:
            way = float(np.linalg.norm(one.things[noun].pos - two.things[noun].pos))
            if way < 1e-4:
                continue
            place = one.location[noun]
            spot = episode.scene.layout.spots.get(place)
            movers = {noun, place, spot.parent if spot else ''}
            near = touched[t] | touched.get(t + 3, set())
            assert near & movers or place.endswith('_hand'), (t, noun, place, near)


@pytest.mark.parametrize('verb', sorted(ACTIONS))
def test_no_hand_goes_through_anything(verb, episode_of):
    episode = episode_of(1, verb)
    clearance = Clearance(episode.model)
    worst_hand = worst_arm = 0.0
    for t in range(0, episode.frame_count, 4):
        episode.apply(t)
        for side in HANDS:
            worst_hand = min(worst_hand, clearance.least(clearance.hand(side)))
            worst_arm = min(worst_arm, clearance.least(clearance.geoms[side]['forearm']))
    # Between the frames that the sampler looks at, a hand moves by a little more.
    assert worst_hand > -1.5 * TOLERANCE
    assert worst_arm > -1.5 * ARM_TOLERANCE


def test_the_clearance_sees_a_hand_in_the_counter(episode_of):
    episode = episode_of(1, 'open')
    clearance = Clearance(episode.model)
    episode.apply(0)
    assert clearance.least(clearance.hand('right')) > 0
    pose = episode.truth(0).hands['right']
    episode.model.place('right_hand', pose.moved(np.array([0.0, 0.35, 0.90 - pose.pos[2]])))
    episode.model.update()
    assert clearance.least(clearance.hand('right')) < -0.005


def test_a_hand_touches_what_it_is_said_to_touch(episode_of):
    touching = 0
    for verb in ('take', 'open', 'push', 'turn on', 'pour', 'cut'):
        episode = episode_of(1, verb)
        clearance = Clearance(episode.model)
        for action in episode.actions:
            for touch in episode.touches:
                if not action.pre <= touch.start < action.end:
                    continue
                episode.apply(touch.start)
                near = {episode.model.entities[other] for gap, _, other
                        in clearance.near(clearance.hand(touch.hand)) if gap < 0.004}
                assert touch.name in near, (verb, touch, near)
                touching += 1
    assert touching > 8
