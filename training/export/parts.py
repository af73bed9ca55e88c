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

"""
An export that is being made, so that a kill at any moment costs at most the episodes under way.

Each episode's annotations are one file, written whole after its pictures. When all are there they
are joined in the order of the seeds. So the bytes depend on neither the number of processes nor
on how often the work was broken off.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, fields
import fcntl
import json
import os
from pathlib import Path
import shutil
from typing import Any

from lego_ros.errors import ErrorCode, LegoError
from lego_ros.files import commit, sha256_of, write_whole
from lego_ros.training.data.files import unusable
from lego_ros.training.data.manifest import PairRecord
from lego_ros.training.data.problems import ProblemLog

SUMMARY = 'generate.json'


@dataclass(frozen=True)
class Part:
    """
    One episode's share of the annotations.

    :param seed: of the episode.
    :param split: which it belongs to; '' where no episode came of the seed.
    :param frames: of its video.
    :param skipped: why no episode came of the seed; '' = one did.
    :param truth: lines for ``truth.jsonl``.
    :param data: what its format needs, JSON values.
    """

    seed: int
    split: str = ''
    frames: int = 0
    skipped: str = ''
    truth: tuple[str, ...] = ()
    data: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Made:
    """
    What a process hands back of an episode.

    :param part: its annotations.
    :param records: its pairs, of the format ``pairs``.
    :param problems: of making these.
    """

    part: Part
    records: tuple[PairRecord, ...] = ()
    problems: ProblemLog = field(default_factory=ProblemLog)


class PartStore:
    """
    The parts of an export in its folder. One process at a time may have it.

    :param folder: of the export; made where it is not there.
    :param plan: all that the files depend on; JSON values.
    :param seeds: of all episodes, in their order.
    :raises LegoError: INVALID_SETTING: what is there was made with other settings, is no export,
        or is being written; SOURCE_UNREADABLE: what is there is damaged.
    :raises OSError: it cannot be written.
    """

    def __init__(self, folder: Path, plan: dict[str, Any], seeds: Sequence[int]) -> None:
        self.folder = folder
        self._plan = json.loads(json.dumps(plan))
        self._seeds = seeds
        self._parts = folder / '.parts'
        self._trash = folder / '.parts.done'
        self._lock = -1
        self.summary: dict[str, Any] | None = self._finished()
        """What is known of the whole export; None = it is not finished."""
        if self.summary is not None:
            self._clear()
            return
        if folder.is_dir() and not self._parts.is_dir() and any(folder.iterdir()):
            raise LegoError(ErrorCode.INVALID_SETTING,
                            f"'{folder}' holds other files; choose a new or empty folder")
        self._parts.mkdir(parents=True, exist_ok=True)
        self._take_lock()
        plan_path = self._parts / 'plan.json'
        if plan_path.is_file():
            self._compare(plan_path, _load(plan_path))
        else:
            write_whole(plan_path, json.dumps(self._plan).encode())

    def close(self) -> None:
        """Let others have the folder."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def missing(self) -> list[int]:
        """
        List what is still to be made.

        :returns: seeds in their order.
        """
        if self.summary is not None:
            return []
        there = set(os.listdir(self._parts))
        return [seed for seed in self._seeds if self._part(seed).name not in there]

    def add(self, part: Part) -> None:
        """
        Add an episode; its pictures must be on the disk before.

        :param part: its annotations.
        :raises OSError: it cannot be written.
        """
        write_whole(self._part(part.seed), json.dumps(asdict(part)).encode())

    def parts(self) -> Iterator[Part]:
        """
        Read the parts, one in memory at a time.

        :returns: an iterator in the order of the seeds.
        :raises LegoError: SOURCE_UNREADABLE: one is missing or damaged.
        """
        names = {each.name for each in fields(Part)}
        for seed in self._seeds:
            found = _load(self._part(seed))
            if set(found) != names or found['seed'] != seed:
                raise unusable(self._part(seed), 'no episode of this export; remove it')
            yield Part(**{**found, 'truth': tuple(found['truth'])})

    def write_joined(self, name: str, pieces: Iterator[bytes]) -> None:
        """
        Write a file of the export, whole or not at all.

        :param name: from the folder.
        :param pieces: its content.
        :raises OSError: it cannot be written.
        """
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f'.{path.name}.part')
        with open(part, 'wb') as file:
            for piece in pieces:
                file.write(piece)
        commit(part, path)

    def finish(self, names: Sequence[str]) -> dict[str, Any]:
        """
        Say that the export is complete, and remove the parts.

        :param names: of the joined files, from the folder.
        :returns: the summary.
        :raises OSError: it cannot be written.
        """
        episodes: Counter[str] = Counter()
        actions: Counter[str] = Counter()
        skipped = []
        for part in self.parts():
            if part.skipped:
                skipped.append({'seed': part.seed, 'reason': part.skipped})
                continue
            episodes[part.split] += 1
            actions[part.split] += len(part.truth)
        self.summary = {
            'plan': self._plan, 'episodes': dict(sorted(episodes.items())),
            'actions': dict(sorted(actions.items())), 'skipped': skipped,
            'files': {name: sha256_of(self.folder / name) for name in sorted(names)}}
        write_whole(self.folder / SUMMARY, json.dumps(self.summary, indent=1).encode() + b'\n')
        self._clear()
        return self.summary

    def _finished(self) -> dict[str, Any] | None:
        path = self.folder / SUMMARY
        if not path.is_file():
            return None
        summary = _load(path)
        self._compare(path, summary.get('plan'))
        for name, digest in summary.get('files', {}).items():
            file = self.folder / name
            if not file.is_file() or sha256_of(file) != digest:
                raise unusable(file, 'it was changed or removed after it was made; remove the '
                               'folder to make it anew')
        return summary

    def _take_lock(self) -> None:
        self._lock = os.open(self._parts / 'lock', os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self.close()
            raise LegoError(ErrorCode.INVALID_SETTING, f"'{self.folder}' is being written by "
                            'another process; wait for it, or choose another folder') from error

    def _clear(self) -> None:
        """Remove the parts, all or none of them being there under their name."""
        shutil.rmtree(self._trash, ignore_errors=True)
        if self._parts.is_dir():
            os.replace(self._parts, self._trash)
            shutil.rmtree(self._trash)

    def _part(self, seed: int) -> Path:
        return self._parts / f'{seed}.json'

    def _compare(self, path: Path, found: object) -> None:
        if found != self._plan:
            raise LegoError(
                ErrorCode.INVALID_SETTING,
                f"'{path}' belongs to other settings; go on with the same, or choose another "
                f'folder. There: {json.dumps(found)[:400]}. Now: {json.dumps(self._plan)}')


def _load(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding='utf-8'))
    except (OSError, ValueError) as error:
        raise unusable(path, f'it cannot be read: {error}') from error
    if not isinstance(value, dict):
        raise unusable(path, 'expected an object')
    return value
