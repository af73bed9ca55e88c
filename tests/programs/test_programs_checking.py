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

"""What the checker finds in action programs, and what it does not hold against them."""

from __future__ import annotations

import time

from hypothesis import given, settings
from hypothesis import strategies as st
from lego_ros.programs.checking import check
from lego_ros.programs.interpreter import run
from lego_ros.programs.parsing import parse
import pytest

TOO_DEEP = 'blocks and the blocks of called routines are nested more than 32 deep'


def found(text):
    """Return what is wrong with a program, each with its line."""
    return [str(violation) for violation in check(parse(text))]


@pytest.mark.parametrize(('wrong', 'violation', 'mended'), [
    # Objects.
    ('objects a\nfind(b)', "line 2: find(b): 'b' is not declared; add it to 'objects'",
     'objects a, b\nfind(b)'),
    ('objects a\nfind(a) pre not on(a, b)',
     "line 2: find(a): 'b' is not declared; add it to 'objects'",
     'objects a, b\nfind(a) pre not on(a, b)'),
    ('objects a\nif open(b) {\nfind(a) }',
     "line 2: if open(b): 'b' is not declared; add it to 'objects'",
     'objects a\nif open(_) {\nfind(a) }'),
    ('objects a\ninitially open(b)\nfind(a)',
     "open(b): 'b' is not declared; add it to 'objects'",
     'objects a, b\ninitially open(b)\nfind(a)'),
    ('objects a\nroutine r {\nfind(b) }\nfind(a)',
     "line 3: find(b): 'b' is not declared; add it to 'objects'",
     'objects a\nroutine r {\nfind(a) }\nfind(a)'),
    ('objects a, b, a\nfind(a)', 'declared twice: a', 'objects a, b\nfind(a)'),
    ('objects a\ninitially in_hand(a, left), near(a, left)\ncut(a, a, left)',
     'line 3: cut(a, a, left): object A and object B are the same',
     'objects a, b\ninitially in_hand(b, left), near(a, left)\ncut(a, b, left)'),
    # What cannot hold together.
    ('objects a\ninitially open(a), closed(a)\nfind(a)',
     'the initial state: open(a) and closed(a) cannot both hold',
     'objects a, b\ninitially open(a), closed(b)\nfind(a)'),
    ('objects a, b\ninitially in_hand(a, left), in_hand(b, left)\nfind(a)',
     'the initial state: in_hand(a, left) and in_hand(b, left) cannot both hold',
     'objects a, b\ninitially in_hand(a, left), in_hand(b, right)\nfind(a)'),
    ('objects a, b, c\ninitially on(a, b), in(a, c)\nfind(a)',
     'the initial state: on(a, b) and in(a, c) cannot both hold',
     'objects a, b, c\ninitially on(a, b), in(b, c)\nfind(a)'),
    ('objects a, b\ninitially near(a, left), near(b, left)\nfind(a)',
     'the initial state: near(a, left) and near(b, left) cannot both hold',
     'objects a, b\ninitially near(a, left), near(a, right)\nfind(a)'),
    ('objects a\nfind(a) post full(a), not full(a)',
     'line 2: what find(a) gives: full(a) and not full(a) cannot both hold',
     'objects a\nfind(a) post full(a), not full(_)'),
    ('objects a\nif open(a), closed(a) {\nfind(a) }',
     'line 2: if open(a), closed(a): open(a) and closed(a) cannot both hold',
     'objects a\nif open(a), not closed(a) {\nfind(a) }'),
    # Calls.
    ('objects a\nfind(a)\ncall r', 'line 3: call r: there is no such routine; there are: none',
     'objects a\nroutine r { find(a) }\ncall r'),
    ('objects a\nroutine s { find(a) }\ncall r',
     'line 3: call r: there is no such routine; there are: s',
     'objects a\nroutine s { find(a) }\ncall s'),
    ('objects a\nroutine r { find(a) }\nroutine r { find(a) }\ncall r',
     'line 3: there are two routines r',
     'objects a\nroutine r { find(a) }\nroutine s { find(a) }\ncall r'),
    ('objects a\nroutine r { call r }\nfind(a)', 'line 2: these routines call each other in a '
     'circle and would never end: r', 'objects a\nroutine r { find(a) }\nfind(a)'),
    ('objects a\nroutine r { call s }\nroutine s { call r }\ncall r', 'line 2: these routines '
     'call each other in a circle and would never end: r, s',
     'objects a\nroutine r { call s }\nroutine s { find(a) }\ncall r'),
    # Loops.
    ('objects a\nwhile not seen(a) {\nreach(a, left) }', 'line 2: while not seen(a) cannot end: '
     'nothing in it makes its condition false', 'objects a\nwhile not seen(a) {\nfind(a) }'),
    ('objects a, b\nwhile not seen(a) {\nfind(b) }', 'line 2: while not seen(a) cannot end: '
     'nothing in it makes its condition false', 'objects a, b\nwhile not seen(a) {\nwait(a) }'),
    ('objects a\nroutine r { reach(a, left) }\nwhile not seen(a) {\ncall r }',
     'line 3: while not seen(a) cannot end: nothing in it makes its condition false',
     'objects a\nroutine r { find(a) }\nwhile not seen(a) {\ncall r }'),
    ('objects a, b\nwhile near(a, left) {\nwait(a) }', 'line 2: while near(a, left) cannot end: '
     'nothing in it makes its condition false',
     'objects a, b\nwhile near(a, left) {\nreach(b, left) }'),
    # What a step needs.
    ('objects a\nreach(a, left)\nlift(a, left)', 'line 3: lift(a, left) needs contact(a, left), '
     'which neither the initial state nor a step before gives',
     'objects a\nreach(a, left)\ngrasp(a, left)\nlift(a, left)'),
    ('objects a\nreach(a, right)\ngrasp(a, left)', 'line 3: grasp(a, left) needs near(a, left), '
     'which neither the initial state nor a step before gives',
     'objects a\nreach(a, both)\ngrasp(a, left)'),
    ('objects a\nreach(a, left)\ngrasp(a, both)', 'line 3: grasp(a, both) needs near(a, right), '
     'which neither the initial state nor a step before gives',
     'objects a\nreach(a, left) reach(a, right)\ngrasp(a, both)'),
    ('objects a\nreach(a, either)\ngrasp(a, left)', 'line 3: grasp(a, left) needs near(a, left), '
     'which neither the initial state nor a step before gives',
     'objects a\nreach(a, either)\ngrasp(a, either)'),
    ('objects a, b\nreach(a, left)\nreach(b, left)\ngrasp(a, left)', 'line 4: grasp(a, left) '
     'needs near(a, left), which reach(b, left) in line 3 has ended',
     'objects a, b\nreach(a, left)\nreach(b, right)\ngrasp(a, left)'),
    ('objects a, b\ninitially in_hand(a, left)\nreach(b, left)\ngrasp(b, left)', 'line 4: '
     'grasp(b, left) needs not in_hand(_, left), and nothing before ends it',
     'objects a, b\ninitially in_hand(a, left)\nreach(b, right)\ngrasp(b, right)'),
    ('objects a\nfind(a) pre full(a)', 'line 2: find(a) needs full(a), which neither the initial '
     'state nor a step before gives', 'objects a\nfind(a) post full(a)\nfind(a) pre full(a)'),
    # A hand takes one thing.
    ('objects a, b\nreach(a, left) grasp(a, left)\nreach(b, left)\ngrasp(b, left)', 'line 4: '
     'grasp(b, left) gives contact(b, left) while contact(a, left); end that first',
     'objects a, b\nreach(a, left) grasp(a, left) release(a, left)\nreach(b, left)\n'
     'grasp(b, left)'),
    ('objects a, b\nif open(a) {\nreach(a, left) grasp(a, left) }\nreach(b, left)\n'
     'grasp(b, left)', 'line 5: grasp(b, left) gives contact(b, left) while contact(a, left) may '
     'hold; end that first', 'objects a, b\nif open(a) {\nreach(a, left) grasp(a, left) '
     'release(a, left) }\nreach(b, left)\ngrasp(b, left)'),
    # Ways that join.
    ('objects a\nif open(a) {\nreach(a, left) }\ngrasp(a, left)', 'line 4: grasp(a, left) needs '
     'near(a, left), which may or may not hold here',
     'objects a\nif open(a) {\nreach(a, left) } else { reach(a, left) }\ngrasp(a, left)'),
    ('objects a\nwhile not seen(a) {\nreach(a, left) find(a) }\ngrasp(a, left)', 'line 4: '
     'grasp(a, left) needs near(a, left), which may or may not hold here',
     'objects a\nreach(a, left) while not seen(a) {\nfind(a) }\ngrasp(a, left)'),
    # In the first round it holds, in the second it does not.
    ('objects a, b\ninitially near(a, left)\nwhile not seen(b) {\nfind(b) pre near(a, left)\n'
     'reach(b, left) }', 'line 4: find(b) needs near(a, left), which may or may not hold here',
     'objects a, b\ninitially near(a, left)\nwhile not seen(b) {\n'
     'find(b) pre near(a, left)\nreach(b, left) reach(a, left) }'),
    ('objects a, b\ninitially near(a, left)\nrepeat 2 {\nfind(b) pre near(a, left)\n'
     'reach(b, left) }', 'line 4: find(b) needs near(a, left), which reach(b, left) in line 5 '
     'has ended', 'objects a, b\ninitially near(a, left)\nrepeat 1 {\nfind(b) pre near(a, left)\n'
     'reach(b, left) }'),
    # What a call needs may be given at one call and not at another.
    ('objects a\nroutine r {\ngrasp(a, left) }\ncall r', 'line 3: grasp(a, left) needs '
     'near(a, left), which neither the initial state nor a step before gives',
     'objects a\nroutine r {\ngrasp(a, left) }\nreach(a, left) call r'),
    ('objects a, b\nroutine r {\nfind(a) pre near(a, left) }\nreach(a, left) call r\n'
     'reach(b, left) call r', 'line 3: find(a) needs near(a, left), which reach(b, left) in line '
     '5 has ended', 'objects a, b\nroutine r {\nfind(a) pre near(a, left) }\nreach(a, left) '
     'call r\nreach(b, right) call r'),
    # What is left to itself.
    ('objects a\ninitially closed(a)\nwait(a)\nfind(a) pre closed(a)', 'line 4: find(a) needs '
     'closed(a), which may or may not hold here',
     'objects a, b\ninitially closed(a)\nwait(b)\nfind(a) pre closed(a)'),
])
def test_each_mistake_is_found_once_and_its_mended_twin_is_sound(wrong, violation, mended):
    assert found(wrong) == [violation]
    assert found(mended) == []


