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

"""Which words about hands and places the boxes of an action bear out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from lego_ros.training.curation.queries import HANDS, NamedBox, Query, UNNAMED
from lego_ros.training.curation.words import BODY, DETERMINERS, phrase_of, singular, split_words

BESIDE_GAP = 0.15
"""Widest gap between two boxes side by side, of the picture's width or height."""
_TOLERANCE = 0.02
_LIMBS = frozenset({'hand', 'finger', 'thumb', 'palm', 'fist', 'wrist', 'arm', 'glove'})
_SIDES = ('left', 'right')
_SELF = BODY | {'him', 'her', 'camera', 'viewer', 'them', 'themselves', 'themself', 'self'}
_PRONOUNS = frozenset({'it', 'them', 'other', 'another', 'both', 'this', 'that', 'these'})
_STOPS = frozenset({',', ';', 'and', 'with', 'using', 'while', 'by', 'so', 'then', 'until'})
# "is left on the table" is about no place, "right next to" about another one.
_AUXILIARIES = frozenset({'is', 'are', 'was', 'were', 'been', 'being', 'has', 'have', 'had'})
_WINDOW = 6
"""How many words after "next to" are looked at for what it is next to."""

Beside = Callable[[NamedBox, NamedBox], bool]


def _centre(box: NamedBox) -> tuple[float, float]:
    x1, y1, x2, y2 = box.corners
    return (x1 + x2) / 2, (y1 + y2) / 2


def _gap(one: NamedBox, other: NamedBox) -> float:
    return max(max(one.corners[axis] - other.corners[axis + 2],
                   other.corners[axis] - one.corners[axis + 2]) for axis in (0, 1))


def _left_of(thing: NamedBox, mark: NamedBox) -> bool:
    return _centre(thing)[0] < _centre(mark)[0]


def _above(thing: NamedBox, mark: NamedBox) -> bool:
    return _centre(thing)[1] < _centre(mark)[1]


def _in_front_of(thing: NamedBox, mark: NamedBox) -> bool:
    # What is nearer to a head above a counter ends lower in the picture.
    return thing.corners[3] >= mark.corners[3] - _TOLERANCE


def _near(thing: NamedBox, mark: NamedBox) -> bool:
    return _gap(thing, mark) <= BESIDE_GAP


_RELATIONS: dict[tuple[str, ...], Beside] = {
    ('left', 'of'): _left_of,
    ('right', 'of'): lambda thing, mark: _left_of(mark, thing),
    ('in', 'front', 'of'): _in_front_of,
    ('behind',): lambda thing, mark: _in_front_of(mark, thing),
    ('next', 'to'): _near,
    ('beside',): _near,
    ('close', 'to'): _near,
    ('near',): _near,
    ('alongside',): _near,
    ('above',): _above,
    ('on', 'top', 'of'): _above,
    ('below',): lambda thing, mark: _above(mark, thing),
    ('beneath',): lambda thing, mark: _above(mark, thing),
    ('underneath',): lambda thing, mark: _above(mark, thing),
    ('under',): lambda thing, mark: _above(mark, thing),
}
"""What must hold between some box and the box of what follows these words."""


@dataclass(frozen=True)
class Unsupported:
    """
    Words that the boxes do not bear out.

    :param about_hand: about a hand, not about a place.
    :param words: the words.
    """

    about_hand: bool
    words: str


def unsupported(sentence: str, query: Query) -> Iterator[Unsupported]:
    """
    Find words about hands and places for which there is no ground.

    Words that the label has too are never unsupported. Hands must have a box in either picture.
    "Left of", "next to" and their like must hold, within one picture, between the box of what
    follows and another box. "On the left" must hold for a thing in the left half, for one left
    of another, or for one that moves to the left. Where sentence or label name things that
    have boxes, it is they for which it must hold.

    :param sentence: the description.
    :param query: what is known of the action.
    :returns: an iterator over them, in the order of the sentence.
    """
    words = split_words(sentence)
    label = split_words(query.label)
    query = _named_in([singular(word) for word in words + label], query)
    label_text = f' {" ".join(label)} '
    place = 0
    while place < len(words):
        length, what = _at(words, place, query, label)
        if what is not None and f' {what.words} ' not in label_text:
            yield what
        place += length


def _named_in(words: Sequence[str], query: Query) -> Query:
    """Leave out the things that neither sentence nor label names, provided they name any."""
    if not any(box.name not in HANDS and _names(box.name, words) for box in query.boxes):
        return query
    before, after = (
        tuple(box for box in boxes
              if box.name in HANDS + UNNAMED or _names(box.name, words))
        for boxes in (query.before, query.after))
    return Query(query.label, before, after)


