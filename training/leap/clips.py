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
The manifest of clips: one line of JSON for each action, whatever dataset it comes from.

``clips.jsonl`` holds the actions, ``clips.json`` beside it what they have in common: the classes,
and where the videos lie. Times are seconds from the first frame of a video.
"""

from __future__ import annotations

from collections.abc import Iterable
import json
from pathlib import Path
from typing import Annotated, Any, Literal

from lego_ros.files import sha256_of, write_whole
from lego_ros.programs.serialising import from_json
from lego_ros.programs.tree import Program
from lego_ros.training.data.files import unusable
from lego_ros.training.data.manifest import RelativePath, Text
from lego_ros.training.data.records import first_fault, parse_line, read_lines
from pydantic import BaseModel, ConfigDict, Field, model_validator, ValidationError

SCHEMA: Literal['lego_ros/leap-clips/1'] = 'lego_ros/leap-clips/1'
"""Changes with every change of the fields below."""
CLIPS, INFO = 'clips.jsonl', 'clips.json'
MAX_LINE = 1 << 22
"""Longest line in bytes; with a program a record has some 5 kB."""
_LARGEST_INFO = 1 << 24
Rate = Annotated[float, Field(gt=0, le=1000)]
Class = Annotated[int, Field(ge=0)]


class _Record(BaseModel):
    model_config = ConfigDict(extra='forbid', frozen=True, allow_inf_nan=False)


class ClipRecord(_Record):
    """An action in a video."""

    clip_id: Text
    """Unique in the manifest; EPIC-KITCHENS' narration_id."""
    video_id: Text
    participant: Text
    split: Text
    footage: RelativePath
    """A video file, or a folder of ``frame_%010d.jpg`` from 1; from the root of the clip set."""
    fps: Rate | None
    """Frames per second of such a folder; null = a video file."""
    rate: Rate
    """In which a length in frames counts, such as LEAP's 256: that of the source."""
    start: Annotated[float, Field(ge=0)]
    """First moment of the action [s]."""
    stop: float
    """Where it ends [s]."""
    verb: Text | None = None
    """A class; null = not known, as in EPIC-KITCHENS' test set."""
    noun: Text | None = None
    program: dict[str, Any] | None = None
    """Of the schema of ``lego_ros.programs.serialising``; null = there is none."""

    @model_validator(mode='after')
    def _is_consistent(self) -> ClipRecord:
        if self.stop <= self.start:
            raise ValueError(f'it stops at {self.stop} s, not after its start at {self.start} s')
        if (self.verb is None) != (self.noun is None):
            raise ValueError('verb and noun are both known, or neither is')
        return self

    def tree(self) -> Program | None:
        """
        Give the program.

        :returns: the tree; None = there is none.
        :raises LegoError: PROGRAM_INVALID, what is not of the schema or of the vocabulary.
        """
        return None if self.program is None else from_json(json.dumps(self.program))


class ClipInfo(_Record):
    """What the clips of a manifest have in common."""

    schema_version: Literal['lego_ros/leap-clips/1'] = SCHEMA
    root: str | None = None
    """Absolute folder of the videos; null = that of the manifest."""
    verbs: Annotated[tuple[Text, ...], Field(min_length=1)]
    """All classes; their places are their numbers."""
    nouns: Annotated[tuple[Text, ...], Field(min_length=1)]
    tail_verbs: frozenset[Class] | None = None
    """Numbers of the rare classes; null = by the rule of ``metrics.tail_classes``."""
    tail_nouns: frozenset[Class] | None = None
    unseen_participants: frozenset[Text] | None = None
    """Who does not occur in training; null = as the manifest tells."""

    @model_validator(mode='after')
    def _has_each_class_once(self) -> ClipInfo:
        for names in (self.verbs, self.nouns):
            if len(set(names)) != len(names):
                raise ValueError('a class is there twice')
        return self


