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

"""What a node tells /diagnostics of its camera."""

from __future__ import annotations

import time

from lego_ros.ros.diagnostics import ERROR, Status, WARN
from lego_ros.ros.image_input import ImageInput
from rclpy.node import Node


class CameraStatus:
    """
    A part of the diagnostics: what comes from the camera, and how.

    :param node: the node that reports; its parameter ``max_frame_age`` says what is too old.
    """

    def __init__(self, node: Node) -> None:
        self.camera: ImageInput | None = None
        """What is listened to; None = nothing, the node is not active."""
        self._node = node
        self._rate = _Rate()

    def __call__(self, status: Status) -> None:
        """
        Report.

        :param status: filled in.
        """
        camera = self.camera
        if camera is None:
            status.message = 'not active'
            return
        camera.poll_events()
        newest = camera.slot.refresh()
        figures = camera.slot.figures()
        publishers = camera.publishers
        status.values.update({
            'topic': camera.topic,
            'publishers': publishers,
            'incompatible_qos_events': camera.incompatible_publishers,
            'frames_lost_in_transport': camera.lost,
            'frames_published': figures.published,
            'frames_fetched': figures.fetched,
            'frames_used': figures.used,
            'frames_skipped': figures.skipped,
            'frames_refused_stale': figures.refused_stale,
            'rate_hz': f'{self._rate.update(figures.published):.1f}',
        })
        if newest is None:
            status.raise_to(WARN, f'no frame on {camera.topic} yet ({publishers} publishers)')
        else:
            age = (self._node.get_clock().now().nanoseconds - newest.stamp) * 1e-9
            status.values['newest_frame_age_s'] = f'{age:.3f}'
            limit = self._node.get_parameter('max_frame_age').value
            if 0 < limit < age:
                status.raise_to(WARN, f'the newest frame on {camera.topic} is {age:.1f} s old')
        if camera.incompatible_publishers and newest is None:
            status.raise_to(
                ERROR, f'a publisher on {camera.topic} has incompatible QoS; no frames come')


class _Rate:
    """Frames a second between two reports."""

    def __init__(self) -> None:
        self._last: tuple[float, int] | None = None

    def update(self, count: int) -> float:
        now = time.monotonic()
        last, self._last = self._last, (now, count)
        if last is None or now <= last[0] or count < last[1]:
            return 0.
        return (count - last[1]) / (now - last[0])
