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

"""Narrations: the clips of a dataset's actions, and what else is narrated meanwhile."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from lego_ros.training.data.ego4d import read_ego4d
from lego_ros.training.data.epic import read_rows
from lego_ros.training.data.epic_classes import spoken
from lego_ros.training.data.files import unusable
from lego_ros.training.data.problems import ProblemLog, Reason
from lego_ros.training.descriptors.clip import Clip, MAX_SECONDS, Part, Span, within

AFTER_PNR = 1.0
"""Seconds after Ego4D's point of no return at which its clips end, by our choice: ``fho_main``
gives no end of an action."""


def epic_clips(path: Path, log: ProblemLog) -> list[Clip]:
    """
    Read EPIC-KITCHENS-100's actions as clips.

    :param path: of a CSV file with labels.
    :param log: where rows left out are reported.
    :returns: the clips from start to stop timestamp, in the file's order.
    :raises LegoError: SOURCE_UNREADABLE: no such file, no labels, or no row of it can be used.
    """
    clips = []
    for row in read_rows(path, log):
        if row.label is None:
            raise unusable(path, 'a file of times only; programs need the narrations')
        if row.stop - row.start > MAX_SECONDS:
            log.add(Reason.MALFORMED, path, f'line {row.line}',
                    f'an action of {row.stop - row.start:.0f} s')
            continue
        clips.append(Clip(row.narration_id, row.video_id, row.start, row.stop,
                          _words(row.label.narration),
                          tuple(_words(spoken(noun)) for noun in row.label.all_nouns)))
    return _some(path, clips)


def ego4d_clips(path: Path, log: ProblemLog) -> list[Clip]:
    """
    Read the wearer's valid actions of Ego4D as clips.

    :param path: of ``fho_main.json``.
    :param log: where actions left out are reported.
    :returns: the clips from PRE-15 to :data:`AFTER_PNR`, in the file's order.
    :raises LegoError: SOURCE_UNREADABLE: no such file, or no action of it can be used.
    """
    return _some(path, [
        Clip(action.action_id, action.video_id, action.before.time,
             action.after.time + AFTER_PNR, _words(action.label),
             (_words(action.noun),) if action.noun else ())
        for action in read_ego4d(path, lambda video_id: 'all', log)])


def _some(path: Path, clips: list[Clip]) -> list[Clip]:
    if not clips:
        raise unusable(path, 'it holds no action that can be used')
    return clips


def _words(text: str) -> str:
    return ' '.join(text.split())


class Narrations:
    """
    What is narrated during a clip.

    :param clips: all of the dataset, of which some are asked about.
    """

    def __init__(self, clips: Iterable[Clip]) -> None:
        self._by_video: dict[str, list[Clip]] = {}
        for clip in clips:
            self._by_video.setdefault(clip.video_id, []).append(clip)

    def parts(self, video_id: str, clips: Sequence[Clip]) -> list[Part]:
        """See :meth:`Source.parts`; the clip's own narration comes first."""
        others = self._by_video.get(video_id, [])
        return [Part((Span(0.0, clip.duration, clip.label), *within(
            clip, (Span(other.start, other.end, other.label) for other in others
                   if other.clip_id != clip.clip_id)))) for clip in clips]
