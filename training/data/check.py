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
Whether a dataset's annotation files are what its documentation says, to the last row.

It needs no videos. For EPIC-KITCHENS every start and stop frame is computed anew from its time.
"""

from __future__ import annotations

from collections.abc import Iterator
import csv
from dataclasses import dataclass
import math
from pathlib import Path

from lego_ros.training.data.ego4d import read_ego4d
from lego_ros.training.data.epic import read_rows, TIME_COLUMNS
from lego_ros.training.data.epic_classes import EpicClass, read_classes
from lego_ros.training.data.files import unusable
from lego_ros.training.data.layout import ego4d_annotations
from lego_ros.training.data.problems import ProblemLog, Reason

_FAULTS = {Reason.MALFORMED, Reason.TRUNCATED, Reason.DUPLICATE, Reason.FRAME_RULE,
           Reason.FRAME_RATE}
"""What a whole file has none of; the other reasons are what the annotators themselves say."""


@dataclass(frozen=True)
class Checked:
    """
    What was found in a file.

    :param path: of the file.
    :param facts: what was counted, in words.
    :param log: everything that was left out.
    :param differences: recomputed numbers that are not the file's.
    """

    path: Path
    facts: dict[str, int]
    log: ProblemLog
    differences: int = 0

    @property
    def sound(self) -> bool:
        """Whether everything is as documented."""
        return not self.differences and not any(
            problem.reason in _FAULTS for problem in self.log)


def check_epic(place: Path) -> Iterator[Checked]:
    """
    Check EPIC-KITCHENS-100's annotation files, those without labels too.

    :param place: a CSV file, or a folder with ``EPIC_100_*.csv`` anywhere in it.
    :returns: an iterator over what was found, file by file.
    :raises LegoError: SOURCE_UNREADABLE: there is none, or one cannot be read at all.
    """
    files = [place] if place.is_file() else [
        path for path in sorted(place.rglob('EPIC_100_*.csv')) if _has_times(path)]
    if not files:
        raise unusable(place, 'no EPIC_100_*.csv with start and stop times in it')
    classes = {name: _classes(place if place.is_dir() else place.parent, name)
               for name in ('verb', 'noun')}
    for path in files:
        yield _check_rows(path, classes)


def _has_times(path: Path) -> bool:
    try:
        with open(path, encoding='utf-8-sig', newline='') as file:
            return set(TIME_COLUMNS) <= set(next(csv.reader(file), []))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise unusable(path, f'it cannot be read: {error}') from error


def _classes(folder: Path, name: str) -> dict[int, EpicClass] | None:
    path = next(iter(sorted(folder.rglob(f'EPIC_100_{name}_classes.csv'))), None)
    return read_classes(path) if path else None


def _check_rows(path: Path, classes: dict[str, dict[int, EpicClass] | None]) -> Checked:
    log = ProblemLog()
    rows = labelled = unlisted = 0
    for row in read_rows(path, log):
        rows += 1
        if row.label is None:
            continue
        labelled += 1
        for name, number, word in (('verb', row.label.verb_class, row.label.verb),
                                   ('noun', row.label.noun_class, row.label.noun)):
            known = classes[name]
            if known is not None and number not in known:
                log.add(Reason.MALFORMED, path, f'line {row.line}',
                        f'{name}_class {number} is none of the {len(known)}')
            elif known is not None and word not in known[number].instances:
                unlisted += 1
    frames, differences = _recompute(path)
    facts = {'rows read': rows, 'rows with labels': labelled,
             'start and stop frames recomputed': frames, 'of these differ': differences}
    if labelled and all(classes.values()):
        facts['words that their class does not list'] = unlisted
    return Checked(path, facts, log, differences)


def _recompute(path: Path) -> tuple[int, int]:
    """
    Compute every frame number from the text, without the reader, so that it cannot hide a fault.

    Fields that are no number or no time are the reader's to report.
    """
    count = differences = 0
    for fields in _readable_rows(path):
        for name in ('start', 'stop'):
            try:
                rate = 50 if len(fields['video_id'].split('_')[1]) == 3 else 60
                hours, minutes, seconds = fields[f'{name}_timestamp'].split(':')
                time = int(hours) * 3600 + int(minutes) * 60 + float(seconds)
                found, expected = int(fields[f'{name}_frame']), math.floor(time * rate)
            except (ValueError, IndexError, AttributeError, OverflowError):
                continue
            count += 1
            differences += found != max(1, expected)
    return count, differences


def _readable_rows(path: Path) -> Iterator[dict[str, str]]:
    with open(path, encoding='utf-8-sig', newline='') as file:
        reader = csv.DictReader(file)
        while True:
            try:
                yield next(reader)
            except StopIteration:
                return
            except csv.Error:
                continue


def check_ego4d(place: Path) -> Iterator[Checked]:
    """
    Check Ego4D's fho_main.json.

    :param place: the file, or a folder that it lies in.
    :returns: an iterator over the one file.
    :raises LegoError: SOURCE_UNREADABLE, there is no such file.
    """
    path = ego4d_annotations(place)
    log = ProblemLog()
    videos: set[str] = set()
    count = boxes = 0
    for action in read_ego4d(path, lambda uid: 'train', log):
        count += 1
        boxes += len(action.boxes)
        videos.add(action.video_id)
    yield Checked(path, {'usable actions': count, 'of videos': len(videos),
                         'boxes of their input and target': boxes}, log)
