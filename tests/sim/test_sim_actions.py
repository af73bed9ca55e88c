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

from lego_ros.errors import ErrorCode, LegoError
from lego_ros.sim.actions import ACTIONS
from lego_ros.sim.episode import sample_episode
from lego_ros.sim.motion import FPS
from lego_ros.sim.vocabulary import NOUNS, VERBS
import numpy as np
import pytest

ALL = sorted(ACTIONS)


def _first(episode, verb):
    return next(a for a in episode.actions if a.choice.verb == verb)


def _before_and_after(episode, action):
    return episode.truth(action.pre), episode.truth(action.post)


def test_the_vocabulary_is_as_large_as_promised():
    assert len(NOUNS) >= 20
    assert len(ACTIONS) >= 14
    assert set(ACTIONS) == set(VERBS)


@pytest.mark.parametrize('verb', ALL)
@pytest.mark.parametrize('seed', [1, 2])
def test_every_verb_occurs_and_its_critical_frames_are_in_order(verb, seed, episode_of):
    episode = episode_of(seed, verb)
    assert verb in {action.choice.verb for action in episode.actions}
    assert 1 <= len(episode.actions) <= 6
    end = 0
    for action in episode.actions:
        assert action.pre - 1.5 * FPS >= 0
        assert action.pre - 15 >= end
        assert action.pre < action.contact <= action.pnr < action.post < episode.frame_count
        assert action.post <= action.end
        starts = [start for _, start, _ in action.phases]
        ends = [stop for _, _, stop in action.phases]
        assert starts[0] == action.pre
        assert ends[-1] == action.end
        assert starts[1:] == ends[:-1]
        assert action.phases[-1][0] == 'return'
        end = action.end


def _fixture_value(truth, action):
    return truth.opening[action.choice.target]


@pytest.mark.parametrize(('verb', 'old', 'new'), [
    ('open', 0.0, 1.0), ('close', 1.0, 0.0), ('turn on', 0.0, 1.0), ('turn off', 1.0, 0.0)])
def test_fixtures_move_all_the_way(verb, old, new, episode_of):
    for seed in (1, 2, 3):
        action = _first(episode_of(seed, verb), verb)
        before, after = _before_and_after(episode_of(seed, verb), action)
        middle = episode_of(seed, verb).truth(action.pnr)
        assert _fixture_value(before, action) == pytest.approx(old, abs=1e-6)
        assert _fixture_value(after, action) == pytest.approx(new, abs=1e-6)
        assert 0.1 < _fixture_value(middle, action) < 0.9
        if action.choice.target == 'tap':
            assert (before.running, after.running) == (bool(old), bool(new))


def test_take_lifts_and_put_sets_down_on_the_place_that_is_named(episode_of):
    for seed in (1, 2, 3):
        episode = episode_of(seed, 'put')
        for action in episode.actions:
            noun = action.choice.target
            before, after = _before_and_after(episode, action)
            if action.choice.verb == 'take':
                assert after.location[noun] == f'{action.choice.hand}_hand'
                lifted = episode.truth(action.pnr).things[noun].pos - before.things[noun].pos
                assert np.linalg.norm(lifted) > 0.03
            elif action.choice.verb == 'put':
                assert before.location[noun] == f'{action.choice.hand}_hand'
                assert after.location[noun] == action.choice.place
                spots = episode.scene.layout.spots
                if action.choice.place in spots and not spots[action.choice.place].parent:
                    at = after.things[noun].pos
                    assert np.allclose(at, spots[action.choice.place].pos, atol=1e-6)


def test_pour_fills_the_vessel_through_a_stream(episode_of):
    for seed in (1, 2):
        episode = episode_of(seed, 'pour')
        action = _first(episode, 'pour')
        target, liquid = action.choice.target, action.choice.noun
        before, after = _before_and_after(episode, action)
        assert (before.liquid[target], after.liquid[target]) == ('', liquid)
        looks = episode.timeline.looks
        assert [looks['stream', f'stream_{liquid}'].at(t)
                for t in (action.pre, action.pnr, action.end - 1)] == [False, True, False]
        assert not looks[target, f'fill_{liquid}'].at(action.pre)
        assert looks[target, f'fill_{liquid}'].at(action.post)
        stream = episode.timeline.pose('stream', action.pnr).pos
        vessel = episode.truth(action.pnr).things[target].pos
        assert np.linalg.norm(stream[:2] - vessel[:2]) < 0.01


