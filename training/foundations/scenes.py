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

"""What is seen in each picture, from the kitchen's ``truth.jsonl``."""

from __future__ import annotations

import hashlib
from typing import Annotated

from lego_ros.training.data.dataset import Pair, PairDataset, Which
from lego_ros.training.export.truth_lines import read_truth, TRUTH, TruthLine
from pydantic import BaseModel, ConfigDict, Field

_SIDES = {'left': 'right', 'right': 'left'}
Unit = Annotated[float, Field(ge=0, le=1)]
Box = tuple[Unit, Unit, Unit, Unit]


class SceneState(BaseModel):
    """What captions need of a state; the fields are described in ``export.truth.State``."""

    model_config = ConfigDict(extra='ignore', frozen=True)

    boxes: dict[str, Box]
    """Entity -> x1, y1, x2, y2 in 0..1 of the picture; what is not seen is left out."""
    touching: dict[str, tuple[str, ...]]
    opening: dict[str, float]
    running: bool
    location: dict[str, str]
    liquid: dict[str, str]
    cut: tuple[str, ...]
    flipped: tuple[str, ...]
    dirty: tuple[str, ...]

    def mirrored(self) -> SceneState:
        """
        Describe the mirrored picture.

        :returns: the state with boxes reflected, and left and right swapped in all names.
        """
        swap = _other_side
        return SceneState(
            boxes={swap(name): (1 - right, top, 1 - left, bottom)
                   for name, (left, top, right, bottom) in self.boxes.items()},
            touching={swap(hand): tuple(map(swap, names))
                      for hand, names in self.touching.items()},
            opening={swap(name): value for name, value in self.opening.items()},
            running=self.running,
            location={name: swap(place) for name, place in self.location.items()},
            liquid=self.liquid, cut=self.cut, flipped=self.flipped, dirty=self.dirty)


class _Truth(TruthLine):
    before: SceneState
    after: SceneState


class Scenes:
    """
    The states of a dataset's pictures.

    :param pairs: of a folder with ``truth.jsonl``.
    :raises LegoError: SOURCE_UNREADABLE: the file is missing or damaged, or it lacks a pair.
    """

    def __init__(self, pairs: PairDataset) -> None:
        self._states = read_truth(
            pairs.folder / TRUTH, _Truth, {pair.action_id for pair in pairs})
        digest = hashlib.sha256()
        for truth in self._states.values():
            # Of what is learned from alone: the file has more.
            digest.update(truth.model_dump_json().encode())
        self.sha256 = digest.hexdigest()

    def state(self, pair: Pair, which: Which, mirrored: bool = False) -> SceneState:
        """
        Give a picture's state.

        :param pair: of the dataset.
        :param which: of its two pictures.
        :param mirrored: whether the picture is.
        :returns: the state.
        """
        truth = self._states[pair.action_id]
        state = truth.before if which == 'input' else truth.after
        return state.mirrored() if mirrored else state


def _other_side(name: str) -> str:
    """Turn ``left_hand`` into ``right_hand`` and the other way round."""
    return '_'.join(_SIDES.get(part, part) for part in name.split('_'))
