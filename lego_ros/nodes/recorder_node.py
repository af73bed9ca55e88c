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
Records topics to a rosbag2 (MCAP) folder, without rosbag2.

The serialised messages go to the file as they come; see ``PARAMETERS`` for what it can be told.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
import importlib
from pathlib import Path
import sys
import time
from typing import Any

from lego_ros.errors import ErrorCode, LegoError
from lego_ros.ros.bag_writer import BagWriter, Limits
from lego_ros.ros.diagnostics import Diagnostics, ERROR, Status, WARN
from lego_ros.ros.parameters import declare, Parameter, read
from lego_ros.ros.process import run_node
from rclpy.exceptions import InvalidTopicNameException
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy
from rclpy.subscription import Subscription
from rclpy.topic_endpoint_info import TopicEndpointInfo
from rclpy.validate_topic_name import validate_topic_name

try:
    from rclpy.event_handler import QoSMessageLostInfo, SubscriptionEventCallbacks
except ImportError:  # Humble
    from rclpy.qos_event import QoSMessageLostInfo, SubscriptionEventCallbacks

_DEFAULT_TOPICS = [
    'image/compressed', 'camera_info', 'action_query', 'action_description', 'action_frame',
    'action_program', 'action_recognition', 'query_outcome', 'program_outcome',
    'lego_node/engine_info', 'program_node/engine_info', '/diagnostics']

PARAMETERS = (
    Parameter('path', '', 'Folder to create for the bag; empty = recording_<date>_<time> in the '
              'working directory.', read_only=True),
    Parameter('topics', _DEFAULT_TOPICS, "Topics to record; relative names are of the node's "
              'namespace.', read_only=True),
    Parameter('max_bytes', 0, 'End the recording at this size; 0 = no limit.', unit='bytes',
              minimum=0, maximum=2**62, read_only=True),
    Parameter('max_duration', 0.0, 'End the recording after this time; 0 = no limit.', unit='s',
              minimum=0.0, maximum=1e9, read_only=True),
    Parameter('queue_bytes', 256 * 2**20, 'Most bytes that may wait for the disk before messages '
              'are dropped.', unit='bytes', minimum=1, maximum=2**40, read_only=True),
)

_DISCOVERY_PERIOD = 0.2
# A burst must not be lost before the executor comes to it; what waits for the disk is bounded by
# queue_bytes, not by this.
_DEPTH = 1000


@dataclass
class Recorded:
    """One recorded topic: its type as in the bag, and the subscription."""

    msgtype: str
    qos: QoSProfile
    subscription: Subscription


