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

"""What the checks let through and what they do not."""

from lego_ros.training.curation.checks import judge_text, Reason, tidy
from lego_ros.training.curation.queries import Entry, NamedBox, Query
from lego_ros.training.curation.words import phrase_of, singular, Vocabulary
import pytest

LEFT = NamedBox('left hand', (0.25, 0.40, 0.40, 0.70))
RIGHT = NamedBox('right hand', (0.62, 0.45, 0.80, 0.80))
MUG = NamedBox('mug', (0.30, 0.40, 0.40, 0.52))
PLATE = NamedBox('plate', (0.46, 0.44, 0.60, 0.58))
KETTLE = NamedBox('kettle', (0.80, 0.10, 0.95, 0.30))
VOCABULARY = Vocabulary(
    ['mug', 'plate', 'kettle', 'frying pan', 'knife', 'cover', 'chopping board', 'water', 'hand',
     'top', 'right hand'],
    [['tap', 'faucet'], ['mug', 'cup']])


def make(label='take mug', verb='take', noun='mug', before=(MUG, PLATE, KETTLE), after=(LEFT,)):
    return Entry('k/a', 'kitchen', 'a', verb, noun, Query(label, tuple(before), tuple(after)))


def reasons(text, **changes):
    return {fault.reason for fault in judge_text(tidy(text), make(**changes), VOCABULARY)}


@pytest.mark.parametrize('text', [
    'The person takes the mug with the left hand.',
    'With their left hand, the person takes the mug to the left of the plate.',
    'The person takes the cup next to the plate.',
    'The person picks up the mug, which is on the left of the kettle, with the left hand.',
    '  "The person\N{RIGHT SINGLE QUOTATION MARK}s left hand takes the mug."\n',
    'The person takes the mug in front of the kettle and lifts it up.',
    'The person takes the mug on the left with the left hand.',
    'The person takes the mug in front of them.',
    'The person takes the mug below the kettle.',
    'Taking the mug, the person covers nothing and leaves the plate alone.',
    'The person takes the mug that was left beside the plate, right next to it.',
    'The person takes the mug with the fingers of the left hand and holds it in the air.',
])
def test_good_sentences(text):
    assert reasons(text) == set()


@pytest.mark.parametrize(('text', 'reason'), [
    ('', Reason.EMPTY),
    (' \n', Reason.EMPTY),
    ('Takes the mug.', Reason.LENGTH),
    ('The person takes the mug' + ' and takes the mug' * 20 + '.', Reason.LENGTH),
    ('The person takes the ' + 'm' * 400 + ' mug now.', Reason.LENGTH),
    ('The person takes the mug now', Reason.NOT_ONE_SENTENCE),
    ('Does the person take the mug now?', Reason.NOT_ONE_SENTENCE),
    ('The person takes the mug. Then it is lifted.', Reason.NOT_ONE_SENTENCE),
    ('The person takes the mug now.\nThe person holds it.', Reason.NOT_ONE_SENTENCE),
    ('Description: The person takes the mug.', Reason.MARKUP),
    ('Sure, here it is: the person takes the mug.', Reason.MARKUP),
    ('- The person takes the mug now.', Reason.MARKUP),
    ('1. The person takes the mug now.', Reason.MARKUP),
    ('The person **takes** the mug now.', Reason.MARKUP),
    ('The person takes the mug (see https://host/a) now.', Reason.MARKUP),
    ('The person takes the mug at [0.30, 0.40].', Reason.COORDINATES),
    ('The person takes the mug at 0.30 and 0.40.', Reason.COORDINATES),
    ('The person takes the mug now \N{GRINNING FACE}.', Reason.CHARACTERS),
    ('The person takes the mug \N{CYRILLIC SMALL LETTER A} now.', Reason.CHARACTERS),
    ('The person takes the mug\x1b[2J now.', Reason.CHARACTERS),
    ('The person takes the \N{RIGHT-TO-LEFT OVERRIDE}mug now.', Reason.CHARACTERS),
    ('I am sorry, I cannot help with that.', Reason.OFF_TOPIC),
    ('The person takes the mug from the frying pan.', Reason.INVENTED_OBJECT),
    ('The person takes the mug and two knives.', Reason.INVENTED_OBJECT),
    ('The person takes the mug under the faucet.', Reason.INVENTED_OBJECT),
    ('The person takes the mug and the cover.', Reason.INVENTED_OBJECT),
    ('The person takes the mug with the right hand.', Reason.UNSUPPORTED_HAND),
    ('The person takes the mug with both hands.', Reason.UNSUPPORTED_HAND),
    ('The person takes the mug with their hands.', Reason.UNSUPPORTED_HAND),
    ('The person takes the mug with the left and right hands.', Reason.UNSUPPORTED_HAND),
    ('The person takes the mug while the other hand rests.', Reason.UNSUPPORTED_HAND),
    ('The person takes the mug to the right of the plate.', Reason.UNSUPPORTED_PLACE),
    ('The person takes the mug next to the shelf.', Reason.UNSUPPORTED_PLACE),
    ('The person takes the mug behind the sink.', Reason.UNSUPPORTED_PLACE),
])
def test_bad_sentences(text, reason):
    assert reason in reasons(text)


