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

"""The kitchen's programs against what really happens in it."""

from collections import Counter

from lego_ros.programs.checking import check
from lego_ros.programs.interpreter import run
from lego_ros.programs.parsing import parse
from lego_ros.programs.printing import to_text
from lego_ros.programs.tree import Predicate
from lego_ros.sim.actions import ACTIONS
from lego_ros.sim.facts import object_name, state_of, TOLD
from lego_ros.sim.programs import program_of
import pytest

# Phases of the motion whose number a program must have too, and its words for them. A phase that
# moves a thing in the hand without changing contact is many 'carry' there and one word here.
PHASES = {'grasp': {'grasp', 'touch'}, 'release': {'release'}, 'pour': {'pour'}, 'saw': {'cut'},
          'stir': {'stir'}, 'wipe': {'wipe'}, 'rub': {'rinse'}, 'shake': {'shake'},
          'tilt': {'tilt'}, 'tilt back': {'level'}, 'pull': {'pull_open'},
          'push': {'push_shut', 'slide'}, 'turn': {'switch_on', 'switch_off', 'turn_over'}}


def told(state):
    return {fact for fact in state.facts if fact.name in TOLD}


@pytest.fixture
def actions_of(episode_of):
    """Yield (truth, state before, state after, program) of an episode's actions."""
    def read(verb, seed=3):
        episode = episode_of(seed, verb)
        for action, (_, before), (_, after) in zip(
                episode.actions, episode.worlds, episode.worlds[1:], strict=False):
            yield action, before, after, program_of(action.choice, before, after)
    return read


@pytest.mark.parametrize('verb', sorted(ACTIONS))
def test_programs_are_sound_and_say_what_happens(actions_of, verb):
    verbs = set()
    for action, before, after, program in actions_of(verb):
        verbs.add(action.choice.verb)
        assert check(program) == ()
        course = run(program, state_of(before))
        assert course.problem == ''
        assert told(course.state) == told(state_of(after)), action.label
        # From its own initial state, which says less, it runs too.
        assert run(program).problem == ''
    assert verb in verbs


@pytest.mark.parametrize('verb', sorted(ACTIONS))
def test_sub_actions_are_those_of_the_motion(actions_of, verb):
    for action, _, _, program in actions_of(verb):
        moved = Counter(name for name, _, _ in action.phases)
        written = Counter(step.verb for step in program.body)
        for phase, words in PHASES.items():
            assert moved[phase] == sum(written[word] for word in words), (action.label, phase)


def test_text_form(actions_of):
    for _, _, _, program in actions_of('pour'):
        assert parse(to_text(program)) == program


def test_initial_state_tells_where_things_are(actions_of):
    for action, before, _, program in actions_of('take'):
        if action.choice.verb == 'take':
            place = object_name(before, before.at[action.choice.target])
            assert any(fact.arguments == (action.choice.target, place)
                       for fact in program.initial)
            return
    pytest.fail('no thing was taken')


def test_a_wrong_program_is_told_from_what_happens(actions_of):
    """What the comparison is worth: another action's program does not end in the same state."""
    for action, before, after, program in actions_of('open'):
        if action.choice.verb == 'open':
            name = object_name(before, action.choice.target)
            assert Predicate('closed', (name,)) in told(state_of(before))
            shorter = type(program)(program.objects, program.body[:-3], program.initial)
            assert told(run(shorter, state_of(before)).state) != told(state_of(after))
            return
    pytest.fail('nothing was opened')
