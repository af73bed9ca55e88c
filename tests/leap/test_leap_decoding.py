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

from hypothesis import given, settings
from hypothesis import strategies as st
from lego_ros.leap.aggregation import aggregate
from lego_ros.leap.classes import ProgramClasses
from lego_ros.leap.decoding import decode_program
from lego_ros.leap.prediction import ProgramPrediction
from lego_ros.programs.checking import check
from lego_ros.programs.parsing import parse
from lego_ros.programs.printing import to_text
from lego_ros.programs.tree import Predicate
import pytest
import torch


def predicted(classes, *steps, pre=(), post=(), most=8, sure=0.9):
    """Make the prediction of a program: each step in words, each with the same probability."""
    parts = []
    for place, count in ((0, len(classes.sub_verbs)), (1, len(classes.objects)),
                         (2, len(classes.objects))):
        part = torch.zeros(1, most, count + 1)
        for row in range(most):
            word = steps[row][place] if row < len(steps) and len(steps[row]) > place else ''
            index = (classes.sub_verb_index(word) if word and place == 0
                     else classes.object_index(word))
            part[0, row] = (1 - sure) / count
            part[0, row, index] = sure
        parts.append(part)
    facts = []
    for wanted in (pre, post):
        likely = torch.full((1, len(classes.predicates)), 0.1)
        for text, probability in wanted:
            likely[0, [str(fact) for fact in classes.predicates].index(text)] = probability
        facts.append(likely)
    return ProgramPrediction(*parts, *facts)


TAKE = [('reach', 'knife'), ('grasp', 'knife'), ('lift', 'knife')]
CUT = [('carry', 'knife', 'cucumber'), ('reach', 'cucumber'), ('touch', 'cucumber'),
       ('hold', 'cucumber'), ('cut', 'cucumber', 'knife')]


def test_a_prediction_in_words(classes):
    found = decode_program(predicted(
        classes, ('reach', 'drawer'), ('grasp', 'drawer'), ('pull_open', 'drawer'),
        pre=[('closed(drawer)', 0.9), ('in(knife, drawer)', 0.7), ('open(drawer)', 0.6)],
        post=[('open(drawer)', 0.8)]), classes)
    assert to_text(found.program) == (
        'objects drawer, knife\n'
        'initially closed(drawer), in(knife, drawer)\n'
        'reach(drawer, either)\ngrasp(drawer, either)\npull_open(drawer, either)\n')
    assert check(found.program) == ()
    assert found.left_out == ('open(drawer): closed(drawer) is surer',)
    assert found.confidences == pytest.approx((0.81, 0.81, 0.81))
    assert found.confidence == pytest.approx(0.81)
    assert found.after == (Predicate('open', ('drawer',)),)


def test_what_takes_two_hands_gets_two(classes):
    found = decode_program(predicted(classes, *TAKE, *CUT), classes)
    assert [str(step) for step in found.program.body] == [
        'reach(knife, right)', 'grasp(knife, right)', 'lift(knife, right)',
        'carry(knife, cucumber, right)', 'reach(cucumber, left)', 'touch(cucumber, left)',
        'hold(cucumber, left)', 'cut(cucumber, knife, right)']
    assert check(found.program) == ()
    # What is in the hand before is in the first hand.
    found = decode_program(predicted(classes, *CUT, pre=[('in_hand(knife, either)', 0.9)]),
                           classes)
    assert found.program.initial == (Predicate('in_hand', ('knife', 'right')),)
    assert check(found.program) == ()


def test_uncertain_steps_are_left_out_and_told(classes):
    prediction = predicted(classes, *TAKE)
    # 0.9 * 0.4 of the knife.
    prediction.object_a[0, 1] = torch.tensor([0.0, 0.4, 0.3, 0.1, 0.1, 0.1])
    found = decode_program(prediction, classes, least=0.5)
    assert [str(step) for step in found.program.body] == [
        'reach(knife, either)', 'lift(knife, either)']
    assert found.left_out == ('step 2, grasp(knife): 36% is too uncertain',)
    nothing = decode_program(prediction, classes, least=0.95)
    assert nothing.program is None
    assert nothing.confidence == 0
    assert len(nothing.left_out) == 3


def test_objects_are_those_that_the_sub_verb_can_have(classes):
    prediction = predicted(classes, ('cut', 'knife', 'knife'), ('reach', '', 'board'),
                           ('slide', 'board', ''), ('slide', 'board', 'knife'))
    # The second likeliest: the cucumber as A of the first step, the drawer as A of the second.
    prediction.object_a[0, 0, classes.object_index('cucumber')] = 0.05
    prediction.object_b[0, 0, classes.object_index('board')] = 0.03
    prediction.object_a[0, 1, classes.object_index('drawer')] = 0.08
    found = decode_program(prediction, classes, least=0.01)
    assert [str(step) for step in found.program.body] == [
        'cut(cucumber, knife, either)', 'reach(drawer, either)', 'slide(board, either)',
        'slide(board, knife, either)']


