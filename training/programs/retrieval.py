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

"""Finding the exemplars that are most like a clip: TF-IDF and the cosine, on its words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
import math

from lego_ros.training.curation.words import DETERMINERS, singular, split_words
from lego_ros.training.data.verbs import base_form, KNOWN
from lego_ros.training.descriptors.clip import Descriptors
from lego_ros.training.programs.exemplars import Exemplar
import numpy as np

_VERB_WEIGHT, _ACTION_WEIGHT = 6, 3
"""What is done shapes a program more than what it is done to, and both more than what else there
is. Narrations of both datasets begin with the verb."""
_EMPTY = DETERMINERS | {',', ';', 'it', 'them', 'and', 'of', 'in', 'into', 'to', 'from', 'with'}


class Retriever:
    """
    Finds exemplars by the words of narrations, objects and contacts.

    A word's weight is its count, 6 for the first word of the clip's own narration and 3 for its
    others, times ln((1 + N) / (1 + n)) + 1, with n of the N exemplars having it. Equals go by
    name, so that the choice is always the same.

    :param exemplars: to choose from.
    """

    def __init__(self, exemplars: Sequence[Exemplar]) -> None:
        self._exemplars = sorted(exemplars, key=lambda exemplar: exemplar.name)
        counts = [_counts(exemplar.descriptors) for exemplar in self._exemplars]
        having = Counter(word for count in counts for word in count)
        self._place = {word: place for place, word in enumerate(sorted(having))}
        self._weight = np.array([
            math.log((1 + len(counts)) / (1 + having[word])) + 1 for word in sorted(having)])
        self._vectors = np.stack([self._vector(count) for count in counts])

    def nearest(self, descriptors: Descriptors, count: int) -> tuple[Exemplar, ...]:
        """
        Find the most similar exemplars.

        :param descriptors: of the clip.
        :param count: how many.
        :returns: the exemplars, the most similar last: next to the query.
        """
        likeness = self._vectors @ self._vector(_counts(descriptors))
        # Rounded, so that the last bits of a sum, which differ between machines, decide nothing.
        best = np.argsort(-np.round(likeness, 9), kind='stable')[:count]
        return tuple(self._exemplars[place] for place in reversed(best))

    def _vector(self, counts: Counter[str]) -> np.ndarray:
        vector = np.zeros(len(self._place))
        for word, count in counts.items():
            if word in self._place:
                vector[self._place[word]] = count
        vector *= self._weight
        length = np.linalg.norm(vector)
        return vector / length if length else vector


def _counts(descriptors: Descriptors) -> Counter[str]:
    counts: Counter[str] = Counter()
    for part in (descriptors.narrations, descriptors.objects, descriptors.contact):
        for number, span in enumerate(part.spans if part is not None else ()):
            own = part is descriptors.narrations and number == 0
            for place, word in enumerate(_words(span.text)):
                counts[word] += 1 if not own else _ACTION_WEIGHT if place else _VERB_WEIGHT
    return counts


def _words(text: str) -> Iterator[str]:
    for word in split_words(text):
        if word not in _EMPTY:
            yield base_form(word) if base_form(word) in KNOWN else singular(word)
