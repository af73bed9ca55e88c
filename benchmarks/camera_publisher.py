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

"""A camera as a process: publishes a photograph of 1280x720 rgb8 on ``image`` at 30 Hz."""

from __future__ import annotations

import signal
import threading
import time
from typing import Any

from benchmarks.processes import answer_parent
import cv2
from lego_ros.ros.image_messages import encode_image
from lego_ros.ros.qos import IMAGE_PUBLISHER_QOS
import rclpy
from rclpy.signals import SignalHandlerOptions
from sensor_msgs.msg import Image
import skimage.data
from std_msgs.msg import Header

WIDTH = 1280
HEIGHT = 720
RATE = 30.


class Pace:
    """Beats of a steady rate; what is missed is left out, as a camera does."""

    def __init__(self) -> None:
        self.beats = 0
        self._longest = 0.
        self._start = self._last = time.monotonic()

    def wait(self, stop: threading.Event) -> bool:
        """
        Wait for the next beat.

        :param stop: ends the waiting.
        :returns: whether it was stopped.
        """
        now = time.monotonic()
        due = self._start + (int((now - self._start) * RATE) + 1) / RATE
        if stop.wait(due - now):
            return True
        now = time.monotonic()
        self._longest = max(self._longest, now - self._last)
        self._last = now
        self.beats += 1
        return False

    def report(self) -> dict[str, Any]:
        """
        Tell how the rate was held.

        :returns: frames so far, monotonic time, and the longest gap since the last report in
            seconds.
        """
        longest, self._longest = self._longest, 0.
        return {'frames': self.beats, 'time': time.monotonic(), 'longest_gap': longest}


def held(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    """
    Tell what a camera achieved between two reports.

    :param before: the first.
    :param after: the second.
    :returns: conditions for a report.
    """
    seconds = after['time'] - before['time']
    return {
        'camera': f'{WIDTH}x{HEIGHT} rgb8, {RATE:g} Hz asked for',
        'camera rate achieved [Hz]': (after['frames'] - before['frames']) / seconds,
        'longest gap between frames [ms]': after['longest_gap'] * 1e3,
    }


def main() -> None:
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    node = rclpy.create_node('camera')
    publisher = node.create_publisher(Image, 'image', IMAGE_PUBLISHER_QOS)
    photo = cv2.resize(skimage.data.coffee(), (WIDTH, HEIGHT))
    message = encode_image(photo, Header(frame_id='camera_optical_frame'))
    pace = Pace()
    answer_parent(pace.report)
    while not pace.wait(stop):
        message.header.stamp = node.get_clock().now().to_msg()
        publisher.publish(message)
    node.destroy_node()
    rclpy.shutdown()


if __name__ == '__main__':
    main()
