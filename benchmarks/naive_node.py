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
What lego_node is compared with: a node that converts every camera frame with OpenCV.

It is the cheapest of its kind: the single-threaded executor, no diagnostics, no timers, and one
conversion that OpenCV does with vector instructions.
"""

from __future__ import annotations

from benchmarks.processes import answer_parent
import cv2
from lego_ros.ros.qos import IMAGE_QOS
import numpy as np
import rclpy
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from sensor_msgs.msg import Image


class NaiveNode(Node):
    """Keeps the newest frame, converted."""

    def __init__(self) -> None:
        super().__init__('naive_node')
        self.frames = 0
        self.newest: np.ndarray | None = None
        self.create_subscription(Image, 'image', self._on_image, IMAGE_QOS)

    def _on_image(self, message: Image) -> None:
        rows = np.frombuffer(message.data, np.uint8).reshape(message.height, message.step)
        pixels = rows[:, :3 * message.width].reshape(message.height, message.width, 3)
        self.newest = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
        self.frames += 1


def main() -> None:
    rclpy.init()
    node = NaiveNode()
    answer_parent(lambda: {'frames': node.frames})
    try:
        rclpy.spin(node)
    except (KeyboardInterrupt, ExternalShutdownException):
        node.destroy_node()
        rclpy.try_shutdown()


if __name__ == '__main__':
    main()
