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
A camera without a driver: publishes the simulated kitchen, a video, pictures, a webcam or a bag.

It publishes ``image``, ``image/compressed`` and ``camera_info``, each message made only when
somebody listens; see ``PARAMETERS`` for what it can be told.
"""

from __future__ import annotations

from collections.abc import Sequence
import contextlib
from copy import copy
from dataclasses import replace
import math
import sys
import time
from typing import Any

from lego_ros.camera.calibration import Calibration, load_calibration, pinhole
from lego_ros.camera.frames import Frame
from lego_ros.camera.opening import open_source
from lego_ros.camera.pacing import Pacer, PLAYED_SINCE
from lego_ros.camera.playback import Playback
from lego_ros.errors import LegoError
from lego_ros.images.image_encodings import require_size
from lego_ros.ros.camera_messages import PublishedPicture, to_camera_info
from lego_ros.ros.diagnostics import Diagnostics, ERROR, Status, WARN
from lego_ros.ros.parameters import declare, Parameter, read
from lego_ros.ros.process import run_node
from lego_ros.ros.qos import IMAGE_PUBLISHER_QOS, overridable
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.time import Time
from rosgraph_msgs.msg import Clock as ClockMessage
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import Header

DEFAULT_FRAME_ID = 'head_camera_optical_frame'

PARAMETERS = (
    Parameter('source', 'photo', 'Where the frames come from: sim, sim:SEED or sim:SEED:VERB (a '
              'simulated kitchen), photo, webcam:N, or the path of a video, a picture, a folder '
              'of pictures or a rosbag2.', read_only=True),
    Parameter('bag_topic', '', 'Image topic of a bag; empty = its first.', read_only=True),
    Parameter('rate', 0.0, "Frames per second; 0 = the source's own times, 10 for pictures.",
              unit='Hz', minimum=0.0, maximum=240.0, read_only=True),
    Parameter('loop', True, 'Begin anew at the end of the source.', read_only=True),
    Parameter('width', 0, "Width of the images; 0 = the source's own, or in proportion.",
              unit='pixels', minimum=0, maximum=16384, read_only=True),
    Parameter('height', 0, "Height of the images; 0 = the source's own, or in proportion.",
              unit='pixels', minimum=0, maximum=16384, read_only=True),
    Parameter('frame_id', '', f"Optical frame of the camera; empty = the bag's, or "
              f'{DEFAULT_FRAME_ID}.', read_only=True),
    Parameter('camera_info_file', '', 'Calibration as camera_calibration writes it; empty = the '
              "source's own (sim, bags), or a pinhole of horizontal_fov.", read_only=True),
    Parameter('horizontal_fov', 70.0, 'Field of view of the camera where no calibration is known.',
              unit='deg', minimum=1.0, maximum=179.0, read_only=True),
    Parameter('jpeg_quality', 90, 'Quality of image/compressed.', minimum=1, maximum=100,
              read_only=True),
    Parameter('publish_clock', False, 'Publish /clock and stamp the images with the recorded '
              'time (not with a webcam); other nodes follow with use_sim_time.', read_only=True),
)

_CLOCK_PERIOD = 0.01
_STALLED_AFTER = 2.0


class CameraNode(Node):
    """
    Plays a source of frames in real time of the node clock.

    :param kwargs: for rclpy's Node: namespace, parameter_overrides, context and so on.
    :raises LegoError: SOURCE_UNREADABLE, or INVALID_SETTING for a calibration that does not fit.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__('camera_node', **kwargs)
        self.failure: LegoError | None = None
        """Why the source broke off while playing; None = it did not."""
        self._playback: Playback | None = None
        try:
            declare(self, PARAMETERS)
            self._values = read(self, PARAMETERS)
            self._open()
            self._advertise()
            self._play()
        except BaseException:
            self.destroy_node()
            raise

    def _open(self) -> None:
        """Open the source, and find the size and the calibration of what is published."""
        asked = (self._values['width'], self._values['height'])
        self._source = source = open_source(
            self._values['source'], topic=self._values['bag_topic'], rate=self._values['rate'],
            size=asked)
        self._size = complete_size(asked, source.size)
        self._calibration = source.calibration
        if self._values['camera_info_file']:
            self._calibration = load_calibration(self._values['camera_info_file'])
        # A calibration that does not fit is told now, not with the first frame.
        self._calibrated(*(self._size or source.size))

    def _advertise(self) -> None:
        """Create what is published."""
        # As image_transport has it: with image remapped, the compressed topic follows.
        topic = self.resolve_topic_name('image')
        self._publishers_of = {
            name: self.create_publisher(
                # A copy: rclpy writes overrides into the profile it is given.
                kind, where, copy(IMAGE_PUBLISHER_QOS), qos_overriding_options=overridable())
            for name, kind, where in (
                ('image', Image, 'image'),
                ('compressed', CompressedImage, f'{topic}/compressed'),
                ('camera_info', CameraInfo, 'camera_info'))}
        self._sent = dict.fromkeys(self._publishers_of, 0)
        self._frames = 0
        self._unreadable = 0
        self._last_frame = time.monotonic()
        self._reported = (self._last_frame, 0)
        Diagnostics(self, self._source.name).add('source', self._diagnose)

    def _play(self) -> None:
        """Start the playback and the timer or the trigger that publishes its frames."""
        source = self._source
        self._recent: PublishedPicture | None = None
        self._playback = Playback(
            source, self._values['loop'], self._prepare,
            self.create_guard_condition(self._publish_live).trigger if source.live else None)
        own_clock = self._values['publish_clock']
        # Pictures are shown at the rate by their source. A node that publishes /clock must not
        # wait for it.
        rate = self._values['rate'] if self._values['rate'] != source.fps else 0.0
        self._pacer = Pacer(self._playback, rate, repeat=not own_clock)
        self._pace = Clock(clock_type=ClockType.STEADY_TIME) if own_clock else self.get_clock()
        self._start_stamp = source.start or time.time_ns()
        self._timer = self.create_timer(0.001, self._tick, clock=self._pace)
        if source.live:
            self._timer.cancel()
        elif own_clock:
            self._clock_publisher = self.create_publisher(ClockMessage, '/clock', 1)
            self._clock_timer = self.create_timer(
                _CLOCK_PERIOD, self._publish_clock, clock=self._pace)
        width, height = self._size or source.size
        self.get_logger().info(
            f'camera source {source.name}: {width} x {height} pixels, '
            f'{self._values["rate"] or source.fps:.4g} Hz')

    def _tick(self) -> None:
        """Publish the frame that is due, and come back when the next one is."""
        assert self._playback is not None
        frame, delay = self._pacer.step(self._pace.now().nanoseconds / 1e9)
        if frame is not None:
            self._publish(frame)
        if self._playback.ended:
            self._end()
            return
        self._timer.timer_period_ns = int(delay * 1e9)
        self._timer.reset()

    def _publish_live(self) -> None:
        """Publish the newest frame of a live source."""
        assert self._playback is not None
        frame, _ = self._playback.take(math.inf)
        if frame is not None:
            self._publish(frame)
        if self._playback.ended:
            self._end()

    def _publish_clock(self) -> None:
        """Publish the recording's own time."""
        position = self._pacer.position(self._pace.now().nanoseconds / 1e9)
        self._clock_publisher.publish(ClockMessage(
            clock=Time(nanoseconds=self._start_stamp + round(position * 1e9)).to_msg()))

    def _end(self) -> None:
        """Stop publishing after the last frame."""
        assert self._playback is not None
        self._timer.cancel()
        if self._values['publish_clock'] and not self._source.live:
            self._clock_timer.cancel()
        self.failure = self._playback.failure
        if self.failure is not None:
            self.get_logger().error(str(self.failure))
        else:
            self.get_logger().info(f'the source ended after {self._frames} frames')

    def _prepare(self, frame: Frame, in_time: bool) -> Frame:
        """Stamp a live frame and do the slow work, in the reading thread."""
        stamp = self.get_clock().now().nanoseconds if self._source.live else frame.stamp
        picture = self._recent
        if picture is None or picture.source is not frame.picture:
            picture = self._recent = PublishedPicture(
                frame.picture, self._size, self._values['jpeg_quality'])
        if in_time:
            # What is wrong with a picture is told when its time comes.
            with contextlib.suppress(LegoError):
                self._messages(picture)
        return replace(frame, picture=picture, stamp=stamp)

    def _messages(self, picture: PublishedPicture) -> dict[str, Image | CompressedImage]:
        """Make the messages that somebody listens to, or hand out those that are made."""
        return {name: getattr(picture, name) for name in ('image', 'compressed')
                if self._publishers_of[name].get_subscription_count()}

    def _publish(self, frame: Frame) -> None:
        """Publish one frame to whoever listens."""
        header = Header(stamp=self._stamp(frame).to_msg(), frame_id=(
            self._values['frame_id'] or frame.frame_id or DEFAULT_FRAME_ID))
        picture = frame.picture
        assert isinstance(picture, PublishedPicture)
        try:
            messages: dict[str, Any] = dict(self._messages(picture))
            if self._publishers_of['camera_info'].get_subscription_count():
                messages['camera_info'] = to_camera_info(self._calibrated(*picture.size), header)
        except LegoError as error:
            self._unreadable += 1
            self.get_logger().warning(f'a frame is left out: {error}', throttle_duration_sec=5.0)
            return
        for name, message in messages.items():
            message.header = header
            self._publishers_of[name].publish(message)
            self._sent[name] += 1
        self._frames += 1
        self._last_frame = time.monotonic()

    def _stamp(self, frame: Frame) -> Time:
        """Tell when a frame was taken."""
        if self._source.live and frame.stamp is not None:
            return Time(nanoseconds=frame.stamp)
        if self._values['publish_clock']:
            return Time(nanoseconds=frame.stamp if frame.stamp is not None
                        else self._start_stamp + round(frame.offset * 1e9))
        return self.get_clock().now()

    def _calibrated(self, width: int, height: int) -> Calibration:
        """
        Find the calibration of an image.

        :raises LegoError: INVALID_SETTING, it is for images of another shape.
        """
        if self._calibration is None:
            return pinhole(width, height, self._values['horizontal_fov'])
        return self._calibration.resized(width, height)

    def _diagnose(self, status: Status) -> None:
        """Report on the source."""
        now = time.monotonic()
        since, frames = self._reported
        self._reported = (now, self._frames)
        playback = self._playback
        assert playback is not None
        if self.failure is not None:
            status.raise_to(ERROR, str(self.failure))
        elif playback.ended:
            status.message = 'the source has ended'
        elif now - self._last_frame > max(_STALLED_AFTER, 2 / self._source.fps):
            status.raise_to(WARN, f'no frame for {now - self._last_frame:.1f} s')
        if self._pacer.begun is not None:
            status.values[PLAYED_SINCE] = '{:.3f}'.format(
                self._start_stamp / 1e9 if self._values['publish_clock'] else self._pacer.begun)
        status.values.update({
            'frames': self._frames,
            'rate [Hz]': f'{(self._frames - frames) / max(now - since, 1e-3):.1f}',
            'skipped': playback.skipped,
            'unreadable': self._unreadable,
            'image published': self._sent['image'],
            'image/compressed published': self._sent['compressed'],
        })

    def destroy_node(self) -> None:
        """End the playback, then the node."""
        if self._playback is not None:
            self._playback.close()
            self._playback = None
        super().destroy_node()


def complete_size(asked: tuple[int, int], source: tuple[int, int]) -> tuple[int, int] | None:
    """
    Find the size of the images.

    :param asked: width and height in pixels; 0 = the source's, or in proportion to the other.
    :param source: width and height of the source.
    :returns: the size to resize to; None = leave the pictures as they are.
    :raises LegoError: IMAGE_TOO_LARGE.
    """
    if not any(asked):
        return None
    width, height = asked
    width = width or max(1, round(height * source[0] / source[1]))
    height = height or max(1, round(width * source[1] / source[0]))
    require_size(width, height)
    return width, height


def main(args: Sequence[str] | None = None) -> int:
    """
    Run the node as a process.

    :param args: the command line; None = the process's own.
    :returns: its exit status: 2 for a source that cannot be read.
    """
    return run_node(CameraNode, args)


if __name__ == '__main__':
    sys.exit(main())
