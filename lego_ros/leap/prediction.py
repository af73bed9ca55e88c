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

"""What the network gives: tensors, by name."""

from __future__ import annotations

from typing import NamedTuple

import torch


class VideoFeatures(NamedTuple):
    """
    What the backbone makes of a clip.

    :param pooled: (B, D) class token and video token, fused and normalised.
    :param tokens: (B, T', D) the class token of each frame after the last block.
    """

    pooled: torch.Tensor
    tokens: torch.Tensor


class ProgramLogits(NamedTuple):
    """
    A predicted program before softmax and sigmoid.

    :param sub_verb: (B, S, V + 1), class 0 is ``none``: no step.
    :param object_a: (B, S, O + 1), class 0 is ``none``: no object.
    :param object_b: (B, S, O + 1).
    :param pre: (B, P) of what holds before the program.
    :param post: (B, P) of what holds after it.
    """

    sub_verb: torch.Tensor
    object_a: torch.Tensor
    object_b: torch.Tensor
    pre: torch.Tensor
    post: torch.Tensor


class ProgramPrediction(NamedTuple):
    """
    A predicted program in probabilities, 0 to 1; shapes as of :class:`ProgramLogits`.

    :param sub_verb: sums to 1 over the classes; so do the objects.
    :param object_a: likewise.
    :param object_b: likewise.
    :param pre: each for itself.
    :param post: each for itself.
    """

    sub_verb: torch.Tensor
    object_a: torch.Tensor
    object_b: torch.Tensor
    pre: torch.Tensor
    post: torch.Tensor


class ProgramContext(NamedTuple):
    """
    The predicted programs of earlier clips, the oldest first.

    :param sub_verb: (B, Q, S, V + 1) probabilities; likewise the others.
    :param object_a: (B, Q, S, O + 1).
    :param object_b: (B, Q, S, O + 1).
    :param pre: (B, Q, P).
    :param post: (B, Q, P).
    :param present: (B, Q) bool; False where a video begins too late for there to be such a clip.
    """

    sub_verb: torch.Tensor
    object_a: torch.Tensor
    object_b: torch.Tensor
    pre: torch.Tensor
    post: torch.Tensor
    present: torch.Tensor


class LeapOutput(NamedTuple):
    """
    All that the network says of a clip, before softmax and sigmoid.

    :param verb: (B, classes.verbs) of the action label: seen, or next, by the network's task.
    :param noun: (B, classes.nouns).
    :param action: (B, classes.actions), pairs of verb and noun.
    :param sub_verb: (B, S, V + 1), the program of the clip that is seen, see
        :class:`ProgramLogits`.
    :param object_a: (B, S, O + 1).
    :param object_b: (B, S, O + 1).
    :param pre: (B, P).
    :param post: (B, P).
    """

    verb: torch.Tensor
    noun: torch.Tensor
    action: torch.Tensor
    sub_verb: torch.Tensor
    object_a: torch.Tensor
    object_b: torch.Tensor
    pre: torch.Tensor
    post: torch.Tensor

    @property
    def program(self) -> ProgramLogits:
        """Give the program's part."""
        return ProgramLogits(self.sub_verb, self.object_a, self.object_b, self.pre, self.post)


def probabilities(logits: ProgramLogits) -> ProgramPrediction:
    """
    Turn logits into probabilities.

    :param logits: of the program head.
    :returns: softmax over the classes of each step, sigmoid of each condition.
    """
    return ProgramPrediction(
        logits.sub_verb.softmax(-1), logits.object_a.softmax(-1), logits.object_b.softmax(-1),
        logits.pre.sigmoid(), logits.post.sigmoid())


def context_of(earlier: list[ProgramPrediction], present: torch.Tensor | None = None
               ) -> ProgramContext:
    """
    Put the predicted programs of earlier clips together for the network.

    :param earlier: one of each clip, the oldest first, each of a batch of B; at least one.
    :param present: (B, Q) bool, see :class:`ProgramContext`; all are by default.
    :returns: the context.
    """
    stacked = [torch.stack(each, dim=1) for each in zip(*earlier, strict=True)]
    if present is None:
        present = torch.ones(stacked[0].shape[:2], dtype=torch.bool, device=stacked[0].device)
    return ProgramContext._make([*stacked, present])
