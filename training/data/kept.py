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

"""A dataset's pictures, kept in memory once they were read."""

from __future__ import annotations

from collections.abc import Callable

from lego_ros.training.data.dataset import WHICH, Which
import numpy as np


class KeptPictures:
    """
    Pictures of pairs, each made once.

    :param pairs: how many there are.
    :param side: of each picture [px].
    :param make: gives the picture (side, side, 3) uint8 of a pair's index.
    """

    def __init__(self, pairs: int, side: int, make: Callable[[int, Which], np.ndarray]) -> None:
        self._make = make
        # Memory is taken only where it is written to.
        self._pictures = np.empty((pairs, len(WHICH), side, side, 3), np.uint8)
        self._there = np.zeros((pairs, len(WHICH)), bool)

    def get(self, index: int, which: Which) -> np.ndarray:
        """
        Give a picture.

        :param index: of the pair.
        :param which: of its two pictures.
        :returns: (side, side, 3) uint8 RGB; not to be written to.
        :raises LegoError: what making it raises.
        """
        place = index, WHICH.index(which)
        if not self._there[place]:
            self._pictures[place] = self._make(index, which)
            self._there[place] = True
        return self._pictures[place]
