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

"""What the tests of action programs draw from."""

from __future__ import annotations

from functools import lru_cache

from hypothesis import strategies as st
from lego_ros.programs.checking import check
from lego_ros.programs.interpreter import run
from lego_ros.programs.state import State
from lego_ros.programs.tree import (
    ANYTHING,
    Call,
    Hand,
    If,
    Predicate,
    Program,
    Repeat,
    Routine,
    SubAction,
    While,
)
from lego_ros.programs.vocabulary import default_vocabulary
import pytest

VOCABULARY = default_vocabulary()
# Among them words of the language and beginnings of its keywords: all may name an object.
OBJECTS = ('mug', 'cut', 'on', 'lefty', 'if_', 'not1', 'x' * 64)
ROUTINES = ('make_tea', 'open', 'lift', 'r0')
HANDS = ('left', 'right', 'either')


@st.composite
def _predicates(draw, names, objects, hands=HANDS, negated=True):
    name = draw(st.sampled_from(names))
    kinds = {'object': st.sampled_from(objects), 'hand': st.sampled_from(hands)}
    return Predicate(name, tuple(draw(kinds[kind])
                                 for kind in VOCABULARY.predicates[name].arguments),
                     negated and draw(st.booleans()))


def _stated(objects, wild, negated=True, most=3, least=0, names=tuple(VOCABULARY.predicates),
            hands=HANDS):
    """Draw conditions; where they are made true there is no wildcard."""
    anything = (ANYTHING,) if wild else ()
    return st.lists(_predicates(names, (*objects, *anything), (*hands, *anything), negated),
                    min_size=least, max_size=most).map(tuple)


def _effects(objects):
    """Draw what may follow the word post: a wildcard stands in negations only."""
    return st.lists(st.one_of(
        _predicates(tuple(VOCABULARY.predicates), objects, negated=False),
        _predicates(tuple(VOCABULARY.predicates), (*objects, ANYTHING), (*HANDS, ANYTHING), False)
        .map(lambda fact: Predicate(fact.name, fact.arguments, True))), max_size=3).map(tuple)


class _Writer:
    """
    Writes programs of all words and node kinds.

    :param random: decides.
    :param strays: also name what is not declared, call what is not there and use names twice.
    """

    def __init__(self, random, strays):
        self._random, self._strays = random, strays
        self._objects = self._some(OBJECTS, 1, 5)
        self._routines = self._some(ROUTINES, 0, 3)
        self._named = OBJECTS if strays else self._objects
        self._called = ROUTINES if strays else self._routines

    def program(self):
        initial = self._conditions(3, wild=False, negated=False)
        routines = tuple(Routine(name, self._block(2)) for name in self._routines)
        return Program(self._objects, self._block(3), initial, routines)

    def _some(self, names, least, most):
        count = self._random.randint(least, most)
        return tuple(self._random.choices(names, k=count) if self._strays
                     else self._random.sample(names, count))

    def _condition(self, wild, negated):
        name = self._random.choice(tuple(VOCABULARY.predicates))
        anything = (ANYTHING,) if wild or (wild is None and negated) else ()
        names = {'object': (*self._named, *anything), 'hand': (*HANDS, *anything)}
        return Predicate(name, tuple(self._random.choice(names[kind]) for kind in
                                     VOCABULARY.predicates[name].arguments), negated)

    def _conditions(self, most, wild=True, negated=True, least=0):
        """Write conditions; with wild None only the negated ones may say _."""
        return tuple(self._condition(wild, negated and self._random.random() < 0.4)
                     for _ in range(self._random.randint(least, most)))

    def _action(self):
        verb = self._random.choice(tuple(VOCABULARY.sub_verbs))
        word = VOCABULARY.sub_verbs[verb]
        with_b = len(word.objects) == 2 and (word.objects[1] == 'b' or self._random.random() < 0.5)
        action = SubAction(verb, self._random.choice(self._named),
                           self._random.choice(self._named) if with_b else '',
                           self._random.choice(tuple(Hand)) if word.hand else None)
        return VOCABULARY.beyond(action, self._conditions(2), self._conditions(2, wild=None))

    def _block(self, depth):
        return tuple(self._statement(depth) for _ in range(self._random.randint(1, 3)))

    def _statement(self, depth):
        kind = self._random.choice(('if', 'while', 'repeat', 'call', 'do', 'do'))
        if kind == 'call' and self._called:
            return Call(self._random.choice(self._called))
        if kind in ('do', 'call') or not depth:
            return self._action()
        block = self._block(depth - 1)
        if kind == 'repeat':
            return Repeat(self._random.choice((1, 2, 3, 9999)), block)
        condition = self._conditions(3, least=1)
        if kind == 'while':
            return While(condition, block)
        return If(condition, block, self._block(depth - 1) if self._random.random() < 0.5 else ())


def _any_programs(strays):
    # Many small choices: made by Hypothesis itself they would take ten times as long.
    return st.randoms(use_true_random=True).map(lambda random: _Writer(random, strays).program())


@pytest.fixture(scope='session')
def any_programs():
    """Draw programs of all words and node kinds; their objects and routines are declared."""
    return _any_programs(strays=False)


