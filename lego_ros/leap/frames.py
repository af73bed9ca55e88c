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

"""From the pictures of a video to what the network is given; for training and for use."""

from __future__ import annotations

from lego_ros.errors import ErrorCode, LegoError
import numpy as np
import torch
import torch.nn.functional as nnf

# As the authors of UniFormerV2 normalise (slowfast/config/defaults.py, DATA.MEAN and DATA.STD).
MEAN = 0.45
STD = 0.225


def sample_indices(start: int, stop: int, count: int, rng: np.random.Generator | None = None
                   ) -> np.ndarray:
    """
    Choose frames of a clip: one of each of ``count`` stretches of equal length.

    :param start: the clip's first frame.
    :param stop: the frame after its last.
    :param count: how many to choose, 1 or more; a shorter clip gives some twice.
    :param rng: where in its stretch each is, at random, for training; the middle by default.
    :returns: (count,) int64, growing, from ``start`` to ``stop - 1``.
    :raises LegoError: SOURCE_UNREADABLE, there is no frame.
    """
    if stop <= start:
        raise LegoError(ErrorCode.SOURCE_UNREADABLE,
                        f'there is no frame from {start} to {stop}: the clip is empty')
    where = rng.random(count) if rng is not None else np.full(count, 0.5)
    places = (np.arange(count) + where) * ((stop - start) / count)
    return np.minimum(start + places.astype(np.int64), stop - 1)


def prepare(frames: np.ndarray, resolution: int) -> torch.Tensor:
    """
    Make frames the network's input: the central square, resized and normalised.

    :param frames: (T, H, W, 3) uint8 RGB, H and W at least 1.
    :param resolution: side of the result, pixels.
    :returns: (3, T, resolution, resolution) float32.
    :raises LegoError: MALFORMED_IMAGE, the array is none of frames.
    """
    if frames.ndim != 4 or frames.shape[3] != 3 or frames.dtype != np.uint8 or 0 in frames.shape:
        raise LegoError(ErrorCode.MALFORMED_IMAGE,
                        f'frames are (T, H, W, 3) uint8; given was {frames.shape} '
                        f'{frames.dtype}')
    height, width = frames.shape[1:3]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    square = np.ascontiguousarray(frames[:, top:top + side, left:left + side])
    pixels = torch.from_numpy(square).permute(0, 3, 1, 2).float()
    if side != resolution:
        pixels = nnf.interpolate(pixels, (resolution, resolution), mode='bilinear',
                                 align_corners=False, antialias=True)
    return ((pixels / 255 - MEAN) / STD).transpose(0, 1).contiguous()
