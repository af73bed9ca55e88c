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
from lego_ros.sim.render import Renderer
import numpy as np
import pytest


def _project(renderer, camera, point):
    """Pinhole projection by the stated pose and intrinsics alone."""
    x, y, z = (camera.inverse().apply(point)).tolist()
    k = renderer.intrinsics
    assert z < 0, 'the point must lie before the camera, which looks along -z'
    return k.cx + k.focal * x / -z, k.cy - k.focal * y / -z


@pytest.mark.parametrize('verb', ['open', 'pour', 'cut'])
def test_boxes_lie_just_around_masks_and_masks_do_not_overlap(verb, episode_of):
    episode = episode_of(1, verb)
    action = next(a for a in episode.actions if a.choice.verb == verb)
    with Renderer(episode, 160, 120) as renderer:
        seen = renderer.seen(action.pnr)
    assert {'counter', f'{action.choice.hand}_hand'} <= set(seen)
    total = np.zeros((120, 160), dtype=int)
    for thing in seen.values():
        x, y, w, h = thing.box
        assert thing.mask.shape == (120, 160)
        assert thing.mask[y:y + h, x:x + w].sum() == thing.mask.sum() > 0
        assert thing.mask[y].any()
        assert thing.mask[y + h - 1].any()
        assert thing.mask[:, x].any()
        assert thing.mask[:, x + w - 1].any()
        total += thing.mask
    assert total.max() == 1


def test_camera_pose_and_intrinsics_project_things_into_their_masks(episode_of):
    hits = 0
    for verb in ('take', 'turn over', 'push'):
        episode = episode_of(1, verb)
        with Renderer(episode, 320, 240) as renderer:
            for t in (10, episode.actions[0].pre):
                truth, seen = episode.truth(t), renderer.seen(t)
                for noun, thing in episode.scene.things.items():
                    if noun not in seen or seen[noun].mask.sum() < 150 \
                            or thing.shape.style not in ('side', 'top'):
                        continue
                    middle = truth.things[noun].apply(np.array([0, 0, thing.shape.height / 2]))
                    u, v = _project(renderer, truth.camera, middle)
                    x, y, w, h = seen[noun].box
                    if not (x > 0 and x + w < 320 and y > 0 and y + h < 240):
                        continue
                    assert x - 2 <= u <= x + w + 2
                    assert y - 2 <= v <= y + h + 2
                    hits += 1
    assert hits >= 4


def test_the_picture_has_the_colour_of_what_the_mask_says(episode_of):
    episode = episode_of(1, 'open')
    with Renderer(episode, 200, 200) as renderer:
        picture, seen = renderer.rgb(0), renderer.seen(0)
    skin = np.array(episode.scene.person.skin)
    hand = picture[seen['right_hand'].mask].mean(0)
    # Light changes brightness, not the order and the ratio of the channels by much.
    assert np.allclose(hand / hand.sum(), skin / skin.sum(), atol=0.06)
    assert picture.std() > 20


@pytest.mark.parametrize('verb', ['open', 'take', 'pour', 'cut', 'wipe', 'turn on', 'turn over'])
def test_the_picture_before_and_at_the_pnr_differ_where_the_action_is(verb, episode_of):
    episode = episode_of(1, verb)
    action = next(a for a in episode.actions if a.choice.verb == verb)
    with Renderer(episode, 128, 128) as renderer:
        seen = renderer.seen(action.pnr)
        before, now = renderer.rgb(action.pre).astype(int), renderer.rgb(action.pnr).astype(int)
        again = renderer.rgb(action.pre).astype(int)
    hand = seen[f'{action.choice.hand}_hand']
    assert hand.mask.sum() > 80, 'the acting hand must be seen at the point of no return'
    changed = np.abs(now - before).sum(2) > 40
    assert changed[hand.mask].mean() > 0.3
    np.testing.assert_array_equal(before, again)


def test_what_is_behind_a_shut_door_is_not_seen_and_then_is(episode_of):
    shown = 0
    for seed in range(1, 8):
        episode = episode_of(seed, 'open')
        action = next(a for a in episode.actions if a.choice.verb == 'open')
        hidden = [noun for noun, spot in episode.truth(action.pre).location.items()
                  if spot.startswith(action.choice.target)]
        with Renderer(episode, 160, 160, samples=0) as renderer:
            before, after = renderer.seen(action.pre), renderer.seen(action.end - 1)
        assert not set(hidden) & set(before)
        shown += len(set(hidden) & set(after))
    assert shown >= 1


def test_sizes_and_frames_out_of_range_are_refused_by_name(episode_of):
    episode = episode_of(1, 'open')
    with pytest.raises(LegoError, match='4000 x 100') as caught:
        Renderer(episode, 4000, 100)
    assert caught.value.code is ErrorCode.INVALID_SETTING
    with Renderer(episode, 32, 32) as renderer:
        for t in (-1, episode.frame_count):
            with pytest.raises(LegoError, match=f'frame {t} '):
                renderer.rgb(t)
        assert renderer.rgb(episode.frame_count - 1).shape == (32, 32, 3)


def test_two_episodes_can_be_drawn_in_turn(episode_of):
    one, two = episode_of(1, 'open'), episode_of(1, 'cut')
    with Renderer(one, 64, 64) as first, Renderer(two, 64, 64, samples=0) as second:
        a = first.rgb(30)
        b = second.rgb(30)
        np.testing.assert_array_equal(a, first.rgb(30))
        np.testing.assert_array_equal(b, second.rgb(30))
        assert np.any(a != b)
