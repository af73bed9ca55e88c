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

"""Recorded camera topics as frames: rosbag2 folders and single .mcap or .db3 files."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from lego_ros.camera.calibration import Calibration
from lego_ros.camera.frames import Coded, Frame, FrameSource, Picture, unreadable
from lego_ros.errors import LegoError
from lego_ros.images.compressed import decode_compressed
from lego_ros.images.raw import decode_image
from rosbags.interfaces import Connection
from rosbags.rosbag2 import Reader
from rosbags.typesys import get_typestore, Stores

_IMAGE = 'sensor_msgs/msg/Image'
_COMPRESSED = 'sensor_msgs/msg/CompressedImage'
_CAMERA_INFO = 'sensor_msgs/msg/CameraInfo'
_DEFAULT_FPS = 30.0


class BagSource(FrameSource):
    """
    One image topic of a bag.

    The pace is the recorder's, the stamps are the camera's. Where the camera_info beside the
    image topic was recorded too, its first message is the calibration.

    :param path: a rosbag2 folder, or a single .mcap or .db3 file.
    :param topic: its name in the bag; empty = the first image topic, raw before compressed.
    :raises LegoError: SOURCE_UNREADABLE.
    """

    def __init__(self, path: Path, topic: str) -> None:
        self._path = path
        self._store = get_typestore(Stores.ROS2_JAZZY)
        with self._opened() as reader:
            connection = self._choose(reader.connections, topic)
            self._topic = connection.topic
            span = reader.duration / 1e9
            fps = connection.msgcount / span if connection.msgcount > 1 and span > 0 else 0
            self.calibration = self._read_calibration(reader)
        super().__init__(f'{path}:{self._topic}', (0, 0), fps or _DEFAULT_FPS)
        with self._opened() as reader:
            first = next(self._messages(reader), None)
        if first is None:
            raise unreadable(path, f'the topic {self._topic} holds no message.')
        self.start, message = first
        self.size = self._picture(message).size

    def frames(self) -> Iterator[Frame]:
        """Read the topic from its beginning."""
        offset = 0.0
        with self._opened() as reader:
            for recorded, message in self._messages(reader):
                # A bag of several files may overlap a little where one ends.
                offset = max(offset, (recorded - (self.start or 0)) / 1e9)
                stamp = message.header.stamp
                nanoseconds = stamp.sec * 10**9 + stamp.nanosec
                yield Frame(self._picture(message), offset, 1 / self.fps, nanoseconds or recorded,
                            message.header.frame_id)

    @contextmanager
    def _opened(self) -> Iterator[Reader]:
        """
        Open the bag for one reading.

        :raises LegoError: SOURCE_UNREADABLE for whatever goes wrong while it is open.
        """
        try:
            with Reader(self._path) as reader:
                yield reader
        except LegoError:
            raise
        # rosbags lets the exceptions of its storages and of struct, yaml and zstd through.
        except Exception as error:
            raise unreadable(self._path, f'the bag cannot be read: {error}') from error

    def _choose(self, connections: list[Connection], topic: str) -> Connection:
        """Find the topic that was asked for, or the first that holds images."""
        images = [each for msgtype in (_IMAGE, _COMPRESSED) for each in connections
                  if each.msgtype == msgtype]
        if not images:
            raise unreadable(self._path, 'the bag has no topic of images.')
        for each in images:
            if not topic or each.topic == topic:
                return each
        raise unreadable(self._path, f'the bag has no image topic {topic}; it has '
                         f'{", ".join(each.topic for each in images)}.')

    def _messages(self, reader: Reader) -> Iterator[tuple[int, Any]]:
        """Read the image topic: time of recording in ns, and message."""
        connections = [each for each in reader.connections if each.topic == self._topic]
        for connection, recorded, raw in reader.messages(connections):
            yield recorded, self._store.deserialize_cdr(raw, connection.msgtype)

    def _read_calibration(self, reader: Reader) -> Calibration | None:
        """Read the first message of the camera_info beside the image topic."""
        base = self._topic.removesuffix('/compressed')
        info_topic = f'{base.rpartition("/")[0]}/camera_info'
        connections = [each for each in reader.connections
                       if each.topic == info_topic and each.msgtype == _CAMERA_INFO]
        for connection, _, raw in reader.messages(connections) if connections else ():
            info: Any = self._store.deserialize_cdr(raw, connection.msgtype)
            # A focal length of 0 says that the camera is not calibrated (sensor_msgs).
            if info.k[0] == 0:
                return None
            return Calibration(
                info.width, info.height, tuple(info.k.tolist()), tuple(info.p.tolist()),
                tuple(info.r.tolist()), tuple(info.d.tolist()), info.distortion_model)
        return None

    @staticmethod
    def _picture(message: Any) -> Picture:
        """Make the picture of an Image or a CompressedImage."""
        if hasattr(message, 'format'):
            coded = Coded(message.format, bytes(message.data))
            return Picture(partial(decode_compressed, message), coded)
        return Picture(partial(decode_image, message))
