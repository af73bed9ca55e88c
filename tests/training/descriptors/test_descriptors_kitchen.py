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

"""The kitchen's truth, held against the episode that it is of."""

from dataclasses import replace
import json
import math
import re

from lego_ros.errors import ErrorCode, LegoError
from lego_ros.sim.episode import sample_episode
from lego_ros.sim.render import Renderer
from lego_ros.training.descriptors.describing import describe
from lego_ros.training.descriptors.kitchen import DERIVED, Kitchen
from lego_ros.training.descriptors.rendering import render
from lego_ros.training.export.observation import Observer
from lego_ros.training.export.truth import truth_of
import pytest

SEED = 2
"""One action: milk is poured, from the moment of which on the hand keeps the carton."""


@pytest.fixture(scope='module')
def truth(tmp_path_factory):
    episode = sample_episode(SEED)
    with Renderer(episode, 64, 64, 0) as renderer:
        observer = Observer(episode, renderer, 64)
        lines = [truth_of(observer, number, 'train', f'a{number}', 'v', 1.0).model_dump_json()
                 for number in range(len(episode.actions))]
    path = tmp_path_factory.mktemp('kitchen') / 'truth.jsonl'
    path.write_text('\n'.join(lines) + '\n')
    return path, episode


def test_all_five_components(truth):
    path, episode = truth
    action = episode.actions[0]
    kitchen = Kitchen(path)
    clip = kitchen.clips[0]
    assert (clip.clip_id, clip.video_id) == ('a0', 'v')
    assert clip.label.startswith('pour the milk')
    assert clip.nouns == ('milk', action.choice.target, action.choice.tool)
    assert clip.duration == pytest.approx((action.end - action.pre + 15) / 30)

    found = describe([clip], kitchen.sources())[0]
    begin = action.pre - 15
    pour = next(phase for phase in action.phases if phase[0] == 'pour')
    poured = next(span for span in found.audio.spans if span.text == 'pouring')
    assert (poured.start, poured.end) == pytest.approx(
        ((pour[1] - begin) / 30, (pour[2] - begin) / 30))
    assert found.audio.note == DERIVED
    hand, tool = action.choice.hand, action.choice.tool
    held = next(span for span in found.contact.spans if span.text == f'{hand} hand holds {tool}')
    touch = next(touch for touch in episode.touches if touch.name == tool)
    assert held.start == pytest.approx((touch.start - begin) / 30, abs=0.11)
    assert held.end == pytest.approx(clip.duration, abs=0.15)
    assert tool in {span.text for span in found.objects.spans}
    assert not any('hand' in span.text for span in found.objects.spans)
    assert found.camera.spans[0].start == 0.0
    assert found.camera.spans[-1].end == pytest.approx(clip.duration)
    assert found.narrations is None
    assert render(found) == render(describe(Kitchen(path).clips, Kitchen(path).sources())[0])


def test_the_camera_turns_as_the_gaze_does(truth, tmp_path):
    # Another episode, in which the person looks to the side, from its very beginning.
    line = json.loads(truth[0].read_text().splitlines()[0])
    path = tmp_path / 'truth.jsonl'
    path.write_text(json.dumps({**line, 'seed': 7}) + '\n')
    episode = sample_episode(7)
    kitchen = Kitchen(path)
    clip = replace(kitchen.clips[0], start=0.0, end=episode.actions[0].end / 30)
    turns = sum(float(re.search(r'turns \w+ (\d+)', span.text)[1])
                * (1 if 'turns right' in span.text else -1)
                for span in describe([clip], kitchen.sources())[0].camera.spans
                if 'turns' in span.text)
    first, last = (float(episode.timeline.gaze.at(time * 30)[0])
                   for time in (clip.start, clip.end))
    # Yaw grows to the left; the less of it is about the camera's own axis the more the camera
    # looks down. The head sways, and what is not worth telling adds up.
    right = -math.degrees(last - first) * math.cos(episode.scene.head.pitch)
    assert right > 10
    assert turns == pytest.approx(right, abs=5)


@pytest.mark.parametrize(('change', 'message'), [
    (lambda line: '', 'empty'), (lambda line: line + '\n' + line, 'line 2: a0 is there twice'),
    (lambda line: json.dumps({**json.loads(line), 'seed': 'x'}), 'line 1: seed'),
    (lambda line: line[:99], 'line 1')])
def test_what_is_no_truth(truth, tmp_path, change, message):
    path = tmp_path / 'truth.jsonl'
    path.write_text(change(truth[0].read_text().splitlines()[0]))
    with pytest.raises(LegoError, match=message) as caught:
        Kitchen(path)
    assert caught.value.code == ErrorCode.SOURCE_UNREADABLE
