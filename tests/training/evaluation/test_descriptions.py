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

from lego_ros.training.data.flip import swap_sides
from lego_ros.training.evaluation.descriptions import judge, read_truth_records, Verdict
from lego_ros.training.evaluation.sentences import read_sentence
import pytest

TAKEN = 'The person takes the mug to the left of the sink with the right hand and lifts it up.'


@pytest.mark.parametrize(('sentence', 'verb', 'noun', 'hand'), [
    # The annotator's ways of saying it.
    ('The person reaches with the left hand to the kettle to the left of the carton and takes it.',
     'take', 'kettle', 'left'),
    ('The person lays the left hand against the glass behind the cucumber and pushes it to the '
     'right.', 'push', 'glass', 'left'),
    ('The person lowers the left hand with the glass and puts it down on the counter behind the '
     'cucumber.', 'put', 'glass', 'left'),
    ('The person grasps the knife to the left of the bread with the left hand and cuts the '
     'cucumber on the chopping board in half while the right hand holds it.',
     'cut', 'cucumber', 'left'),
    ('The person holds the knife in the right hand, steadies the bread on the chopping board with '
     'the left hand and cuts it in two.', 'cut', 'bread', 'right'),
    ('The person takes the bottle behind the jar with the left hand, tilts it over the pot on the '
     'hob and pours juice into it.', 'pour', 'juice', 'left'),
    ('The person picks up the spatula to the right of the bread with the right hand and stirs in '
     'the pan on the hob.', 'stir', 'pan', 'right'),
    ('The person keeps the shaker in the right hand, turns it upside down and shakes it over the '
     'counter.', 'shake', 'shaker', 'right'),
    ('The person grasps the tin to the left of the sponge with the right hand, turns it over and '
     'sets it upside down on the counter.', 'turn over', 'tin', 'right'),
    ('The person reaches with the left hand to the handle of the open left drawer below the hob '
     'and closes it by pushing it away from the body.', 'close', 'drawer', 'left'),
    ('The person picks up the cloth on the left side of the counter with the left hand, presses '
     'it onto the counter and wipes from side to side.', 'wipe', 'counter', 'left'),
    ('The person turns the tap off by turning the lever of the tap behind the sink with the left '
     'hand so that the water stops.', 'turn off', 'tap', 'left'),
    # Others'.
    ('The left hand holds the tomato while the right hand cuts it.', 'cut', 'tomato', 'right'),
    ('With his right hand the person picks up the cup that stands to the left of the sink.',
     'take', 'mug', 'right'),
    ('The person switches on the stove with the left hand.', 'turn on', 'hob', 'left'),
    ('Using the left hand, the person opens the faucet.', 'turn on', 'tap', 'left'),
    ('The person rinses the apple under the tap with both hands.', 'wash', 'apple', 'both'),
    ('The person flips the mug over with the left hand.', 'turn over', 'mug', 'left'),
    ('The person places the cup in the refrigerator with the left hand.', 'put', 'mug', 'left'),
    ('The person uses the right hand to wipe the countertop with a rag.',
     'wipe', 'counter', 'right'),
    ('The left hand tips the kettle and pours water into the mug.', 'pour', 'water', 'left'),
    # An untuned model tells what it sees.
    ('In view is a mug to the left of the sink.', None, 'mug', None),
    ('', None, None, None)])
def test_sentences_are_understood(sentence, verb, noun, hand):
    said = read_sentence(sentence)
    assert (said.verb, said.noun, said.hand) == (verb, noun, hand)


def test_two_actions_are_none():
    assert read_sentence('The person opens the drawer and shakes the jar.').verb is None


@pytest.mark.parametrize(('sentence', 'wrong'), [
    (TAKEN, set()),
    ('With the right hand the person grabs the cup next to the bowl.', set()),
    ('The person takes the mug in front of the glass with the right hand.', set()),
    (TAKEN.replace('takes', 'pushes'), {'verb'}),
    (TAKEN.replace('mug', 'bowl'), {'noun'}),
    (TAKEN.replace('right hand', 'left hand'), {'hand'}),
    (TAKEN.replace('with the right hand ', ''), {'hand'}),
    (TAKEN.replace('left of', 'right of'), {'relation'}),
    (TAKEN.replace('to the left of the sink', 'behind the glass'), {'relation'}),
    (TAKEN.replace('sink', 'kettle'), {'relation'}),
    (TAKEN.replace('to the left of the sink', 'in the left drawer'), {'relation'}),
    (TAKEN.replace('to the left of the sink ', ''), {'relation'}),
    (swap_sides(TAKEN), {'hand', 'relation'})])
def test_each_part_is_judged_by_itself(make_truth, sentence, wrong):
    verdict = judge(sentence, make_truth())
    found = {name for name in ('verb', 'noun', 'hand', 'relation')
             if getattr(verdict, name) is not True}
    assert found == wrong
    assert verdict.all_right == (not wrong)


def test_places_do_not_count_where_nobody_tells_of_them(make_truth):
    silent = make_truth(description='The person takes the mug with the right hand.')
    assert judge('The person takes the mug with the right hand.', silent).relation is None


def test_what_cannot_be_seen_is_not_judged(make_truth):
    truth = make_truth()
    hidden = truth.model_copy(update={'before': truth.before.model_copy(update={
        'boxes': {name: box for name, box in truth.before.boxes.items() if name != 'sink'}})})
    assert judge(TAKEN, hidden).relation is None


def test_the_other_drawer_is_another_thing(make_truth):
    truth = make_truth(verb='open', noun='drawer', noun_phrase='left drawer', thing='left_drawer',
                       description='The person opens the left drawer below the counter by '
                                   'pulling its handle with the right hand.')
    assert judge(truth.description, truth).all_right
    assert not judge(truth.description.replace('left drawer', 'right drawer'), truth).noun


def test_directions_are_those_of_the_push(make_truth):
    truth = make_truth(verb='push', way='away', description='The person pushes the mug to the '
                       'left of the sink away from the body with the flat right hand.')
    assert judge(truth.description, truth).all_right
    wrong = judge(truth.description.replace('away from the body', 'to the left'), truth)
    assert wrong == Verdict(verb=True, noun=True, hand=True, relation=False)


def test_where_something_is_put_is_judged_by_where_it_goes(make_truth):
    truth = make_truth(verb='put', place='sink', description='The person puts the mug in the sink '
                       'with the right hand.')
    assert judge(truth.description, truth).all_right
    assert judge(truth.description.replace('in the sink', 'on the hob'), truth).relation is False


def test_every_sentence_of_the_annotator_is_right(kitchen):
    ids = [line.split('"action_id":"')[1].split('"')[0]
           for line in (kitchen / 'truth.jsonl').read_text().splitlines()]
    truths = read_truth_records(kitchen, ids).values()
    assert len(truths) >= 8
    for truth in truths:
        verdict = judge(truth.description, truth)
        assert verdict.all_right, truth.description
        assert not judge(swap_sides(truth.description), truth).hand