def test_no_step_is_no_program(classes):
    found = decode_program(predicted(classes), classes)
    assert found.program is None
    assert found.left_out == ()


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2 ** 32 - 1), sharp=st.floats(0.1, 20), poisoned=st.booleans())
def test_whatever_is_predicted_its_words_can_be_read(seed, sharp, poisoned):
    classes = ProgramClasses.from_json({
        'sub_verbs': ['find', 'reach', 'grasp', 'lift', 'carry', 'cut', 'slide', 'wait', 'shake'],
        'objects': ['knife', 'pan', 'other'],
        'predicates': ['in_hand(knife, either)', 'in_hand(pan, either)', 'on(other, other)',
                       'in(knife, pan)', 'on(knife, pan)', 'clean(pan)', 'dirty(pan)'],
        'verbs': ['take'], 'nouns': ['knife'], 'actions': [[0, 0]]})
    rng = torch.Generator().manual_seed(seed)
    sizes = ((10,), (4,), (4,))
    prediction = ProgramPrediction(
        *((sharp * torch.randn(1, 16, *size, generator=rng)).softmax(-1) for size in sizes),
        *((sharp * torch.randn(1, 7, generator=rng)).sigmoid() for _ in range(2)))
    # Mostly steps, few ends.
    prediction.sub_verb[..., 0] *= 0.1
    if poisoned:
        prediction.sub_verb[0, 3] = torch.nan
        prediction.pre[0, 2] = torch.nan
    found = decode_program(aggregate([prediction]), classes, least=1e-6)
    if found.program is not None:
        assert parse(to_text(found.program)) == found.program
        assert len(found.confidences) == len(found.program.body)
        assert all(0 < each <= 1 for each in found.confidences)


def words(prediction, classes, number=0):
    found = []
    for verb, a, b in zip(*(part[number].argmax(-1).tolist() for part in prediction[:3]),
                          strict=True):
        if not verb:
            break
        found.append((classes.sub_verbs[verb - 1], *(
            classes.objects[each - 1] for each in (a, b) if each)))
    return found


def test_clips_that_follow_each_other_are_chained(classes):
    found = aggregate([predicted(classes, *TAKE), predicted(classes, *CUT)])
    assert words(found, classes) == [*TAKE, *CUT]
    torch.testing.assert_close(found.sub_verb.sum(-1), torch.ones(1, 8))


def test_of_clips_that_overlap_what_both_have_is_there_once(classes):
    first = predicted(classes, *TAKE, CUT[0], sure=0.6)
    second = predicted(classes, TAKE[2], *CUT, sure=0.9)
    found = aggregate([first, second], halving=1.0)
    assert words(found, classes) == [*TAKE, *CUT]
    reach, lift, cut = (found.sub_verb[0, row].max().item() for row in (0, 2, 7))
    # The newer clip counts twice as much.
    assert (reach, lift, cut) == pytest.approx((0.6, (0.6 + 2 * 0.9) / 3, 0.9))


def test_the_same_seen_again_and_less_of_it_stays_the_same(classes):
    found = aggregate([predicted(classes, *TAKE), predicted(classes, *TAKE),
                       predicted(classes, *TAKE[:2])])
    assert words(found, classes) == TAKE


def test_the_last_steps_are_kept_and_a_batch_is_not_mixed(classes):
    def pair(one, other):
        return ProgramPrediction._make(
            torch.cat(both) for both in zip(one, other, strict=True))
    first, second = (predicted(classes, *steps, most=4) for steps in (TAKE, CUT[1:4]))
    found = aggregate([pair(first, second), pair(second, second)])
    assert words(found, classes) == [TAKE[2], *CUT[1:4]]
    assert words(found, classes, 1) == CUT[1:4]
    alone = aggregate([second, second])
    for one, other in zip(found, alone, strict=True):
        torch.testing.assert_close(one[1:], other)


def test_conditions_of_a_chain(classes):
    def likely(prediction, text):
        return prediction[0, [str(fact) for fact in classes.predicates].index(text)].item()
    found = aggregate([
        predicted(classes, *TAKE, pre=[('closed(drawer)', 0.8)],
                  post=[('in_hand(knife, either)', 0.9)]),
        predicted(classes, *CUT, pre=[('in_hand(knife, either)', 0.9), ('on(other, board)', 0.8)],
                  post=[('cut(cucumber)', 0.7)])])
    # 1 - (1 - 0.1)(1 - 0.9 * 0.1): the second clip needs what the first gives.
    assert likely(found.pre, 'in_hand(knife, either)') == pytest.approx(1 - 0.9 * 0.91)
    assert likely(found.pre, 'on(other, board)') == pytest.approx(1 - 0.9 * (1 - 0.8 * 0.9))
    assert likely(found.pre, 'closed(drawer)') == pytest.approx(1 - 0.2 * (1 - 0.1 * 0.9))
    assert likely(found.post, 'cut(cucumber)') == pytest.approx(0.7)
    assert likely(found.post, 'in_hand(knife, either)') == pytest.approx(0.1)


def test_one_clip_is_itself_without_what_is_beyond_its_end(classes):
    one = predicted(classes, *TAKE)
    found = aggregate([one])
    torch.testing.assert_close(found.sub_verb[:, :3], one.sub_verb[:, :3])
    torch.testing.assert_close(found.pre, one.pre)
    torch.testing.assert_close(found.post, one.post)
    assert (found.sub_verb[:, 3:, 0] == 1).all()
    # What was given is not written to.
    assert one.sub_verb[0, 4, 0] == pytest.approx(0.9)
