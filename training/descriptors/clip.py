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

"""A clip of a video, and what is known of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
import math
from typing import Protocol

from lego_ros.errors import ErrorCode, LegoError

MAX_SECONDS = 3600.0
"""Longest clip; EPIC-KITCHENS' longest action has some minutes."""
_EPSILON = 1e-6


@dataclass(frozen=True)
class Clip:
    """
    One action's part of a video.

    :param clip_id: unique in its dataset: the action's id.
    :param video_id: which video.
    :param start: seconds from the video's beginning.
    :param end: likewise, after the start.
    :param label: what is done, as a narrator says it: "open drawer".
    :param nouns: what it is done to, as one says it; empty = the dataset names none.
    :raises LegoError: INVALID_SETTING: it has no length, or more than an hour.
    """

    clip_id: str
    video_id: str
    start: float
    end: float
    label: str
    nouns: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not (math.isfinite(self.start) and 0 < self.end - self.start <= MAX_SECONDS):
            raise LegoError(
                ErrorCode.INVALID_SETTING,
                f'clip {self.clip_id} goes from {self.start} to {self.end} s; it must end after '
                f'its start, within {MAX_SECONDS:.0f} s')

    @property
    def duration(self) -> float:
        """Its length in seconds."""
        return self.end - self.start


@dataclass(frozen=True)
class Span:
    """
    Something that was there for a while.

    :param start: seconds from the clip's beginning.
    :param end: likewise; the start, where it was seen at one moment only.
    :param text: what it was, in few words.
    """

    start: float
    end: float
    text: str


@dataclass(frozen=True)
class Part:
    """
    What one component says of a clip.

    :param spans: in the order of their starts; none = it was looked for and not found.
    :param note: said of the whole part: "no sound track".
    """

    spans: tuple[Span, ...] = ()
    note: str = ''


@dataclass(frozen=True)
class Descriptors:
    """
    All that is known of a clip; a part that is None was not looked for.

    :param duration: of the clip in seconds.
    :param narrations: what narrators say is done; the clip's own action comes first.
    :param audio: what is heard.
    :param camera: how the head moves.
    :param objects: what is seen.
    :param contact: what the hands touch.
    """

    duration: float
    narrations: Part | None = None
    audio: Part | None = None
    camera: Part | None = None
    objects: Part | None = None
    contact: Part | None = None


class Source(Protocol):
    """Knows one component of clips."""

    def parts(self, video_id: str, clips: Sequence[Clip]) -> list[Part]:
        """
        Describe clips of one video.

        :param video_id: which video.
        :param clips: of it, in any order; they may overlap.
        :returns: one part for each clip, in their order.
        :raises LegoError: SOURCE_UNREADABLE: a file is no such file.
        """
        ...


def within(clip: Clip, spans: Iterable[Span]) -> tuple[Span, ...]:
    """
    Cut spans of a video to a clip.

    :param clip: the clip.
    :param spans: in seconds from the video's beginning.
    :returns: what lies in the clip, in seconds from its beginning, in the order of the starts.
    """
    found = []
    for span in spans:
        # What only touches the clip's end is not in it; a moment may be at its end.
        inside = min(span.end, clip.end) - max(span.start, clip.start)
        if inside > _EPSILON or (span.start == span.end and inside >= 0):
            found.append(Span(max(span.start - clip.start, 0.0),
                              min(span.end, clip.end) - clip.start, span.text))
    return tuple(sorted(found, key=lambda span: span.start))


def runs(samples: Iterable[tuple[float, Iterable[str]]], gap: float, least: float = 0.0
         ) -> tuple[Span, ...]:
    """
    Join what is said of single moments to spans.

    :param samples: times in ascending order, and what is said of each.
    :param gap: seconds without it that do not end a span: detectors flicker.
    :param least: seconds that a span must last to be told.
    :returns: the spans, in the order of their starts, those of one start in the order in which
        the samples name them.
    """
    running: dict[str, list[float]] = {}
    found: list[Span] = []

    def close(text: str) -> None:
        start, end = running.pop(text)
        if end - start >= least - _EPSILON:
            found.append(Span(start, end, text))

    for time, texts in samples:
        for text in [text for text, (_, end) in running.items() if time - end > gap + _EPSILON]:
            close(text)
        for text in texts:
            running.setdefault(text, [time, time])[1] = time
    for text in list(running):
        close(text)
    return tuple(sorted(found, key=lambda span: span.start))
