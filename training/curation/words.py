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

"""Words of sentences and labels, and the known names of things among them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
import re

from lego_ros.training.data.verbs import base_form, KNOWN

BODY = frozenset({
    'hand', 'finger', 'thumb', 'palm', 'fist', 'wrist', 'arm', 'elbow', 'body', 'chest', 'person',
    'wearer'})
"""What every picture of this kind has, whether or not an annotator drew it."""
DETERMINERS = frozenset({
    'a', 'an', 'the', 'this', 'that', 'these', 'those', 'some', 'his', 'her', 'its', 'their',
    'one', 'two', 'another', 'each', 'both'})
# Names in taxonomies that are far more often something else in a sentence.
_NO_THINGS = BODY | {
    'left', 'right', 'top', 'bottom', 'side', 'front', 'back', 'middle', 'centre', 'center',
    'edge', 'end', 'inside', 'outside', 'way', 'place', 'half', 'piece', 'part', 'circle',
    'motion', 'air', 'direction', 'position', 'other', 'it', 'them', 'they', 'object', 'tool',
    'item', 'thing', 'so', 'as'}
_IRREGULAR = {
    'knives': 'knife', 'leaves': 'leaf', 'loaves': 'loaf', 'halves': 'half', 'shelves': 'shelf',
    'wolves': 'wolf', 'calves': 'calf', 'scarves': 'scarf', 'men': 'man', 'women': 'woman',
    'people': 'person', 'feet': 'foot', 'teeth': 'tooth', 'mice': 'mouse', 'dice': 'die',
    'children': 'child', 'shoes': 'shoe', 'toes': 'toe', 'axes': 'axe', 'cookies': 'cookie',
    'pies': 'pie', 'ties': 'tie'}
_WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)?|[,;]")
Phrase = tuple[str, ...]


def split_words(text: str) -> list[str]:
    """
    Split a text into words.

    :param text: a sentence, label or name.
    :returns: its words in lower case, parted at hyphens too, with commas and semicolons between
        them; digits and other signs are left out.
    """
    return _WORD.findall(text.lower())


def singular(word: str) -> str:
    """
    Take off an English plural's ending.

    :param word: in lower case.
    :returns: the singular; what it makes of a word that has none is the same every time.
    """
    if word in _IRREGULAR:
        return _IRREGULAR[word]
    if word.endswith('ies') and len(word) > 4:
        return word[:-3] + 'y'
    if word.endswith(('sses', 'shes', 'ches', 'xes', 'zzes', 'oes')):
        return word[:-2]
    if word.endswith('s') and not word.endswith(('ss', 'us', 'is')) and len(word) > 3:
        return word[:-1]
    return word


def phrase_of(name: str) -> Phrase:
    """
    Make a name comparable.

    :param name: of a thing.
    :returns: its words in the singular.
    """
    return tuple(singular(word) for word in split_words(name) if word not in ',;')


@dataclass(frozen=True)
class Mention:
    """
    A known name in a text.

    :param start: number of its first word.
    :param phrase: its words in the singular.
    """

    start: int
    phrase: Phrase


class Vocabulary:
    """
    The known names of things.

    :param nouns: names.
    :param synonyms: groups of names that mean the same, such as a taxonomy's classes.
    """

    def __init__(self, nouns: Iterable[str], synonyms: Iterable[Sequence[str]] = ()) -> None:
        self._groups: dict[Phrase, set[int]] = {}
        groups = [*synonyms, *([noun] for noun in sorted(nouns))]
        for number, names in enumerate(groups):
            for name in names:
                phrase = phrase_of(name)
                if phrase and phrase[-1] not in _NO_THINGS:
                    self._groups.setdefault(phrase, set()).add(number)
        self._longest = max(map(len, self._groups), default=0)

    def mentions(self, words: Sequence[str]) -> list[Mention]:
        """
        Find the known names in a text, the longest first where several fit.

        :param words: of :func:`split_words`.
        :returns: what was found, in the text's order.
        """
        single = [singular(word) for word in words]
        found = []
        start = 0
        while start < len(words):
            for length in range(min(self._longest, len(words) - start), 0, -1):
                phrase = tuple(single[start:start + length])
                if phrase in self._groups and (length > 1 or not _is_verb(words, start)):
                    found.append(Mention(start, phrase))
                    start += length - 1
                    break
            start += 1
        return found

    def same(self, one: Phrase, other: Phrase) -> bool:
        """
        Tell whether two names can mean the same thing.

        :param one: a name.
        :param other: another.
        :returns: whether they are synonyms, or one is the other with words before it: "pan" and
            "frying pan".
        """
        shorter = min(len(one), len(other))
        return (one[-shorter:] == other[-shorter:]
                or bool(self._groups.get(one, set()) & self._groups.get(other, set())))


def _is_verb(words: Sequence[str], place: int) -> bool:
    """Tell "and covers the pan" from "the cover": a thing has a determiner before it."""
    return (base_form(words[place]) in KNOWN
            and (place == 0 or words[place - 1] not in DETERMINERS))
