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
EPIC-KITCHENS-100: the annotation files (CSV) as rows and actions.

Frames count from 1. Their rule, which no other arithmetic reproduces: frame = max(1,
floor(seconds * F)) in IEEE doubles, with F = 50 for videos PXX_1YY and 60 for PXX_YY. The videos'
own frame rates (59.94, 47.95, ...) have nothing to do with these numbers.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
import csv
from dataclasses import dataclass, replace
import math
from pathlib import Path
import re

from lego_ros.training.data.actions import Action, Box, MAX_TEXT, Moment, Picture
from lego_ros.training.data.files import unusable
from lego_ros.training.data.problems import ProblemLog, Reason

DATASET = 'epic-kitchens-100'
TIME_COLUMNS = (
    'narration_id', 'participant_id', 'video_id', 'start_timestamp', 'stop_timestamp',
    'start_frame', 'stop_frame')
"""What every file has, EPIC_100_test_timestamps.csv too."""
LABEL_COLUMNS = (
    'narration_timestamp', 'narration', 'verb', 'verb_class', 'noun', 'noun_class', 'all_nouns',
    'all_noun_classes')
"""What the files with labels have besides."""
INPUT_LEAD = 0.25
"""Seconds by which the input picture comes before the action's start (LEGO, supplement A)."""
TARGET_FRACTION = 0.6
"""Where in the action the target picture lies (LEGO, supplement A: lambda)."""

_VIDEO = re.compile(r'^(P\d{2})_(\d{2}|1\d{2})$')
_TIME = re.compile(r'^(\d{1,3}):([0-5]\d):([0-5]\d\.\d{1,6})$')


@dataclass(frozen=True)
class EpicLabel:
    """
    The words of a row.

    :param narration_time: seconds; None = the column is empty.
    :param narration: as spoken.
    :param verb: such as ``pick-up``.
    :param verb_class: 0..96.
    :param noun: such as ``spoon:slotted``: the head, then what tells it apart.
    :param noun_class: 0..299.
    :param all_nouns: every noun of the narration.
    :param all_noun_classes: their classes.
    """

    narration_time: float | None
    narration: str
    verb: str
    verb_class: int
    noun: str
    noun_class: int
    all_nouns: tuple[str, ...]
    all_noun_classes: tuple[int, ...]


@dataclass(frozen=True)
class EpicRow:
    """
    One row.

    :param line: line in the file, from 1.
    :param narration_id: such as ``P03_101_0``.
    :param participant_id: such as ``P03``.
    :param video_id: such as ``P03_101``.
    :param start: seconds.
    :param stop: seconds.
    :param start_frame: as the file has it.
    :param stop_frame: as the file has it.
    :param label: its words; None = a file of times only.
    """

    line: int
    narration_id: str
    participant_id: str
    video_id: str
    start: float
    stop: float
    start_frame: int
    stop_frame: int
    label: EpicLabel | None


def frame_rate(video_id: str) -> int:
    """
    Return the rate in which a video's frame numbers count.

    :param video_id: PXX_YY or PXX_1YY.
    :returns: 60 or 50 frames per second.
    :raises ValueError: it is no EPIC-KITCHENS-100 video id.
    """
    match = _VIDEO.match(video_id)
    if match is None:
        raise ValueError(f'video_id {video_id!r} is not PXX_YY or PXX_1YY')
    return 50 if len(match[2]) == 3 else 60


def frame_number(seconds: float, video_id: str) -> int:
    """
    Apply the annotations' frame rule.

    :param seconds: from the video's beginning.
    :param video_id: whose rate counts.
    :returns: the frame's number, from 1.
    :raises ValueError: it is no EPIC-KITCHENS-100 video id.
    """
    return max(1, math.floor(seconds * frame_rate(video_id)))


def shown_frame(seconds: float, fps: float) -> int:
    """
    Return which extracted frame shows a moment.

    Frame n shows (n - 1) / fps seconds: VISOR's times say so for 99.8 % of its frames. The
    annotations' own rule, :func:`frame_number`, names the frame before it.

    :param seconds: from the video's first frame.
    :param fps: of the extraction, see :func:`frame_rate`.
    :returns: the frame's number, from 1.
    """
    # The addend: a time computed in doubles may fall short of its frame by the last bits.
    return math.floor(seconds * fps + 1e-6) + 1


