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

"""The exemplars are sound and varied, and the most similar are found; the prompt holds them."""

from lego_ros.errors import ErrorCode, LegoError
from lego_ros.programs.checking import check
from lego_ros.programs.interpreter import run
from lego_ros.programs.parsing import parse
from lego_ros.programs.printing import to_text
from lego_ros.programs.tree import If, Repeat, walk, While
from lego_ros.programs.vocabulary import default_vocabulary
from lego_ros.training.descriptors.clip import Descriptors, Part, Span
from lego_ros.training.descriptors.rendering import render
from lego_ros.training.programs import exemplars as module
from lego_ros.training.programs.exemplars import load_exemplars
from lego_ros.training.programs.prompt import (
    first_messages,
    MOST_COMPLAINTS,
    repair_messages,
    system_text,
)
from lego_ros.training.programs.retrieval import Retriever
import pytest

NAMES = [exemplar.name for exemplar in load_exemplars()]


@pytest.fixture(params=NAMES)
def exemplar(request):
    return next(each for each in load_exemplars() if each.name == request.param)


def test_there_are_enough():
    assert len(NAMES) >= 16
    assert len(set(NAMES)) == len(NAMES)


def test_each_is_sound_and_gets_to_its_end(exemplar):
    program = parse(exemplar.program)
    assert check(program) == ()
    assert to_text(program) == exemplar.program
    # What ends by itself, a kettle that boils, does not in a world of facts.
    if not any(action.verb == 'wait' for action in program.sub_actions()):
        course = run(program)
        assert course.problem == ''
        assert course.steps


def test_each_is_told_as_clips_are(exemplar):
    descriptors = exemplar.descriptors
    text = render(descriptors)
    assert exemplar.narrations[0][2] in text.split('\n')[2]
    spans = [span for name in ('narrations', 'audio', 'camera', 'objects', 'contact')
             for span in getattr(descriptors, name).spans]
    assert all(0 <= span.start <= span.end <= exemplar.duration for span in spans)


def test_together_they_show_all_of_the_language():
    programs = [parse(exemplar.program) for exemplar in load_exemplars()]
    kinds = {type(statement) for program in programs
             for block in (program.body, *(routine.body for routine in program.routines))
             for statement in walk(block)}
    assert {If, While, Repeat} <= kinds
    assert sum(bool(program.routines) for program in programs) >= 3
    verbs = {action.verb for program in programs for action in program.sub_actions()}
    assert len(verbs) >= 0.8 * len(default_vocabulary().sub_verbs)
    written = {bool(action.pre or action.post) for program in programs
               for action in program.sub_actions()}
    assert written == {True, False}


@pytest.mark.parametrize(('content', 'message'), [
    ('duration: 1.0\nnarrations: []\nprogram: x\n', 'narrations'),
    ('duration: 1.0\nnarrations: [[0, 1, a]]\nprogram: |\n  objects a\n  lift(a)\n', 'line 2'),
    ('duration: 1.0\nnarrations: [[0, 1, a]]\nprogram: |\n  objects a\n  lift(a, left)\n',
     'its program: line 2'),
    ('[1]', 'no YAML of an exemplar'), ('{', 'no YAML of an exemplar')])
def test_exemplars_that_are_not_sound_are_named(tmp_path, monkeypatch, content, message):
    (tmp_path / 'odd.yaml').write_text(content)
    monkeypatch.setattr(module, '_FOLDER', tmp_path)
    with pytest.raises(LegoError, match=rf"odd\.yaml'.*{message}") as caught:
        module.load_exemplars.__wrapped__()
    assert caught.value.code == ErrorCode.SOURCE_UNREADABLE


def narrated(text, *objects):
    return Descriptors(2.0, narrations=Part((Span(0, 2, text),)),
                       objects=Part(tuple(Span(0, 2, name) for name in objects)))


@pytest.mark.parametrize(('text', 'best'), [
    ('opening the top drawers', 'open_drawer'), ('cut carrots', 'cut_carrot'),
    ('wash plates', 'wash_plate'), ('pour milk into bowl', 'pour_milk'),
    ('turn off tap', 'turn_off_hob'), ('stir soup in pot', 'stir_pot'),
    ('peel carrot', 'peel_potato'), ('open fridge', 'open_drawer')])
def test_the_most_similar_stands_last(text, best):
    found = Retriever(load_exemplars()).nearest(narrated(text), 4)
    assert len(found) == 4
    assert found[-1].name == best


def test_what_is_seen_decides_where_words_do_not():
    retriever = Retriever(load_exemplars())
    assert retriever.nearest(narrated('do it', 'hob', 'pot', 'spatula'), 1)[0].name == 'stir_pot'


def test_the_choice_is_always_the_same():
    forwards, backwards = Retriever(load_exemplars()), Retriever(load_exemplars()[::-1])
    for text in ('xyzzy', 'open drawer', 'take spoon'):
        assert [each.name for each in forwards.nearest(narrated(text), 5)] == [
            each.name for each in backwards.nearest(narrated(text), 5)]


def test_the_prompt():
    vocabulary = default_vocabulary()
    shown = load_exemplars()[:2]
    system, user = first_messages(vocabulary, shown, render(narrated('take mug')))
    assert (system['role'], user['role']) == ('system', 'user')
    assert system['content'] == system_text(vocabulary)
    for word in (*vocabulary.sub_verbs, *vocabulary.predicates):
        assert f'- {word}(' in system['content']
    assert all(exemplar.program in user['content'] for exemplar in shown)
    assert user['content'].endswith('narrations:\n  0.0-2.0 take mug\nobjects: none\nprogram:')


def test_complaints_are_bounded():
    answer, asked = repair_messages('objects a', [f'line {k}: {"x" * 1000}' for k in range(50)])
    assert answer == {'role': 'assistant', 'content': 'objects a'}
    lines = asked['content'].split('\n')
    assert len(lines) == MOST_COMPLAINTS + 3
    assert lines[-2] == f'- and {50 - MOST_COMPLAINTS} more'
    assert len(asked['content']) < 5000
    assert repair_messages('', ['there is no program'])[0]['content'] == '(nothing)'
