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

"""What a description of an action says: verb, noun, hand, and where things are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from lego_ros.sim.vocabulary import NOUNS
from lego_ros.training.curation.words import DETERMINERS, split_words
from lego_ros.training.evaluation.actions import Did, main_verb, verbs_of
from lego_ros.training.evaluation.things import LIQUIDS, Named, named_things, SURFACES

Relation = Literal['left', 'right', 'behind', 'front', 'beside', 'above', 'below', 'within',
                   'side', 'way']
_RELATIONS: dict[tuple[str, ...], Relation] = {
    ('left', 'of'): 'left', ('right', 'of'): 'right', ('left', 'side', 'of'): 'side',
    ('right', 'side', 'of'): 'side', ('middle', 'of'): 'side', ('centre', 'of'): 'side',
    ('center', 'of'): 'side', ('in', 'front', 'of'): 'front', ('behind',): 'behind',
    ('next', 'to'): 'beside', ('beside',): 'beside', ('near',): 'beside',
    ('close', 'to'): 'beside', ('above',): 'above', ('below',): 'below', ('under',): 'below',
    ('beneath',): 'below', ('underneath',): 'below', ('in',): 'within', ('on',): 'within',
    ('inside',): 'within', ('into',): 'within', ('onto',): 'within', ('from',): 'within'}
_LONGEST = max(map(len, _RELATIONS))
_LINKS = frozenset({
    'that', 'which', 'is', 'are', 'stands', 'standing', 'lies', 'lying', 'sits', 'sitting',
    'located', 'placed', 'just', 'directly', 'right', 'to', 'at', 'on', 'in', 'the', 'side'})
"""Between a thing and what is said of its place."""
_PUT_LINKS = _LINKS | {'down', 'it', 'hand', 'from', 'left', 'with', 'back'}
"""Between "puts it" and where."""
_ADJECTIVES = frozenset({
    'left', 'right', 'open', 'closed', 'dirty', 'clean', 'full', 'empty', 'hot', 'cut', 'handle',
    'of', 'large', 'small', 'red', 'green', 'running', 'in', 'spill', 'off', 'up', 'down', 'out'})
_PLACES = frozenset({
    'on', 'in', 'into', 'onto', 'over', 'under', 'off', 'above', 'below', 'behind', 'beneath',
    'underneath', 'beside', 'near', 'from', 'inside'})
_CLAUSE_ENDS = frozenset({',', ';', 'and', 'while', 'then', 'as'})
_SIDES = ('left', 'right')


@dataclass(frozen=True)
class Claim:
    """
    A statement about a place.

    :param relation: which.
    :param subject: what is there.
    :param mark: what it is related to; None for ``way``.
    :param value: for ``side`` and ``way``: ``left``, ``right``, ``middle``, ``away``; else ''.
    :param goal: whether the subject is there only after the action.
    """

    relation: Relation
    subject: Named
    mark: Named | None
    value: str = ''
    goal: bool = False


@dataclass(frozen=True)
class Said:
    """
    What a sentence says.

    :param verb: a lemma of the kitchen; None = none, or more than one.
    :param noun: what is acted on; None = nothing that the kitchen has.
    :param side: ``left`` or ``right`` where that is said of the noun; or ''.
    :param hand: ``left``, ``right``, ``both``: the hand that acts; None = not said.
    :param claims: about places.
    """

    verb: str | None
    noun: str | None
    side: str
    hand: str | None
    claims: tuple[Claim, ...]


def read_sentence(text: str) -> Said:
    """
    Read a description.

    :param text: one sentence, the annotator's or any other wording.
    :returns: what it says.
    """
    words = split_words(text)
    things, verbs = named_things(words), verbs_of(words)
    main = main_verb(verbs)
    noun = _acted_on(words, things, main)
    verb = main.verb if main else None
    # People open and close taps; in the kitchen's words they turn them on and off.
    if noun and noun.noun in ('tap', 'hob') and verb in ('open', 'close'):
        verb = 'turn on' if verb == 'open' else 'turn off'
    if verb == 'clean':
        verb = 'wipe' if noun and noun.noun in SURFACES else 'wash'
    return Said(verb, noun.noun if noun else None, noun.side if noun else '',
                _acting_hand(words, verbs, main), tuple(_claims(words, things, verb, noun, main)))


def _acted_on(words: Sequence[str], things: Sequence[Named], main: Did | None) -> Named | None:
    """Find the object of the verb: what follows it, or what "it" stands for."""
    if main is None:
        return things[0] if things else None
    known = [thing for thing in things if not _is_tool(thing, main.verb)]
    after = next((thing for thing in known if thing.start > main.place), None)
    if after and set(words[main.place + 1:after.start]) <= DETERMINERS | _ADJECTIVES | {'on'}:
        return after
    if main.verb == 'wipe':
        # "presses it onto the counter and wipes"
        known = [thing for thing in known if thing.noun in SURFACES] or known
        return known[-1] if known else None
    before = [thing for thing in known if thing.start < main.place]
    if main.verb == 'stir':
        into = [thing for thing in before if _before(words, thing) in ('in', 'into', 'inside')]
        return (into or before or ([after] if after else [None]))[-1]
    plain = [thing for thing in before if _before(words, thing) not in _PLACES
             and not _is_mark(words, thing)]
    return plain[-1] if plain else after if after else before[-1] if before else None


def _is_tool(thing: Named, verb: str) -> bool:
    """Tell whether a thing is what the action is done with."""
    uses = NOUNS[thing.noun].uses if thing.noun in NOUNS else frozenset()
    if verb == 'pour':
        return thing.noun not in LIQUIDS
    use = {'cut': 'cut_with', 'stir': 'stir_with', 'wipe': 'wipe_with'}.get(verb)
    return use in uses


def _before(words: Sequence[str], thing: Named) -> str:
    """Give the last word before a thing that is neither a determiner nor an adjective."""
    place = thing.start - 1
    while place >= 0 and words[place] in DETERMINERS | {'left', 'right', 'open', 'closed'}:
        place -= 1
    return words[place] if place >= 0 else ''


def _is_mark(words: Sequence[str], thing: Named) -> bool:
    """Tell whether "left of", "in front of" and their like stand before a thing."""
    place = thing.start - 1
    while place >= 0 and words[place] in DETERMINERS:
        place -= 1
    if words[place:place + 1] == ['of']:
        return words[place - 1] in (
            'left', 'right', 'front', 'side', 'middle', 'centre', 'center')
    return words[place - 1:place + 1] in (['next', 'to'], ['close', 'to'])


def _acting_hand(words: Sequence[str], verbs: Sequence[Did], main: Did | None) -> str | None:
    """
    Choose the hand that acts: the one of the main verb's clause, else of another's.

    One that merely holds something steady, or in which something is found, comes last.
    """
    if 'hands' in words and words[words.index('hands') - 1] in ('both', 'two', 'right', 'left'):
        return 'both'
    best: tuple[int, int] | None = None
    hand = None
    for place in range(1, len(words)):
        if words[place] not in ('hand', 'fingers', 'palm') or words[place - 1] not in _SIDES:
            continue
        did = {each.verb for each in verbs if _clause(words, each.place) == _clause(words, place)}
        rank = (2 * (0 if main and main.verb in did else 1 if did - {'hold'} else 2)
                + (words[max(0, place - 3):place - 1] == ['in', 'the'] and did != {'hold'}))
        if best is None or (rank, place) < best:
            best, hand = (rank, place), words[place - 1]
    return hand


def _clause(words: Sequence[str], place: int) -> int:
    return sum(word in _CLAUSE_ENDS for word in words[:place])


def _claims(words: Sequence[str], things: Sequence[Named], verb: str | None,
            noun: Named | None, main: Did | None) -> list[Claim]:
    things = [thing for thing in things if thing.noun not in LIQUIDS]
    put = main.place if main and verb == 'put' else None
    if main and verb == 'wash':
        # "washes it under the tap" tells how, not where it was.
        things = [thing for thing in things
                  if thing.noun not in ('tap', 'sink') or thing.start < main.place]
    claims: list[Claim] = []
    place = 0
    while place < len(words):
        phrase = next((tuple(words[place:place + length]) for length in range(_LONGEST, 0, -1)
                       if tuple(words[place:place + length]) in _RELATIONS), None)
        if phrase is None:
            claims += _ways(words, place, verb, noun)
            place += 1
            continue
        claim = _claim(words, things, noun, put, place, phrase)
        if claim is not None and not _told(claims, claim):
            claims.append(claim)
        place += len(phrase)
    return claims


def _claim(words: Sequence[str], things: Sequence[Named], noun: Named | None, put: int | None,
           place: int, phrase: tuple[str, ...]) -> Claim | None:
    """Read the statement that a phrase makes; ``put`` is the place of "puts"."""
    relation, end = _RELATIONS[phrase], place + len(phrase)
    mark = next((thing for thing in things if thing.start >= end), None)
    if mark is None or not set(words[end:mark.start]) <= DETERMINERS | {'left', 'right', 'open'}:
        return None
    value = phrase[0] if relation == 'side' else ''
    value = {'centre': 'middle', 'center': 'middle'}.get(value, value)
    # "on the counter to the left of it": it is not the counter that is there.
    surfaces = {word for thing in things for word in words[thing.start:thing.end]
                if thing.noun in SURFACES}
    before = [thing for thing in things if thing.end <= place
              and not (thing.noun in SURFACES and _before(words, thing) in ('on', 'in'))]
    if put is not None and noun is not None and place > put and (
            not before or before[-1] == noun or before[-1].end <= put):
        between = set(words[max(put + 1, before[-1].end if before else 0):place])
        if phrase != ('from',) and between <= _PUT_LINKS | surfaces:
            return Claim(relation, noun, mark, value, goal=True)
        return None
    if before and set(words[before[-1].end:place]) <= _LINKS | surfaces:
        return Claim(relation, before[-1], mark, value)
    return None


def _ways(words: Sequence[str], place: int, verb: str | None, noun: Named | None) -> list[Claim]:
    """Read where something is pushed."""
    if verb != 'push' or noun is None or place < noun.end:
        return []
    if words[place] == 'away':
        return [Claim('way', noun, None, 'away')]
    follows = words[place + 1:place + 2]
    if words[place] in _SIDES and words[place - 2:place] == ['to', 'the'] and (
            follows not in (['of'], ['hand'], ['side'])):
        return [Claim('way', noun, None, words[place])]
    return []


def _told(claims: Sequence[Claim], claim: Claim) -> bool:
    return any((each.relation, each.subject.noun, each.mark and each.mark.noun, each.value)
               == (claim.relation, claim.subject.noun, claim.mark and claim.mark.noun, claim.value)
               for each in claims)
