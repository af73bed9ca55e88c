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

"""Real files to read: videos, pictures, bags."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import get_typestore, Stores

# Presentation times in ms of a variable frame rate: as a telephone makes it in bad light.
VFR_TIMES = (0, 33, 100, 150, 400, 433)


def _flat(index: int, width: int = 64, height: int = 48) -> np.ndarray:
    return np.full((height, width, 3), 20 + 30 * index, np.uint8)


@pytest.fixture
def vfr_times() -> tuple[int, ...]:
    return VFR_TIMES


@pytest.fixture
def flat() -> Callable[..., np.ndarray]:
    """Make a picture whose brightness tells it from the others of a source."""
    return _flat


@pytest.fixture
def index_of() -> Callable[[np.ndarray], int]:
    """Tell which of the pictures of a source one is."""
    return lambda rgb: round((float(rgb.mean()) - 20) / 30)


@pytest.fixture
def make_video(tmp_path: Path) -> Callable[..., Path]:
    def make(times: Sequence[int] = VFR_TIMES, name: str = 'video.mp4', start: int = 0,
             pictures: Sequence[np.ndarray] | None = None) -> Path:
        path = tmp_path / name
        pictures = pictures or [_flat(index) for index in range(len(times))]
        with av.open(str(path), 'w') as container:
            stream = container.add_stream('mpeg4', rate=30)
            stream.height, stream.width = pictures[0].shape[:2]
            stream.pix_fmt = 'yuv420p'
            stream.codec_context.time_base = Fraction(1, 1000)
            for time, picture in zip(times, pictures, strict=True):
                frame = av.VideoFrame.from_ndarray(picture, format='rgb24')
                frame.pts, frame.time_base = start + time, Fraction(1, 1000)
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
        return path
    return make


@pytest.fixture
def make_bag(tmp_path: Path) -> Callable[..., Path]:
    """Write a bag with the topic /head/image_raw, its camera_info and a topic of another type."""
    store = get_typestore(Stores.ROS2_JAZZY)
    types = store.types
    header_type = types['std_msgs/msg/Header']
    time_type = types['builtin_interfaces/msg/Time']

    def make(times: Sequence[int] = (0, 50, 300), name: str = 'bag', compressed: bool = False,
             images: bool = True, info: bool = True, stamped: bool = True,
             plugin: StoragePlugin = StoragePlugin.MCAP, size: tuple[int, int] = (64, 48)) -> Path:
        path = tmp_path / name
        width, height = size
        with Writer(path, version=9, storage_plugin=plugin) as writer:
            text = writer.add_connection('/words', 'std_msgs/msg/String', typestore=store)
            writer.write(text, 10**18, store.serialize_cdr(
                types['std_msgs/msg/String'](data='hello'), 'std_msgs/msg/String'))
            kind = 'CompressedImage' if compressed else 'Image'
            topic = '/head/image_raw' + ('/compressed' if compressed else '')
            msgtype = f'sensor_msgs/msg/{kind}'
            image = writer.add_connection(topic, msgtype, typestore=store) if images else None
            if info:
                info_type = 'sensor_msgs/msg/CameraInfo'
                connection = writer.add_connection('/head/camera_info', info_type, typestore=store)
                message = types[info_type](
                    header=header_type(time_type(1, 0), 'head_optical'), height=height,
                    width=width, distortion_model='plumb_bob', d=np.array([.1, 0, 0, 0, 0]),
                    k=np.array([50., 0, 31.5, 0, 50, 23.5, 0, 0, 1]), r=np.eye(3).ravel(),
                    p=np.array([50., 0, 31.5, 0, 0, 50, 23.5, 0, 0, 0, 1, 0]),
                    binning_x=0, binning_y=0, roi=types['sensor_msgs/msg/RegionOfInterest'](
                        0, 0, 0, 0, False))
                writer.write(connection, 10**18, store.serialize_cdr(message, info_type))
            for index, time in enumerate(times if image else ()):
                # The camera's stamp is 5 ms before the recorder's.
                recorded = 10**18 + time * 10**6
                sec, nanosec = divmod(recorded - 5 * 10**6 if stamped else 0, 10**9)
                header = header_type(time_type(sec, nanosec), 'head_optical')
                rgb = _flat(index, width, height)
                if compressed:
                    data = cv2.imencode('.jpg', rgb)[1].ravel()
                    message = types[msgtype](header, 'rgb8; jpeg compressed bgr8', data)
                else:
                    message = types[msgtype](
                        header, height, width, 'rgb8', 0, 3 * width, rgb.ravel())
                writer.write(image, recorded, store.serialize_cdr(message, msgtype))
        return path
    return make
