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

"""The words of action programs, and files that add to them."""

from __future__ import annotations

from lego_ros.errors import ErrorCode, LegoError
from lego_ros.programs.checking import check
from lego_ros.programs.interpreter import run
from lego_ros.programs.parsing import parse
from lego_ros.programs.printing import to_text
from lego_ros.programs.serialising import from_json, to_json
from lego_ros.programs.state import rivals
from lego_ros.programs.tree import ANYTHING, Hand, listed, SubAction
from lego_ros.programs.vocabulary import default_vocabulary, KEYWORDS, read_vocabulary
import pytest

VOCABULARY = default_vocabulary()
HOB = """
predicates:
  boiling: {arguments: [object], meaning: it boils}
  facing: {arguments: [object, hand], latest_per: 2, meaning: the palm is towards it}
  shaded: {arguments: [object], opposite: lit, meaning: in the dark}
  lit: {arguments: [object], opposite: shaded, meaning: in the light}
  under: {arguments: [object, object], latest_per: 1, group: place, meaning: below it}
  on_hob: {arguments: [object], meaning: YAML must not read on as a truth value}
  pinched: {arguments: [object, hand], only_per: 2, meaning: between two fingers}
sub_verbs:
  on: {objects: [a], hand: none, post: [boiling(a)], meaning: begin to boil}
  tuck: {objects: [a, b], hand: needed, pre: ['in_hand(a, hand)', 'not boiling(_)'],
         post: ['under(a, b)', 'not in_hand(a, hand)'], meaning: put A under B}
  pinch: {objects: [a, 'b?'], hand: needed, pre: [shaded(a)],
          post: [lit(a), 'pinched(a, hand)', 'not under(b, _)'], meaning: take between fingers}
  cool: {objects: [a], hand: none, by_itself: true, meaning: let it cool}
"""


@pytest.fixture
def hob(tmp_path):
    return read_vocabulary(written(tmp_path, HOB))


def written(folder, text):
    path = folder / 'words.yaml'
    path.write_text(text, encoding='utf-8')
    return path


def refusal(path):
    """Return what is said of a file that cannot be used."""
    with pytest.raises(LegoError) as error:
        read_vocabulary(path)
    assert error.value.code is ErrorCode.INVALID_SETTING
    assert error.value.message.startswith(f'vocabulary {path}: ')
    return error.value.message.removeprefix(f'vocabulary {path}: ')


def example(verb, hand=Hand.LEFT, b='b'):
    """Return a sub-action of a verb."""
    word = VOCABULARY.sub_verbs[verb]
    return SubAction(verb, 'a', b if len(word.objects) == 2 else '', hand if word.hand else None)


def given(text):
    """Return a start in which a text's objects are declared."""
    return f'objects cup, box, pot {text}'


@pytest.mark.parametrize('hand', Hand)
@pytest.mark.parametrize('verb', VOCABULARY.sub_verbs)
def test_the_contracts_do_not_contradict_themselves(verb, hand):
    for b in ('b', '') if VOCABULARY.sub_verbs[verb].objects[-1] == 'b?' else ('b',):
        action = example(verb, hand, b)
        pre, post = VOCABULARY.pre(action), VOCABULARY.post(action)
        assert rivals(pre, VOCABULARY) == []
        assert rivals(tuple(fact for fact in post if ANYTHING not in fact.arguments),
                      VOCABULARY) == []
        assert len(pre) == len(set(pre)) <= 16
        assert len(post) == len(set(post)) <= 16


@pytest.mark.parametrize('verb', VOCABULARY.sub_verbs)
def test_every_sub_verb_can_be_read_checked_and_run(verb):
    action = example(verb)
    # What must hold before is stated; what must not is left out.
    needed = listed(tuple(fact for fact in VOCABULARY.pre(action) if not fact.negated))
    program = parse(f'objects a, b {f"initially {needed}" if needed else ""} {action}')
    assert program.body == (action,)
    assert check(program) == ()
    course = run(program)
    assert course.problem == ''
    assert course.state.all_hold(VOCABULARY.post(action))


