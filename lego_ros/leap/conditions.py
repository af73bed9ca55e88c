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

"""What must hold before a program, and what holds after it."""

from __future__ import annotations

from lego_ros.leap.sequence import sequence_of
from lego_ros.programs.interpreter import run
from lego_ros.programs.state import fits, State
from lego_ros.programs.tree import ANYTHING, Predicate, Program, SubAction
from lego_ros.programs.vocabulary import Vocabulary

_MAX_STEPS = 1000


def conditions_of(program: Program, vocabulary: Vocabulary
                  ) -> tuple[frozenset[Predicate], frozenset[Predicate]]:
    """
    Say what a program as a whole needs and gives.

    The paper predicts pre- and post-conditions and does not say which. Ours are those of the
    whole program. What must hold before: facts that a step needs and no step before it gives,
    and facts of the initial state that a step ends. What holds after: all facts at its end.
    Facts that must not hold are left out of both.

    The interpreter says which way the program goes. Where it does not come to the end (a step
    that cannot be done; a loop that waits for what nobody in the program does), every step is
    taken as done once, in the order of :func:`lego_ros.leap.sequence.sequence_of`.

    :param program: of the vocabulary's words; its calls do not go in a circle.
    :param vocabulary: its words.
    :returns: before and after.
    :raises LegoError: PROGRAM_INVALID, see :func:`lego_ros.leap.sequence.sequence_of`.
    """
    course = run(program, vocabulary=vocabulary, max_steps=_MAX_STEPS)
    actions = ([step.action for step in course.steps] if not course.problem
               else sequence_of(program, _MAX_STEPS))
    return _fold(program, actions, vocabulary)


def _fold(program: Program, actions: list[SubAction], vocabulary: Vocabulary
          ) -> tuple[frozenset[Predicate], frozenset[Predicate]]:
    initial = frozenset(fact for fact in program.initial if not fact.negated)
    # What has held from the beginning on, stated or not.
    untouched = initial
    state = State(initial)
    before: set[Predicate] = set()
    given: set[Predicate] = set()
    for action in actions:
        for need in vocabulary.pre(action):
            if need.negated:
                continue
            if ANYTHING in need.arguments:
                before |= {fact for fact in untouched if fits(need, fact)}
            elif need not in given:
                before.add(need)
                state = State(state.facts | {need})
        changes = vocabulary.post(action)
        after = state.after(changes, vocabulary)
        before |= untouched - after.facts
        untouched &= after.facts
        given |= (state.facts - after.facts) | {
            change for change in changes if not change.negated}
        state = after
    return frozenset(before), state.facts
