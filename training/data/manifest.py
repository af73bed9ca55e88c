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
The manifest: one line of JSON for each action pair, whatever dataset it comes from.

``pandas.read_json(path, lines=True)`` reads it. Pairs that the filter drops are in it too, with
the reason, so that its effect can be looked at.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Annotated, Literal

from lego_ros.training.data.actions import Box, MAX_TEXT, Picture, Role
from lego_ros.training.data.files import unusable
from lego_ros.training.data.records import first_fault, read_lines
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator, ValidationError

SCHEMA: Literal['lego_ros/pair/1'] = 'lego_ros/pair/1'
"""Changes with every change of the fields below."""
MAX_LINE = 1 << 20
"""Longest line in bytes; a record has some 3 kB."""


def _relative(path: str) -> str:
    parts = PurePosixPath(path).parts
    if path.startswith('/') or '\\' in path or ':' in path or '..' in parts or not parts:
        raise ValueError(f'{path!r} does not stay within the folder of the manifest')
    return path


Unit = Annotated[float, Field(ge=0.0, le=1.0)]
Sha256 = Annotated[str, Field(pattern=r'^[0-9a-f]{64}$')]
RelativePath = Annotated[str, Field(max_length=1000), AfterValidator(_relative)]
Text = Annotated[str, Field(min_length=1, max_length=MAX_TEXT)]


class _Record(BaseModel):
    model_config = ConfigDict(extra='forbid', frozen=True, allow_inf_nan=False)


class BoxRecord(_Record):
    """
    A box in one of the two pictures; see ``actions.Box``.

    It is the annotation's, drawn on the annotated frame: the picture may be up to three frames
    away from it.
    """

    role: Role
    picture: Picture
    box: tuple[Unit, Unit, Unit, Unit]
    """x1, y1, x2, y2 in 0..1 of width and height, from the top left."""
    name: Text | None = None
    score: Unit | None = None

    @model_validator(mode='after')
    def _has_area(self) -> BoxRecord:
        if self.box[2] <= self.box[0] or self.box[3] <= self.box[1]:
            raise ValueError(f'{self.box} is no box: x1, y1, x2, y2 with x1 < x2 and y1 < y2')
        return self

    @classmethod
    def of(cls, box: Box) -> BoxRecord:
        """Make the record of a reader's box."""
        return cls(role=box.role, picture=box.picture, box=box.corners, name=box.name,
                   score=box.score)


class CandidateRecord(_Record):
    """A frame that could have been the picture."""

    frame: Annotated[int, Field(ge=0)]
    time: float
    """Seconds from the video's first frame."""
    quality: float


class PictureRecord(_Record):
    """One of the two pictures, and the frame it was."""

    asked_time: float
    """When the picture was to be taken, by the annotation [s]."""
    asked_frame: Annotated[int, Field(ge=0)] | None
    """The annotation's frame number; null = it gives a time."""
    asked_base: Literal[0, 1]
    """Number of the first frame in the annotation's count."""
    asked_fps: Annotated[float, Field(gt=0)]
    """Frames per second of the annotation's count."""
    asked_source: Text
    """The annotation's field, or the rule that the time comes from."""
    frame: Annotated[int, Field(ge=0)]
    """Number of the frame taken, in the count of the file it was taken from."""
    base: Literal[0, 1]
    """Number of the first frame in that count."""
    fps: Annotated[float, Field(gt=0)]
    """Frames per second of that count; nominal where the rate varies."""
    numbering: Text
    """What is counted."""
    time: Annotated[float, Field(ge=0)]
    """When that frame is shown, in seconds from the video's first frame."""
    candidates: tuple[CandidateRecord, ...] = Field(min_length=1)
    path: RelativePath
    """Of the picture, from the manifest's folder."""
    sha256: Sha256
    width: Annotated[int, Field(gt=0)]
    height: Annotated[int, Field(gt=0)]

    @model_validator(mode='after')
    def _is_a_candidate(self) -> PictureRecord:
        if self.frame not in {candidate.frame for candidate in self.candidates}:
            raise ValueError(f'frame {self.frame} is not among its candidates')
        return self


class PairRecord(_Record):
    """A line of the manifest."""

    schema_version: Literal['lego_ros/pair/1'] = SCHEMA
    pair_id: Text
    """Unique in the manifest: dataset and action id."""
    dataset: Text
    action_id: Text
    video_id: Text
    video: Text
    """File or folder that the frames come from, as it was named."""
    split: Annotated[str, Field(pattern=r'^[a-z][a-z0-9_-]*$')]
    label: Text
    narration: Text
    description: Text | None = None
    """The enriched description; null = not made yet."""
    verb: Text
    verb_class: Annotated[int, Field(ge=0)] | None
    noun: Text | None
    noun_class: Annotated[int, Field(ge=0)] | None
    hand: Literal['left', 'right', 'both'] | None
    """Which hands are in the target picture's boxes; null = none is."""
    boxes: tuple[BoxRecord, ...]
    input: PictureRecord
    target: PictureRecord
    quality_by: Text
    """The scorer that chose the frames."""
    similarity: Annotated[float, Field(ge=-1.001, le=1.001)]
    """Cosine between the two pictures."""
    similarity_by: Text
    """The embedder it was computed with."""
    kept: bool
    """Whether the pair passes the filter."""
    reason: Literal['kept', 'too_different', 'too_similar']
    """The filter's verdict."""

    @model_validator(mode='after')
    def _is_consistent(self) -> PairRecord:
        if self.input.time >= self.target.time:
            raise ValueError('the input does not come before the target')
        if self.kept != (self.reason == 'kept'):
            raise ValueError(f'kept is {self.kept}, but the reason {self.reason!r}')
        if self.pair_id != f'{self.dataset}/{self.action_id}':
            raise ValueError(f'pair_id {self.pair_id!r} is not dataset/action_id')
        return self


def to_line(record: PairRecord) -> bytes:
    """
    Write a record as a line; the same record always gives the same bytes.

    :param record: to write.
    :returns: UTF-8 with the line's end.
    """
    return record.model_dump_json().encode() + b'\n'


def read_manifest(path: Path) -> Iterator[PairRecord]:
    """
    Read a manifest, one record in memory at a time.

    :param path: of the JSON Lines file.
    :returns: an iterator over the records.
    :raises LegoError: SOURCE_UNREADABLE, naming the file, the line and what is wrong there.
    """
    seen: set[str] = set()
    try:
        for number, line in read_lines(path, MAX_LINE):
            record = _parse(path, number, line)
            if record.pair_id in seen:
                raise unusable(path, f'line {number}: {record.pair_id} is there twice')
            seen.add(record.pair_id)
            yield record
    except OSError as error:
        raise unusable(path, f'the manifest cannot be read: {error}') from error


def _parse(path: Path, number: int, line: bytes) -> PairRecord:
    if not line.endswith(b'\n'):
        raise unusable(path, f'line {number} is cut off: it does not end with a new line')
    try:
        return PairRecord.model_validate_json(line)
    except ValidationError as error:
        if error.errors()[0]['loc'] == ('schema_version',):
            raise unusable(
                path, f'line {number}: another version of the manifest; expected {SCHEMA}. '
                'Prepare the data anew') from error
        raise unusable(path, f'line {number}: {first_fault(error)}') from error