class ClipSet:
    """
    Clips as they lie in a folder.

    :param folder: with ``clips.jsonl`` and ``clips.json``.
    :raises LegoError: SOURCE_UNREADABLE: a file is missing, or a line is not of the schema; file,
        line and fault are named.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / CLIPS
        self.info = _read_info(folder / INFO)
        self.root = Path(self.info.root) if self.info.root else folder
        self.clips = _read_clips(self.path, self.info)
        self.sha256 = sha256_of(self.path, folder / INFO)
        """Of both files."""
        self._by_video: dict[str, list[ClipRecord]] = {}
        for clip in self.clips:
            self._by_video.setdefault(clip.video_id, []).append(clip)

    def split(self, name: str) -> tuple[ClipRecord, ...]:
        """
        Give the clips of a split.

        :param name: of the split.
        :returns: the clips in the manifest's order.
        :raises LegoError: SOURCE_UNREADABLE: it has none.
        """
        found = tuple(clip for clip in self.clips if clip.split == name)
        if not found:
            known = ', '.join(sorted({clip.split for clip in self.clips})) or 'none'
            raise unusable(self.path, f'it has no clips of a split {name!r}; it has {known}')
        return found

    def of_video(self, video_id: str) -> list[ClipRecord]:
        """
        Give all actions of a video, of whatever split.

        :param video_id: such as ``P01_01``.
        :returns: the clips in the manifest's order; not to be changed.
        """
        return self._by_video.get(video_id, [])


def write_clips(folder: Path, info: ClipInfo, clips: Iterable[ClipRecord]) -> None:
    """
    Write a manifest.

    :param folder: made where it is missing.
    :param info: of all clips.
    :param clips: in their order.
    :raises OSError: it cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / CLIPS, b''.join(to_line(clip) for clip in clips))
    # Last: a folder without it is not finished.
    write_whole(folder / INFO, info_bytes(info))


def to_line(clip: ClipRecord) -> bytes:
    """
    Write a clip as a line; the same clip always gives the same bytes.

    :param clip: to write.
    :returns: UTF-8 with the line's end.
    """
    return clip.model_dump_json().encode() + b'\n'


def info_bytes(info: ClipInfo) -> bytes:
    """
    Write what the clips have in common; the same always gives the same bytes.

    :param info: to write.
    :returns: UTF-8.
    """
    values = {name: sorted(value) if isinstance(value, frozenset) else value
              for name, value in info.model_dump().items()}
    return json.dumps(values, indent=1).encode() + b'\n'


def _read_info(path: Path) -> ClipInfo:
    try:
        if path.stat().st_size > _LARGEST_INFO:
            raise unusable(path, f'it is larger than {_LARGEST_INFO} bytes')
        return ClipInfo.model_validate_json(path.read_bytes())
    except OSError as error:
        raise unusable(path, f'no clip set: it cannot be read ({error.strerror})') from error
    except ValidationError as error:
        raise unusable(path, first_fault(error)) from error


def _read_clips(path: Path, info: ClipInfo) -> tuple[ClipRecord, ...]:
    verbs, nouns = {None, *info.verbs}, {None, *info.nouns}
    clips, seen = [], set()
    try:
        for number, line in read_lines(path, MAX_LINE):
            if not line.endswith(b'\n'):
                raise unusable(path, f'line {number} is cut off')
            clip = parse_line(path, number, line, ClipRecord)
            if clip.clip_id in seen:
                raise unusable(path, f'line {number}: {clip.clip_id} is there twice')
            if clip.verb not in verbs or clip.noun not in nouns:
                raise unusable(path, f'line {number}: {clip.verb!r} or {clip.noun!r} is not among '
                               f'the classes of {INFO}')
            seen.add(clip.clip_id)
            clips.append(clip)
    except OSError as error:
        raise unusable(path, f'the clips cannot be read: {error.strerror}') from error
    return tuple(clips)