@pytest.mark.parametrize('name', VOCABULARY.predicates)
def test_every_predicate_can_be_stated_asked_and_ended(name):
    words = VOCABULARY.predicates[name]
    kinds = {'object': 'a', 'hand': 'left'}
    fact = f'{name}({", ".join(kinds[kind] for kind in words.arguments)})'
    program = parse(f'objects a find(a) post {fact} if {fact} {{ find(a) pre {fact} '
                    f'post not {fact} }} if {fact} {{ find(a) pre not {fact} }}')
    assert run(program).problem == '' or name == 'seen'
    assert words.meaning


def test_every_predicate_is_of_use():
    # An opposite counts: what is dirty ends by being clean.
    stated = {fact.name for word in VOCABULARY.sub_verbs.values()
              for fact in (*word.pre, *word.post)}
    left = {name for name, word in VOCABULARY.predicates.items()
            if name not in stated and word.opposite not in stated}
    assert left == set()


def test_no_word_is_a_keyword():
    assert not KEYWORDS & {*VOCABULARY.predicates, *VOCABULARY.sub_verbs}


def test_opposites_are_mutual():
    for name, word in VOCABULARY.predicates.items():
        if word.opposite:
            assert VOCABULARY.predicates[word.opposite].opposite == name != word.opposite


@pytest.mark.parametrize(('action', 'pre', 'post'), [
    (SubAction('find', 'mug'), '', 'seen(mug)'),
    (SubAction('reach', 'mug', '', Hand.RIGHT), '', 'near(mug, right)'),
    (SubAction('grasp', 'mug', '', Hand.EITHER), 'near(mug, either), not in_hand(_, either)',
     'contact(mug, either)'),
    (SubAction('lift', 'pot', '', Hand.BOTH),
     'contact(pot, left), contact(pot, right), not in_hand(_, left), not in_hand(_, right)',
     'in_hand(pot, left), in_hand(pot, right), not on(pot, _), not in(pot, _)'),
    (SubAction('place', 'mug', 'shelf', Hand.LEFT), 'in_hand(mug, left), near(shelf, left)',
     'on(mug, shelf), not in_hand(mug, left), near(mug, left)'),
    (SubAction('release', 'mug', '', Hand.LEFT), 'contact(mug, left), not in_hand(mug, left)',
     'not contact(mug, left)'),
    (SubAction('pull_open', 'door', '', Hand.LEFT), 'contact(door, left), closed(door)',
     'open(door)'),
    (SubAction('cut', 'bread', 'knife', Hand.RIGHT), 'in_hand(knife, right), near(bread, right)',
     'cut(bread)'),
    (SubAction('pour', 'jug', 'cup', Hand.LEFT),
     'in_hand(jug, left), near(cup, left), tilted(jug)', 'full(cup)'),
    (SubAction('wait', 'pot'), '', ''),
])
def test_contracts_of_the_default_words(action, pre, post):
    assert listed(VOCABULARY.pre(action)) == pre
    assert listed(VOCABULARY.post(action)) == post


def test_words_of_a_file_are_read_printed_and_written(hob):
    text = given('initially shaded(cup), in_hand(box, left)\non(pot)\ncool(pot)\n'
                 'if not boiling(pot), facing(cup, _) {\n  tuck(box, cup, left)\n}\n'
                 'pinch(cup, right) post on_hob(cup)\npinch(cup, box, left) pre on_hob(cup)\n')
    program = parse(text, hob)
    assert parse(to_text(program), hob) == program
    assert from_json(to_json(program, hob), hob) == program
    assert program.body[0] == SubAction('on', 'pot')
    # The words of the package are still there, and only there where no file is given.
    assert parse(given('find(cup)'), hob) == parse(given('find(cup)'))
    with pytest.raises(LegoError, match="'on' is no sub-verb"):
        parse(given('on(pot)'))