def test_cut_leaves_two_halves_apart_and_the_blade_was_between_them(episode_of):
    for seed in (1, 2):
        episode = episode_of(seed, 'cut')
        action = _first(episode, 'cut')
        noun = action.choice.target
        before, after = _before_and_after(episode, action)
        assert noun not in before.cut
        assert noun in after.cut
        apart = episode.timeline.pose(f'{noun}.half', action.post).pos - after.things[noun].pos
        assert 0.015 < np.linalg.norm(apart) < 0.04
        knife = episode.truth(action.pnr).things['knife']
        blade = knife.apply(np.array([0.0, 0.11, 0.0]))
        assert np.linalg.norm(blade[:2] - before.things[noun].pos[:2]) < 0.05
        both = {side for side, names in episode.truth(action.pnr).touching.items() if names}
        assert both == {'left', 'right'}


def test_stir_goes_round_inside_of_the_vessel(episode_of):
    episode = episode_of(1, 'stir')
    action = _first(episode, 'stir')
    start, end = next((a, b) for name, a, b in action.phases if name == 'stir')
    tips = []
    for t in range(start, end):
        truth = episode.truth(t)
        tip = truth.things[action.choice.tool].apply(np.array([0.0, 0.16, 0.012]))
        tips.append(tip - truth.things[action.choice.target].pos)
    around = np.unwrap(np.arctan2([p[1] for p in tips], [p[0] for p in tips]))
    assert abs(around[-1] - around[0]) > 4 * np.pi
    mouth = episode.scene.things[action.choice.target].shape.mouth
    assert max(np.hypot(p[0], p[1]) for p in tips) < mouth
    assert min(p[2] for p in tips) > 0


def test_wash_happens_under_running_water_and_takes_the_dirt_away(episode_of):
    cleaned = 0
    for seed in (1, 2, 3, 27, 28):
        episode = episode_of(seed, 'wash')
        action = _first(episode, 'wash')
        truth = episode.truth(action.pnr)
        assert truth.running
        sink = episode.scene.layout.spots['sink'].pos
        assert np.linalg.norm(truth.things[action.choice.target].pos[:2] - sink[:2]) < 0.16
        before, after = _before_and_after(episode, action)
        cleaned += action.choice.target in before.dirty
        assert action.choice.target not in after.dirty
    assert cleaned > 0, 'no dirty thing was among those washed: choose other seeds'


def test_wipe_takes_the_spill_away_while_moving_over_it(episode_of):
    episode = episode_of(1, 'wipe')
    action = _first(episode, 'wipe')
    before, after = _before_and_after(episode, action)
    assert (before.stained, after.stained) == (True, False)
    start, end = next((a, b) for name, a, b in action.phases if name == 'wipe')
    spill = episode.scene.stain[1]
    way = np.array([episode.truth(t).things[action.choice.tool].pos - spill
                    for t in range(start, end)])
    assert np.ptp(way[:, 0]) > 0.1
    assert np.all(np.abs(way[:, 2]) < 0.006), 'the cloth must stay on the surface'
    assert not episode.timeline.looks['stain', 'stain'].at(action.post)


def test_push_slides_along_the_counter_in_the_direction_that_is_named(episode_of):
    directions = {'left': (-1, 0), 'right': (1, 0), 'away': (0, 1)}
    for seed in (1, 2, 3):
        episode = episode_of(seed, 'push')
        action = _first(episode, 'push')
        noun = action.choice.target
        before, after = _before_and_after(episode, action)
        way = after.things[noun].pos - before.things[noun].pos
        assert np.dot(way[:2], directions[action.choice.way]) > 0.15
        heights = [episode.truth(t).things[noun].pos[2]
                   for t in range(action.contact, action.post)]
        assert np.ptp(heights) < 1e-6


