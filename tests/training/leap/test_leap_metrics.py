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

"""EPIC-KITCHENS' figures, against numbers that were worked out by hand."""

from lego_ros.training.leap.metrics import (
    action_labels,
    action_scores,
    by_class,
    class_mean,
    program_hits,
    StepClasses,
    tail_classes,
    top_k,
)
import numpy as np
import pytest

SCORES = np.array([[0.1, 0.5, 0.4], [0.3, 0.3, 0.3], [9.0, -np.inf, 8.0], [0.0, 1.0, 2.0]])


def recall(right, labels):
    columns = by_class(np.array(right), np.array(labels))
    return float(class_mean(np.nanmean(columns, 0)[None])[0])


def test_top_k_is_among_the_k_best():
    labels = np.array([1, 2, 2, 0])
    assert top_k(SCORES, labels, 1).tolist() == [True, False, False, False]
    assert top_k(SCORES, labels, 2).tolist() == [True, False, True, False]
    assert top_k(SCORES, labels, 3).all()


def test_equal_scores_do_not_make_every_class_right():
    scores = np.zeros((10, 10))
    assert top_k(scores, np.arange(10), 1).sum() == 1
    assert top_k(scores, np.arange(10), 5).sum() == 5


@pytest.mark.parametrize('label', [-1, -100, 3, 1000])
def test_a_class_without_a_score_is_never_right(label):
    assert not top_k(SCORES, np.full(4, label), 5).any()


def test_nothing_to_judge():
    assert top_k(np.empty((0, 3)), np.empty(0, int), 5).shape == (0,)
    assert np.isnan(class_mean(np.full((2, 3), np.nan))).all()
    assert np.isnan(class_mean(np.empty((1, 0)))).all()


def test_what_is_no_score_is_refused():
    with pytest.raises(ValueError, match='sample 1 has a score that is not a number'):
        top_k(np.array([[0.0, 1.0], [np.nan, 1.0]]), np.array([0, 0]), 1)
    with pytest.raises(ValueError, match='labels'):
        top_k(SCORES, np.array([1]), 1)


def test_an_actions_probability_is_its_verbs_times_its_nouns():
    verbs, nouns = np.log([[0.7, 0.3]]), np.log([[0.2, 0.5, 0.3]])
    pairs = [(0, 0), (0, 1), (1, 1), (1, 2)]
    assert np.exp(action_scores(verbs, nouns, pairs)) == pytest.approx(
        np.array([[0.14, 0.35, 0.15, 0.09]]))
    # Logits are no probabilities: a constant changes nothing, large ones do not overflow.
    assert action_scores(verbs + 1e4, nouns - 1e4, pairs) == pytest.approx(
        action_scores(verbs, nouns, pairs))
    # Verb 1 with noun 0 is no action of these.
    assert action_labels(np.array([1, 0, 1]), np.array([2, 1, 0]), pairs).tolist() == [3, 1, -1]


def test_mean_recall_counts_classes_and_not_clips():
    # Class 0: 3 of 4; class 2: 0 of 1; class 5: 1 of 1. Class 1 does not occur.
    right, labels = [1, 1, 1, 0, 0, 1], [0, 0, 0, 0, 2, 5]
    assert recall(right, labels) == pytest.approx((0.75 + 0.0 + 1.0) / 3)
    assert np.mean(right) == pytest.approx(4 / 6)


def test_the_tail_is_what_accounts_for_a_fifth():
    # 100 instances: classes of 2, 6, 12, 30 and 50; 2 + 6 + 12 = 20 are just a fifth.
    sizes = {3: 2, 0: 6, 4: 12, 1: 30, 2: 50}
    labels = np.repeat(list(sizes), list(sizes.values()))
    assert tail_classes(labels, 5) == {3, 0, 4}
    # One more of the third: it does not fit any more.
    assert tail_classes(np.append(labels, 4), 5) == {3, 0}
    # What does not occur is rare; of equal classes the larger numbers come first.
    assert tail_classes(labels, 6) == {3, 0, 4, 5}
    assert tail_classes(np.repeat(np.arange(10), 3), 10) == {9, 8}
    assert tail_classes(np.zeros(5, int), 1) == frozenset()


def steps(*rows):
    """Make programs of (sub-verb, A, B) rows of steps."""
    return StepClasses(*(np.array([[step[place] for step in row] for row in rows])
                         for place in range(3)))


NO = (0, 0, 0)


def test_programs_are_compared_place_by_place():
    truth = steps([(1, 1, 0), (2, 1, 2), (3, 1, 0), NO])
    same = program_hits(truth, truth, np.array([True]))
    assert {name: values.tolist() for name, values in same.items()} == {
        's_verb': [1.0], 'obj_a': [1.0], 'obj_b': [1.0], 'exact': [1.0]}
    # The second sub-verb, the third A and the only B are wrong.
    said = steps([(1, 1, 0), (9, 1, 1), (3, 2, 0), NO])
    found = program_hits(said, truth, np.array([True]))
    assert found['s_verb'] == pytest.approx([2 / 3])
    assert found['obj_a'] == pytest.approx([2 / 3])
    assert found['obj_b'] == pytest.approx([0.0])
    assert found['exact'] == [0.0]


def test_too_long_costs_as_much_as_too_short():
    short, long = [(1, 1, 0), NO, NO, NO], [(1, 1, 0), (2, 1, 0), (3, 1, 0), (4, 1, 0)]
    for one, other in ((short, long), (long, short)):
        found = program_hits(steps(one), steps(other), np.array([True]))
        assert found['s_verb'] == pytest.approx([0.25])
        assert found['obj_a'] == pytest.approx([0.25])


def test_what_follows_the_end_is_not_read():
    truth = steps([(1, 1, 0), NO, NO])
    said = steps([(1, 1, 0), (0, 7, 7), (5, 5, 5)])
    found = program_hits(said, truth, np.array([True]))
    assert (found['s_verb'], found['obj_a'], found['exact']) == ([1.0], [1.0], [1.0])
    assert np.isnan(found['obj_b']).all()


def test_a_sub_verb_that_the_network_does_not_know_is_never_right():
    truth = steps([(-100, 1, 0), (2, 1, 0)])
    found = program_hits(steps([(1, 1, 0), (2, 1, 0)]), truth, np.array([True]))
    assert found['s_verb'] == pytest.approx([0.5])
    assert found['exact'] == [0.0]


def test_clips_without_a_program_do_not_count():
    truth = steps([NO, NO], [(1, 1, 0), NO])
    found = program_hits(steps([(1, 1, 1), NO], [(1, 1, 0), NO]), truth, np.array([False, True]))
    for name in ('s_verb', 'exact', 'obj_a'):
        assert np.isnan(found[name][0])
        assert found[name][1] == 1.0
