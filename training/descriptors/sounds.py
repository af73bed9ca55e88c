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

"""EPIC-Sounds: what is heard, as annotators tagged it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
import csv
from pathlib import Path

from lego_ros.training.data.epic import parse_timestamp
from lego_ros.training.data.files import unusable
from lego_ros.training.data.problems import ProblemLog, Reason
from lego_ros.training.descriptors.clip import Clip, Part, Span, within

COLUMNS = ('video_id', 'start_timestamp', 'stop_timestamp', 'class')
"""Those needed of EPIC_Sounds_train.csv and _validation.csv (epic-sounds-annotations)."""
NOT_TAGGED = 'this video has no sound tags'


class SoundTags:
    """
    The tags of an annotation file.

    :param path: of the CSV file.
    :param log: where rows left out are reported.
    :raises LegoError: SOURCE_UNREADABLE: no such file, or columns are missing.
    """

    def __init__(self, path: Path, log: ProblemLog) -> None:
        self._by_video: dict[str, list[Span]] = {}
        for line, fields in _rows(path, log):
            try:
                span = _span(fields)
            except ValueError as error:
                log.add(Reason.MALFORMED, path, f'line {line}', str(error))
                continue
            self._by_video.setdefault(fields['video_id'], []).append(span)

    def parts(self, video_id: str, clips: Sequence[Clip]) -> list[Part]:
        """See :meth:`Source.parts`; a video without tags is said to have none."""
        spans = self._by_video.get(video_id)
        if spans is None:
            return [Part(note=NOT_TAGGED) for _ in clips]
        return [Part(within(clip, spans)) for clip in clips]


def _span(fields: dict[str, str]) -> Span:
    start, stop = (parse_timestamp(fields[name]) for name in COLUMNS[1:3])
    if stop <= start:
        raise ValueError(f'it stops at {stop} s, not after its start at {start} s')
    if not fields['class'].strip():
        raise ValueError('class is empty')
    return Span(start, stop, fields['class'].strip())


def _rows(path: Path, log: ProblemLog) -> Iterator[tuple[int, dict[str, str]]]:
    try:
        with open(path, encoding='utf-8-sig', newline='') as file:
            reader = csv.reader(file, strict=True)
            header = next(reader, [])
            missing = [name for name in COLUMNS if name not in header]
            if missing:
                raise unusable(path, 'no EPIC-Sounds annotations with classes: its first line '
                               f'lacks the columns {", ".join(missing)}')
            for values in reader:
                if len(values) != len(header):
                    log.add(Reason.MALFORMED, path, f'line {reader.line_num}',
                            f'{len(values)} columns, expected {len(header)}')
                    continue
                yield reader.line_num, dict(zip(header, values, strict=True))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise unusable(path, f'the sound tags cannot be read: {error}') from error
