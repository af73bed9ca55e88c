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
Start and stop times by which EPIC-KITCHENS' rule lands on Ego4D's critical frames.

A pair of EPIC-KITCHENS is taken 0.25 s before the start and at 0.6 of the action. The kitchen
knows its PRE-15 and PNR frames. So start and stop are placed where that rule hits these frames;
they are written in hundredths of a second, as the dataset has them, and a frame lasts 3.3 of
those. They are the annotation's times, not the first and last frame of the motion: those are in
``truth.jsonl``.
"""

from __future__ import annotations

from lego_ros.sim.motion import FPS

assert FPS == 30, 'the arithmetic below is in thirds of 1/10 s'
_LEAD = 25


def epic_times(pre_15: int, pnr: int) -> tuple[int, int]:
    """
    Find the earliest times that fit.

    :param pre_15: frame of the input picture, from 0 at 30 per second.
    :param pnr: frame of the target picture, after ``pre_15``.
    :returns: start and stop in 1/100 s: start - 0.25 s lies less than 1/100 s after the
        beginning of frame ``pre_15``, and start + 0.6 (stop - start) less than 6/1000 s after
        that of frame ``pnr``.
    """
    start = -(-10 * pre_15 // 3) + _LEAD
    # 0.4 start + 0.6 stop >= 10/3 pnr, solved for stop in whole numbers and rounded up.
    stop = -(-(50 * pnr - 6 * start) // 9)
    return start, stop


def timestamp(hundredths: int) -> str:
    """
    Write a time as EPIC-KITCHENS does.

    :param hundredths: of a second.
    :returns: HH:MM:SS.cc.
    """
    seconds, rest = divmod(hundredths, 100)
    minutes, seconds = divmod(seconds, 60)
    return f'{minutes // 60:02d}:{minutes % 60:02d}:{seconds:02d}.{rest:02d}'
