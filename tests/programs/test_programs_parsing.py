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

"""Reading and printing the text form of action programs."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from lego_ros.errors import ErrorCode, LegoError
from lego_ros.programs.parsing import parse
from lego_ros.programs.printing import to_text
from lego_ros.programs.tree import (
    Call,
    Hand,
    If,
    Predicate,
    Program,
    Repeat,
    Routine,
    SubAction,
    walk,
    While,
)
from lego_ros.programs.vocabulary import default_vocabulary
import pytest

some = settings(max_examples=60, deadline=None, derandomize=True)


def refusal(text):
    """Return what is said of a text that is no program."""
    with pytest.raises(LegoError) as error:
        parse(text)
    assert error.value.code is ErrorCode.PROGRAM_INVALID
    return error.value.message


def inside(statement):
    return f'objects a, b\n\n  {statement}\n'


def test_every_part_becomes_its_node():
    program = parse("""
        objects mug, tap, door
        initially closed(door), on(mug, tap)
        routine fetch {
            reach(mug, left)
        }
        call fetch
        if not open(door), in_hand(_, left) { find(door) } else { find(tap) }
        while near(mug, _) { repeat 12 { slide(mug, both) slide(mug, tap, either) } }
        find(mug) pre not wet(_) post full(mug), not in(mug, _)
    """)
    slid = (SubAction('slide', 'mug', '', Hand.BOTH),
            SubAction('slide', 'mug', 'tap', Hand.EITHER))
    assert program == Program(
        ('mug', 'tap', 'door'),
        (Call('fetch'),
         If((Predicate('open', ('door',), True), Predicate('in_hand', ('_', 'left'))),
            (SubAction('find', 'door'),), (SubAction('find', 'tap'),)),
         While((Predicate('near', ('mug', '_')),), (Repeat(12, slid),)),
         SubAction('find', 'mug', pre=(Predicate('wet', ('_',), True),),
                   post=(Predicate('full', ('mug',)), Predicate('in', ('mug', '_'), True)))),
        (Predicate('closed', ('door',)), Predicate('on', ('mug', 'tap'))),
        (Routine('fetch', (SubAction('reach', 'mug', '', Hand.LEFT),)),))


def test_statements_know_their_lines():
    program = parse(
        'objects a\nroutine r {\n find(a) }\n\n'
        'if\n seen(a) { find(a) }\nwhile seen(a) {\nfind(a) } repeat\n2 { find(a) }\ncall\nr')
    assert [(str(statement), statement.line) for statement in walk(program.body)] == [
        ('if seen(a)', 5), ('find(a)', 6), ('while seen(a)', 7), ('find(a)', 8), ('repeat 2', 9),
        ('find(a)', 9), ('call r', 11)]
    assert (program.routines[0].line, program.routines[0].body[0].line) == (2, 3)


def test_comments_and_white_space_do_not_matter():
    plain = 'objects a, b\ninitially open(a)\nreach(a, left) pre open(a) post full(a)\n'
    spread = ('# all\n\tobjects a ,b#, c\r\n\r\ninitially  open ( a )#{ } if\n'
              'reach\n(a\n,left)pre open(a)post\nfull(a)   # the end')
    assert parse(spread) == parse(plain)
    assert to_text(parse(spread)) == plain
    assert parse('objects a,b initially open(a)reach(a,left)pre open(a)post full(a)') == \
        parse(plain)


def test_the_printed_form():
    text = """objects mug, lid
