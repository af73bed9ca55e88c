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

import dataclasses
import hashlib

from lego_ros.sim.episode import sample_episode
from lego_ros.sim.geometry import Pose
from lego_ros.sim.render import Renderer
import numpy as np
import pytest


def _digest(value, into) -> None:
    if isinstance(value, Pose):
        into.update(value.pos.tobytes() + value.quat.tobytes())
    elif dataclasses.is_dataclass(value):
        for field in dataclasses.fields(value):
            _digest(getattr(value, field.name), into)
    elif isinstance(value, dict):
        for key in sorted(value):
            into.update(str(key).encode())
            _digest(value[key], into)
    elif isinstance(value, (tuple, list)):
        for item in value:
            _digest(item, into)
    elif isinstance(value, frozenset):
        into.update(repr(sorted(value)).encode())
    else:
        into.update(repr(value).encode())


def _truth_bytes(episode, frames) -> str:
    into = hashlib.sha256()
    _digest(episode.actions, into)
    for t in frames:
        _digest(episode.truth(t), into)
    return into.hexdigest()


@pytest.mark.parametrize('seed', [0, 5])
def test_a_seed_gives_the_same_truth_and_the_same_pixels(seed):
    one, two = sample_episode(seed), sample_episode(seed)
    frames = range(0, one.frame_count, 17)
    assert one.frame_count == two.frame_count
    assert _truth_bytes(one, frames) == _truth_bytes(two, frames)
    picked = [one.actions[0].pre, one.actions[0].pnr, one.actions[-1].post]
    with Renderer(one, 96, 96) as renderer:
        first = [renderer.rgb(t).tobytes() + renderer.labels(t).tobytes() for t in picked]
    with Renderer(two, 96, 96) as renderer:
        assert first == [renderer.rgb(t).tobytes() + renderer.labels(t).tobytes() for t in picked]


def test_another_seed_gives_another_scene(episode_of):
    one, two = episode_of(0), episode_of(1)
    assert one.scene.style != two.scene.style
    assert _truth_bytes(one, range(0, 60, 20)) != _truth_bytes(two, range(0, 60, 20))


def test_the_state_before_sampling_does_not_matter():
    np.random.seed(1)
    one = _truth_bytes(sample_episode(3), range(0, 200, 20))
    np.random.seed(2)
    sample_episode(4)
    assert one == _truth_bytes(sample_episode(3), range(0, 200, 20))


@pytest.mark.parametrize('verb', ['open', 'cut', 'pour', 'wipe'])
def test_any_frame_can_be_drawn_without_those_before_it(verb, episode_of):
    episode = episode_of(1, verb)
    action = next(a for a in episode.actions if a.choice.verb == verb)
    wanted = [action.post, action.pre, action.pnr, 0, episode.frame_count - 1, action.contact]
    with Renderer(episode, 64, 64, samples=0) as renderer:
        sequential = {t: renderer.rgb(t) for t in range(episode.frame_count)
                      if t in wanted or t % 5 == 0}
        truths = {t: _truth_bytes(episode, [t]) for t in wanted}
    with Renderer(episode, 64, 64, samples=0) as renderer:
        for t in wanted:
            np.testing.assert_array_equal(renderer.rgb(t), sequential[t])
            assert _truth_bytes(episode, [t]) == truths[t]
