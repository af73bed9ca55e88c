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

"""From an action program to what the network is to predict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from lego_ros.leap.classes import NONE, ProgramClasses
from lego_ros.leap.conditions import conditions_of
from lego_ros.leap.sequence import sequence_of
from lego_ros.programs.tree import Predicate, Program
from lego_ros.programs.vocabulary import default_vocabulary, Vocabulary
import numpy as np
import torch

IGNORED = -100
"""Target of what is not known: no loss, no gradient. It is torch's own default."""


@dataclass(frozen=True)
class ProgramTargets:
    """
    A program as classes.

    :param sub_verb: (S,) int64, 1 to V at a step, :data:`IGNORED` where the network does not know
        the sub-verb, 0 after the last step.
    :param object_a: (S,) int64, 1 to O at a step, 0 for none and after the last step.
    :param object_b: (S,) int64, likewise.
    :param length: steps, 1 to S.
    :param pre: (P,) float32, 1 where it must hold before the program.
    :param post: (P,) float32, 1 where it holds after it.
    """

    sub_verb: np.ndarray
    object_a: np.ndarray
    object_b: np.ndarray
    length: int
    pre: np.ndarray
    post: np.ndarray


class TargetBatch(NamedTuple):
    """
    The targets of a batch.

    :param verb: (B,) int64 index of ``classes.verbs``, or :data:`IGNORED`.
    :param noun: (B,) int64, likewise.
    :param action: (B,) int64, likewise: a pair that is no class is ignored.
    :param sub_verb: (B, S) int64, see :class:`ProgramTargets`.
    :param object_a: (B, S) int64.
    :param object_b: (B, S) int64.
    :param length: (B,) int64; 0 where there is no program.
    :param pre: (B, P) float32.
    :param post: (B, P) float32.
    """

    verb: torch.Tensor
    noun: torch.Tensor
    action: torch.Tensor
    sub_verb: torch.Tensor
    object_a: torch.Tensor
    object_b: torch.Tensor
    length: torch.Tensor
    pre: torch.Tensor
    post: torch.Tensor

    def to(self, device: torch.device | str) -> TargetBatch:
        """
        Bring the targets to a device.

        :param device: of the network.
        :returns: the same there.
        """
        return TargetBatch(*(each.to(device) for each in self))


def targets_of(program: Program, classes: ProgramClasses, max_steps: int = 16,
               vocabulary: Vocabulary | None = None) -> ProgramTargets:
    """
    Turn a program into classes.

    :param program: of the vocabulary's words.
    :param classes: of the network.
    :param max_steps: S; what is beyond is cut off the sequence, not out of the conditions.
    :param vocabulary: that of the package by default.
    :returns: the sequence of :func:`lego_ros.leap.sequence.sequence_of` and the conditions of
        :func:`lego_ros.leap.conditions.conditions_of`.
    :raises LegoError: PROGRAM_INVALID, its calls cannot be followed.
    """
    vocabulary = vocabulary or default_vocabulary()
    steps = np.full((3, max_steps), NONE, dtype=np.int64)
    actions = sequence_of(program, max_steps)
    for number, action in enumerate(actions):
        verb = classes.sub_verb_index(action.verb)
        steps[:, number] = (IGNORED if verb is None else verb,
                            classes.object_index(action.object_a),
                            classes.object_index(action.object_b))
    pre, post = (_multi_hot(facts, classes, vocabulary)
                 for facts in conditions_of(program, vocabulary))
    return ProgramTargets(steps[0], steps[1], steps[2], len(actions), pre, post)


def stack(programs: Sequence[ProgramTargets | None], labels: Sequence[tuple[int, int]],
          classes: ProgramClasses, max_steps: int = 16) -> TargetBatch:
    """
    Put targets together to a batch.

    :param programs: B of them; None where a clip has no program.
    :param labels: (verb, noun) of each as indices of the classes; :data:`IGNORED` where unknown.
    :param classes: of the network.
    :param max_steps: S, as given to :func:`targets_of`.
    :returns: the batch, on the CPU.
    """
    nothing = np.full(max_steps, NONE, dtype=np.int64)
    no_facts = np.zeros(len(classes.predicates), dtype=np.float32)
    empty = ProgramTargets(nothing, nothing, nothing, 0, no_facts, no_facts)
    given = [program or empty for program in programs]
    actions = [classes.action_index(verb, noun) for verb, noun in labels]
    numbers = np.array([(verb, noun, IGNORED if action is None else action)
                        for (verb, noun), action in zip(labels, actions, strict=True)],
                       dtype=np.int64).reshape(-1, 3)

    def each(name: str) -> torch.Tensor:
        return torch.from_numpy(np.stack([getattr(program, name) for program in given]))

    verb, noun, action = torch.from_numpy(numbers).unbind(1)
    return TargetBatch(
        verb=verb, noun=noun, action=action,
        sub_verb=each('sub_verb'), object_a=each('object_a'), object_b=each('object_b'),
        length=torch.tensor([program.length for program in given]),
        pre=each('pre'), post=each('post'))


def _multi_hot(facts: frozenset[Predicate], classes: ProgramClasses, vocabulary: Vocabulary
               ) -> np.ndarray:
    found = np.zeros(len(classes.predicates), dtype=np.float32)
    for fact in facts:
        index = classes.predicate_index(fact, vocabulary)
        if index is not None:
            found[index] = 1
    return found
