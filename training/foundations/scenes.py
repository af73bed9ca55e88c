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

from collections.abc import Iterator
import hashlib
from pathlib import Path
from typing import Annotated, Literal

from lego_ros.training.data.dataset import Pair, PairDataset, Which
from lego_ros.training.data.files import unusable
from lego_ros.training.data.records import parse_line, read_lines
from pydantic import BaseModel, ConfigDict, Field

TRUTH = 'truth.jsonl'
_MAX_LINE = 1 << 22
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


class _Truth(BaseModel):
    model_config = ConfigDict(extra='ignore', frozen=True)

    schema_version: Literal['lego_ros/truth/2']
    action_id: str
    before: SceneState
    after: SceneState


class Scenes:
    """
    The states of a dataset's pictures.

    :param pairs: of a folder with ``truth.jsonl``.
    :raises LegoError: SOURCE_UNREADABLE: the file is missing or damaged, or it lacks a pair.
    """

    def __init__(self, pairs: PairDataset) -> None:
        path = pairs.folder / TRUTH
        wanted = {pair.action_id for pair in pairs}
        self._states: dict[str, _Truth] = {}
        digest = hashlib.sha256()
        for line, truth in _read(path):
            if truth.action_id in wanted:
                digest.update(line)
                self._states[truth.action_id] = truth
        for pair in pairs:
            if pair.action_id not in self._states:
                raise unusable(path, f'{pair.pair_id} is not in it; generate the data anew')
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


def _read(path: Path) -> Iterator[tuple[bytes, _Truth]]:
    """Read the lines with their bytes."""
    try:
        for number, line in read_lines(path, _MAX_LINE):
            yield line, parse_line(path, number, line, _Truth)
    except OSError as error:
        raise unusable(
            path, f'what is seen in the pictures is not known: {error}. Foundations are trained '
            'on data of lego-ros sim generate --format pairs') from error
