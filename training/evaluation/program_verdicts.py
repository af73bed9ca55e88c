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

"""Whether a written program is right: against the true one, and in the kitchen itself."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lego_ros.errors import LegoError
from lego_ros.leap.conditions import conditions_of
from lego_ros.leap.sequence import sequence_of
from lego_ros.programs.checking import check
from lego_ros.programs.interpreter import MAX_STEPS, Run, run
from lego_ros.programs.parsing import parse
from lego_ros.programs.state import State
from lego_ros.programs.tree import Program, SubAction
from lego_ros.programs.vocabulary import default_vocabulary
from lego_ros.training.data.dataset import Pair
from lego_ros.training.data.files import unusable
from lego_ros.training.evaluation.program_world import ends_alike, kitchen_before
from lego_ros.training.export.truth import TruthRecord
from lego_ros.training.leap.metrics import program_hits, StepClasses
import numpy as np
from pydantic import BaseModel, ConfigDict

_HEAD = ('objects ', 'initially ')
"""What the lines that are no statements begin with."""


class ProgramVerdict(BaseModel):
    """
    Of one program.

    The sequences are those of :func:`lego_ros.leap.sequence.sequence_of`. The shares are LEAP's
    S-Verb, Obj(A) and Obj(B) as :func:`lego_ros.training.leap.metrics.program_hits` counts them;
    ``obj_b`` is None where neither program has an object B.
    """

    model_config = ConfigDict(extra='forbid', frozen=True)

    parsed: bool
    """It was ended, and is a program."""
    sound: bool
    """The checker finds nothing wrong with it."""
    verbs: bool
    """The sequence of its sub-verbs is the true one."""
    objects: bool
    """The sequence of its objects A and B is the true one."""
    hands: bool
    """The sequence of its hands is the true one."""
    conditions: bool
    """What it needs and gives as a whole is what the true one does: LEAP's L_PC."""
    done: bool
    """It runs to its end in the kitchen as it was."""
    outcome: bool
    """And leaves the kitchen as the true one does."""
    s_verb: float
    obj_a: float
    obj_b: float | None


JUDGED = tuple(ProgramVerdict.model_fields)
"""All figures of a verdict."""


@dataclass(frozen=True)
class TrueProgram:
    """
    What was really done.

    :param program: as a tree.
    :param steps: its sub-actions.
    :param before: what held in the kitchen.
    :param course: the program, run in it.
    """

    program: Program
    steps: tuple[SubAction, ...]
    before: State
    course: Run

    @classmethod
    def of(cls, truth: TruthRecord, path: Path) -> TrueProgram:
        """
        Take it from a record.

        :param truth: of the action.
        :param path: of its file, for messages.
        :returns: the same with the program as a tree.
        :raises LegoError: SOURCE_UNREADABLE: it is no program, or cannot be done in the kitchen.
        """
        try:
            program = parse(truth.program)
            steps = tuple(sequence_of(program, MAX_STEPS))
        except LegoError as error:
            raise unusable(path, f'the program of {truth.action_id} cannot be read '
                           f'({error.message}); generate the data anew') from error
        before = kitchen_before(truth, program)
        course = run(program, before)
        if course.problem:
            raise unusable(path, f'the program of {truth.action_id} cannot be done in its own '
                           f'kitchen ({course.problem}); generate the data anew')
        return cls(program, steps, before, course)


def judge_program(program: Program | None, true: TrueProgram) -> ProgramVerdict:
    """
    Judge a program.

    :param program: that was written; None = what was written is none.
    :param true: what was really done.
    :returns: what is right. Of no program, nothing is.
    """
    steps, course, conditions = _read(program, true)
    shares = _shares(steps, true.steps)
    vocabulary = default_vocabulary()
    return ProgramVerdict(
        parsed=program is not None,
        sound=program is not None and not check(program),
        verbs=[step.verb for step in steps] == [step.verb for step in true.steps],
        objects=_objects(steps) == _objects(true.steps),
        hands=[step.hand for step in steps] == [step.hand for step in true.steps],
        conditions=conditions == conditions_of(true.program, vocabulary),
        done=course is not None and not course.problem,
        outcome=course is not None and ends_alike(course, true.course), **shares)


class Floor:
    """
    What can be written without looking: the most frequent program of each label.

    It is that of the most frequent steps; of those that say the same steps, the most frequent.

    :param pairs: of the training split.
    :param programs: their texts by action id.
    """

    def __init__(self, pairs: Iterable[Pair], programs: Mapping[str, str]) -> None:
        texts: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
        for pair in pairs:
            for key in (('label', pair.label), ('verb', pair.verb)):
                texts[key].append(programs[pair.action_id])
        self._programs = {key: parse(_commonest(some)) for key, some in texts.items()}

    def knows(self, pair: Pair) -> bool:
        """
        Tell whether there is a program of a label.

        :param pair: with the label.
        :returns: False where :meth:`program` gives that of its verb.
        """
        return ('label', pair.label) in self._programs

    def program(self, pair: Pair) -> Program | None:
        """
        Give the program of a label.

        :param pair: with the label.
        :returns: where the label was not trained on, that of its verb, with other objects; None =
            nor was the verb.
        """
        return self._programs.get(('label', pair.label),
                                  self._programs.get(('verb', pair.verb)))


def _commonest(texts: Sequence[str]) -> str:
    steps = [tuple(line for line in text.splitlines() if not line.startswith(_HEAD))
             for text in texts]
    best = Counter(steps).most_common(1)[0][0]
    return Counter(text for text, each in zip(texts, steps, strict=True)
                   if each == best).most_common(1)[0][0]


def _read(program: Program | None, true: TrueProgram
          ) -> tuple[list[SubAction], Run | None, object]:
    """Give steps, course in the kitchen and conditions, as far as there are any."""
    if program is None:
        return [], None, None
    try:
        return (sequence_of(program, MAX_STEPS), run(program, true.before),
                conditions_of(program, default_vocabulary()))
    except LegoError:
        # It calls what there is not, or in a circle; the checker tells that.
        return [], None, None


def _objects(steps: Sequence[SubAction]) -> list[tuple[str, str]]:
    return [(step.object_a, step.object_b) for step in steps]


def _shares(steps: Sequence[SubAction], true: Sequence[SubAction]) -> dict[str, Any]:
    columns = [[(step.verb, step.object_a, step.object_b) for step in some]
               for some in (steps, true)]
    words = sorted({word for column in columns for row in column for word in row} | {''})
    numbers = {word: number for number, word in enumerate(words)}
    classes = np.zeros((2, 3, 1, max(len(steps), len(true), 1)), np.int64)
    for place, column in zip(classes, columns, strict=True):
        for number, row in enumerate(column):
            place[:, 0, number] = [numbers[word] for word in row]
    hits = program_hits(StepClasses(*classes[0]), StepClasses(*classes[1]), np.ones(1, bool))
    return {name: None if np.isnan(hits[name][0]) else float(hits[name][0])
            for name in ('s_verb', 'obj_a', 'obj_b')}
