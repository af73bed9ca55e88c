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

"""Pictures to image messages; the way back is lego_ros.images, which needs no ROS."""

from __future__ import annotations

import array

import cv2
import numpy as np
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header


def encode_image(rgb: np.ndarray, header: Header) -> Image:
    """
    Make an image message of a picture.

    :param rgb: uint8 array (height, width, 3), of any strides.
    :param header: std_msgs/Header of the source image: its stamp and optical frame.
    :returns: sensor_msgs/Image, ``rgb8``, rows unpadded.
    :raises ValueError: the array is not a picture.
    """
    _check_picture(rgb)
    height, width = rgb.shape[:2]
    msg = Image(header=header, height=height, width=width, encoding='rgb8', is_bigendian=0,
                step=3 * width)
    msg.data = to_data(rgb)
    return msg


def encode_compressed(rgb: np.ndarray, header: Header, quality: int = 90) -> CompressedImage:
    """
    Make a compressed image message of a picture, as image_transport does from ``rgb8``.

    :param rgb: uint8 array (height, width, 3).
    :param header: std_msgs/Header of the source image: its stamp and optical frame.
    :param quality: of the JPEG, 1 to 100.
    :returns: sensor_msgs/CompressedImage with a JPEG.
    :raises ValueError: the array is not a picture, or the quality is out of range.
    """
    _check_picture(rgb)
    if not 1 <= quality <= 100:
        raise ValueError(f'The JPEG quality {quality} is not in 1 to 100.')
    _, coded = cv2.imencode('.jpg', cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR),
                            [cv2.IMWRITE_JPEG_QUALITY, quality])
    msg = CompressedImage(header=header, format='rgb8; jpeg compressed bgr8')
    msg.data = to_data(coded)
    return msg


def _check_picture(rgb: np.ndarray) -> None:
    """
    Assert what every picture inside the package is.

    :param rgb: to be a uint8 array (height, width, 3) with at least one pixel.
    :raises ValueError: it is not.
    """
    if rgb.dtype != np.uint8 or rgb.ndim != 3 or rgb.shape[2] != 3 or rgb.size == 0:
        raise ValueError(f'{rgb.dtype} {rgb.shape} is not a uint8 RGB picture (H, W, 3).')


def to_data(values: np.ndarray) -> array.array:
    """
    Copy an array into the one type that rclpy's setters take without looking at every byte.

    :param values: uint8 array of any shape.
    :returns: its bytes in C order.
    """
    data = array.array('B')
    data.frombytes(np.ascontiguousarray(values).data.cast('B'))
    return data
