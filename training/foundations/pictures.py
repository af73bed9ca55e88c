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

"""Pictures as the vision tower sees them."""

from __future__ import annotations

from collections.abc import Sequence

from lego_ros.ldm.view import View
from lego_ros.training.data.dataset import PairDataset, Which
from lego_ros.training.data.kept import KeptPictures
import numpy as np
from PIL import Image
import torch
from torch import Tensor
from transformers import CLIPImageProcessorPil


class TowerPictures:
    """
    The pictures of a dataset, kept in memory once they were read.

    What the run-time's view and image processor do to a frame takes longer than a training step
    of a small model. 20,000 pairs at 128 px take 2 GB.

    :param pairs: whose pictures.
    :param side: of the vision tower's input [px].
    """

    def __init__(self, pairs: PairDataset, side: int) -> None:
        self._pairs, self._side = pairs, side
        self._kept = KeptPictures(
            len(pairs), side, lambda index, which: tower_view(pairs.picture(index, which), side))

    def __reduce__(self) -> tuple[type[TowerPictures], tuple[PairDataset, int]]:
        """Go to a loader's process without the pictures."""
        return TowerPictures, (self._pairs, self._side)

    def get(self, index: int, which: Which, mirrored: bool = False) -> np.ndarray:
        """
        Give a picture.

        :param index: of the pair.
        :param which: of its two pictures.
        :param mirrored: whether left and right are swapped.
        :returns: (side, side, 3) uint8 RGB, a copy.
        :raises LegoError: SOURCE_UNREADABLE: the file is gone or damaged.
        """
        picture = self._kept.get(index, which)
        return picture[:, ::-1].copy() if mirrored else picture.copy()


def tower_view(rgb: np.ndarray, side: int) -> np.ndarray:
    """
    Resample a frame as it is at run time, up to the scaling of its values.

    :param rgb: (H, W, 3) uint8.
    :param side: of the vision tower's input [px].
    :returns: (side, side, 3) uint8.
    """
    view = Image.fromarray(View.WHOLE.vllm_view(rgb))
    return np.asarray(view.resize((side, side), Image.Resampling.BICUBIC))


def image_processor(side: int) -> CLIPImageProcessorPil:
    """
    Make the image processor that goes with a vision tower trained here.

    :param side: of its input [px].
    :returns: squashes a picture to that square; CLIP's mean and standard deviation.
    """
    return CLIPImageProcessorPil(
        do_resize=True, size={'height': side, 'width': side},
        resample=Image.Resampling.BICUBIC, do_center_crop=False)


def normalised(pictures: Tensor, processor: CLIPImageProcessorPil) -> Tensor:
    """
    Scale values as the image processor does.

    :param pictures: (B, side, side, 3) uint8.
    :param processor: gives mean and standard deviation.
    :returns: (B, 3, side, side) float32.
    """
    mean, deviation = (torch.tensor(values, device=pictures.device)
                       for values in (processor.image_mean, processor.image_std))
    return ((pictures.float() / 255 - mean) / deviation).permute(0, 3, 1, 2)


def stacked(pictures: Sequence[np.ndarray]) -> Tensor:
    """
    Make a batch.

    :param pictures: (side, side, 3) uint8 each.
    :returns: (B, side, side, 3) uint8.
    """
    return torch.from_numpy(np.stack(pictures))
