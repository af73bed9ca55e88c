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

"""Frames of the kitchen per second: one process, one core, software rendering, 256 x 256."""

from __future__ import annotations

import os
from pathlib import Path
import time

from benchmarks.report import Figure, Report, Target
from lego_ros.sim.episode import sample_episode
from lego_ros.sim.render import Renderer

_SIDE = 256
_LIMIT = 15.0
_WARM_UPS = 5
_STEP = 4


def run(out: Path, episodes: int = 6, frames: int = 40) -> Report:
    """
    Run the benchmark.

    :param out: not used.
    :param episodes: scenes to draw.
    :param frames: drawn of each, spread over it.
    :returns: what was found.
    """
    cores = os.sched_getaffinity(0)
    # The software renderer would take every core for one picture.
    os.sched_setaffinity(0, {min(cores)})
    try:
        drawn, scripted = [], []
        for seed in range(episodes):
            begin = time.perf_counter()
            episode = sample_episode(seed)
            scripted.append(time.perf_counter() - begin)
            with Renderer(episode, _SIDE, _SIDE) as renderer:
                times = [index * _STEP % episode.frame_count for index in range(frames)]
                for moment in times[:_WARM_UPS]:
                    renderer.rgb(moment)
                begin = time.perf_counter()
                processor = time.process_time()
                for moment in times:
                    renderer.rgb(moment)
                drawn.append((frames / (time.perf_counter() - begin),
                              frames / (time.process_time() - processor)))
    finally:
        os.sched_setaffinity(0, cores)
    by_processor = Figure('frames per second of processor time', 'frames/s',
                          [rate for _, rate in drawn])
    return Report(
        'sim',
        {'picture': f'{_SIDE} x {_SIDE}, 4 samples per pixel', 'processors used': 1},
        [Figure('frames per second by the clock', 'frames/s', [rate for rate, _ in drawn]),
         by_processor, Figure('writing an episode', 's', scripted)],
        [Target('frames per second and core, median of the episodes', 'frames/s', _LIMIT,
                by_processor.percentile(50), least=True)])
