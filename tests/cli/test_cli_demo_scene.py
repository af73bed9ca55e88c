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

"""What the demo asks about a kitchen, and when."""

from lego_ros.cli.demo_files import scene_line
from lego_ros.cli.demo_scene import Scene
from lego_ros.errors import ErrorCode, LegoError
from lego_ros.sim.episode import sample_episode
from lego_ros.sim.vocabulary import VERBS
import pytest

SCENE = Scene('sim:1', 'open left drawer', 'How do I open the left drawer?', 60, 300)


@pytest.mark.parametrize('verb', sorted(VERBS))
def test_every_verb_makes_a_question(verb):
    scene = Scene.of(f'sim:1:{verb}')
    action = next(action for action in sample_episode(1, verb).actions
                  if action.choice.verb == verb)
    assert scene.question.startswith(f'How do I {verb} the ')
    assert scene.question.endswith('?')
    # What is told of another, asked by oneself.
    words = action.narration.removeprefix('#C C ').split()
    assert scene.question.rstrip('?').split()[4:] == words[1:]
    assert (scene.action, scene.pre) == (action.label, action.pre)


def test_without_a_verb_it_is_about_the_first_action():
    first = sample_episode(8).actions[0]
    scene = Scene.of('sim:8')
    assert (scene.action, scene.pre, scene.source) == (first.label, first.pre, 'sim:8')
    assert Scene.of('sim') == Scene.of(Scene.of('sim').source)


def test_the_moment_is_half_a_second_before_the_action_of_this_or_the_next_round():
    # Frame 45 of rounds of 10 s.
    assert SCENE.next_moment(100.0, 100.0) == pytest.approx(101.5)
    assert SCENE.next_moment(100.0, 101.5) == pytest.approx(101.5)
    assert SCENE.next_moment(100.0, 101.6) == pytest.approx(111.5)
    assert SCENE.next_moment(100.0, 999.0) == pytest.approx(1001.5)


def test_a_stamp_tells_the_frame():
    for number in (0, 1, 44, 299):
        for begun in (0.0, 1795332078.236):
            for rounds in (0, 3):
                stamp = begun + 10.0 * rounds + number / 30
                assert SCENE.frame_at(begun, stamp) == number
                assert SCENE.frame_at(begun, stamp + 0.02) == number


def test_the_scene_in_a_line():
    assert scene_line(SCENE.report(44)) == 'sim:1, frame 44 of 300; action from frame 60'


def test_a_source_of_another_form():
    with pytest.raises(LegoError, match='sim:SEED:VERB') as caught:
        Scene.of('sim:one')
    assert caught.value.code is ErrorCode.SOURCE_UNREADABLE
