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
How a camera frame becomes the squares that the models see, and how the answer goes back.

The VLLM and the LDM both work on squares. The released LEGO code shows them two different fields
of view of the same frame; ``whole`` and ``center_crop`` show both the same one.
"""

from __future__ import annotations

from enum import Enum

import cv2
from lego_ros.errors import ErrorCode, LegoError
import numpy as np

# The VLLM's own processor makes the last step to the vision tower's size. At least the largest
# tower of LLaVA is kept; above the upper bound only the cost of that last step would grow.
_VLLM_MIN_SIDE = 336
_VLLM_MAX_SIDE = 1024

# A line camera's frame, 1 x 8000, must not turn a small answer into a giant picture.
MAX_STRETCH = 4


class View(str, Enum):
    """The field of view that the models are given; the value is the parameter's text."""

    WHOLE = 'whole'
    """Both see the whole frame, squashed; the answer is stretched back to the frame's aspect."""
    CENTER_CROP = 'center_crop'
    """Both see the central square; the answer stays square."""
    RELEASED = 'released'
    """As the authors' code: the VLLM sees the central square, the LDM the squashed whole."""

    @classmethod
    def _missing_(cls, value: object) -> View:
        names = ', '.join(view.value for view in cls)
        raise LegoError(
            ErrorCode.INVALID_SETTING, f'There is no view {value!r}; choose one of {names}.')

    def vllm_view(self, rgb: np.ndarray) -> np.ndarray:
        """
        Cut out what the VLLM sees.

        :param rgb: (H, W, 3) uint8, H and W at least 1.
        :returns: (S, S, 3) uint8, S the frame's short side within 336 to 1024 px; it may share
            the input's memory.
        :raises LegoError: MALFORMED_IMAGE when rgb is not such an array.
        """
        _check(rgb)
        side = min(max(min(rgb.shape[:2]), _VLLM_MIN_SIDE), _VLLM_MAX_SIDE)
        source = rgb if self is View.WHOLE else _central_square(rgb)
        return _resize(source, side, side)

    def ldm_view(self, rgb: np.ndarray, resolution: int) -> np.ndarray:
        """
        Make the LDM's input frame.

        :param rgb: (H, W, 3) uint8, H and W at least 1.
        :param resolution: the model's side in pixels.
        :returns: (resolution, resolution, 3) uint8; it may share the input's memory.
        :raises LegoError: MALFORMED_IMAGE when rgb is not such an array.
        """
        _check(rgb)
        source = _central_square(rgb) if self is View.CENTER_CROP else rgb
        return _resize(source, resolution, resolution)

    def answer_view(
        self, picture: np.ndarray, source_height: int, source_width: int,
    ) -> np.ndarray:
        """
        Undo the squashing, so that the answer lies over the source frame.

        :param picture: (S, S, 3) uint8 from the LDM.
        :param source_height: height of the camera frame in pixels, at least 1.
        :param source_width: width of the camera frame in pixels, at least 1.
        :returns: the picture with the frame's aspect, its short side S and its long side at most
            4 S, (h, w, 3) uint8; the picture itself where the view is the central square.
        :raises LegoError: MALFORMED_IMAGE when the picture or the size is not as described.
        """
        _check(picture)
        if source_height < 1 or source_width < 1:
            raise LegoError(
                ErrorCode.MALFORMED_IMAGE,
                f'The source frame has no pixels: {source_width} x {source_height}.')
        if self is View.CENTER_CROP:
            return picture
        side = min(picture.shape[:2])
        short = min(source_height, source_width)
        height, width = (
            min(round(side * length / short), MAX_STRETCH * side)
            for length in (source_height, source_width))
        return _resize(picture, height, width)


def _check(rgb: np.ndarray) -> None:
    if rgb.dtype != np.uint8 or rgb.ndim != 3 or rgb.shape[2] != 3 or rgb.size == 0:
        raise LegoError(
            ErrorCode.MALFORMED_IMAGE,
            'Expected an RGB image of shape (height, width, 3) and 8 bits with at least one '
            f'pixel, got shape {tuple(rgb.shape)} and {rgb.dtype}.')


def _central_square(rgb: np.ndarray) -> np.ndarray:
    height, width = rgb.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return rgb[top:top + side, left:left + side]


def _resize(rgb: np.ndarray, height: int, width: int) -> np.ndarray:
    """Resample each axis by its own rule: area averages where it shrinks, cubic where it grows."""
    rgb = np.ascontiguousarray(rgb)
    low = (min(height, rgb.shape[0]), min(width, rgb.shape[1]))
    if low != rgb.shape[:2]:
        rgb = cv2.resize(rgb, low[::-1], interpolation=cv2.INTER_AREA)
    if (height, width) != rgb.shape[:2]:
        rgb = cv2.resize(rgb, (width, height), interpolation=cv2.INTER_CUBIC)
    return rgb