@pytest.mark.parametrize('text', [
    'objects a if in_hand(_, left), in_hand(a, left) { find(a) }',
    'objects a if on(a, _), on(a, a) { find(a) }',
    'objects a if open(_), closed(_) { find(a) }',
    'objects a initially near(a, left) while open(_) { find(a) post closed(a) }',
    'objects a, b while on(_, b) { find(a) post not on(a, _) }',
    'objects a, b, c while on(_, b) { find(a) post in(a, c) }',
    'objects a while full(_) { wait(a) }',
])
def test_a_wildcard_is_no_false_alarm(text):
    assert found(text) == []


@pytest.mark.parametrize('body', [
    'if not seen(a) { find(a) post contact(b, left) } find(a) post contact(a, left) '
    'if contact(b, left) { hold(b, left) find(a) pre not contact(a, left) }',
    'initially open(x) if open(x) { reach(b, left) grasp(b, left) } reach(a, left) '
    'touch(a, left) if contact(b, left) { hold(b, left) withdraw(a, left) }',
])
def test_what_may_hold_beside_a_second_thing_is_not_forgotten(body):
    program = parse(f'objects a, b, x {body}')
    assert run(program).problem
    assert check(program)


def test_what_is_missing_is_told_once():
    assert len(found('objects a lift(a, left) hold(a, left) fold(a, left)')) == 1


