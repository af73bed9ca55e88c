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

"""A split of the kitchen's data with all that foundations are trained on."""

from __future__ import annotations

from dataclasses import dataclass
import hashlib
from pathlib import Path

from lego_ros.training.data.dataset import PairDataset
from lego_ros.training.foundations.pictures import TowerPictures
from lego_ros.training.foundations.scenes import Scenes


@dataclass(frozen=True)
class KitchenSplit:
    """
    Pairs, what is known of their scenes, and their pictures.

    :param pairs: of a folder that ``lego-ros sim generate --format pairs`` made.
    :param scenes: theirs.
    :param pictures: theirs.
    """

    pairs: PairDataset
    scenes: Scenes
    pictures: TowerPictures

    @classmethod
    def load(cls, folder: Path, split: str, side: int) -> KitchenSplit:
        """
        Open a split.

        :param folder: of the data.
        :param split: its name.
        :param side: of the vision tower's input [px].
        :returns: the split.
        :raises LegoError: see ``PairDataset`` and ``Scenes``.
        """
        pairs = PairDataset(folder, split)
        return cls(pairs, Scenes(pairs), TowerPictures(pairs, side))

    @property
    def sha256(self) -> str:
        """Of pairs, pictures and scenes."""
        return hashlib.sha256(f'{self.pairs.sha256} {self.scenes.sha256}'.encode()).hexdigest()