@pytest.mark.parametrize(('text', 'boxes', 'fine'), [
    ('The person takes the mug with the right hand.', (RIGHT,), True),
    ('The person takes the mug with both hands.', (LEFT, RIGHT), True),
    ('The person takes the mug with the left gloved hand.', (LEFT,), True),
    ('The person takes the mug with one hand.', (), False),
    ('The person takes the mug beside the kettle.', (), False),  # far from it
    ('The person takes the mug above the plate.', (), True),
    ('The person takes the plate above the kettle and the mug.', (), False),
    ('The person takes the mug on top of the kettle.', (), False),
    ('The person takes the mug between the plate and the kettle.', (), True),
    ('The person takes the mug next to the left hand.', (LEFT, MUG), True),
    ('The person takes the mug next to the right hand.', (LEFT, MUG), False),
    ('The person pushes and takes the mug to the right.', (), False),
    ('The person pushes and takes the kettle to the right.', (), True),
])
def test_words_follow_the_boxes(text, boxes, fine):
    assert (reasons(text, after=boxes) == set()) == fine


def test_movement_to_a_side():
    low, high = (NamedBox('mug', (x, 0.4, x + 0.1, 0.5)) for x in (0.1, 0.3))
    text = 'The person takes and slides the mug to the {}.'
    assert reasons(text.format('right'), before=[low], after=[high]) == set()
    assert reasons(text.format('right'), before=[high], after=[low]) == {
        Reason.UNSUPPORTED_PLACE}
    assert reasons(text.format('left'), before=[low], after=[high]) == set()


def test_the_label_is_ground_enough():
    changes = {'label': 'take left mug behind the sink with both hands', 'before': (), 'after': ()}
    text = 'The person takes the left mug behind the sink with both hands.'
    assert reasons(text, **changes) == set()
    assert reasons(text, before=(), after=()) == {
        Reason.UNSUPPORTED_HAND, Reason.UNSUPPORTED_PLACE}


def test_a_box_without_a_name_may_be_what_the_label_names():
    unnamed = NamedBox('object', (0.5, 0.5, 0.6, 0.6))
    text = 'The person reaches to the left of the mug and takes it.'
    assert reasons(text, before=(), after=(LEFT, unnamed)) == set()
    assert Reason.UNSUPPORTED_PLACE in reasons(text, before=(), after=(RIGHT, unnamed))


def test_verbs_are_no_things():
    changes = {'label': 'cover mug', 'verb': 'cover'}
    assert reasons('The person covers the mug with the left hand.') == set()
    assert reasons('The person puts the cover on the mug.', **changes) == set()
    assert reasons('The person takes the mug and the cover off.') == {Reason.INVENTED_OBJECT}


def test_names_are_compared_in_the_singular():
    assert [singular(word) for word in ('knives', 'boxes', 'berries', 'glass', 'glasses', 'mugs',
                                        'potatoes', 'bus', 'brushes')] == [
        'knife', 'box', 'berry', 'glass', 'glass', 'mug', 'potato', 'bus', 'brush']
    assert phrase_of('Chopping-Boards') == ('chopping', 'board')
    assert VOCABULARY.same(('pan',), ('frying', 'pan'))
    assert VOCABULARY.same(('tap',), ('faucet',))
    assert not VOCABULARY.same(('tap',), ('pan',))


def test_the_annotator_knows_more_than_the_boxes():
    text = 'The person takes the mug behind the tap with the right hand.'
    assert judge_text(text, make()) == []
    assert judge_text('The person sleeps until noon.', make())[0].reason == Reason.OFF_TOPIC