def _at(words: Sequence[str], place: int, query: Query, label: Sequence[str]
        ) -> tuple[int, Unsupported | None]:
    """Judge what begins at a word: how many words it is, and what is wrong with it."""
    hands = _hands(words, place)
    if hands is not None:
        length, needed = hands
        have = {box.name for box in query.boxes}
        fine = needed <= have if needed else bool(have & set(HANDS))
        fine = fine or (not needed and 'hand' in map(singular, label))
        return length, None if fine else _fault(True, words, place, length)
    for phrase, holds in _RELATIONS.items():
        if tuple(words[place:place + len(phrase)]) == phrase:
            fine = _relation_holds(holds, words[place + len(phrase):], query, label)
            return len(phrase), None if fine else _fault(False, words, place, len(phrase))
    if words[place] == 'between':
        fine = any(len(boxes) >= 3 for boxes in (query.before, query.after))
        return 1, None if fine else _fault(False, words, place, 1)
    if words[place] in _SIDES and _is_place(words, place):
        return 1, None if _side_holds(words[place], query) else _fault(False, words, place, 1)
    return 1, None


def _fault(about_hand: bool, words: Sequence[str], place: int, length: int) -> Unsupported:
    return Unsupported(about_hand, ' '.join(words[place:place + length]))


def _hands(words: Sequence[str], place: int) -> tuple[int, set[str]] | None:
    """
    Read a phrase about hands.

    Returns how many words it has and which hands it needs, none = any; None = it is no such
    phrase.
    """
    rest = [singular(word) for word in words[place:place + 4]]
    if rest[0] in _SIDES:
        if rest[1:2] == ['and'] and rest[2:3] in ([_SIDES[0]], [_SIDES[1]]) and (
                rest[3:4] and rest[3] in _LIMBS):
            return 4, set(HANDS)
        for length in (2, 3):
            middle = rest[1:length - 1]
            if (len(rest) >= length and rest[length - 1] in _LIMBS
                    and not set(middle) & (DETERMINERS | _STOPS | {'of', 'hand'})):
                return length, {f'{rest[0]} hand'}
    if rest[0] in ('both', 'two', 'other') and rest[1:2] in (['hand'], ['palm']):
        return 2, set(HANDS)
    if rest[0] == 'hand':
        return 1, set(HANDS) if words[place] == 'hands' else set()
    return None


def _is_place(words: Sequence[str], place: int) -> bool:
    before = words[place - 1] if place else ''
    after = words[place + 1] if place + 1 < len(words) else ''
    if before in _AUXILIARIES or (before == 'person' and words[place] == 'left'):
        return False
    starts_relation = any(phrase[0] == after for phrase in _RELATIONS if phrase[0] not in _SIDES)
    return not (words[place] == 'right' and starts_relation and before not in DETERMINERS)


def _relation_holds(holds: Beside, after: Sequence[str], query: Query, label: Sequence[str]
                    ) -> bool:
    window: list[str] = []
    for word in after[:_WINDOW]:
        if word in _STOPS and window:
            break
        window.append(singular(word))
    landmark = next((word for word in window if word not in DETERMINERS), '')
    # Before, above and beside the person is where everything is that the camera sees.
    if landmark in _SELF:
        return bool(query.boxes)
    for boxes in (query.before, query.after):
        marks = _landmarks(boxes, window, label)
        if any(holds(thing, mark) for mark in marks for thing in boxes if thing is not mark):
            return True
    return False


def _landmarks(boxes: Sequence[NamedBox], window: Sequence[str], label: Sequence[str]
               ) -> list[NamedBox]:
    named = [box for box in boxes if box.name not in UNNAMED
             and _names(box.name, window)]
    if named:
        return named
    # A detector's box without a name may well be what the label names.
    if set(window) & {singular(word) for word in label} - DETERMINERS or set(window) & {*UNNAMED}:
        named = [box for box in boxes if box.name in UNNAMED]
    if not named and window and window[0] in _PRONOUNS:
        named = list(boxes)
    return named


def _names(name: str, window: Sequence[str]) -> bool:
    phrase = phrase_of(name)
    if name in HANDS:
        return any(tuple(window[start:start + 2]) == phrase for start in range(len(window)))
    return bool(phrase) and phrase[-1] in window


def _side_holds(side: str, query: Query) -> bool:
    sign = -1 if side == 'left' else 1
    things = [[(box.name, sign * _centre(box)[0]) for box in boxes if box.name not in HANDS]
              for boxes in (query.before, query.after)]
    places = [x for picture in things for _, x in picture]
    half = any(x >= sign * 0.5 - _TOLERANCE for x in places)
    beyond = any(max(x for _, x in picture) > min(x for _, x in picture) + _TOLERANCE
                 for picture in things if picture)
    moved = any(later > earlier + _TOLERANCE for name, earlier in things[0]
                for other, later in things[1] if name == other)
    return half or beyond or moved
