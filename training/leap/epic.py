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

"""EPIC-KITCHENS-100's actions as clips; ``epic_clips`` reads what its download tools write."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lego_ros.training.data.epic import EpicRow, frame_rate, read_rows
from lego_ros.training.data.epic_classes import (
    EpicClass,
    read_classes,
    read_tail,
    read_unseen_participants,
)
from lego_ros.training.data.frame_folders import KNOWN_BAD
from lego_ros.training.data.layout import epic_annotations, epic_footage
from lego_ros.training.data.problems import ProblemLog, Reason
from lego_ros.training.leap.clips import ClipInfo, ClipRecord
from lego_ros.training.programs.results import read_programs

UNLABELLED = 'test'
"""Split of EPIC_100_test_timestamps.csv, where no labels are published."""
_TIMES = 'EPIC_100_test_timestamps.csv'


def epic_clips(annotations: Path, videos: Path, log: ProblemLog, programs: Path | None = None
               ) -> tuple[ClipInfo, list[ClipRecord]]:
    """
    Read EPIC-KITCHENS-100.

    :param annotations: folder of the annotation repository, or above it.
    :param videos: folder of the videos or of their extracted frames.
    :param log: where everything left out is reported.
    :param programs: ``programs.jsonl`` of ``lego-ros programs generate --epic``, whose clips are
        named by their narration_id; None = no clip has one.
    :returns: what is common to the clips, and the clips. The classes' numbers are the dataset's.
    :raises LegoError: SOURCE_UNREADABLE: a file is missing or damaged.
    """
    files = epic_annotations(annotations)
    home = files[0][0].parent
    times = home / _TIMES
    if times.is_file():
        files.append((times, UNLABELLED))
    verbs, nouns = (read_classes(home / f'EPIC_100_{kind}_classes.csv')
                    for kind in ('verb', 'noun'))
    written = {record.clip_id: record.program for record in read_programs(programs)
               } if programs else {}
    clips = [clip for path, split in files
             for clip in _clips(path, split, videos, (verbs, nouns), written, log)]
    return ClipInfo(
        root=str(videos.resolve()), verbs=_names(verbs), nouns=_names(nouns),
        tail_verbs=_tail(home, 'verb'), tail_nouns=_tail(home, 'noun'),
        unseen_participants=_unseen(home)), clips


def _clips(path: Path, split: str, videos: Path,
           classes: tuple[dict[int, EpicClass], dict[int, EpicClass]],
           written: dict[str, dict[str, Any]], log: ProblemLog) -> Iterator[ClipRecord]:
    places: dict[str, tuple[str, float | None]] = {}
    for row in read_rows(path, log):
        words = _words(row, classes)
        if words is None:
            log.add(Reason.MALFORMED, path, f'line {row.line}',
                    f'{row.narration_id} is of a class that the taxonomy does not have')
            continue
        if row.video_id not in places:
            footage = epic_footage(videos, row.video_id)
            places[row.video_id] = footage.name, footage.fps
        name, fps = places[row.video_id]
        # Of the test set nothing may be left out: whoever evaluates on it is told what is missing.
        if row.label is not None and not (videos / name).exists():
            log.add(Reason.MISSING_VIDEO, path, f'line {row.line}', f'there is no {name}')
            continue
        if row.label is not None and fps is not None and row.video_id in KNOWN_BAD:
            log.add(Reason.KNOWN_ERROR, path, f'line {row.line}',
                    f'the published frames of {row.video_id} are wrong')
            continue
        yield ClipRecord(
            clip_id=row.narration_id, video_id=row.video_id, participant=row.participant_id,
            split=split, footage=name, fps=fps, rate=frame_rate(row.video_id), start=row.start,
            stop=row.stop, verb=words[0], noun=words[1], program=written.get(row.narration_id))


def _words(row: EpicRow, classes: tuple[dict[int, EpicClass], dict[int, EpicClass]]
           ) -> tuple[str | None, str | None] | None:
    """Give a row's classes by name; None = there are none of these numbers."""
    if row.label is None:
        return None, None
    verb, noun = (kind.get(number) for kind, number in zip(
        classes, (row.label.verb_class, row.label.noun_class), strict=True))
    return (verb.key, noun.key) if verb and noun else None


def _names(classes: dict[int, EpicClass]) -> tuple[str, ...]:
    return tuple(classes[number].key for number in sorted(classes))


def _tail(home: Path, kind: str) -> frozenset[int] | None:
    path = home / f'EPIC_100_tail_{kind}s.csv'
    return read_tail(path, kind) if path.is_file() else None


def _unseen(home: Path) -> frozenset[str] | None:
    paths = [home / f'EPIC_100_unseen_participant_ids_{split}.csv'
             for split in ('validation', 'test')]
    found = [read_unseen_participants(path) for path in paths if path.is_file()]
    return frozenset().union(*found) if found else None
