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

"""What is known of an action that is to be described, and which actions are chosen."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
import hashlib
import heapq
from pathlib import Path

from lego_ros.errors import ErrorCode, LegoError
from lego_ros.training.data.epic_classes import spoken
from lego_ros.training.data.manifest import BoxRecord, PairRecord, read_manifest

LEFT_HAND, RIGHT_HAND = 'left hand', 'right hand'
HANDS = (LEFT_HAND, RIGHT_HAND)
UNNAMED = ('object', 'tool')
"""Names of boxes for which the dataset has none."""
_HAND_OF = {'left_hand': LEFT_HAND, 'right_hand': RIGHT_HAND}


@dataclass(frozen=True)
class NamedBox:
    """
    A box as a language model is told of it.

    :param name: ``left hand``, ``right hand``, a noun in lower case, or one of ``UNNAMED``.
    :param corners: x1, y1, x2, y2 from the top left, in 0..1 of width and height.
    """

    name: str
    corners: tuple[float, float, float, float]


@dataclass(frozen=True)
class Query:
    """
    All that a language model is told of an action.

    :param label: such as "open the drawer".
    :param before: boxes in the input picture.
    :param after: boxes in the target picture.
    """

    label: str
    before: tuple[NamedBox, ...]
    after: tuple[NamedBox, ...]

    @property
    def boxes(self) -> tuple[NamedBox, ...]:
        """Return the boxes of both pictures."""
        return self.before + self.after


@dataclass(frozen=True)
class Entry:
    """
    An action to be described.

    :param pair_id: of the manifest.
    :param dataset: of the manifest; says which examples fit.
    :param action_id: of the dataset.
    :param verb: without synonyms, in lower case and parted by spaces.
    :param noun: likewise; None = the dataset has none.
    :param query: what is known.
    """

    pair_id: str
    dataset: str
    action_id: str
    verb: str
    noun: str | None
    query: Query


@dataclass(frozen=True)
class Selection:
    """
    Which actions of a manifest are described.

    :param splits: of the manifest.
    :param count: how many, drawn at random; None = all.
    :param seed: of the draw. A larger count with the same seed adds to the smaller one's.
    """

    splits: tuple[str, ...] = ('train',)
    count: int | None = None
    seed: int = 0


def spoken_name(name: str) -> str:
    """
    Write a dataset's noun or verb as one says it.

    :param name: such as ``board:chopping`` or ``turn-on``.
    :returns: such as ``chopping board`` or ``turn on``.
    """
    return ' '.join(spoken(name).replace('_', ' ').replace('-', ' ').lower().split())


def make_entry(record: PairRecord) -> Entry:
    """
    Take out of a manifest's record what curation needs.

    :param record: of the manifest.
    :returns: the action.
    """
    pictures: dict[str, list[NamedBox]] = {'input': [], 'target': []}
    for box in record.boxes:
        pictures[box.picture].append(NamedBox(_box_name(box), box.box))
    query = Query(' '.join(record.label.split()), tuple(pictures['input']),
                  tuple(pictures['target']))
    return Entry(record.pair_id, record.dataset, record.action_id, spoken_name(record.verb),
                 spoken_name(record.noun) if record.noun else None, query)


def _box_name(box: BoxRecord) -> str:
    # A worn glove has the hand's role and its own name; what matters is the hand.
    if box.role in _HAND_OF:
        return _HAND_OF[box.role]
    return spoken_name(box.name) if box.name else box.role


def read_entries(manifest: Path, splits: Sequence[str]) -> tuple[list[Entry], set[str]]:
    """
    Read the actions of some splits, and every noun of the whole manifest.

    :param manifest: of the prepared data.
    :param splits: which.
    :returns: the actions whose pairs are kept, in the manifest's order, and the nouns.
    :raises LegoError: SOURCE_UNREADABLE, naming file and line.
    """
    entries = []
    nouns: set[str] = set()
    for record in read_manifest(manifest):
        if record.noun:
            nouns.add(spoken_name(record.noun))
        nouns.update(spoken_name(box.name) for box in record.boxes
                     if box.name and box.role not in _HAND_OF)
        if record.kept and record.split in splits:
            entries.append(make_entry(record))
    return entries, nouns


def choose(entries: Iterable[Entry], selection: Selection, boxes: bool) -> list[Entry]:
    """
    Draw actions at random: which ones depends on their ids and the seed only.

    :param entries: to choose from.
    :param selection: how many, and the seed.
    :param boxes: whether only actions with boxes are eligible.
    :returns: the chosen ones, in the order given.
    :raises LegoError: INVALID_SETTING: there are too few.
    """
    eligible = [entry for entry in entries if entry.query.boxes or not boxes]
    count = len(eligible) if selection.count is None else selection.count
    what = f'split {", ".join(selection.splits)}' + (' with boxes' if boxes else '')
    if not eligible:
        raise LegoError(ErrorCode.INVALID_SETTING, f'the manifest has no kept action of {what}')
    if count > len(eligible):
        raise LegoError(ErrorCode.INVALID_SETTING,
                        f'{count} actions are asked for, but the manifest has {len(eligible)} '
                        f'of {what}')
    ranks = [(_rank(entry.pair_id, selection.seed), place)
             for place, entry in enumerate(eligible)]
    return [eligible[place] for place in sorted(
        place for _, place in heapq.nsmallest(count, ranks))]


def _rank(pair_id: str, seed: int) -> bytes:
    return hashlib.sha256(f'{seed}/{pair_id}'.encode()).digest()