def test_turn_over_ends_upside_down_on_the_same_place(episode_of):
    for seed in (1, 2):
        episode = episode_of(seed, 'turn over')
        action = _first(episode, 'turn over')
        noun = action.choice.target
        before, after = _before_and_after(episode, action)
        assert noun in after.flipped - before.flipped
        pose = episode.truth(action.end - 1).things[noun]
        up = pose.apply(np.array([0.0, 0.0, 1.0])) - pose.pos
        assert up[2] == pytest.approx(-1.0, abs=1e-6)
        height = episode.scene.things[noun].shape.height
        assert pose.pos[2] - height == pytest.approx(before.things[noun].pos[2], abs=1e-6)


@pytest.mark.parametrize(
    'noun', [noun.name for noun in NOUNS.values() if 'turn_over' in noun.uses])
def test_everything_that_may_be_turned_over_is(noun, episode_of):
    seeds = (seed for seed in range(1, 40)
             if _first(episode_of(seed, 'turn over'), 'turn over').choice.target == noun)
    assert next(seeds, None) is not None


def test_narrow_fruit_is_cut_without_a_finger_in_the_blade(episode_of):
    seeds = (seed for seed in range(1, 40)
             if _first(episode_of(seed, 'cut'), 'cut').choice.target == 'lemon')
    assert next(seeds, None) is not None


def test_shake_swings_to_and_fro(episode_of):
    episode = episode_of(1, 'shake')
    action = _first(episode, 'shake')
    start, end = next((a, b) for name, a, b in action.phases if name == 'shake')
    height = np.array([episode.truth(t).things[action.choice.target].pos[2]
                       for t in range(start, end)])
    turns = np.sum(np.diff(np.sign(np.diff(height))) != 0)
    assert turns >= 5
    assert np.ptp(height) > 0.03


def test_only_feasible_actions_are_sampled(episode_of):
    """Replays the episodes in words alone, with rules of its own."""
    for seed in range(12):
        episode = episode_of(seed)
        world = episode.truth(0)
        on = {name: value > 0.5 for name, value in world.opening.items()}
        where, held = dict(world.location), {'left': None, 'right': None}
        cut = set()
        for action in episode.actions:
            choice = action.choice
            truth = episode.truth(action.pre)
            assert {name: value > 0.5 for name, value in truth.opening.items()} == on
            held = {side: next((n for n, p in truth.location.items() if p == f'{side}_hand'), None)
                    for side in held}
            if choice.verb in ('open', 'turn on'):
                assert not on[choice.target]
                assert held[choice.hand] is None
                on[choice.target] = True
            elif choice.verb in ('close', 'turn off'):
                assert on[choice.target]
                assert held[choice.hand] is None
                on[choice.target] = False
            elif choice.verb == 'take':
                assert held[choice.hand] is None
                spot = episode.scene.layout.spots.get(where[choice.target])
                assert spot is None or not spot.inside or on[spot.inside]
            elif choice.verb == 'put':
                assert held[choice.hand] == choice.target
                spot = episode.scene.layout.spots.get(choice.place)
                assert choice.place not in truth.location.values()
                assert spot is None or not spot.inside or on[spot.inside]
            elif choice.verb == 'cut':
                assert choice.target not in cut
                cut.add(choice.target)
            elif choice.verb == 'wash':
                assert on['tap']
            where = dict(episode.truth(min(action.end, episode.frame_count - 1)).location)


def test_both_hands_are_used(episode_of):
    hands = {'left': 0, 'right': 0}
    for seed in range(12):
        for action in episode_of(seed).actions:
            hands[action.choice.hand] += 1
    assert min(hands.values()) > 5


def test_an_unknown_verb_is_named_with_the_known_ones():
    with pytest.raises(LegoError, match=r'juggle.*turn over') as caught:
        sample_episode(0, 'juggle')
    assert caught.value.code is ErrorCode.INVALID_SETTING