class RecorderNode(Node):
    """
    Records the given topics from the moment that somebody publishes them.

    :param kwargs: for rclpy's Node: namespace, parameter_overrides, context and so on.
    :raises LegoError: RECORDING_FAILED, the bag cannot be created.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__('recorder_node', **kwargs)
        self._writer: BagWriter | None = None
        self._recorded: dict[str, Recorded] = {}
        self._refused: dict[str, str] = {}
        self._told = False
        try:
            declare(self, PARAMETERS)
            values = read(self, PARAMETERS)
            path = values['path'] or time.strftime('recording_%Y-%m-%d_%H-%M-%S')
            self._topics = self._resolve(values['topics'])
            self._writer = BagWriter(Path(path).expanduser(), Limits(
                values['queue_bytes'], values['max_bytes'], values['max_duration']))
        except BaseException:
            self.destroy_node()
            raise
        Diagnostics(self, str(self._writer.path)).add('recording', self._diagnose)
        self.create_timer(_DISCOVERY_PERIOD, self._discover)
        self._discover()
        self.get_logger().info(f'recording {", ".join(self._topics)} to {self._writer.path}')

    def _resolve(self, names: Sequence[str]) -> list[str]:
        """
        Find the full names of the topics, each once.

        :raises LegoError: INVALID_SETTING, there is none, or one is no topic name.
        """
        try:
            for name in names:
                validate_topic_name(name)
            topics = list(dict.fromkeys(map(self.resolve_topic_name, names)))
        except InvalidTopicNameException as error:
            raise LegoError(ErrorCode.INVALID_SETTING,
                            f'One of the topics to record is no topic name: {error}') from error
        if not topics:
            raise LegoError(ErrorCode.INVALID_SETTING,
                            'There is nothing to record: name at least one of the topics.')
        return topics

    def _discover(self) -> None:
        """Subscribe to what has come up since the last look."""
        assert self._writer is not None
        if self._writer.failure or self._writer.complete:
            self._tell_end()
            return
        for topic in self._topics:
            publishers = self.get_publishers_info_by_topic(topic)
            if publishers and topic not in self._refused:
                try:
                    self._subscribe(topic, publishers)
                except LegoError as error:
                    self._refused[topic] = error.message
                    self.get_logger().error(f'{topic} is not recorded: {error}')

    def _subscribe(self, topic: str, publishers: list[TopicEndpointInfo]) -> None:
        """
        Record a topic, or weaken its subscription for a publisher that it does not match.

        :raises LegoError: RECORDING_FAILED, its type is not installed here.
        """
        assert self._writer is not None
        recorded = self._recorded.get(topic)
        qos = matching_qos([publisher.qos_profile for publisher in publishers])
        if recorded is None:
            msgtype = publishers[0].topic_type
            message_class = _message_class(msgtype)
            self._writer.add_topic(
                topic, msgtype, [publisher.qos_profile for publisher in publishers])
        else:
            qos = matching_qos([qos, recorded.qos])
            if (qos.reliability, qos.durability) == (
                    recorded.qos.reliability, recorded.qos.durability):
                return
            msgtype = recorded.msgtype
            message_class = _message_class(msgtype)
            self.destroy_subscription(recorded.subscription)
        self._recorded[topic] = Recorded(msgtype, qos, self.create_subscription(
            message_class, topic, partial(self._receive, topic), qos, raw=True,
            event_callbacks=SubscriptionEventCallbacks(
                message_lost=partial(self._count_lost, topic))))

    def _receive(self, topic: str, data: bytes) -> None:
        """Hand a message on, stamped with the time of its reception."""
        assert self._writer is not None
        self._writer.write(topic, self.get_clock().now().nanoseconds, data)

    def _count_lost(self, topic: str, event: QoSMessageLostInfo) -> None:
        """Count what the middleware lost before it came here."""
        assert self._writer is not None
        self._writer.count_lost(topic, event.total_count_change)

    def _tell_end(self) -> None:
        """Log once that the recording ended by itself."""
        assert self._writer is not None
        if self._told:
            return
        self._told = True
        for recorded in self._recorded.values():
            self.destroy_subscription(recorded.subscription)
        if self._writer.failure:
            self.get_logger().error(str(self._writer.failure))
        else:
            self.get_logger().info(f'{self._writer.path} has reached its limit and is closed')

    def _diagnose(self, status: Status) -> None:
        """Report on the recording."""
        writer = self._writer
        assert writer is not None
        waiting = [topic for topic in self._topics
                   if topic not in self._recorded and topic not in self._refused]
        if writer.failure:
            status.raise_to(ERROR, str(writer.failure))
        elif writer.complete:
            status.message = 'a limit is reached; the bag is closed'
        if self._refused:
            status.raise_to(WARN, '; '.join(self._refused.values()))
        if writer.dropped:
            status.raise_to(WARN, f'{writer.dropped} messages were dropped: the disk is too slow')
        status.values.update({
            'bytes': writer.bytes_written,
            'bytes waiting': writer.queued_bytes,
            'topics waited for': ', '.join(waiting)})
        for topic, count in writer.counts.items():
            status.values[f'{topic} written'] = count.written
            status.values[f'{topic} dropped'] = count.dropped

    def destroy_node(self) -> None:
        """Close the bag with everything that was received, then end the node."""
        if self._writer is not None:
            writer, self._writer = self._writer, None
            writer.close()
            for topic, count in writer.counts.items():
                self.get_logger().info(
                    f'{topic}: {count.written} written, {count.dropped} dropped')
            if writer.failure:
                self.get_logger().error(str(writer.failure))
        super().destroy_node()


def matching_qos(offered: Sequence[QoSProfile]) -> QoSProfile:
    """
    Find the strictest quality of service that every publisher can serve.

    :param offered: by the publishers of a topic.
    :returns: reliable, and latched messages included, as far as all of them are.
    """
    reliable = all(each.reliability == ReliabilityPolicy.RELIABLE for each in offered)
    latched = all(each.durability == DurabilityPolicy.TRANSIENT_LOCAL for each in offered)
    return QoSProfile(
        history=HistoryPolicy.KEEP_LAST, depth=_DEPTH,
        reliability=ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT,
        durability=(DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE))


def _message_class(msgtype: str) -> type:
    """
    Import the class of a message.

    :raises LegoError: RECORDING_FAILED, it is not installed here.
    """
    try:
        package, kind, name = msgtype.split('/')
        return getattr(importlib.import_module(f'{package}.{kind}'), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise LegoError(
            ErrorCode.RECORDING_FAILED,
            f'The type {msgtype} cannot be loaded: {error}. Is its package installed and sourced '
            'here?') from error


def main(args: Sequence[str] | None = None) -> int:
    """
    Run the node as a process.

    :param args: the command line; None = the process's own.
    :returns: its exit status: 2 when the bag cannot be created.
    """
    return run_node(RecorderNode, args)


if __name__ == '__main__':
    sys.exit(main())