@pytest.fixture(scope='session')
def stray_programs():
    """Draw the same, with objects and calls of nothing, and with names that come twice."""
    return _any_programs(strays=True)


# A small world, so that what is drawn often meets: one hand of two, two things, few verbs.
THINGS = ('a', 'b')
UNKNOWN = State()
FEW = ('near', 'contact', 'in_hand', 'on', 'in', 'open', 'closed', 'seen')
CHAIN = ('reach', 'grasp', 'lift', 'carry', 'place', 'release', 'withdraw')
MORE = ('find', 'touch', 'hold', 'slide', 'insert', 'drop', 'pull_open', 'push_shut', 'wait')


@st.composite
def _slices(draw, hands):
    """Draw a piece of the course of taking and setting down."""
    first, hand = draw(st.integers(0, len(CHAIN) - 1)), Hand(draw(st.sampled_from(hands)))
    one, other = draw(st.sampled_from((THINGS, THINGS[::-1])))
    last = draw(st.integers(first + 1, len(CHAIN)))
    return tuple(SubAction(verb, one, other if verb in ('carry', 'place') else '', hand)
                 for verb in CHAIN[first:last])


@st.composite
def _doable(draw, state, hands):
    """Draw a few sub-actions of which each can be done after those before it."""
    block = []
    for _ in range(draw(st.integers(1, 4))):
        able = [action for action in _all_actions(hands)
                if state.all_hold(VOCABULARY.pre(action))]
        # The verb first: there are many ways to reach and few to lift.
        verb = draw(st.sampled_from(sorted({action.verb for action in able})))
        block.append(draw(st.sampled_from([one for one in able if one.verb == verb])))
        state = state.after(VOCABULARY.post(block[-1]), VOCABULARY)
    return tuple(block)


@lru_cache
def _all_actions(hands):
    return [SubAction(verb, a, b, Hand(hand) if word.hand else None)
            for verb in CHAIN + MORE for word in [VOCABULARY.sub_verbs[verb]]
            for a in THINGS for hand in (hands if word.hand else hands[:1])
            for b in ([thing for thing in THINGS if thing != a]
                      if word.objects[1:] == ('b',) else [''])]


@st.composite
def _pieces(draw, ways, state=UNKNOWN):
    """Draw a statement or a few, guarded by what they need or not."""
    hands = ('left',) if draw(st.booleans()) else ('left', 'right')
    plain = st.one_of(_doable(state, hands), _slices(hands),
                      st.sampled_from(_all_actions(hands)).map(lambda one: (one,)))
    block = draw(plain)
    if draw(st.integers(0, 3)) == 0:
        block = (VOCABULARY.beyond(block[0], (), draw(
            _stated(THINGS, False, most=1, names=FEW, hands=hands))), *block[1:])
    if not ways:
        return (Repeat(draw(st.integers(1, 3)), block),) if draw(st.booleans()) else block
    condition = _stated(THINGS, True, least=1, most=2, names=FEW, hands=hands)
    guard = VOCABULARY.pre(block[0])
    way = draw(st.integers(0, 6))
    if way == 0 and guard:
        return (If(guard, block, draw(st.one_of(st.just(()), plain))),)
    if way == 1 and guard:
        return (While(guard[:draw(st.integers(1, len(guard)))], block),)
    if way == 2:
        return (If(draw(condition), block, draw(st.one_of(st.just(()), plain))),)
    if way == 3:
        return (While(draw(condition), block),)
    if way == 4:
        inner = (While if draw(st.booleans()) else If)(draw(condition), block)
        return (If(draw(condition), (inner,), draw(plain)),)
    return block


@st.composite
def _sound_programs(draw, ways):
    initial = draw(_stated(THINGS, False, False, most=4, names=FEW, hands=('left', 'right')))
    program = Program(THINGS, (SubAction('find', 'a'),), initial)
    if check(program):
        program = Program(THINGS, program.body)
    for _ in range(draw(st.integers(3, 10))):
        piece = draw(_pieces(ways, run(program, max_steps=100).state))
        routines = program.routines
        if len(piece) > 1 and draw(st.booleans()):
            routines = (*routines, Routine(f'r{len(routines)}', piece))
            piece = (Call(routines[-1].name),)
        longer = Program(THINGS, (*program.body, *piece), program.initial, routines)
        if not check(longer):
            program = longer
    return program


@pytest.fixture(scope='session')
def sound_straight_programs():
    """Draw programs of sub-actions, repeats and calls that the checker finds nothing in."""
    return _sound_programs(ways=False)


@pytest.fixture(scope='session')
def sound_programs():
    """Draw programs, also with if and while, that the checker finds nothing in."""
    return _sound_programs(ways=True)


@pytest.fixture(scope='session')
def straight_programs():
    """Draw programs of sub-actions, repeats and calls, sound or not."""
    return st.builds(
        lambda pieces, facts: Program(THINGS, sum(pieces, ()), facts),
        st.lists(_pieces(ways=False), min_size=1, max_size=6),
        _stated(THINGS, False, False, most=4, names=FEW, hands=('left', 'right')))
