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

"""What is known of the scene as a part of what a program begins from."""

from hypothesis import given, settings
from hypothesis import strategies as st
from lego_ros.programs.checking import check
from lego_ros.programs.context import begun_from
from lego_ros.programs.parsing import parse
from lego_ros.programs.printing import to_text
from lego_ros.programs.tree import Predicate

PUT = 'objects mug, table carry(mug, table, right) place(mug, table, right) release(mug, right)'


def fact(text):
    name, _, rest = text.partition('(')
    return Predicate(name, tuple(rest[:-1].split(', ')))


def begun(text, *facts):
    program, added = begun_from(parse(text), tuple(map(fact, facts)))
    return program, [str(each) for each in added]


def test_what_is_in_the_hand_lets_a_program_begin_with_it():
    assert any('in_hand(mug, right)' in str(found) for found in check(parse(PUT)))
    program, added = begun(PUT, 'in_hand(mug, either)', 'contact(mug, either)')
    assert added == ['in_hand(mug, right)', 'contact(mug, right)']
    assert check(program) == ()
    assert parse(to_text(program)) == program


def test_what_a_hand_has_already_cannot_be_taken_with_it():
    text = 'objects mug reach(mug, left) grasp(mug, left)'
    assert check(parse(text)) == ()
    program, added = begun(text, 'in_hand(mug, either)')
    assert added == ['in_hand(mug, left)']
    found, = check(program)
    assert 'not in_hand(_, left)' in found.message
    # Its line is that of the text that is told.
    assert to_text(program).splitlines()[found.line - 1] == 'grasp(mug, left)'


def test_what_the_program_states_goes_before():
    text = 'objects drawer, mug initially closed(drawer) touch(drawer, left) reach(mug, right)'
    program, added = begun(text, 'open(drawer)', 'closed(drawer)', 'on(mug, drawer)')
    assert added == ['on(mug, drawer)']
    assert [str(each) for each in program.initial] == ['closed(drawer)', 'on(mug, drawer)']


def test_of_two_facts_that_cannot_hold_together_the_surer_counts():
    text = 'objects drawer reach(drawer, left)'
    assert begun(text, 'open(drawer)', 'closed(drawer)')[1] == ['open(drawer)']


def test_what_is_about_other_things_or_unknown_is_left_out():
    text = 'objects mug reach(mug, left)'
    program = parse(text)
    found, added = begun_from(program, (
        fact('open(drawer)'), fact('on(mug, table)'), fact('flies(mug)'), fact('open(mug, mug)'),
        Predicate('open', ('mug',), negated=True), fact('in_hand(mug, foot)')))
    assert (found, added) == (program, ())
    assert found is program


def test_a_hand_that_cannot_be_known_is_not_guessed():
    both = 'objects pot reach(pot, both) grasp(pot, both)'
    changing = 'objects pot reach(pot, left) withdraw(pot, left) reach(pot, right)'
    none = 'objects pot find(pot)'
    for text in (both, changing, none):
        assert begun(text, 'in_hand(pot, either)')[1] == []
        assert begun(text, 'in_hand(pot, left)')[1] == ['in_hand(pot, left)']
    assert begun('objects pot reach(pot, either)', 'in_hand(pot, either)')[1] == [
        'in_hand(pot, either)']


@given(st.lists(st.builds(
    Predicate, st.sampled_from(['open', 'in_hand', 'on', 'near', 'nonsense']),
    st.lists(st.sampled_from(['mug', 'table', 'either', 'left', '_', 'X y']), max_size=3
             ).map(tuple), st.booleans()), max_size=80))
@settings(max_examples=100, deadline=None)
def test_whatever_comes_the_program_stays_one(facts):
    program, added = begun_from(parse(PUT), tuple(facts))
    assert parse(to_text(program)) == program
    assert len(program.initial) == len(added) <= 64
    assert not any('cannot both hold' in str(found) and 'initial' in str(found)
                   for found in check(program))