initially on(mug, lid), closed(lid)
routine look {
  find(mug)
  call look
}
if not seen(mug), near(_, left) {
  slide(mug, lid, left) pre open(lid) post full(mug), not wet(_)
} else {
  while seen(mug) {
    repeat 3 {
      squeeze(mug, both)
    }
  }
}
"""
    assert to_text(parse(text)) == text


def test_conditions_of_the_contract_and_repeated_ones_are_dropped():
    text = ('objects a find(a) grasp(a, left) pre not in_hand(_, left), open(a), open(a), '
            'near(a, left) post contact(a, left), full(a), full(a)')
    assert to_text(parse(text)).splitlines()[-1] == 'grasp(a, left) pre open(a) post full(a)'


def test_words_of_the_vocabulary_and_beginnings_of_keywords_may_be_names():
    names = 'cut, open, in, find, lefty, bothy, if_, pre_, not1, objects_'
    program = parse(f'objects {names} routine in {{ slide(cut, lefty, left) }} '
                    'slide(bothy, left) call in if on(in, open), not cut(not1) { find(pre_) }')
    assert program.objects == tuple(names.split(', '))
    assert program.routines[0].body == (SubAction('slide', 'cut', 'lefty', Hand.LEFT),)
    assert program.body[0] == SubAction('slide', 'bothy', '', Hand.LEFT)


@some
@given(data=st.data())
def test_what_is_printed_reads_as_what_it_was(any_programs, data):
    program = data.draw(any_programs)
    text = to_text(program)
    assert parse(text) == program
    assert to_text(parse(text)) == text


@some
@given(data=st.data())
def test_each_line_of_the_printed_form_is_one_statement(any_programs, data):
    program = data.draw(any_programs)
    lines = to_text(program).splitlines()
    for action in parse(to_text(program)).sub_actions():
        assert lines[action.line - 1].strip().startswith(str(action))


@some
@given(st.text(max_size=200))
def test_any_text_is_read_or_refused(text):
    with pytest.raises(LegoError) as error:
        parse(text)
    assert error.value.code is ErrorCode.PROGRAM_INVALID


@some
@given(data=st.data(), at=st.floats(0, 1), cut=st.integers(0, 20), extra=st.text(max_size=3))
def test_a_damaged_program_is_read_or_refused(any_programs, data, at, cut, extra):
    text = to_text(data.draw(any_programs))
    place = int(at * len(text))
    try:
        program = parse(text[:place] + extra + text[place + cut:])
    except LegoError as error:
        code = error.code
    else:
        code = ErrorCode.PROGRAM_INVALID
        # What a damage made of it is a program like any other.
        assert parse(to_text(program)) == program
    assert code is ErrorCode.PROGRAM_INVALID


@pytest.mark.parametrize(('text', 'where', 'words'), [
    (inside('grab(a, left)'), 'line 3: column 3: ', "'grab' is no sub-verb; did you mean grasp?"),
    (inside('find(a) graps(a, left)'), 'line 3: column 11: ', "'graps' is no sub-verb; did you "
     'mean grasp?'),
    # A word that begins with a sub-verb, as models like to make them up.
    (inside('lifting(a, left)'), 'line 3: column 3: ', "'lifting' is no sub-verb; did you mean "
     'lift?'),
    (inside('cut_up(a, b, left)'), 'line 3: column 3: ', "'cut_up' is no sub-verb; did you mean "
     'cut?'),
    (inside('xyz(a)'), 'line 3: column 3: ', "'xyz' is no sub-verb; there are find, reach, touch"),
    (inside('open(a, left)'), 'line 3: column 3: ', "'open' is no sub-verb; did you mean "
     'pull_open?'),
    (inside('if opened(a) { find(a) }'), 'line 3: column 6: ', "'opened' is no predicate; did you "
     'mean open, peeled?'),
    (inside('if xyz(a) { find(a) }'), 'line 3: column 6: ', "'xyz' is no predicate; there are "
     'near, contact, in_hand'),
    (inside('find(a) post fully(a)'), 'line 3: column 16: ', "'fully' is no predicate; did you "
     'mean full?'),
    ('objects a\ninitially fulll(a)\nfind(a)', 'line 2: column 11: ', "'fulll' is no predicate; "
     'did you mean full?'),
    # A sub-verb is no predicate.
    (inside('if find(a) { find(a) }'), 'line 3: column 6: ', "'find' is no predicate; did you "
     'mean in?'),
    (inside('find(a) }'), 'line 3: column 11: ', "'}' cannot stand here"),
    (inside('if seen(a) { find(a)'), 'line 3: column 22: ', 'the program ends before it is '
     "complete; next could be '}'"),
    (inside('if seen(a) find(a)'), 'line 3: column 14: ', "'{'"),
    (inside('if seen(a) { }'), 'line 3: column 16: ', "'}' cannot stand here"),
    (inside('else { find(a) }'), 'line 3: column 3: ', "'else' cannot stand here"),
    (inside('find(a'), 'line 3: column 8: ', "the program ends before it is complete; next could "
     "be ')'"),
    ('', 'line 1: column 1: ', 'the program ends before it is complete; next could be objects'),
    ('  # nothing\n', 'line 1: column 1: ', 'the program ends before it is complete'),
    ('find(a)', 'line 1: column 1: ', "'find' cannot stand here; next could be objects"),
    ('objects a', 'line 1: column 9: ', 'the program ends before it is complete'),
    ('objects a,', 'line 1: column 10: ', 'next could be a name'),
    ('objects a b find(a)', 'line 1: column 11: ', "'b' is no sub-verb"),
    ('objects a\ninitially not open(a)\nfind(a)', 'line 2: column 11: ',
     "'not' cannot stand here; initially, what is not stated does not hold: leave it out"),
    ('objects a\ninitially open(_)\nfind(a)', 'line 2: column 16: ', "'_' cannot stand here"),
    (inside('find(a) post open(_)'), 'line 3: column 21: ', "'_' cannot stand here; next could "
     'be a name'),
    (inside('find(_)'), 'line 3: column 8: ', "'_' cannot stand here"),
    (inside('find(a) post in_hand(a, both)'), 'line 3: column 27: ', "'both' cannot stand here"),
    (inside('if in_hand(a, both) { find(a) }'), 'line 3: column 17: ', "'both' cannot stand here"),
    (inside('if not not seen(a) { find(a) }'), 'line 3: column 10: ', "'not' cannot stand here"),
    (inside('reach(a, b, left)'), 'line 3: column 12: ', "'b' cannot stand here; next could be "
     'both, either, left, right'),
    (inside('reach(a)'), 'line 3: column 10: ', "')' cannot stand here; next could be ','"),
    (inside('find(a, left)'), 'line 3: column 9: ', "',' cannot stand here; next could be ')'"),
    (inside('carry(a, left)'), 'line 3: column 12: ', "'left'"),
    (inside('repeat 0 { find(a) }'), 'line 3: column 10: ', "'0'"),
    (inside('repeat -1 { find(a) }'), 'line 3: column 10: ', "'-'"),
    (inside('repeat { find(a) }'), 'line 3: column 10: ', 'a number'),
    (inside('repeat 10000 { find(a) }'), 'line 3: column 14: ', "'0'"),
    (inside('find(a) $'), 'line 3: column 11: ', "'$' is no part of the language"),
    (inside('find(é)'), 'line 3: column 8: ', "'é' is no part of the language"),
    (inside('find(Mug)'), 'line 3: column 8: ', "'M' is no part of the language"),
    ('objects if\nfind(a)', 'line 1: column 9: ', "'if' is a keyword and cannot be a name"),
    (inside('find(left)'), 'line 3: column 8: ', "'left' is a keyword and cannot be a name"),
    (inside('call repeat'), 'line 3: column 8: ', "'repeat' is a keyword and cannot be a name"),
    (inside(f'find({"x" * 65})'), 'line 3: column 72: ', "'x' cannot stand here"),
])
def test_what_is_wrong_is_told_with_its_place(text, where, words):
    message = refusal(text)
    assert message.startswith(where)
    assert words in message


@pytest.mark.parametrize(('text', 'may_follow'), [
    ('objects a\nfind(a)\n}', {'a sub-verb', 'call', 'if', 'repeat', 'while', 'the end'}),
    ('objects a\nfind(a)\n(',
     {'a sub-verb', 'call', 'if', 'repeat', 'while', 'the end', 'pre', 'post'}),
    ('objects a\nif }', {'a predicate', 'not'}),
    ('objects a\nif (open(a)) { find(a) }', {'a predicate', 'not'}),
])
def test_all_that_may_follow_is_offered(text, may_follow):
    offered = refusal(text).partition('; next could be ')[2]
    assert may_follow <= set(offered.split(', '))


@pytest.mark.parametrize('text', ['objects a, b\nfind(a b)', 'objects a, b\ncarry(a b, left)',
                                  'objects a\nfind(a) pre seen(a a)'])
def test_a_missing_comma_is_not_taken_for_a_wrong_word(text):
    message = refusal(text)
    assert 'cannot stand here; next could be ' in message
    assert 'is no sub-verb' not in message
    assert 'is no predicate' not in message


@pytest.mark.parametrize('text', [
    'objects a\nifseen(a) { find(a) }', 'objects a\nrepeat2 { find(a) }',
    'objects a\nif notseen(a) { find(a) }', 'objects a\ncallr',
    'objects a\ninitiallyopen(a)\nfind(a)', 'objects a\nfind(a) preopen(a)',
    'objects a\nif seen(a) { find(a) } elsefind(a)', 'objects a\nreach(a, lefty)',
    'objects a\nlifting(a, left)', 'objects a\nif seena(a) { find(a) }'])
def test_words_do_not_run_together(text):
    assert refusal(text).startswith('line 2: column ')


def test_a_text_that_is_too_long():
    program = 'objects a find(a)\n'
    longest = program + '#' * (65536 - len(program))
    assert parse(longest) == parse(program)
    assert refusal(longest + '#') == 'the text is longer than 65,536 bytes'
    # Bytes, not letters.
    assert refusal(program + '#' + 'é' * 32763) == 'the text is longer than 65,536 bytes'


def test_as_many_statements_as_the_message_holds():
    # The root is a node too.
    assert len(parse('objects a\n' + 'find(a)\n' * 4094).body) == 4094
    message = refusal('objects a\n' + 'find(a)\n' * 4095)
    assert 'statements and routines, at most 4,095 may be' in message


def test_as_many_bytes_as_the_message_holds():
    # Not the text that is read counts but the one that the message carries, which is indented.
    def deep(many):
        return 'objects a\n' + 'repeat 1{' * 31 + 'find(a)\n' * many + '}' * 31
    line = len('  ' * 31 + 'find(a)\n')
    most = (65536 - len(to_text(parse(deep(1))))) // line + 1
    program = parse(deep(most))
    assert 65536 - line < len(to_text(program)) <= 65536
    assert parse(to_text(program)) == program
    assert len(deep(most + 1)) < 10_000
    assert refusal(deep(most + 1)) == (f'there are {len(to_text(program)) + line:,} or more bytes '
                                       'of text, at most 65,536 may be')


def test_ten_thousand_statements():
    # No shorter statement than a call; 10,000 of them are no longer within the text's bound.
    assert 'longer than 65,536 bytes' in refusal('objects a\n' + 'call a\n' * 10_000)
    assert 'at most 4,095 may be' in refusal('objects a\n' + 'call a\n' * 9_300)


@pytest.mark.parametrize('opening', ['repeat 1{', 'if cut(a){', 'while in(a,a){'])
def test_blocks_thousands_deep(opening):
    many = min(6000, 65_500 // (len(opening) + 1))
    text = 'objects a\n' + opening * many + 'find(a)' + '}' * many
    assert 60_000 < len(text) <= 65_536
    message = refusal(text)
    assert message.startswith('line 2: ')
    assert message.endswith('is more than 32 blocks deep; make routines of the inner ones')
    # The same with a bracket that is missing.
    assert refusal(text[:-1]).startswith(f'line 2: column {len(text) - 11}: the program ends')


def test_blocks_as_deep_as_may_be():
    def deep(number):
        return 'objects a ' + 'repeat 1 { ' * number + 'find(a)' + ' }' * number
    program = parse(deep(31))
    assert parse(to_text(program)) == program
    assert 'more than 32 blocks deep' in refusal(deep(32))


@pytest.mark.parametrize(('text', 'what'), [
    ('objects ' + ', '.join(f'o{number}' for number in range(65)) + ' find(o0)',
     'there are 65 or more objects, at most 64 may be'),
    ('objects a initially ' + ', '.join(['open(a)'] * 65) + ' find(a)',
     'there are 65 or more initial facts, at most 64 may be'),
    ('objects a\nif ' + ', '.join(['open(a)'] * 17) + '\n{ find(a) }',
     'line 2: there are 17 or more conditions of if open(a), open(a)'),
    # With the two of its verb.
    ('objects a\nreach(a, left)\ngrasp(a, left) pre ' + ', '.join(
        f'{word}(a)' for word, kinds in default_vocabulary().predicates.items()
        if kinds.arguments == ('object',) and word != 'switched_on'),
     'line 3: there are 17 or more pre-conditions of grasp(a, left) with those of its verb'),
])
def test_more_than_the_messages_hold(text, what):
    assert refusal(text).startswith(what)
