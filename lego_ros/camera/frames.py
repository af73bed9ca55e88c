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

"""What every source of frames hands out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

from lego_ros.camera.calibration import Calibration
from lego_ros.errors import ErrorCode, LegoError
from lego_ros.images.streams import check_stream
import numpy as np


@dataclass(frozen=True)
class Coded:
    """
    A picture as a bag stores it.

    :param format: as in sensor_msgs/CompressedImage.
    :param data: the coded stream.
    """

    format: str  # noqa: A003 - the message's field
    data: bytes


class Picture:
    """
    A picture that is decoded when it is first looked at, and then only once.

    A frame that is skipped costs nothing but its share of the video codec's work.

    :param decode: makes the uint8 RGB array (height, width, 3); may raise LegoError.
    :param coded: the JPEG or PNG that it is made of, where there is one that can be passed on.
    """

    def __init__(self, decode: Callable[[], np.ndarray], coded: Coded | None = None) -> None:
        self._decode = decode
        self.coded = coded

    @cached_property
    def rgb(self) -> np.ndarray:
        """
        Decode the picture.

        :raises LegoError: it cannot be decoded; asked again, it says so again.
        """
        return self._decode()

    @cached_property
    def size(self) -> tuple[int, int]:
        """
        Width and height in pixels; of a coded picture without decoding it.

        :raises LegoError: it cannot be decoded, or its stream is not whole.
        """
        if self.coded is not None:
            return check_stream(memoryview(self.coded.data), self.coded.format)
        return self.rgb.shape[1], self.rgb.shape[0]


@dataclass(frozen=True)
class Frame:
    """
    A picture with its place in time.

    :param picture: the picture. Sources that repeat one hand out the same object.
    :param offset: seconds since the source's first frame; never falls.
    :param duration: seconds until the frame after it is expected.
    :param stamp: time of acquisition in ns; None = not known.
    :param frame_id: the camera's coordinate frame; empty = not known.
    """

    picture: Picture
    offset: float
    duration: float
    stamp: int | None = None
    frame_id: str = ''


class FrameSource(ABC):
    """
    A sequence of frames.

    :param name: for log lines and diagnostics.
    :param size: width and height of the first picture in pixels.
    :param fps: frames per second, nominal or on average.
    """

    live = False
    """Whether the frames come when they come, as from a webcam, and cannot be paced or looped."""
    start: int | None = None
    """Time in ns at which the recording begins; None = not known."""
    calibration: Calibration | None = None
    """The camera's own calibration, where the source holds one."""

    def __init__(self, name: str, size: tuple[int, int], fps: float) -> None:
        self.name = name
        self.size = size
        self.fps = fps

    @abstractmethod
    def frames(self) -> Iterator[Frame]:
        """
        Read the source from its beginning, in order of time.

        :returns: the frames; each call begins anew, except on a live source.
        :raises LegoError: SOURCE_UNREADABLE, while iterating, when the source breaks off.
        """

    def close(self) -> None:  # noqa: B027  most sources hold nothing open between frames
        """Release what the source holds open."""


def unreadable(name: object, reason: object) -> LegoError:
    """
    Make the error for a source that cannot be read.

    :param name: the file, folder or device.
    :param reason: what is wrong and what to do.
    :returns: SOURCE_UNREADABLE, for the caller to raise.
    """
    return LegoError(ErrorCode.SOURCE_UNREADABLE, f'The camera source {name}: {reason}')
