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

"""A frame as the vision tower takes it."""

from __future__ import annotations

from lego_ros.errors import ErrorCode, LegoError
import numpy as np
from PIL.Image import Resampling
from torch import Tensor
from transformers import CLIPImageProcessorPil


def vision_pixels(image: np.ndarray, processor: CLIPImageProcessorPil, side: int) -> Tensor:
    """
    Make the vision tower's input of a frame.

    :param image: (H, W, 3) uint8 RGB; it is squashed to the square, so a crop is the caller's
        choice.
    :param processor: gives mean and standard deviation.
    :param side: S, pixels.
    :returns: (1, 3, S, S) float32 on the CPU.
    :raises LegoError: NOT_A_COLOR_IMAGE.
    """
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or not image.size:
        raise LegoError(
            ErrorCode.NOT_A_COLOR_IMAGE,
            f'the frame is {image.dtype} of shape {image.shape}; give uint8 RGB (H, W, 3)',
        )
    pixels: Tensor = processor(
        images=image,
        do_resize=True,
        size={'height': side, 'width': side},
        resample=Resampling.BICUBIC,
        do_center_crop=False,
        input_data_format='channels_last',
        return_tensors='pt',
    )['pixel_values']
    return pixels.float()