def parse_timestamp(text: str) -> float:
    """
    Read HH:MM:SS.cc.

    :param text: the timestamp.
    :returns: seconds.
    :raises ValueError: it is none.
    """
    match = _TIME.match(text)
    if match is None:
        raise ValueError(f'timestamp {text!r} is not HH:MM:SS.cc')
    return int(match[1]) * 3600 + int(match[2]) * 60 + float(match[3])


class _FrameRuleError(ValueError):
    """A row that is well formed but for its frame numbers."""


def read_rows(path: Path, log: ProblemLog) -> Iterator[EpicRow]:
    """
    Read an annotation file.

    Every row is either yielded or reported.

    :param path: of EPIC_100_train.csv, _validation.csv, _test_timestamps.csv or a UDA file.
    :param log: where rows left out are reported.
    :returns: an iterator over the rows in the file's order.
    :raises LegoError: SOURCE_UNREADABLE, no such file, or columns are missing.
    """
    seen: set[str] = set()
    for line, fields, labelled in _lines(path, log):
        try:
            row = _row(line, fields, labelled)
        except _FrameRuleError as error:
            log.add(Reason.FRAME_RULE, path, f'line {line}', str(error))
            continue
        except (ValueError, KeyError) as error:
            log.add(Reason.MALFORMED, path, f'line {line}', str(error))
            continue
        if row.narration_id in seen:
            log.add(Reason.DUPLICATE, path, f'line {line}',
                    f'narration_id {row.narration_id} was before')
            continue
        seen.add(row.narration_id)
        yield row


def _lines(path: Path, log: ProblemLog) -> Iterator[tuple[int, dict[str, str], bool]]:
    """Yield line number, fields by column, and whether there are labels."""
    try:
        with open(path, encoding='utf-8-sig', newline='') as file:
            reader = csv.reader(file, strict=True)
            header = next(reader, [])
            missing = [name for name in TIME_COLUMNS if name not in header]
            labelled = 'verb' in header
            if labelled:
                missing += [name for name in LABEL_COLUMNS if name not in header]
            if missing or len(set(header)) != len(header):
                raise unusable(
                    path, f'no EPIC-KITCHENS-100 annotations: its first line lacks the columns '
                    f'{", ".join(missing) or "(none, but one is there twice)"}')
            while True:
                line = reader.line_num + 1
                try:
                    values = next(reader)
                except StopIteration:
                    return
                except csv.Error as error:
                    ended = 'unexpected end of data' in str(error)
                    log.add(Reason.TRUNCATED if ended else Reason.MALFORMED, path,
                            f'line {line}', f'to line {reader.line_num}: no CSV: {error}')
                    continue
                if len(values) != len(header):
                    log.add(Reason.MALFORMED, path, f'line {line}',
                            f'to line {reader.line_num}: {len(values)} columns, '
                            f'expected {len(header)}')
                    continue
                yield line, dict(zip(header, values, strict=True)), labelled
    except (OSError, UnicodeDecodeError) as error:
        raise unusable(path, f'the EPIC-KITCHENS annotations cannot be read: {error}') from error


def _row(line: int, fields: dict[str, str], labelled: bool) -> EpicRow:
    video_id = fields['video_id']
    frame_rate(video_id)
    if video_id.split('_')[0] != fields['participant_id']:
        raise ValueError(f'video {video_id} is not of participant {fields["participant_id"]!r}')
    if not re.fullmatch(re.escape(video_id) + r'_\d+', fields['narration_id']):
        raise ValueError(f'narration_id {fields["narration_id"]!r} is not of video {video_id}')
    start = parse_timestamp(fields['start_timestamp'])
    stop = parse_timestamp(fields['stop_timestamp'])
    if stop <= start:
        raise ValueError(f'it stops at {stop} s, not after its start at {start} s')
    frames = []
    for name, seconds in (('start_frame', start), ('stop_frame', stop)):
        number = _integer(fields, name)
        expected = frame_number(seconds, video_id)
        if number != expected:
            raise _FrameRuleError(f'{name} is {number}, but {seconds} s are frame {expected}')
        frames.append(number)
    return EpicRow(
        line, fields['narration_id'], fields['participant_id'], video_id, start, stop,
        frames[0], frames[1], _label(fields) if labelled else None)


