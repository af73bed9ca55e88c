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

"""EPIC-KITCHENS-100's taxonomies: verb and noun classes, head and tail, unseen participants."""

from __future__ import annotations

from collections.abc import Iterator
import csv
from dataclasses import dataclass
from pathlib import Path

from lego_ros.training.data.epic import literal_list
from lego_ros.training.data.files import unusable


@dataclass(frozen=True)
class EpicClass:
    """
    One class of verbs or nouns.

    :param number: from 0.
    :param key: its name; nouns as ``hand:left``.
    :param instances: the words that belong to it.
    :param category: the group it is in.
    """

    number: int
    key: str
    instances: tuple[str, ...]
    category: str

    @property
    def words(self) -> str:
        """Its name as one says it: ``hand:left`` -> "left hand"."""
        return spoken(self.key)


@dataclass(frozen=True)
class VideoInfo:
    """
    A row of EPIC_100_video_info.csv.

    :param duration: seconds.
    :param fps: the video file's own rate; frame numbers do not count in it.
    :param width: pixels.
    :param height: pixels.
    """

    duration: float
    fps: float
    width: int
    height: int


def spoken(noun: str) -> str:
    """
    Turn a compound noun round.

    :param noun: such as ``spoon:slotted``.
    :returns: such as "slotted spoon".
    """
    return ' '.join(reversed(noun.split(':')))


def read_classes(path: Path) -> dict[int, EpicClass]:
    """
    Read a taxonomy: verb_classes, noun_classes or VISOR's noun_classes_v2.

    :param path: of the CSV file.
    :returns: the classes by number.
    :raises LegoError: SOURCE_UNREADABLE, naming file and line: a class cannot be left out.
    """
    classes: dict[int, EpicClass] = {}
    for line, fields in _rows(path, ('id', 'key', 'instances', 'category')):
        try:
            number = int(fields['id'])
            instances = tuple(literal_list(fields['instances'], str))
        except ValueError as error:
            raise unusable(path, f'line {line}: {error}') from error
        if number in classes:
            raise unusable(path, f'line {line}: class {number} is there twice')
        classes[number] = EpicClass(number, fields['key'], instances, fields['category'])
    if sorted(classes) != list(range(len(classes))):
        raise unusable(path, 'the class numbers have gaps; the file may be cut off')
    return classes


def read_tail(path: Path, column: str) -> frozenset[int]:
    """
    Read which classes are tail classes; all others are head classes.

    :param path: of tail_verbs or tail_nouns.
    :param column: ``verb`` or ``noun``.
    :returns: their numbers.
    :raises LegoError: SOURCE_UNREADABLE, naming file and line.
    """
    numbers = set()
    for line, fields in _rows(path, (column,)):
        try:
            numbers.add(int(fields[column]))
        except ValueError as error:
            raise unusable(path, f'line {line}: {error}') from error
    return frozenset(numbers)


def read_unseen_participants(path: Path) -> frozenset[str]:
    """
    Read which participants do not occur in training.

    :param path: of EPIC_100_unseen_participant_ids_validation.csv or _test.csv.
    :returns: their ids, such as ``P18``.
    :raises LegoError: SOURCE_UNREADABLE.
    """
    return frozenset(fields['participant_id'] for _, fields in _rows(path, ('participant_id',)))


def read_video_info(path: Path) -> dict[str, VideoInfo]:
    """
    Read the videos' lengths, rates and sizes.

    :param path: of EPIC_100_video_info.csv.
    :returns: them by video id.
    :raises LegoError: SOURCE_UNREADABLE, naming file and line.
    """
    videos = {}
    for line, fields in _rows(path, ('video_id', 'duration', 'fps', 'resolution')):
        try:
            width, height = (int(size) for size in fields['resolution'].split('x'))
            videos[fields['video_id']] = VideoInfo(
                float(fields['duration']), float(fields['fps']), width, height)
        except ValueError as error:
            raise unusable(path, f'line {line}: {error}') from error
    return videos


def _rows(path: Path, columns: tuple[str, ...]) -> Iterator[tuple[int, dict[str, str]]]:
    try:
        with open(path, encoding='utf-8-sig', newline='') as file:
            reader = csv.reader(file, strict=True)
            header = next(reader, [])
            missing = [name for name in columns if name not in header]
            if missing:
                raise unusable(path, f'its first line lacks the columns {", ".join(missing)}')
            for values in reader:
                if len(values) != len(header):
                    raise unusable(
                        path, f'line {reader.line_num}: {len(values)} columns, '
                        f'expected {len(header)}')
                yield reader.line_num, dict(zip(header, values, strict=True))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise unusable(path, f'it cannot be read: {error}') from error