def test_violations_are_in_the_order_of_the_text():
    lines = [violation.line for violation in check(parse(
        'objects a\nroutine r {\nlift(a, left) }\nfind(b)\ncall r\nfind(c)\nhold(a, right)'))]
    assert lines == sorted(lines)
    assert set(lines) == {3, 4, 6, 7}


def test_what_a_branch_asks_is_known_in_it():
    assert found('objects a if near(a, left), not in_hand(_, left) { grasp(a, left) }') == []
    assert found('objects a, b if in_hand(b, left) { find(a) } else { find(a) pre '
                 'not in_hand(b, left) }') == []
    assert found('objects a initially open(a) while open(a) { wait(a) } find(a) pre '
                 'not open(a)') == []


def test_calls_nested_too_deep():
    def chain(number):
        return 'objects a\n' + '\n'.join(
            f'routine r{at} {{ call r{at + 1} }}' for at in range(1, number)
        ) + f'\nroutine r{number} {{ find(a) }}\ncall r1'
    # The program's own block is the first.
    assert found(chain(31)) == []
    assert found(chain(32)) == [TOO_DEEP]


@pytest.mark.parametrize('opening', ['repeat 1 {', 'if open(a) {', 'while not seen(a) {'])
def test_deep_blocks_in_nested_calls_are_told_once(opening):
    text = 'objects a\n' + ''.join(
        f'routine r{at} {{ {opening * 30} call r{at + 1} {"}" * 30} }}\n' for at in range(16))
    assert found(f'{text} routine r16 {{ find(a) }} call r0') == [TOO_DEEP]


