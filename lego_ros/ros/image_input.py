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
The camera as a node sees it: a subscription that costs nothing while no query needs a frame.

A subscription with a callback wakes the executor, copies the message into Python and perhaps
decodes it, thirty times a second, for frames that nobody looks at. This one is never spun. The
middleware keeps the newest message (best effort, keep last 1) and it is taken when a frame is
needed. It is not taken as raw bytes: to deserialize them later would be two more copies.
"""

from __future__ import annotations

from collections.abc import Callable
import contextlib
from copy import copy
from typing import Any, TYPE_CHECKING

from lego_ros.images.compressed import decode_compressed
from lego_ros.images.raw import decode_image
from lego_ros.ros.qos import IMAGE_QOS, overridable
from lego_ros.runtime.answering import Frame
from lego_ros.runtime.frame_slot import FrameSlot, RawFrame
from rclpy.callback_groups import CallbackGroup
from rclpy.exceptions import InvalidHandle
from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.node import Node
from sensor_msgs.msg import CompressedImage, Image

if TYPE_CHECKING:
    from rclpy.event_handler import QoSMessageLostInfo, QoSRequestedIncompatibleQoSInfo

try:
    from rclpy.event_handler import SubscriptionEventCallbacks
except ImportError:  # Humble
    from rclpy.qos_event import SubscriptionEventCallbacks

TRANSPORTS: dict[str, tuple[Any, str, Callable]] = {
    'raw': (Image, 'image', decode_image),
    'compressed': (CompressedImage, 'image/compressed', decode_compressed),
}
"""image_transport's name: message type, topic, decoder to RGB."""


class _Polled(CallbackGroup):
    """
    Keeps a subscription and its events out of the executor's wait set.

    The events too: rmw_fastrtps waits for them with the status of their reader, which is set
    while a message is unread, and the executor would spin without a pause.
    """

    def can_execute(self, entity: Any) -> bool:
        return False

    def beginning_execution(self, entity: Any) -> bool:
        return False

    def ending_execution(self, entity: Any) -> None:
        pass


class ImageInput:
    """
    The newest frame of one camera topic.

    :param node: the node that subscribes.
    :param transport: a key of :data:`TRANSPORTS`.

    ``topic`` is the topic's full name, after remapping.
    """

    def __init__(self, node: Node, transport: str) -> None:
        self._node = node
        self._type, topic, self._decode = TRANSPORTS[transport]
        self.incompatible_publishers = 0
        self.lost = 0
        self._subscription = node.create_subscription(
            # A copy: rclpy writes overrides into the profile it is given.
            self._type, topic, _never_called, copy(IMAGE_QOS),
            callback_group=_Polled(),
            event_callbacks=SubscriptionEventCallbacks(
                incompatible_qos=self._on_incompatible_qos, message_lost=self._on_lost),
            qos_overriding_options=overridable())
        self.topic: str = self._subscription.topic_name
        self.slot = FrameSlot(self._fetch)

    @property
    def publishers(self) -> int:
        """How many publishers the topic has."""
        return self._node.count_publishers(self.topic)

    def decode(self, raw: RawFrame, age: int) -> Frame:
        """
        Decode a frame.

        :param raw: from the slot.
        :param age: of the frame, in nanoseconds.
        :returns: the frame; its source is the message's header.
        :raises LegoError: a code of the picture (20 to 25).
        """
        return Frame(self._decode(raw.message), raw.message.header, age)

    def poll_events(self) -> None:
        """Note what the middleware has told about the topic since the last call."""
        handlers: Any = self._subscription.event_handlers
        wait_set = rclpy_implementation.WaitSet(
            0, 0, 0, 0, 0, len(handlers), self._node.context.handle)
        wait_set.clear_entities()
        # InvalidHandle: diagnostics may still ask while another thread deactivates the node.
        with contextlib.suppress(InvalidHandle), contextlib.ExitStack() as in_use:
            for handler in handlers:
                in_use.enter_context(handler)
                handler.add_to_wait_set(wait_set)
            wait_set.wait(0)
            for handler in handlers:
                if handler.is_ready(wait_set):
                    handler.callback(handler.take_data())

    def destroy(self) -> None:
        """Stop receiving."""
        self._node.destroy_subscription(self._subscription)

    def _fetch(self) -> RawFrame | None:
        try:
            with self._subscription.handle:
                taken = self._subscription.handle.take_message(self._type, False)
        except InvalidHandle:
            # Diagnostics may still ask while another thread deactivates the node.
            return None
        if taken is None:
            return None
        message, info = taken
        stamp = message.header.stamp
        sequence = (info or {}).get('publication_sequence_number')
        return RawFrame(message, stamp.sec * 1_000_000_000 + stamp.nanosec, sequence or 0)

    def _on_incompatible_qos(self, event: QoSRequestedIncompatibleQoSInfo) -> None:
        self.incompatible_publishers = event.total_count
        self._node.get_logger().warning(
            f'a publisher on {self.topic} offers incompatible QoS '
            f'({event.last_policy_kind}); no frames will come from it. Change its QoS, or this '
            f"side's with the parameter qos_overrides.{self.topic}.subscription.<policy>")

    def _on_lost(self, event: QoSMessageLostInfo) -> None:
        self.lost = event.total_count


def _never_called(_: Any) -> None:
    raise AssertionError('a polled subscription was spun')
