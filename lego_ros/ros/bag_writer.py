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

"""A rosbag2 (MCAP) written by a thread of its own, so that a slow disk stalls nothing else."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
import logging
from pathlib import Path
import threading

from lego_ros.errors import ErrorCode, LegoError
from lego_ros.ros.type_store import add_interface
from rclpy.duration import Duration
from rclpy.qos import QoSProfile
from rosbags.interfaces import (
    Connection,
    Qos,
    QosDurability,
    QosHistory,
    QosLiveliness,
    QosReliability,
    QosTime,
)
from rosbags.rosbag2 import StoragePlugin, Writer, WriterError
from rosbags.typesys import get_typestore, Stores

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Limits:
    """
    Where a recording ends by itself, and how much may wait for the disk; 0 = no limit.

    :param queue_bytes: most bytes of messages that wait for the writer; never 0.
    :param max_bytes: most bytes of messages in the bag.
    :param max_duration: longest time between the first and the last message, in s.
    """

    queue_bytes: int
    max_bytes: int = 0
    max_duration: float = 0.0


@dataclass
class TopicCount:
    """What became of the messages of one topic."""

    written: int = 0
    dropped: int = 0


class BagWriter:
    """
    Write serialised messages to a new bag.

    :param path: folder to create.
    :param limits: see :class:`Limits`.
    :raises LegoError: RECORDING_FAILED, the folder exists or cannot be created.
    """

    def __init__(self, path: Path, limits: Limits) -> None:
        self.path = path
        self.counts: dict[str, TopicCount] = {}
        """By topic."""
        self.failure: LegoError | None = None
        """Why the writing stopped; None = it did not fail."""
        self.complete = False
        """Whether a limit was reached: the bag is closed, and what still comes is ignored."""
        self.bytes_written = 0
        self._limits = limits
        self._store = get_typestore(Stores.EMPTY)
        self._connections: dict[str, Connection] = {}
        self._first: int | None = None
        self._queue: deque[tuple[str, int, bytes]] = deque()
        self._queued_bytes = 0
        self._closing = False
        self._changed = threading.Condition()
        # The writer's state is the thread's while a message is written, and add_topic's between.
        self._writing = threading.Lock()
        try:
            self._writer = Writer(path, version=9, storage_plugin=StoragePlugin.MCAP)
            self._writer.open()
        except (WriterError, OSError) as error:
            hint = ' Give a path that does not exist yet.' if path.exists() else ''
            raise LegoError(ErrorCode.RECORDING_FAILED,
                            f'The bag {path} cannot be created: {error}{hint}') from error
        self._thread = threading.Thread(target=self._run, name='bag writer', daemon=True)
        self._thread.start()

    def add_topic(self, topic: str, msgtype: str, offered: Sequence[QoSProfile]) -> None:
        """
        Make a topic known before its first message.

        :param topic: its full name.
        :param msgtype: such as ``sensor_msgs/msg/Image``.
        :param offered: the quality of service of its publishers, for the player.
        :raises LegoError: RECORDING_FAILED, the definition of the type is not installed.
        """
        add_interface(self._store, msgtype)
        with self._writing:
            if not (self.complete or self.failure):
                self._connections[topic] = self._writer.add_connection(
                    topic, msgtype, typestore=self._store,
                    offered_qos_profiles=[to_bag_qos(profile) for profile in offered])
        self.counts[topic] = TopicCount()

    def write(self, topic: str, stamp: int, data: bytes) -> None:
        """
        Hand a message to the writer; it is dropped, and counted, when too much waits already.

        :param topic: known by :meth:`add_topic`.
        :param stamp: when it was received, in ns.
        :param data: the serialised message.
        """
        with self._changed:
            if self.complete:
                return
            # One message always fits, however large it is.
            full = self._queue and self._queued_bytes + len(data) > self._limits.queue_bytes
            if full or self.failure or self._closing:
                self.counts[topic].dropped += 1
                return
            self._queue.append((topic, stamp, data))
            self._queued_bytes += len(data)
            self._changed.notify_all()

    def count_lost(self, topic: str, number: int) -> None:
        """
        Count messages that were lost on their way here.

        :param topic: known by :meth:`add_topic`.
        :param number: of messages.
        """
        with self._changed:
            self.counts[topic].dropped += number

    def close(self) -> None:
        """Write what waits, then the index and metadata.yaml."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join()

    @property
    def dropped(self) -> int:
        """Messages that were lost, of all topics."""
        return sum(count.dropped for count in list(self.counts.values()))

    @property
    def queued_bytes(self) -> int:
        """Bytes that wait for the disk."""
        return self._queued_bytes

    def _run(self) -> None:
        """Write until the recording is closed, complete or failed."""
        try:
            while self._write_next():
                pass
            with self._writing:
                self._writer.close()
                self.complete = True
        # The thread's boundary. Whatever the reason, a recording that stops must say so.
        except Exception as error:  # noqa: BLE001
            self._fail(error)

    def _write_next(self) -> bool:
        """Write one message; False when there is nothing more to write."""
        with self._changed:
            self._changed.wait_for(lambda: self._queue or self._closing)
            if not self._queue:
                return False
            topic, stamp, data = self._queue.popleft()
            self._queued_bytes -= len(data)
        if self._first is None:
            self._first = stamp
        limits = self._limits
        over = ((limits.max_bytes and self.bytes_written + len(data) > limits.max_bytes)
                or (limits.max_duration and stamp - self._first > limits.max_duration * 1e9))
        if over:
            self._discard(dropped=False)
            return False
        with self._writing:
            self._writer.write(self._connections[topic], stamp, data)
        self.bytes_written += len(data)
        self.counts[topic].written += 1
        return True

    def _discard(self, dropped: bool) -> None:
        """Empty the queue, and count its messages if they should have been written."""
        with self._changed:
            for topic, _, _ in self._queue:
                self.counts[topic].dropped += dropped
            self._queue.clear()
            self._queued_bytes = 0

    def _fail(self, error: Exception) -> None:
        """Stop after an error, and leave what is on the disk readable."""
        self.failure = LegoError(
            ErrorCode.RECORDING_FAILED,
            f'The recording to {self.path} stopped: {error}. What was written before can be read '
            'from its .mcap file.')
        self._discard(dropped=True)
        try:
            self._writer.abort()
        except OSError as second:
            # The last buffered bytes may not fit either; the first error is the one to report.
            _LOG.debug('%s could not be closed: %s', self.path, second)


def to_bag_qos(profile: QoSProfile) -> Qos:
    """
    Convert a quality of service to rosbags' form.

    :param profile: of a publisher, as discovery tells it.
    :returns: the same for the bag's metadata.
    """
    # The numbers are rmw's on both sides.
    return Qos(
        history=QosHistory(int(profile.history)),
        depth=profile.depth,
        reliability=QosReliability(int(profile.reliability)),
        durability=QosDurability(int(profile.durability)),
        deadline=_to_bag_time(profile.deadline),
        lifespan=_to_bag_time(profile.lifespan),
        liveliness=QosLiveliness(int(profile.liveliness)),
        liveliness_lease_duration=_to_bag_time(profile.liveliness_lease_duration),
        avoid_ros_namespace_conventions=profile.avoid_ros_namespace_conventions)


def _to_bag_time(duration: Duration) -> QosTime:
    """Split a duration into seconds and nanoseconds."""
    return QosTime(*divmod(duration.nanoseconds, 10**9))
