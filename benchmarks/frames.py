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
Frames of a video with long groups of pictures: decoded once forwards, or sought one by one.

The requests are those of preparing pairs: seven frames around each of two moments of every action.
Both ways give every frame as RGB at 256 x 256, from the same file, in turns in the same run; that
they give the same pictures is checked.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
import tempfile
import time

import av
from benchmarks.report import Figure, Report, Target
import cv2
from lego_ros.training.data.actions import Moment
from lego_ros.training.data.frames import VideoFrames, Window
from lego_ros.training.data.pairs import PairSettings, resized
from lego_ros.training.data.problems import ProblemLog
import numpy as np

WIDTH, HEIGHT, FPS, GOP = 1920, 1080, 30, 250
_FRAMES = 2 * GOP
_ACTIONS = 4
_NEIGHBOURS = 3
_LIMIT = 5.0
# Two decoders' conversions from YUV differ by rounding; a neighbouring frame differs by more.
_SAME = 2.0


def run(out: Path, rounds: int = 2) -> Report:
    """
    Run the benchmark.

    :param out: not used.
    :param rounds: how often each way is taken.
    :returns: what was found.
    :raises RuntimeError: the two ways do not give the same pictures.
    """
    forwards, seeking = [], []
    centres = _centres()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / 'video.mp4'
        _write(path)
        for _ in range(rounds):
            begin = time.perf_counter()
            ours = _decoded(path, centres)
            between = time.perf_counter()
            theirs = _sought(path, sorted(ours))
            end = time.perf_counter()
            _compare(ours, theirs)
            forwards.append(len(ours) / (between - begin))
            seeking.append(len(theirs) / (end - between))
        size = path.stat().st_size
    ratios = [one / other for one, other in zip(forwards, seeking, strict=True)]
    ratio = Figure('ratio', '', ratios)
    return Report(
        'frames',
        {'video': f'{WIDTH} x {HEIGHT}, H.264, {_FRAMES} frames, a key frame every {GOP}, '
                  f'{size / 1e6:.1f} MB', 'frames asked for': len(ours),
         'threads of OpenCV': cv2.getNumThreads()},
        [Figure('decoded once forwards', 'frames/s', forwards),
         Figure('sought one by one with OpenCV', 'frames/s', seeking), ratio],
        [Target('forwards to seeking, the worst round', 'times', _LIMIT, min(ratios), least=True)])


def _centres() -> list[int]:
    """Spread two moments for each action over the video, anywhere in its groups of pictures."""
    generator = np.random.default_rng(0)
    starts = np.linspace(20, _FRAMES - 80, _ACTIONS)
    return sorted({int(start + shift) for start in starts
                   for shift in (generator.integers(0, 20), generator.integers(30, 60))})


def _write(path: Path) -> None:
    """Write a scene through which the camera wanders, with detail and noise of a real one."""
    generator = np.random.default_rng(1)
    coarse = generator.integers(0, 255, (40, 80, 3), np.uint8)
    scene = cv2.resize(coarse, (2 * WIDTH, HEIGHT + 120), interpolation=cv2.INTER_CUBIC)
    scene = cv2.add(scene, generator.integers(0, 12, scene.shape, np.uint8))
    with av.open(str(path), 'w') as container:
        stream = container.add_stream('libx264', rate=FPS, options={
            'preset': 'superfast', 'crf': '26', 'g': str(GOP), 'keyint_min': str(GOP),
            'sc_threshold': '0'})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, 'yuv420p'
        for index in range(_FRAMES):
            left = index * (WIDTH - 1) // _FRAMES
            top = round(60 + 59 * np.sin(index / 40))
            picture = np.array(scene[top:top + HEIGHT, left:left + WIDTH], np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format='rgb24')))
        container.mux(stream.encode())


def _decoded(path: Path, centres: list[int]) -> dict[int, np.ndarray]:
    settings, log = PairSettings(), ProblemLog()
    windows = [Window(str(centre), Moment(centre / FPS, centre, 0, FPS, 'benchmark'),
                      _NEIGHBOURS, _NEIGHBOURS) for centre in centres]
    found = {shot.number: resized(shot.rgb, settings)
             for _, shots in VideoFrames(path).windows(windows, log) for shot in shots}
    if len(log):
        raise RuntimeError(f'frames were not found: {log.counts}')
    return found


def _sought(path: Path, numbers: list[int]) -> dict[int, np.ndarray]:
    capture = cv2.VideoCapture(str(path))
    try:
        return dict(_each(capture, numbers))
    finally:
        capture.release()


def _each(capture: cv2.VideoCapture, numbers: list[int]) -> Iterator[tuple[int, np.ndarray]]:
    settings = PairSettings()
    for number in numbers:
        capture.set(cv2.CAP_PROP_POS_FRAMES, number)
        found, bgr = capture.read()
        if not found:
            raise RuntimeError(f'OpenCV does not find frame {number}')
        yield number, resized(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), settings)


def _compare(ours: dict[int, np.ndarray], theirs: dict[int, np.ndarray]) -> None:
    for number, picture in ours.items():
        difference = np.abs(picture.astype(int) - theirs[number]).mean()
        if difference > _SAME:
            raise RuntimeError(f'frame {number} is another one for OpenCV: {difference:.1f}')
