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

"""A dataset folder as training sees it: pairs with descriptions, and their pictures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
import hashlib
import json
import logging
from pathlib import Path
from typing import Literal

import cv2
from lego_ros.errors import ErrorCode, LegoError
from lego_ros.files import sha256_of
from lego_ros.ldm.view import View
from lego_ros.training.curation.results import read_outcome, ResultFiles
from lego_ros.training.data.files import unusable
from lego_ros.training.data.manifest import PairRecord, read_manifest
import numpy as np

MANIFEST = 'pairs.jsonl'
DESCRIPTIONS = 'descriptions.jsonl'
Which = Literal['input', 'target']
WHICH: tuple[Which, Which] = ('input', 'target')


@dataclass(frozen=True)
class Pair:
    """
    An action with its two pictures.

    :param pair_id: unique in the manifest.
    :param action_id: of the dataset; the kitchen's truth has the same.
    :param video_id: pairs of one video show one scene.
    :param label: such as ``open the left drawer``.
    :param verb: lemma.
    :param noun: None where the dataset names none.
    :param hand: ``left``, ``right``, ``both``: the hands in the target picture; None = none.
    :param description: the enriched one; empty where the dataset was opened without any.
    :param input_path: the picture before the action.
    :param target_path: the picture in which the action can be seen.
    :param input_sha256: of the file.
    :param target_sha256: of the file.
    """

    pair_id: str
    action_id: str
    video_id: str
    label: str
    verb: str
    noun: str | None
    hand: str | None
    description: str
    input_path: Path
    target_path: Path
    input_sha256: str
    target_sha256: str

    def path(self, which: Which) -> Path:
        """
        Name a picture's file.

        :param which: of the two.
        :returns: its path.
        """
        return self.input_path if which == 'input' else self.target_path


class PairDataset:
    """
    The pairs of a split that pass the filter, in the manifest's order.

    :param folder: with ``pairs.jsonl`` and ``descriptions.jsonl``, as ``lego-ros sim generate``
        or ``lego-ros data prepare`` and ``lego-ros curate`` make them. A description in the
        manifest itself serves where the other file has none.
    :param split: of the manifest.
    :param described: whether only pairs with a description are wanted, which curation need not
        have given to all and did not reject; how many are left out, and why, is logged as a
        warning. Without, descriptions are not looked at: what comes after the VLLM's tuning takes
        all pairs, however many were curated.
    :param check_hashes: whether to read each picture and compare it with the manifest.
    :raises LegoError: SOURCE_UNREADABLE: a file is missing, damaged or another one than the
        manifest names; INVALID_SETTING: no pairs, no such split, no descriptions, curation that
        has not come to its end, or nothing to tell apart.
    """

    def __init__(self, folder: Path, split: str, *, described: bool = True,
                 check_hashes: bool = False) -> None:
        self.folder, self.split = folder, split
        records = _kept(folder / MANIFEST)
        chosen = _of_split(folder / MANIFEST, records, split)
        self.left_out: dict[str, int] = {}
        """How many pairs have no description, by reason."""
        if described:
            self._pairs, self.left_out = _described(folder, chosen)
        else:
            self._pairs = [_pair(folder, record, '') for record in chosen]
        for pair in self._pairs:
            _check_pictures(pair, check_hashes)

    def __len__(self) -> int:
        """Give the number of pairs."""
        return len(self._pairs)

    def __getitem__(self, index: int) -> Pair:
        """Give a pair."""
        return self._pairs[index]

    def __iter__(self) -> Iterator[Pair]:
        """Give the pairs one after the other."""
        return iter(self._pairs)

    @property
    def sha256(self) -> str:
        """Of all that the pairs are, pictures included; not of where they lie."""
        digest = hashlib.sha256()
        for pair in self._pairs:
            facts = {key: value for key, value in asdict(pair).items()
                     if not isinstance(value, Path)}
            digest.update(json.dumps(facts, sort_keys=True).encode())
        return digest.hexdigest()

    def picture(self, index: int, which: Which = 'input', side: int | None = None,
                mirrored: bool = False) -> np.ndarray:
        """
        Read a picture.

        :param index: of the pair.
        :param which: of its two pictures.
        :param side: None = as large as the file; else the square that the LDM would see [px].
        :param mirrored: whether left and right are swapped; texts: ``data.flip.swap_sides``.
        :returns: (H, W, 3) uint8 RGB, contiguous.
        :raises LegoError: SOURCE_UNREADABLE: the file is gone or damaged.
        """
        rgb = read_picture(self._pairs[index].path(which))
        if side is not None:
            rgb = View.WHOLE.ldm_view(rgb, side)
        return np.ascontiguousarray(rgb[:, ::-1] if mirrored else rgb)


def read_picture(path: Path) -> np.ndarray:
    """
    Read a picture's file.

    :param path: of it.
    :returns: (H, W, 3) uint8 RGB.
    :raises LegoError: SOURCE_UNREADABLE: it is gone or damaged.
    """
    try:
        content = np.fromfile(path, np.uint8)
    except OSError as error:
        raise unusable(path, f'the picture cannot be read: {error}') from error
    bgr = cv2.imdecode(content, cv2.IMREAD_COLOR) if content.size else None
    if bgr is None:
        raise unusable(path, 'this is no picture, or a damaged one; prepare the data anew')
    return cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)


def _kept(path: Path) -> list[PairRecord]:
    """Read the records that pass the filter."""
    total, records = 0, []
    for record in read_manifest(path):
        total += 1
        if record.kept:
            records.append(record)
    if not records:
        why = f'none of its {total} pairs passes the filter' if total else 'it is empty'
        raise LegoError(ErrorCode.INVALID_SETTING, f"'{path}': there are no pairs: {why}")
    actions = {(record.verb, record.noun) for record in records}
    if len(actions) == 1:
        verb, noun = actions.pop()
        raise LegoError(
            ErrorCode.INVALID_SETTING,
            f"'{path}': all {len(records)} pairs show the same action, {verb!r} with {noun!r}: "
            'there is nothing to tell apart. Prepare data with more verbs or nouns')
    return records


def _of_split(path: Path, records: list[PairRecord], split: str) -> list[PairRecord]:
    chosen = [record for record in records if record.split == split]
    if not chosen:
        there = ', '.join(sorted({record.split for record in records}))
        raise LegoError(ErrorCode.INVALID_SETTING,
                        f"'{path}' has no pairs of the split {split!r}; there are: {there}")
    return chosen


def _described(folder: Path, records: list[PairRecord]) -> tuple[list[Pair], dict[str, int]]:
    """Join records and descriptions, and count what has none by its reason."""
    files = ResultFiles(folder / DESCRIPTIONS)
    outcome = read_outcome(files)
    pairs, left_out, unasked = [], Counter[str](), 0
    for record in records:
        text = outcome.texts.get(record.pair_id) or record.description
        if text is not None and record.pair_id not in outcome.rejected:
            pairs.append(_pair(folder, record, text))
            continue
        why = outcome.why_missing(record.pair_id, record.split, bool(record.boxes))
        if why is None:
            unasked += 1
        else:
            left_out[why] += 1
    where, split = f"'{files.descriptions}'", records[0].split
    known = ''.join(f', {number} {why}' for why, number in sorted(left_out.items()))
    if unasked:
        raise LegoError(
            ErrorCode.INVALID_SETTING,
            f'{unasked} of the {len(records)} pairs of the split {split!r} were not asked about '
            f'yet, {len(pairs)} have a description in {where}{known}: curation was stopped, or '
            f"the manifest has grown. Go on with lego-ros curate '{folder}' --out {where} and its "
            'other options as before; it asks about nothing twice')
    if not pairs:
        raise LegoError(
            ErrorCode.INVALID_SETTING,
            f'none of the {len(records)} pairs of the split has a description in {where}{known}. '
            f'Run lego-ros curate with --split {split} and --out {where}')
    if left_out:
        logging.getLogger(__name__).warning(
            '%s: %d of the %d pairs of the split %r have a description%s',
            files.descriptions, len(pairs), len(records), split, known)
    return pairs, dict(left_out)


def _pair(folder: Path, record: PairRecord, description: str) -> Pair:
    return Pair(
        record.pair_id, record.action_id, record.video_id, record.label, record.verb,
        record.noun, record.hand, description, folder / record.input.path,
        folder / record.target.path, record.input.sha256, record.target.sha256)


def _check_pictures(pair: Pair, hashes: bool) -> None:
    for path, sha256 in ((pair.input_path, pair.input_sha256),
                         (pair.target_path, pair.target_sha256)):
        if not path.is_file():
            raise unusable(path, f'the picture of {pair.pair_id} is missing; prepare the data '
                           'anew, or copy the folder whole')
        if hashes and sha256_of(path) != sha256:
            raise unusable(path, f'the picture of {pair.pair_id} is not the one that the '
                           'manifest names: its SHA-256 differs')