def test_words_of_a_file_are_checked_and_run(hob):
    sound = parse(given('initially shaded(cup), in_hand(box, left), on(box, pot) '
                        'tuck(box, cup, left) pinch(cup, box, right)'), hob)
    assert check(sound, hob) == ()
    course = run(sound, vocabulary=hob)
    assert course.problem == ''
    # A thing is in one place, and where B is told what was under it is ended.
    assert sorted(map(str, course.state.facts)) == ['lit(cup)', 'pinched(cup, right)']

    boiling = parse(given('initially in_hand(box, left) on(pot) tuck(box, cup, left)'), hob)
    assert [str(one) for one in check(boiling, hob)] == [
        'line 1: tuck(box, cup, left) needs not boiling(_), and nothing before ends it']
    assert 'not boiling(_) does not hold' in run(boiling, vocabulary=hob).problem


def test_what_a_new_fact_of_a_file_ends(hob):
    def after(text):
        return sorted(map(str, run(parse(given(text), hob), vocabulary=hob).state.facts))
    assert after('initially shaded(cup) find(cup) post lit(cup)') == ['lit(cup)', 'seen(cup)']
    assert after('initially facing(cup, left), facing(cup, right) find(cup) post '
                 'facing(box, left)') == ['facing(box, left)', 'facing(cup, right)', 'seen(cup)']
    assert after('initially in(cup, box) find(cup) post under(cup, pot)') == [
        'seen(cup)', 'under(cup, pot)']
    [second] = check(parse(given('initially pinched(box, left), shaded(cup) pinch(cup, left)'),
                           hob), hob)
    assert second.message == ('pinch(cup, left) gives pinched(cup, left) while '
                              'pinched(box, left); end that first')


def test_a_thing_of_a_file_that_goes_on_by_itself(hob):
    cooled = parse(given('on(pot) while boiling(pot) { cool(pot) }'), hob)
    assert check(cooled, hob) == ()
    found = parse(given('on(pot) while boiling(pot) { find(pot) }'), hob)
    assert 'cannot end' in check(found, hob)[0].message


def test_an_empty_file_adds_nothing(tmp_path):
    for text in ('', '# nothing\n', '{}', 'predicates: {}\n'):
        words = read_vocabulary(written(tmp_path, text))
        assert words.sub_verbs == VOCABULARY.sub_verbs
        assert words.predicates == VOCABULARY.predicates


def test_on_as_a_key_is_text(tmp_path):
    # YAML 1.1 reads on, off, yes and no as truth values, null as nothing and 12 as a number.
    words = read_vocabulary(written(tmp_path, """
predicates:
  off: {arguments: [object], opposite: no, meaning: yes}
  no: {arguments: [object], opposite: off, meaning: null}
sub_verbs:
  null: {objects: [a], hand: none, pre: [off(a)], post: [no(a)], meaning: 12}
"""))
    assert words.predicates['off'].meaning == 'yes'
    assert words.sub_verbs['null'].meaning == '12'
    assert check(parse('objects a initially off(a) null(a)', words), words) == ()


def verb(text):
    return f'sub_verbs:\n  wave: {{{text}}}\n'


def predicate(text):
    return f'predicates:\n  moved: {{{text}}}\n'


