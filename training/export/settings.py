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

"""What an export is made of, checked."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Literal

from lego_ros import __version__
from lego_ros.errors import ErrorCode, LegoError
from lego_ros.training.export.ids import EPIC_VIDEOS

FORMATS = ('ego4d', 'epic', 'pairs')
MEDIA = ('video', 'frames')
Format = Literal['ego4d', 'epic', 'pairs']
Media = Literal['video', 'frames']
_FRAMES = 560
"""Frames of an episode, on average over 450 of them."""
_PAIRS = 3.4
# Bytes per pixel, measured at 256 px and rounded up; larger pictures need less.
_VIDEO_BYTES = 0.02
_JPEG_BYTES = 0.4


@dataclass(frozen=True)
class ExportSettings:
    """
    All that the files depend on.

    :param format: ``ego4d``, ``epic``, or ``pairs`` for a manifest at once.
    :param episodes: how many.
    :param seed: of the first episode; the others follow.
    :param size: side of the pictures, an even number [px].
    :param media: for ``epic``: a video file, or ``frame_%010d.jpg``.
    :raises LegoError: INVALID_SETTING.
    """

    format: Format
    episodes: int
    seed: int = 0
    size: int = 256
    media: Media = 'video'

    def __post_init__(self) -> None:
        problem = ''
        if self.format not in FORMATS or self.media not in MEDIA:
            problem = f'format is one of {", ".join(FORMATS)}, media one of {", ".join(MEDIA)}'
        elif not 1 <= self.episodes <= 1_000_000 or not 0 <= self.seed < 2**31:
            problem = 'episodes lie in 1..1000000, the seed in 0..2147483647'
        elif not 64 <= self.size <= 1024 or self.size % 2:
            problem = 'the size is an even number in 64..1024 (H.264 halves the colours)'
        elif self.media == 'frames' and self.format != 'epic':
            problem = 'only EPIC-KITCHENS comes as frames'
        elif self.format == 'epic' and self.episodes > EPIC_VIDEOS:
            problem = (f'EPIC-KITCHENS names {EPIC_VIDEOS} videos (P00_00 to P99_99); make '
                       'several folders with other seeds')
        if problem:
            raise LegoError(ErrorCode.INVALID_SETTING, f'{self}: {problem}')

    @property
    def seeds(self) -> range:
        """Give the episodes' seeds, in the order in which they stand in the files."""
        return range(self.seed, self.seed + self.episodes)

    def plan(self) -> dict[str, object]:
        """
        Say what the files depend on; another version of the package may draw other kitchens.

        :returns: JSON values.
        """
        return {**asdict(self), 'version': __version__}

    def bytes_per_episode(self) -> float:
        """
        Estimate the room that an episode takes.

        :returns: bytes.
        """
        pixels = self.size ** 2
        if self.format == 'pairs':
            return pixels * _JPEG_BYTES * 2 * _PAIRS
        if self.media == 'frames':
            return pixels * _JPEG_BYTES * 2 * _FRAMES
        return pixels * _VIDEO_BYTES * _FRAMES
