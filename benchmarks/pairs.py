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

"""Kitchen data per second and core: pairs alone, and whole episodes as video."""

from __future__ import annotations

import os
from pathlib import Path
import tempfile
import time

from benchmarks.report import Figure, Report, Target
from lego_ros.training.export.generate import make_episode
from lego_ros.training.export.settings import ExportSettings

# 20,000 pairs in an hour, and 800 episodes in two, both on two cores.
_PAIRS = 20_000 / 3600 / 2
_EPISODE_S = 2 * 7200 / 800


def run(out: Path, pair_episodes: int = 40, video_episodes: int = 4) -> Report:
    """
    Run the benchmark.

    :param out: not used.
    :param pair_episodes: episodes of which only the pairs are drawn.
    :param video_episodes: episodes that are drawn whole and encoded.
    :returns: what was found.
    """
    cores = os.sched_getaffinity(0)
    # One worker of ``lego-ros sim generate`` to a core.
    os.sched_setaffinity(0, {min(cores)})
    try:
        with tempfile.TemporaryDirectory() as folder:
            pairs = _pairs(Path(folder), pair_episodes)
            videos = _videos(Path(folder), video_episodes)
    finally:
        os.sched_setaffinity(0, cores)
    rate = Figure('pairs per second, by tens of episodes', 'pairs/s', pairs)
    seconds = Figure('an episode as video', 's', videos)
    return Report(
        'pairs', {'picture': '256 x 256', 'processors used': 1}, [rate, seconds],
        [Target('pairs per second and core, median', 'pairs/s', _PAIRS, rate.percentile(50),
                least=True),
         Target('an episode as video on one core, mean', 's', _EPISODE_S,
                sum(videos) / len(videos))])


def _pairs(folder: Path, episodes: int) -> list[float]:
    settings = ExportSettings('pairs', episodes)
    make_episode(settings, folder, 0)
    rates = []
    for first in range(0, episodes, 10):
        begin, made = time.perf_counter(), 0
        for seed in range(first, min(first + 10, episodes)):
            made += len(make_episode(settings, folder, seed).records)
        rates.append(made / (time.perf_counter() - begin))
    return rates


def _videos(folder: Path, episodes: int) -> list[float]:
    settings = ExportSettings('ego4d', episodes)
    seconds = []
    for seed in range(episodes):
        begin = time.perf_counter()
        make_episode(settings, folder, seed)
        seconds.append(time.perf_counter() - begin)
    return seconds
