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

"""Which moments of a video the network sees of an action."""

from __future__ import annotations

from dataclasses import dataclass
import math

from lego_ros.training.leap.clips import ClipRecord
from lego_ros.training.leap.footage import EARLY
import numpy as np
from pydantic import BaseModel, ConfigDict, Field


class AnticipationSettings(BaseModel):
    """What is seen before an action begins; the defaults are LEAP's and EPIC-KITCHENS'."""

    model_config = ConfigDict(extra='forbid', frozen=True, allow_inf_nan=False)

    lead: float = Field(1.0, gt=0)
    """tau_a: nothing of the last so many seconds before the action is seen."""
    span_frames: int = Field(256, ge=1)
    """Length of each clip, in frames of the source."""
    span_seconds: float | None = Field(None, gt=0)
    """Length of each in seconds instead; null = by ``span_frames``."""

    def span(self, clip: ClipRecord) -> float:
        """
        Give the length of each clip.

        :param clip: whose source's rate counts.
        :returns: seconds.
        """
        return self.span_seconds or self.span_frames / clip.rate


@dataclass(frozen=True)
class Window:
    """
    A stretch of a video, from ``begin`` up to but without ``end``.

    :param begin: seconds; below 0 where the video begins too late.
    :param end: seconds.
    """

    begin: float
    end: float

    @property
    def present(self) -> bool:
        """Tell whether anything of it is in the video."""
        return self.end > EARLY


def seen_window(clip: ClipRecord) -> Window:
    """
    Give what recognition sees: the action.

    :param clip: the action.
    :returns: its window.
    """
    return Window(clip.start, clip.stop)


def earlier_windows(clip: ClipRecord, count: int, settings: AnticipationSettings
                    ) -> list[Window]:
    """
    Give what anticipation sees: clips that end ``lead`` before the action, the oldest first.

    :param clip: the action that is to be told before it begins.
    :param count: how many; LEAP's i - 2 to i are 3.
    :param settings: how long, and when they end.
    :returns: windows one after the other; the last ends at ``clip.start - lead``.
    """
    end, span = clip.start - settings.lead, settings.span(clip)
    return [Window(end - (number + 1) * span, end - number * span)
            for number in reversed(range(count))]


def times_in(window: Window, count: int, rng: np.random.Generator | None = None) -> list[float]:
    """
    Choose moments: one of each of ``count`` stretches of equal length (Wang et al., 2016).

    :param window: to choose from.
    :param count: how many.
    :param rng: where in its stretch each is, for training; None = in the middle.
    :returns: seconds, ascending, from 0 and below ``window.end``: what lies before the video's
        beginning is its first moment.
    """
    where = rng.random(count) if rng is not None else np.full(count, 0.5)
    times = window.begin + (np.arange(count) + where) * ((window.end - window.begin) / count)
    # The sum may round up to the end, which is no longer part of the window.
    last = math.nextafter(window.end, -math.inf)
    return [max(0.0, min(float(time), last)) for time in times]