@pytest.mark.parametrize(('around', 'inside', 'told'), [
    (30, 0, []), (15, 15, []), (0, 30, []), (31, 0, [TOO_DEEP]), (16, 15, [TOO_DEEP]),
    (0, 31, [TOO_DEEP])])
def test_blocks_around_a_call_and_in_what_is_called_count_together(around, inside, told):
    """The block of the program and that of the routine are the other two of 32."""
    def nested(number, statement):
        return 'repeat 1 {' * number + statement + '}' * number
    assert found(f'objects a\nroutine r {{ {nested(inside, "find(a)")} }}\n'
                 + nested(around, 'call r')) == told


def test_a_long_circle_is_told_once():
    circle = 'objects a\n' + ''.join(
        f'routine r{at} {{ call r{(at + 1) % 40} }}\n' for at in range(40))
    [message] = found(circle + 'call r0\ncall r7')
    assert message.startswith('line 2: these routines call each other in a circle and would never '
                              'end: r0, r1, r2, r3, r4')


def test_a_routine_that_leads_into_a_circle_is_not_taken_for_a_part_of_it():
    [message] = found('objects a\nroutine first { call r }\nroutine r { call s }\n'
                      'routine s { call r }\ncall first')
    assert message == ('line 3: these routines call each other in a circle and would never end: '
                       'r, s')


@pytest.mark.parametrize('text', [
    'objects a\n' + 'while not seen(a) {' * 31 + 'find(a)' + '}' * 31,
    'objects a\n' + ''.join(f'routine r{at} {{ call r{at + 1} call r{at + 1} }}\n'
                            for at in range(30)) + 'routine r30 { find(a) }\ncall r0',
])
def test_too_many_ways_are_told_in_time(text):
    start = time.process_time()
    messages = found(text)
    assert time.process_time() - start < 5
    assert all(message.startswith('there are more than 10,000 steps') for message in messages)


def test_a_large_program_is_checked_in_time():
    words = ('open', 'full', 'switched_on', 'clean', 'tilted', 'cut', 'peeled', 'broken', 'wet')
    names = [f'o{number}' for number in range(64)]
    text = f'objects {", ".join(names)}\n' + '\n'.join(
        f'find({name}) post ' + ', '.join(f'{word}({name})' for word in words) for name in names)
    start = time.process_time()
    assert found(text) == []
    assert time.process_time() - start < 3


@settings(max_examples=60, deadline=None, derandomize=True)
@given(data=st.data())
def test_any_program_is_checked_and_always_the_same(stray_programs, data):
    program = data.draw(stray_programs)
    first = check(program)
    assert first == check(program)
    assert len(set(first)) == len(first)
    assert [one.line for one in first] == sorted(one.line for one in first)
