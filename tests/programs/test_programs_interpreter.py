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

"""Running action programs."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from lego_ros.errors import ErrorCode, LegoError
from lego_ros.programs.checking import check
from lego_ros.programs.interpreter import Endless, run, steps
from lego_ros.programs.parsing import parse
from lego_ros.programs.printing import to_text
from lego_ros.programs.state import State
from lego_ros.programs.tree import Predicate, SubAction
from lego_ros.programs.vocabulary import default_vocabulary
import pytest

ALONE = [name for name, word in default_vocabulary().predicates.items()
         if word.arguments == ('object',)]
some = settings(max_examples=60, deadline=None, derandomize=True)


def fact(name, *arguments):
    return Predicate(name, arguments)


def order(text, *answers):
    """Return what is done where the conditions are answered one after the other."""
    answers = list(answers)
    done = [str(action) for action in steps(parse(text), lambda _: answers.pop(0))]
    assert answers == []
    return done


@pytest.mark.parametrize(('body', 'answers', 'done'), [
    ('find(a) find(b) find(c)', [], 'a b c'),
    ('if seen(a) { find(a) find(b) } find(c)', [True], 'a b c'),
    ('if seen(a) { find(a) find(b) } find(c)', [False], 'c'),
    ('if seen(a) { find(a) } else { find(b) find(a) } find(c)', [True], 'a c'),
    ('if seen(a) { find(a) } else { find(b) find(a) } find(c)', [False], 'b a c'),
    ('while seen(a) { find(a) find(b) } find(c)', [True, True, False], 'a b a b c'),
    ('while seen(a) { find(a) } find(c)', [False], 'c'),
    ('repeat 3 { find(a) find(b) } find(c)', [], 'a b a b a b c'),
    ('repeat 1 { find(a) } find(c)', [], 'a c'),
    ('repeat 2 { repeat 2 { find(a) } find(b) } find(c)', [], 'a a b a a b c'),
    ('repeat 2 { if seen(a) { find(a) } else { find(b) } }', [True, False], 'a b'),
    ('while seen(a) { while seen(b) { find(b) } find(a) }',
     [True, True, False, True, False, False], 'b a a'),
    ('call two find(c) call two', [], 'a b c a b'),
    ('repeat 2 { call outer }', [], 'c a b c a b'),
])
def test_the_order_of_steps(body, answers, done):
    text = ('objects a, b, c routine outer { find(c) call two } routine two { find(a) find(b) } '
            + body)
    assert order(text, *answers) == [f'find({name})' for name in done.split()]


def test_a_world_is_asked_when_a_condition_is_reached_and_not_before():
    program = parse("""
        objects mug, drawer
        find(mug)
        if seen(mug), not open(drawer) { find(drawer) }
        while not open(drawer) { wait(drawer) }
        find(mug)
    """)
    events, seen = [], []

    def all_hold(conditions):
        events.append(', '.join(map(str, conditions)))
        # The drawer opens by itself while it is waited for the second time.
        return ((events[-1].startswith('seen') and seen.count('find(mug)') == 1)
                or (events[-1] == 'not open(drawer)' and seen.count('wait(drawer)') < 2))

    for action in steps(program, all_hold):
        seen.append(str(action))
        events.append(str(action))
    assert events == [
        'find(mug)', 'seen(mug), not open(drawer)', 'find(drawer)',
        'not open(drawer)', 'wait(drawer)', 'not open(drawer)', 'wait(drawer)',
        'not open(drawer)', 'find(mug)']


def test_what_is_yielded_is_the_statement_with_its_line():
    [action] = steps(parse('objects a\n\nrepeat 1 {\n  find(a)\n}'), lambda _: True)
    assert isinstance(action, SubAction)
    assert action.line == 4


def test_an_endless_loop_ends():
    program = parse('objects a while not seen(a) { wait(a) }')
    course = steps(program, lambda _: True, max_steps=7)
    # The loop is one statement, and each round one more.
    assert [next(course).verb for _ in range(6)] == ['wait'] * 6
    with pytest.raises(Endless, match='the program ran 7 statements and did not end'):
        next(course)
    course = run(program, max_steps=7)
    assert len(course.steps) == 6
    assert course.problem == 'the program ran 7 statements and did not end'


def test_as_many_statements_as_are_allowed_are_no_endless_loop():
    program = parse('objects a find(a) find(a) find(a)')
    assert len(list(steps(program, lambda _: True, max_steps=3))) == 3
    with pytest.raises(Endless):
        list(steps(program, lambda _: True, max_steps=2))


@pytest.mark.parametrize('text', [
    'objects a routine again { find(a) call again } call again',
    'objects a routine again { call again } call again',
    'objects a routine one { call two } routine two { find(a) call one } call one',
    'objects a repeat 9999 { repeat 9999 { find(a) } }',
])
def test_a_course_without_end_is_told(text):
    assert run(parse(text)).problem == 'the program ran 10,000 statements and did not end'


def test_a_call_of_no_routine_is_told():
    program = parse('objects a\nfind(a)\ncall r')
    course = steps(program, lambda _: True)
    assert str(next(course)) == 'find(a)'
    with pytest.raises(LegoError, match='line 3: call r: there is no such routine') as error:
        next(course)
    assert error.value.code is ErrorCode.PROGRAM_INVALID
    with pytest.raises(LegoError, match='line 3: call r: there is no such routine'):
        run(program)
    # One that is not reached is no matter here; the checker tells it.
    assert run(parse('objects a if seen(a) { call r }')).problem == ''


def test_a_thousand_calls_deep():
    text = 'objects a ' + ' '.join(
        f'routine r{number} {{ find(a) call r{number + 1} find(a) }}' for number in range(1000))
    course = run(parse(f'{text} routine r1000 {{ find(a) }} call r0'))
    assert (len(course.steps), course.problem) == (2001, '')


def test_a_run_ends_where_a_condition_is_not_met():
    course = run(parse("""
        objects mug, table
        initially on(mug, table)
        reach(mug, right)
        lift(mug, right)
        carry(mug, table, right)
    """))
    assert course.problem == ('line 5: lift(mug, right) cannot be done: contact(mug, right) does '
                              'not hold')
    assert [str(step.action) for step in course.steps] == ['reach(mug, right)']
    assert course.state == course.steps[-1].state
    assert course.state.facts == {fact('on', 'mug', 'table'), fact('near', 'mug', 'right')}


def test_a_run_that_stops_at_once_has_the_first_state():
    course = run(parse('objects a initially open(a) lift(a, left)'))
    assert course.steps == ()
    assert course.state == State(frozenset({fact('open', 'a')}))


def test_the_states_of_a_whole_course():
    course = run(parse("""
        objects mug, table, shelf
        initially on(mug, table)
        reach(mug, left) grasp(mug, left) lift(mug, left) carry(mug, shelf, left)
        place(mug, shelf, left) release(mug, left) withdraw(mug, left)
    """))
    near_mug, near_shelf = fact('near', 'mug', 'left'), fact('near', 'shelf', 'left')
    contact, borne = fact('contact', 'mug', 'left'), fact('in_hand', 'mug', 'left')
    table, shelf = fact('on', 'mug', 'table'), fact('on', 'mug', 'shelf')
    assert course.problem == ''
    assert [step.state.facts for step in course.steps] == [
        {table, near_mug}, {table, near_mug, contact}, {near_mug, contact, borne},
        {near_shelf, contact, borne}, {near_mug, contact, shelf}, {near_mug, shelf}, {shelf}]


def test_a_run_may_begin_in_another_state():
    program = parse('objects d if open(d) { find(d) } else { wait(d) }')
    assert str(run(program, State(frozenset({fact('open', 'd')}))).steps[0].action) == 'find(d)'
    assert str(run(program, State()).steps[0].action) == 'wait(d)'


def test_what_is_open_is_not_taken_to_hold():
    unsure = State(open=frozenset({fact('contact', 'd', 'left')}))
    assert run(parse('objects d if contact(d, left) { find(d) }'), unsure).steps == ()
    assert run(parse('objects d if not contact(d, left) { find(d) }'), unsure).steps == ()
    assert run(parse('objects d hold(d, left)'), unsure).problem


def test_written_conditions_count():
    course = run(parse('objects a find(a) post full(a) find(a) pre full(a) post not full(a), '
                       'empty(a) find(a) pre full(a)'))
    assert len(course.steps) == 2
    assert course.problem == 'line 1: find(a) cannot be done: full(a) does not hold'


def test_a_new_fact_ends_what_it_excludes():
    course = run(parse("""
        objects cup, table, box
        initially on(cup, table), closed(box), near(cup, left), near(cup, right)
        find(cup) post in(cup, box), open(box), near(box, left)
    """))
    assert course.state.facts == {
        fact('in', 'cup', 'box'), fact('open', 'box'), fact('near', 'box', 'left'),
        fact('near', 'cup', 'right'), fact('seen', 'cup')}


def test_both_hands_and_a_wildcard():
    course = run(parse("""
        objects pot
        reach(pot, both) grasp(pot, both) lift(pot, both)
        find(pot) pre not near(pot, either) post not in_hand(_, left), not near(_, _)
    """))
    assert course.problem == ''
    assert course.state.facts == {
        fact('contact', 'pot', 'left'), fact('contact', 'pot', 'right'),
        fact('in_hand', 'pot', 'right'), fact('seen', 'pot')}


@some
@given(data=st.data())
def test_a_run_never_raises_and_stops_in_time(any_programs, data):
    program = data.draw(any_programs)
    course = run(program, max_steps=200)
    assert len(course.steps) <= 200
    assert course == run(program, max_steps=200)


@some
@given(data=st.data())
def test_a_straight_program_that_passes_the_check_runs_to_its_end(sound_straight_programs, data):
    program = data.draw(sound_straight_programs)
    assert check(program) == ()
    assert run(program).problem == '', to_text(program)


@some
@given(data=st.data())
def test_a_straight_program_that_runs_to_its_end_passes_the_check(straight_programs, data):
    # Where there is one way only, all is known: a violation then is no false alarm.
    program = data.draw(straight_programs)
    violations = check(program)
    apart = any('cannot both hold' in one.message or 'end that first' in one.message
                for one in violations)
    waits = any(action.verb == 'wait' for action in program.sub_actions())
    if run(program).problem == '' and not apart and not waits:
        assert violations == (), to_text(program)


@some
@given(data=st.data())
def test_a_program_that_passes_the_check_never_lacks_what_it_needs(sound_programs, data):
    program = data.draw(sound_programs)
    assert check(program) == ()
    assert 'cannot be done' not in run(program, max_steps=200).problem, to_text(program)


@some
@given(data=st.data())
def test_nor_where_things_change_while_they_are_waited_for(sound_programs, data):
    vocabulary = default_vocabulary()
    program = data.draw(sound_programs)
    states = [State(frozenset(program.initial))]
    try:
        for action in steps(program, lambda asked: bool(states[-1].all_hold(asked)), 100):
            assert states[-1].all_hold(vocabulary.pre(action)), to_text(program)
            states.append(states[-1].after(vocabulary.post(action), vocabulary))
            if vocabulary.sub_verbs[action.verb].by_itself:
                name, ends = data.draw(st.tuples(st.sampled_from(ALONE), st.booleans()))
                states.append(states[-1].after((Predicate(name, (action.object_a,), ends),),
                                               vocabulary))
    except Endless:
        # Cut off: what was done until then could be done.
        pass
