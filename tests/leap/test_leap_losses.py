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

import math

from lego_ros.leap.prediction import LeapOutput
from lego_ros.leap.targets import IGNORED, TargetBatch
from lego_ros.training.leap.losses import condition_loss, leap_loss, LossWeights, step_loss
import pytest
import torch


def logits(*rows):
    """Give logits whose softmax is the rows."""
    return torch.tensor(rows).log()


def output(**changes):
    """Make an output of one clip: 3 steps, 2 sub-verbs, 2 objects, 2 conditions."""
    values = {
        'verb': logits([0.5, 0.25, 0.25]), 'noun': logits([0.8, 0.2]),
        'action': logits([0.1, 0.9]),
        'sub_verb': logits([0.2, 0.5, 0.3], [0.6, 0.2, 0.2], [0.1, 0.8, 0.1])[None],
        'object_a': logits([0.1, 0.4, 0.5], [0.3, 0.3, 0.4], [0.2, 0.2, 0.6])[None],
        'object_b': logits([0.7, 0.2, 0.1], [0.1, 0.1, 0.8], [0.5, 0.2, 0.3])[None],
        # Probabilities 0.75 and 0.2; 0.5 and 0.5.
        'pre': torch.tensor([[math.log(3), math.log(0.25)]]),
        'post': torch.tensor([[0.0, 0.0]])}
    values.update(changes)
    return LeapOutput(**values)


def targets(**changes):
    values = {
        'verb': torch.tensor([1]), 'noun': torch.tensor([0]), 'action': torch.tensor([1]),
        'sub_verb': torch.tensor([[2, 0, 0]]), 'object_a': torch.tensor([[1, 0, 0]]),
        'object_b': torch.tensor([[0, 0, 0]]), 'length': torch.tensor([1]),
        'pre': torch.tensor([[1.0, 0.0]]), 'post': torch.tensor([[0.0, 1.0]])}
    values.update(changes)
    return TargetBatch(**values)


def nats(*likely):
    return -sum(math.log(each) for each in likely)


def test_the_formulas_by_hand():
    loss = leap_loss(output(), targets(), LossWeights(0.5, 2.0, 3.0, positive=4.0))
    action = nats(0.25) + nats(0.8) + nats(0.9)
    # One step and the end, each counted half; A and B of the one step.
    steps = nats(0.3, 0.6) / 2 + nats(0.4) + nats(0.7)
    conditions = (4 * nats(0.75) + nats(0.8)) / 2 + (nats(0.5) + 4 * nats(0.5)) / 2
    assert loss.action.item() == pytest.approx(action, rel=1e-5)
    assert loss.steps.item() == pytest.approx(steps, rel=1e-5)
    assert loss.conditions.item() == pytest.approx(conditions, rel=1e-5)
    assert loss.total.item() == pytest.approx(0.5 * steps + 2 * conditions + 3 * action, rel=1e-5)


def test_a_program_that_fills_all_steps_has_no_end():
    full = targets(sub_verb=torch.tensor([[2, 1, 1]]), object_a=torch.tensor([[1, 2, 2]]),
                   object_b=torch.tensor([[0, 2, 1]]), length=torch.tensor([3]))
    expected = (nats(0.3, 0.2, 0.8) + nats(0.4, 0.4, 0.6) + nats(0.7, 0.8, 0.2)) / 3
    assert step_loss(output(), full).item() == pytest.approx(expected, rel=1e-5)


def test_unknown_sub_verbs_count_neither_in_sum_nor_in_number():
    unknown = targets(sub_verb=torch.tensor([[IGNORED, 0, 0]]))
    expected = nats(0.6) + nats(0.4) + nats(0.7)
    assert step_loss(output(), unknown).item() == pytest.approx(expected, rel=1e-5)


def test_what_is_padded_has_no_say():
    """Whatever stands beyond the end, in outputs and targets, changes neither loss nor slope."""
    plain, poisoned = output(), output()
    for name in ('sub_verb', 'object_a', 'object_b'):
        getattr(poisoned, name)[:, 2] = 1e4 * torch.randn(3)
    for name in ('object_a', 'object_b'):
        getattr(poisoned, name)[:, 1] = 1e4 * torch.randn(3)
    found = []
    for each, wanted in ((plain, targets()), (poisoned, targets(
            sub_verb=torch.tensor([[2, 0, 1]]), object_a=torch.tensor([[1, 2, 2]]),
            object_b=torch.tensor([[0, 2, 1]])))):
        leaves = LeapOutput(*(tensor.clone().requires_grad_() for tensor in each))
        loss = leap_loss(leaves, wanted, LossWeights())
        loss.total.backward()
        found.append((loss.total.item(), leaves.sub_verb.grad, leaves.object_a.grad))
    assert found[0][0] == pytest.approx(found[1][0], rel=1e-6)
    torch.testing.assert_close(found[0][1], found[1][1])
    torch.testing.assert_close(found[0][2], found[1][2])
    assert not found[0][1][0, 2].any()
    assert found[0][1][0, :2].any(1).all()


def doubled(batch, **second):
    """Make two of one; the second is changed."""
    changed = batch._replace(**second)
    return type(batch)(*(torch.cat([one, other])
                         for one, other in zip(batch, changed, strict=True)))


def test_a_clip_without_a_program_has_a_say_in_the_action_alone():
    one = leap_loss(output(), targets(), LossWeights())
    noise = {name: torch.randn_like(getattr(output(), name))
             for name in ('sub_verb', 'object_a', 'object_b', 'pre', 'post')}
    both = leap_loss(
        doubled(output(), **noise),
        doubled(targets(), length=torch.tensor([0]), verb=torch.tensor([0])), LossWeights())
    assert both.steps.item() == pytest.approx(one.steps.item(), rel=1e-6)
    assert both.conditions.item() == pytest.approx(one.conditions.item(), rel=1e-6)
    expected = (nats(0.25) + nats(0.5)) / 2 + nats(0.8) + nats(0.9)
    assert both.action.item() == pytest.approx(expected, rel=1e-5)


def test_unknown_labels_have_no_say():
    unknown = doubled(targets(), verb=torch.tensor([IGNORED]), noun=torch.tensor([IGNORED]),
                      action=torch.tensor([IGNORED]))
    both = leap_loss(doubled(output()), unknown, LossWeights())
    assert both.action.item() == pytest.approx(
        leap_loss(output(), targets(), LossWeights()).action.item(), rel=1e-6)


def test_a_batch_without_any_program_gives_no_nan():
    leaves = LeapOutput(*(tensor.clone().requires_grad_() for tensor in output()))
    loss = leap_loss(leaves, targets(length=torch.tensor([0]), verb=torch.tensor([IGNORED])),
                     LossWeights())
    loss.total.backward()
    assert loss.steps.item() == loss.conditions.item() == 0
    assert loss.total.item() == pytest.approx(nats(0.8) + nats(0.9), rel=1e-5)
    # All have a gradient, so that no parameter is unused on several devices.
    for leaf in leaves:
        assert leaf.grad is not None
        assert leaf.grad.isfinite().all()
    assert not leaves.verb.grad.any()
    assert not leaves.pre.grad.any()


def test_there_may_be_no_conditions():
    none = {'pre': torch.zeros(1, 0), 'post': torch.zeros(1, 0)}
    assert condition_loss(output(**none), targets(**none), 5.0).item() == 0