@pytest.mark.parametrize(('text', 'words'), [
    ('predicates: {open: {arguments: [object], meaning: again}}', "'open' is a word already"),
    ('sub_verbs: {lift: {objects: [a], hand: needed, meaning: again}}',
     "'lift' is a word already"),
    (predicate('arguments: [object], meaning: one') + '  moved: {arguments: [hand], meaning: two}',
     "'moved' is there twice"),
    (verb('objects: [a], hand: none, meaning: m').replace('wave', 'Wave'),
     "'Wave' cannot be a word: use small letters"),
    (verb('objects: [a], hand: none, meaning: m').replace('wave', 'w' * 33), 'cannot be a word'),
    (verb('objects: [a], hand: none, meaning: m').replace('wave', 'while'), "'while' cannot be"),
    (predicate('arguments: [object], meaning: m').replace('moved', 'both'), "'both' cannot be"),
    (predicate('arguments: [object], meaning: m').replace('moved', '_x'), "'_x' cannot be"),
    (predicate('arguments: [object], meaning: m, colour: red'), 'predicates.moved.colour: '),
    (verb('objects: [a], hand: none, meaning: m, speed: 1'), 'sub_verbs.wave.speed: '),
    ('verbs: {}', 'verbs: '),
    (predicate('arguments: [object]'), 'predicates.moved.meaning: '),
    (predicate('arguments: [], meaning: m'), 'predicates.moved.arguments: '),
    (predicate('arguments: [object, hand, hand], meaning: m'), 'predicates.moved.arguments: '),
    (predicate('arguments: [foot], meaning: m'), 'predicates.moved.arguments.0: '),
    (verb('objects: [b], hand: none, meaning: m'), 'sub_verbs.wave.objects'),
    (verb('objects: [a, b, c], hand: none, meaning: m'), 'sub_verbs.wave.objects'),
    (verb('objects: [], hand: none, meaning: m'), 'sub_verbs.wave.objects'),
    (verb('objects: [a, a], hand: none, meaning: m'), 'sub_verbs.wave.objects'),
    (verb('objects: [a], hand: perhaps, meaning: m'), 'sub_verbs.wave.hand: '),
    (predicate('arguments: [object], opposite: open, meaning: m'),
     "predicates.moved: its opposite 'open' must be"),
    (predicate('arguments: [object], opposite: still, meaning: m'),
     "predicates.moved: its opposite 'still' must be"),
    (predicate('arguments: [object], opposite: moved, meaning: m'),
     "predicates.moved: its opposite 'moved' must be"),
    (predicate('arguments: [object], opposite: still, meaning: m')
     + '  still: {arguments: [hand], opposite: moved, meaning: m}', 'predicates.moved: its'),
    (predicate('arguments: [object], latest_per: 2, meaning: m'),
     'predicates.moved: latest_per and only_per count its arguments'),
    (predicate('arguments: [object], only_per: 3, meaning: m'), 'predicates.moved.only_per: '),
    (verb('objects: [a], hand: none, pre: [open], meaning: m'),
     "sub_verbs.wave: 'open' is no condition"),
    (verb('objects: [a], hand: none, pre: [ajar(a)], meaning: m'), "'ajar(a)' is no condition"),
    (verb('objects: [a], hand: none, pre: [open(b)], meaning: m'),
     "'open(b)' does not fit: open is of (object), and wave has a"),
    (verb("objects: [a], hand: none, pre: ['near(a, hand)'], meaning: m"), 'does not fit'),
    (verb("objects: [a], hand: none, pre: ['near(a, _)'], meaning: m"), 'does not fit'),
    (verb("objects: [a], hand: needed, pre: ['open(a, hand)'], meaning: m"), 'does not fit'),
    (verb("objects: [a], hand: needed, pre: ['near(hand, a)'], meaning: m"), 'does not fit'),
    (verb("objects: [a], hand: needed, post: ['near(_, hand)'], meaning: m"),
     "nothing can be made true of '_'"),
    ('predicates: [', 'cannot be read: '),
    ('[1, 2]', 'JSON'),
    ('predicates: \x00', 'cannot be read: '),
    ('[' * 1000, 'is nested too deep'),
    ('{a: ' * 1000, 'is nested too deep'),
])
def test_a_file_that_cannot_be_used_is_explained(tmp_path, text, words):
    message = refusal(written(tmp_path, text))
    assert words in message or (words == 'JSON' and 'Input should be' in message)


def test_a_file_that_is_no_text(tmp_path):
    path = tmp_path / 'words.yaml'
    path.write_bytes(b'predicates: \xff\xfe')
    assert refusal(path).startswith('cannot be read: ')


def test_a_file_that_is_too_large_or_missing(tmp_path):
    # As large as may be: it is read, and refused for what is in it.
    assert refusal(written(tmp_path, '\0' + '#' * ((1 << 20) - 1))).startswith('cannot be read: ')
    assert refusal(written(tmp_path, '#' * ((1 << 20) + 1))) == 'is larger than 1,048,576 bytes'
    assert refusal(tmp_path / 'none.yaml').startswith('cannot be read: ')
    assert refusal(tmp_path).startswith('cannot be read: ')
