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

"""Frames of clips at even intervals, out of a video that is decoded once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
import math

from lego_ros.training.data.actions import Moment
from lego_ros.training.data.frames import FrameReader, Window
from lego_ros.training.data.layout import Footage
from lego_ros.training.data.problems import ProblemLog
from lego_ros.training.descriptors.clip import Clip
import numpy as np

Find = Callable[[str], Footage]
"""Says where a video is; see ``layout.epic_footage`` and ``layout.ego4d_footage``."""


def sample_times(clip: Clip, interval: float, most: int) -> list[float]:
    """
    Choose the moments at which a clip is looked at.

    :param clip: the clip.
    :param interval: seconds between them.
    :param most: how many there are at most; in longer clips they lie further apart.
    :returns: seconds from the clip's beginning, from 0 to before its end.
    """
    count = min(max(math.ceil(clip.duration / interval - 1e-9), 1), most)
    return [clip.duration * number / count for number in range(count)]


def sample(reader: FrameReader, clips: Sequence[Clip], interval: float, most: int,
           log: ProblemLog) -> Iterator[tuple[int, float, np.ndarray]]:
    """
    Yield the frames of clips in the order of the video, each clip's in the order of time.

    :param reader: of the video.
    :param clips: of it.
    :param interval: see :func:`sample_times`.
    :param most: see :func:`sample_times`.
    :param log: where frames that cannot be had are reported: after the video's end, damaged.
    :returns: an iterator over the clip's index, seconds from its beginning, and (H, W, 3) uint8
        RGB.
    """
    wanted, times = [], {}
    for index, clip in enumerate(clips):
        for number, time in enumerate(sample_times(clip, interval, most)):
            key = f'{clip.clip_id} {number}'
            times[key] = index, time
            moment = Moment(clip.start + time, None, 0, 0.0, 'of a clip')
            wanted.append(Window(key, moment))
    for window, shots in reader.windows(wanted, log):
        yield *times[window.key], shots[0].rgb
