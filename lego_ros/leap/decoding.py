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

"""From a predicted program's probabilities to a program that can be read."""

from __future__ import annotations

from dataclasses import dataclass

from lego_ros.leap.classes import NONE, ProgramClasses
from lego_ros.leap.handedness import with_hands
from lego_ros.leap.prediction import ProgramPrediction
from lego_ros.programs.bounds import MAX_INITIAL, MAX_OBJECTS
from lego_ros.programs.state import rivals
from lego_ros.programs.tree import Conditions, Predicate, Program, SubAction
from lego_ros.programs.vocabulary import default_vocabulary, Vocabulary
import torch

LEAST_CONFIDENCE = 0.05
"""Of a step. A guess among V * O * O steps is far below; what is left out is told."""


@dataclass(frozen=True)
class DecodedProgram:
    """
    A predicted program in words.

    :param program: the steps, with what holds before as its initial state; None where none was
        predicted that can be told. Every text of it can be parsed; whether it is sound is the
        checker's to say.
    :param confidences: of each step of its body, 0 to 1: the product of the probabilities of
        sub-verb, object A and object B.
    :param after: what is predicted to hold after it, the surest first; ``either`` for hands.
    :param left_out: a sentence for each step and fact that was predicted and is not in it.
    """

    program: Program | None
    confidences: tuple[float, ...]
    after: Conditions
    left_out: tuple[str, ...]

    @property
    def confidence(self) -> float:
        """Give the mean over the steps; 0 where there are none."""
        return sum(self.confidences) / len(self.confidences) if self.confidences else 0.0


def decode_program(prediction: ProgramPrediction, classes: ProgramClasses, number: int = 0,
                   least: float = LEAST_CONFIDENCE, vocabulary: Vocabulary | None = None
                   ) -> DecodedProgram:
    """
    Put a predicted program into words.

    The likeliest sub-verb of each step counts, up to the first ``none``; then the likeliest
    objects that it can have: as many as its contract says, and not one thing as both.

    :param prediction: of the network, or aggregated.
    :param classes: of the network.
    :param number: which of the batch.
    :param least: confidence below which a step is left out, 0 to 1.
    :param vocabulary: of the classes; that of the package by default.
    :returns: the program and what is not in it.
    """
    vocabulary = vocabulary or default_vocabulary()
    one = ProgramPrediction._make(each[number].detach().float().cpu() for each in prediction)
    steps, confidences, left_out = _steps(one, classes, least, vocabulary)
    after, _ = _facts(one.post, classes, vocabulary)
    if not steps:
        return DecodedProgram(None, (), after, left_out)
    initial, missing = _facts(one.pre, classes, vocabulary)
    names = dict.fromkeys(name for step in steps for name in (step.object_a, step.object_b)
                          if name)
    kept: list[Predicate] = []
    for fact in initial:
        more = {*names, *_objects(fact, vocabulary)}
        if len(more) > MAX_OBJECTS or len(kept) == MAX_INITIAL:
            missing += (f'{fact}: a program can have no more objects or facts',)
            continue
        names.update(dict.fromkeys(_objects(fact, vocabulary)))
        kept.append(fact)
    body, before = with_hands(steps, tuple(kept), vocabulary)
    return DecodedProgram(Program(tuple(names), body, before), confidences, after,
                          left_out + missing)


def _steps(one: ProgramPrediction, classes: ProgramClasses, least: float, vocabulary: Vocabulary
           ) -> tuple[tuple[SubAction, ...], tuple[float, ...], tuple[str, ...]]:
    steps, confidences, left_out = [], [], []
    for number, verbs in enumerate(one.sub_verb):
        index = int(verbs.argmax())
        if index == NONE:
            break
        verb = classes.sub_verbs[index - 1]
        takes = vocabulary.sub_verbs[verb].objects
        found = _objects_of(one.object_a[number], one.object_b[number],
                            takes[1] if len(takes) > 1 else '')
        if found is None:
            left_out.append(f'step {number + 1}, {verb}: the network knows too few objects for it')
            continue
        a, b, likely = found
        step = SubAction(verb, classes.objects[a - 1], classes.objects[b - 1] if b else '')
        confidence = float(verbs[index]) * likely
        # Not a number is not sure either.
        if not confidence >= least:
            left_out.append(f'step {number + 1}, {step}: {confidence:.0%} is too uncertain')
            continue
        steps.append(step)
        confidences.append(confidence)
    return tuple(steps), tuple(confidences), tuple(left_out)


def _objects_of(objects_a: torch.Tensor, objects_b: torch.Tensor, takes_b: str
                ) -> tuple[int, int, float] | None:
    """
    Choose the likeliest pair of objects that a sub-verb can have.

    :param objects_a: (O + 1,).
    :param objects_b: (O + 1,).
    :param takes_b: 'b', 'b?' or '', see SubVerb.objects.
    :returns: class of A, class of B (0 = none) and the product of their probabilities; None where
        there is no such pair.
    """
    # Two of each are enough for a pair of different ones, one more for none.
    best_a = [index for index in objects_a.topk(min(3, len(objects_a))).indices.tolist()
              if index != NONE]
    best_b = [index for index in objects_b.topk(min(3, len(objects_b))).indices.tolist()
              if index != NONE]
    if takes_b == 'b?':
        best_b.append(NONE)
    if not takes_b:
        return (best_a[0], NONE, float(objects_a[best_a[0]])) if best_a else None
    pairs = [(float(objects_a[a] * objects_b[b]), a, b)
             for a in best_a for b in best_b if a != b]
    if not pairs:
        return None
    likely, a, b = max(pairs, key=lambda pair: pair[0])
    return a, b, likely


def _facts(likely: torch.Tensor, classes: ProgramClasses, vocabulary: Vocabulary
           ) -> tuple[Conditions, tuple[str, ...]]:
    """List the facts that rather hold than not, less those that surer ones exclude."""
    kept: list[Predicate] = []
    left_out = []
    for index in likely.argsort(descending=True).tolist():
        if not float(likely[index]) > 0.5:
            break
        fact = classes.predicates[index]
        excluded = [other for other in kept if rivals((other, fact), vocabulary)]
        same = len({*_objects(fact, vocabulary)}) < len(_objects(fact, vocabulary))
        if excluded or same:
            left_out.append(f'{fact}: {f"{excluded[0]} is surer" if excluded else "one thing"}')
        else:
            kept.append(fact)
    return tuple(kept), tuple(left_out)


def _objects(fact: Predicate, vocabulary: Vocabulary) -> list[str]:
    kinds = vocabulary.predicates[fact.name].arguments
    return [word for word, kind in zip(fact.arguments, kinds, strict=True) if kind == 'object']
