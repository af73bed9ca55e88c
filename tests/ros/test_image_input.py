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

"""The camera subscription that nobody spins."""

import time

from lego_ros.images.raw import to_array
from lego_ros.ros.image_input import ImageInput
from lego_ros.ros.image_messages import encode_image
from lego_ros.ros.qos import IMAGE_PUBLISHER_QOS
import numpy as np
import pytest
import rclpy
from rclpy.executors import SingleThreadedExecutor
from sensor_msgs.msg import Image
from std_msgs.msg import Header


@pytest.fixture
def node():
    context = rclpy.Context()
    context.init()
    node = rclpy.create_node('listener', context=context)
    yield node
    node.destroy_node()
    context.shutdown()


@pytest.fixture
def executor(node):
    executor = SingleThreadedExecutor(context=node.context)
    executor.add_node(node)
    yield executor
    executor.shutdown()


def publish(node, count=1):
    publisher = node.create_publisher(Image, 'image', IMAGE_PUBLISHER_QOS)
    deadline = time.monotonic() + 10
    while not publisher.get_subscription_count():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    for value in range(count):
        publisher.publish(encode_image(np.full((4, 4, 3), value, np.uint8), Header()))


def fetch(camera):
    deadline = time.monotonic() + 10
    while (frame := camera.slot.refresh()) is None:
        assert time.monotonic() < deadline
    return frame


def test_an_unread_frame_does_not_keep_the_executor_busy(node, executor):
    camera = ImageInput(node, 'raw')
    publish(node)
    executor.spin_once(timeout_sec=0.1)
    begin, end = time.thread_time(), time.monotonic() + 1.
    while (left := end - time.monotonic()) > 0:
        executor.spin_once(timeout_sec=left)
    # Processor time of this thread alone: about 1 ms here, and a whole second when it spins.
    assert time.thread_time() - begin < 0.3
    assert fetch(camera) is not None


def test_the_newest_frame_is_the_one_that_is_taken(node, executor):
    camera = ImageInput(node, 'raw')
    publish(node, 5)
    deadline = time.monotonic() + 10
    while to_array(fetch(camera).message)[0, 0, 0] != 4:
        assert time.monotonic() < deadline
