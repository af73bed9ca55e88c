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

"""What a camera driver publishes, made of a picture and a calibration."""

from __future__ import annotations

import array
from functools import cached_property

import cv2
from lego_ros.camera.calibration import Calibration
from lego_ros.camera.frames import Picture
from lego_ros.ros.image_messages import encode_compressed, encode_image
import numpy as np
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import Header


class PublishedPicture(Picture):
    """
    A picture in its final size with its messages, each made when first asked for, and only once.

    A photograph that is shown thirty times a second is coded once. The header is the caller's to
    set before each publication.

    :param source: the picture as it was read.
    :param size: width and height to resize it to; None = as it is.
    :param quality: of the JPEG, 1 to 100.
    """

    def __init__(self, source: Picture, size: tuple[int, int] | None, quality: int) -> None:
        super().__init__(lambda: _resized(source.rgb, size), source.coded if not size else None)
        self.source = source
        self._quality = quality

    @cached_property
    def image(self) -> Image:
        """
        Give the picture as ``rgb8``.

        :raises LegoError: it cannot be decoded.
        """
        return encode_image(self.rgb, Header())

    @cached_property
    def compressed(self) -> CompressedImage:
        """
        Give the picture as JPEG; a recorded JPEG or PNG as it was, if it keeps its size.

        :raises LegoError: it cannot be decoded, or the recorded stream is not whole.
        """
        if self.coded is None:
            return encode_compressed(self.rgb, Header(), self._quality)
        # Looking at the size checks the stream.
        assert self.size
        message = CompressedImage(format=self.coded.format)
        message.data = array.array('B', self.coded.data)
        return message


def _resized(rgb: np.ndarray, size: tuple[int, int] | None) -> np.ndarray:
    """Resize a picture, by area where it shrinks."""
    if size is None or size == (rgb.shape[1], rgb.shape[0]):
        return rgb
    shrinks = size[0] < rgb.shape[1]
    return cv2.resize(rgb, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)


def to_camera_info(calibration: Calibration, header: Header) -> CameraInfo:
    """
    Make the message of a calibration.

    :param calibration: in pixels of the published image.
    :param header: of the image.
    :returns: sensor_msgs/CameraInfo.
    """
    return CameraInfo(
        header=header, width=calibration.width, height=calibration.height,
        distortion_model=calibration.distortion_model, d=list(calibration.d),
        k=list(calibration.k), r=list(calibration.r), p=list(calibration.p))
