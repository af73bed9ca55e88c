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

"""
The losses of LEAP's training.

LEAP says L_AP = L_T + L_PC + L_CE and gives no formula of the three; those below are ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from lego_ros.leap.prediction import LeapOutput
from lego_ros.leap.targets import IGNORED, TargetBatch
import torch
import torch.nn.functional as nnf


@dataclass(frozen=True)
class LossWeights:
    """
    Weights of the sum; LEAP's are 1.

    :param steps: w_T of L_T.
    :param conditions: w_PC of L_PC.
    :param action: w_CE of L_CE.
    :param positive: of conditions that hold against those that do not, in L_PC. Few hold.
    """

    steps: float = 1.0
    conditions: float = 1.0
    action: float = 1.0
    positive: float = 5.0


class LeapLoss(NamedTuple):
    """
    The losses of a batch, each a number with its gradient.

    :param total: L_AP.
    :param action: L_CE.
    :param steps: L_T; 0 where the batch has no program.
    :param conditions: L_PC; likewise.
    """

    total: torch.Tensor
    action: torch.Tensor
    steps: torch.Tensor
    conditions: torch.Tensor


def leap_loss(output: LeapOutput, targets: TargetBatch, weights: LossWeights) -> LeapLoss:
    """
    Compute L_AP = w_T L_T + w_PC L_PC + w_CE L_CE.

    A part whose weight is 0 gives every parameter a gradient of 0, so that training on several
    devices finds none that is unused.

    :param output: of the network.
    :param targets: of the batch.
    :param weights: w.
    :returns: the sum and its parts, unweighted.
    """
    action = action_loss(output, targets)
    steps = step_loss(output, targets)
    conditions = condition_loss(output, targets, weights.positive)
    total = (weights.steps * steps + weights.conditions * conditions + weights.action * action)
    return LeapLoss(total, action, steps, conditions)


def action_loss(output: LeapOutput, targets: TargetBatch) -> torch.Tensor:
    """
    Compute L_CE = CE(verb) + CE(noun) + CE(action), each the mean over the clips whose is known.

    :param output: of the network.
    :param targets: of the batch.
    :returns: a number.
    """
    return sum((_cross_entropy(getattr(output, name), getattr(targets, name))
                for name in ('verb', 'noun', 'action')), output.verb.new_zeros(()))


def step_loss(output: LeapOutput, targets: TargetBatch) -> torch.Tensor:
    """
    Compute L_T over the clips with a program.

    With n_b the steps of the program of clip b (S at most), v, a, o its classes and p those
    predicted::

        L_T = mean over b of [ 1 / min(n_b + 1, S)  sum_{s <= min(n_b + 1, S)} -log p_s(v_s)
                               + 1 / n_b  sum_{s <= n_b} ( -log p_s(a_s) - log p_s(o_s) ) ]

    The step after the last counts, with ``none``: it says where the program ends. What is beyond
    it does not, as nobody reads it; so padding has no weight. Objects count at steps alone; that
    there is no object B is a class of object B. Sub-verbs that the network does not know count
    neither in sum nor in number.

    :param output: of the network.
    :param targets: of the batch.
    :returns: a number, 0 where no clip has a program.
    """
    most = targets.sub_verb.shape[1]
    places = torch.arange(most, device=targets.length.device)
    steps = places < targets.length[:, None]
    read = (places <= targets.length[:, None]) & (targets.length[:, None] > 0)
    verbs = targets.sub_verb.masked_fill(~read, IGNORED)
    parts = [_means(output.sub_verb, verbs)]
    for name in ('object_a', 'object_b'):
        objects = getattr(targets, name).masked_fill(~steps, IGNORED)
        parts.append(_means(getattr(output, name), objects))
    return _mean_of_programs(sum(parts, torch.zeros_like(parts[0])), targets)


def condition_loss(output: LeapOutput, targets: TargetBatch, positive: float) -> torch.Tensor:
    """
    Compute L_PC over the clips with a program.

    With y the conditions that hold (1) or do not (0), q those predicted, and g the weight of
    those that hold, for before and after::

        L_PC = mean over b of sum over {pre, post} of
               1 / P  sum_c [ -g y_c log q_c - (1 - y_c) log(1 - q_c) ]

    :param output: of the network.
    :param targets: of the batch.
    :param positive: g.
    :returns: a number, 0 where no clip has a program or there are no conditions.
    """
    if not targets.pre.shape[1]:
        return output.pre.sum()
    weight = output.pre.new_tensor(positive)
    parts = [nnf.binary_cross_entropy_with_logits(
        logits.float(), facts, pos_weight=weight.float(), reduction='none').mean(1)
        for logits, facts in ((output.pre, targets.pre), (output.post, targets.post))]
    return _mean_of_programs(parts[0] + parts[1], targets)


def _cross_entropy(logits: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """Take the mean over what is known; 0, with a gradient of 0, where nothing is."""
    summed = nnf.cross_entropy(logits.float(), wanted, ignore_index=IGNORED, reduction='sum')
    return summed / (wanted != IGNORED).sum().clamp(min=1)


def _means(logits: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """Take the mean of cross-entropies over the steps of each clip: (B, S, C), (B, S) to (B,)."""
    losses = nnf.cross_entropy(logits.float().transpose(1, 2), wanted, ignore_index=IGNORED,
                               reduction='none')
    return losses.sum(1) / (wanted != IGNORED).sum(1).clamp(min=1)


def _mean_of_programs(losses: torch.Tensor, targets: TargetBatch) -> torch.Tensor:
    """Take the mean over the clips that have a program."""
    has = targets.length > 0
    return torch.where(has, losses, 0).sum() / has.sum().clamp(min=1)