def _label(fields: dict[str, str]) -> EpicLabel:
    nouns = literal_list(fields['all_nouns'], str)
    classes = literal_list(fields['all_noun_classes'], int)
    if len(nouns) != len(classes):
        raise ValueError(f'{len(nouns)} all_nouns, but {len(classes)} all_noun_classes')
    noun_class = _integer(fields, 'noun_class')
    if (fields['noun'], noun_class) not in zip(nouns, classes, strict=True):
        raise ValueError(f'noun {fields["noun"]!r} ({noun_class}) is not among all_nouns')
    for name in ('narration', 'verb', 'noun'):
        if not fields[name].strip():
            raise ValueError(f'{name} is empty')
        if len(fields[name]) > MAX_TEXT:
            raise ValueError(f'{name} has {len(fields[name])} characters')
    stamp = fields['narration_timestamp']
    return EpicLabel(
        parse_timestamp(stamp) if stamp else None, fields['narration'], fields['verb'],
        _integer(fields, 'verb_class'), fields['noun'], noun_class, tuple(nouns), tuple(classes))


def _integer(fields: dict[str, str], name: str) -> int:
    if not re.fullmatch(r'\d{1,9}', fields[name]):
        raise ValueError(f'{name} {fields[name]!r} is not a number')
    return int(fields[name])


def literal_list(text: str, kind: type) -> list:
    """
    Read a column that holds a Python list.

    :param text: such as ``['spoon:slotted', 'cutlery']``.
    :param kind: str or int: what the list must hold.
    :returns: the list.
    :raises ValueError: it is no list of that kind, or absurdly long.
    """
    if len(text) > MAX_TEXT:
        raise ValueError(f'a list of {len(text)} characters')
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError) as error:
        raise ValueError(f'{text[:60]!r} is not a list') from error
    if not isinstance(value, list) or not all(type(item) is kind for item in value):
        raise ValueError(f'{text[:60]!r} is not a list of {kind.__name__}')
    return value


def read_epic(path: Path, split: str, log: ProblemLog) -> Iterator[Action]:
    """
    Read the actions of a file with labels.

    :param path: of the CSV file.
    :param split: the name of the split that the file is.
    :param log: where everything left out is reported.
    :returns: an iterator over the actions in the file's order. The narration is the label.
    :raises LegoError: SOURCE_UNREADABLE, no such file, columns are missing, or no labels.
    """
    for row in read_rows(path, log):
        origin = (str(path), f'line {row.line}')
        if row.label is None:
            raise unusable(path, 'a file of times only; a pair needs the words of its action')
        before = row.start - INPUT_LEAD
        if before < 0:
            log.add(Reason.OUT_OF_VIDEO, *origin,
                    f'{row.narration_id} starts at {row.start} s: nothing {INPUT_LEAD} s before')
            continue
        after = row.start + TARGET_FRACTION * (row.stop - row.start)
        rate = frame_rate(row.video_id)
        yield Action(
            dataset=DATASET, action_id=row.narration_id, video_id=row.video_id, split=split,
            narration=row.label.narration, label=row.label.narration.strip(),
            verb=row.label.verb, verb_class=row.label.verb_class, noun=row.label.noun,
            noun_class=row.label.noun_class,
            before=Moment(before, None, 1, rate, f'start_timestamp - {INPUT_LEAD} s'),
            after=Moment(after, None, 1, rate, f'{TARGET_FRACTION} of start to stop_timestamp'),
            origin=origin)


def with_boxes(action: Action, boxes_at: Callable[[int, Picture], tuple[Box, ...]]) -> Action:
    """
    Add the boxes that another file of the dataset has for an action's two pictures.

    :param action: of EPIC-KITCHENS.
    :param boxes_at: returns the boxes of a frame, by its number from 1, for a picture; empty
        where there are none. For instance ``FrameDetections.boxes`` of that frame.
    :returns: the action with these boxes besides its own.
    """
    rate = frame_rate(action.video_id)
    return replace(action, boxes=(
        *action.boxes, *boxes_at(shown_frame(action.before.time, rate), 'input'),
        *boxes_at(shown_frame(action.after.time, rate), 'target')))
