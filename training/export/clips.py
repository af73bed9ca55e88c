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

"""An episode's pictures as an H.264 file or as a folder of JPEG files."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
import os
from pathlib import Path
import shutil

import av
import cv2
from lego_ros.files import commit
from lego_ros.sim.motion import FPS
from lego_ros.training.data.frame_folders import frame_name
import numpy as np

GOP = 250
"""Longest distance between key frames: x264's own, and what most videos on disks have."""
_OPTIONS = {'preset': 'veryfast', 'crf': '18', 'g': str(GOP)}
_TIME_BASE = Fraction(1, FPS)
JPEG_QUALITY = 95


def write_video(path: Path, pictures: Iterable[np.ndarray], size: int) -> int:
    """
    Encode pictures at exactly 30 per second: picture n is shown at n / 30 s.

    The same pictures give the same bytes. The file has its name only when it is whole.

    :param path: of the MP4 file; one that is there is replaced.
    :param pictures: (size, size, 3) uint8 RGB each.
    :param size: side of the pictures, an even number [px].
    :returns: the number of pictures.
    :raises OSError: it cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f'.{path.name}.part')
    count = 0
    with av.open(str(part.absolute()), 'w', format='mp4') as container:
        stream = container.add_stream('libx264', rate=FPS, options=_OPTIONS)
        stream.width = stream.height = size
        stream.pix_fmt = 'yuv420p'
        stream.codec_context.time_base = _TIME_BASE
        # Episodes are encoded side by side; within one, threads would only cost.
        stream.thread_count = 1
        for picture in pictures:
            frame = av.VideoFrame.from_ndarray(picture, format='rgb24')
            frame.pts, frame.time_base = count, _TIME_BASE
            container.mux(stream.encode(frame))
            count += 1
        container.mux(stream.encode())
    commit(part, path)
    return count


def write_folder(path: Path, pictures: Iterable[np.ndarray], repeat: int) -> int:
    """
    Write pictures as ``frame_%010d.jpg``, counted from 1.

    The folder has its name only when it is whole.

    :param path: of the folder; one that is there is replaced.
    :param pictures: (H, W, 3) uint8 RGB each.
    :param repeat: how many files in a row show each picture.
    :returns: the number of pictures.
    :raises OSError: it cannot be written.
    """
    part = path.with_name(f'.{path.name}.part')
    if part.exists():
        shutil.rmtree(part)
    part.mkdir(parents=True)
    count = 0
    for picture in pictures:
        jpeg = encode_jpeg(picture)
        for number in range(count * repeat + 1, (count + 1) * repeat + 1):
            (part / frame_name(number)).write_bytes(jpeg)
        count += 1
    if path.exists():
        shutil.rmtree(path)
    os.replace(part, path)
    return count


def encode_jpeg(rgb: np.ndarray) -> bytes:
    """
    Encode a picture.

    :param rgb: (H, W, 3) uint8.
    :returns: the file's content; colour is not subsampled.
    """
    options = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY, cv2.IMWRITE_JPEG_SAMPLING_FACTOR,
               cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
    return cv2.imencode('.jpg', cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), options)[1].tobytes()
