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

"""What a finished manifest holds, in numbers, with a few pairs to look at."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
import hashlib
import heapq
import json
import math
from pathlib import Path
from typing import Any

from lego_ros.errors import ErrorCode, LegoError
from lego_ros.files import sha256_of
from lego_ros.training.data.files import unusable
from lego_ros.training.data.manifest import PairRecord, read_manifest
from lego_ros.training.data.prepare import MANIFEST
from lego_ros.training.data.problems import Problem, ProblemLog

VERDICTS = ('kept', 'too_different', 'too_similar')
_SIMILARITY_STEPS = 50
"""Intervals for each unit of the cosine."""
_GAP_STEP = 0.25
_EXAMPLES = 5


@dataclass
class SplitCounts:
    """
    One split.

    :param pairs: all.
    :param kept: those that pass the filter.
    :param videos: that they come from.
    """

    pairs: int = 0
    kept: int = 0
    videos: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class Histogram:
    """
    How often values lie in equal intervals.

    :param start: where the first interval begins.
    :param step: width of an interval.
    :param counts: of each interval, by verdict.
    """

    start: float
    step: float
    counts: tuple[dict[str, int], ...]

    @property
    def total(self) -> int:
        """All that is counted."""
        return sum(sum(interval.values()) for interval in self.counts)


@dataclass
class Statistics:
    """
    The numbers of a manifest.

    :param settings: that it was made with.
    :param verdicts: pairs by the filter's verdict.
    :param splits: by name, in the order of their appearance.
    :param verbs: kept and all pairs by verb, the most frequent first.
    :param nouns: kept and all pairs by noun, likewise; a pair without a noun is in none.
    :param hands: pairs by the hands in the target's boxes.
    :param boxed: pairs with at least one box.
    :param similarity: of the two pictures.
    :param gaps: seconds from the input to the target.
    :param problems: how often each reason occurs.
    :param examples: the first few problems of each reason.
    :param samples: a few pairs of each verdict, chosen by the hash of their ids.
    """

    settings: dict[str, Any]
    verdicts: dict[str, int]
    splits: dict[str, SplitCounts]
    verbs: dict[str, tuple[int, int]]
    nouns: dict[str, tuple[int, int]]
    hands: dict[str, int]
    boxed: int
    similarity: Histogram
    gaps: Histogram
    problems: dict[str, int]
    examples: dict[str, list[Problem]]
    samples: dict[str, list[PairRecord]]

    @property
    def pairs(self) -> int:
        """All pairs."""
        return sum(self.verdicts.values())


def manifest_of(place: Path) -> Path:
    """
    Find a manifest.

    :param place: the manifest, or its folder.
    :returns: the manifest.
    """
    return place / MANIFEST if place.is_dir() else place


def read_statistics(path: Path, samples: int = 12) -> Statistics:
    """
    Count a manifest through once.

    :param path: of a finished manifest.
    :param samples: pairs of each verdict that are kept to be looked at.
    :returns: the numbers.
    :raises LegoError: SOURCE_UNREADABLE: it is damaged; INVALID_SETTING: it is not finished.
    """
    settings = _settings(path)
    counting = _Counting(samples)
    for record in read_manifest(path):
        counting.add(record)
    problems = ProblemLog.read(path.with_suffix('.problems.jsonl'))
    examples: dict[str, list[Problem]] = {reason: [] for reason in problems.counts}
    for problem in problems:
        if len(examples[problem.reason.value]) < _EXAMPLES:
            examples[problem.reason.value].append(problem)
    return Statistics(
        settings, {verdict: counting.verdicts[verdict] for verdict in VERDICTS}, counting.splits,
        counting.table('verb'), counting.table('noun'), dict(counting.hands.most_common()),
        counting.boxed, counting.similarity((settings['lowest'], settings['highest'])),
        counting.gaps(), problems.counts, examples,
        {verdict: counting.chosen(verdict) for verdict in VERDICTS})


def _settings(path: Path) -> dict[str, Any]:
    summary_path = path.with_suffix('.summary.json')
    if not summary_path.is_file():
        raise LegoError(
            ErrorCode.INVALID_SETTING,
            f"'{path}': there is no finished manifest; 'lego-ros data prepare' makes one, and "
            'goes on where it stopped')
    try:
        summary = json.loads(summary_path.read_text(encoding='utf-8'))
        settings, digest = summary['plan']['settings'], summary['sha256']
        settings['lowest'], settings['highest'] = (
            float(settings['lowest']), float(settings['highest']))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise unusable(summary_path, f'it is no summary of a manifest: {error}') from error
    if not path.is_file() or digest != sha256_of(path):
        raise unusable(path, 'it was changed or cut off after it was finished')
    return settings


class _Counting:
    """What is known of the pairs so far; no record is kept but the samples."""

    def __init__(self, samples: int) -> None:
        self.verdicts: Counter[str] = Counter()
        self.splits: dict[str, SplitCounts] = {}
        self.hands: Counter[str] = Counter()
        self.boxed = 0
        self._words = {'verb': Counter[str](), 'noun': Counter[str]()}
        self._kept_words = {'verb': Counter[str](), 'noun': Counter[str]()}
        self._similarities: dict[str, Counter[int]] = {name: Counter() for name in VERDICTS}
        self._gaps: dict[str, Counter[int]] = {name: Counter() for name in VERDICTS}
        self._samples = samples
        self._heaps: dict[str, list[tuple[int, str, PairRecord]]] = {
            name: [] for name in VERDICTS}

    def add(self, record: PairRecord) -> None:
        verdict = record.reason
        self.verdicts[verdict] += 1
        split = self.splits.setdefault(record.split, SplitCounts())
        split.pairs += 1
        split.kept += record.kept
        split.videos.add(record.video_id)
        self.hands[record.hand or 'none'] += 1
        self.boxed += bool(record.boxes)
        for name, word in (('verb', record.verb), ('noun', record.noun)):
            if word is not None:
                self._words[name][word] += 1
                self._kept_words[name][word] += record.kept
        self._similarities[verdict][_similarity_index(record.similarity)] += 1
        self._gaps[verdict][int((record.target.time - record.input.time) / _GAP_STEP)] += 1
        self._offer(record)

    def _offer(self, record: PairRecord) -> None:
        # A hash is as good as chance, and shows the same pairs each time.
        rank = -int(hashlib.sha256(record.pair_id.encode()).hexdigest()[:16], 16)
        heap = self._heaps[record.reason]
        heapq.heappush(heap, (rank, record.pair_id, record))
        if len(heap) > self._samples:
            heapq.heappop(heap)

    def chosen(self, verdict: str) -> list[PairRecord]:
        return [record for _, _, record in sorted(self._heaps[verdict], reverse=True)]

    def table(self, name: str) -> dict[str, tuple[int, int]]:
        ranked = sorted(self._words[name].items(), key=lambda item: (-item[1], item[0]))
        return {word: (self._kept_words[name][word], count) for word, count in ranked}

    def similarity(self, bounds: tuple[float, float]) -> Histogram:
        # The filter's bounds are in it, whether or not a pair comes near them.
        return _histogram(self._similarities, -1.0, 1 / _SIMILARITY_STEPS,
                          {_similarity_index(bound) for bound in bounds})

    def gaps(self) -> Histogram:
        return _histogram(self._gaps, 0.0, _GAP_STEP, set())


def _similarity_index(cosine: float) -> int:
    # Rounding may bring a cosine a little out of -1..1.
    index = math.floor((cosine + 1) * _SIMILARITY_STEPS)
    return min(max(index, 0), 2 * _SIMILARITY_STEPS - 1)


def _histogram(found: dict[str, Counter[int]], origin: float, step: float, covered: set[int]
               ) -> Histogram:
    """Bring counts of single intervals into one row without gaps."""
    counted = {index for counter in found.values() for index in counter}
    if not counted:
        return Histogram(origin, step, ())
    low, high = min(counted | covered), max(counted | covered)
    return Histogram(origin + low * step, step, tuple(
        {name: counter[index] for name, counter in found.items()}
        for index in range(low, high + 1)))
