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

"""The pictures of a pair, as the LDM sees them."""

from __future__ import annotations

from lego_ros.ldm.view import View
from lego_ros.training.data.dataset import PairDataset, Which
import numpy as np


def ldm_picture(pairs: PairDataset, index: int, which: Which, view: View, resolution: int,
                flipped: bool = False) -> np.ndarray:
    """
    Read a picture as the LDM sees it.

    :param pairs: of the dataset.
    :param index: of the pair.
    :param which: of its two pictures.
    :param view: the field of view.
    :param resolution: side in pixels.
    :param flipped: whether left and right are swapped.
    :returns: (resolution, resolution, 3) uint8 RGB.
    :raises LegoError: SOURCE_UNREADABLE: the file, which it names, is gone or damaged.
    """
    return view.ldm_view(pairs.picture(index, which, mirrored=flipped), resolution)
