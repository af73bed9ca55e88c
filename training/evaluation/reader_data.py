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

"""What the reader learns from: pairs of real frames with verb, noun and the thing's state."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import cv2
from lego_ros.ldm.view import View
from lego_ros.sim.vocabulary import HANDS, NOUNS
from lego_ros.training.data.dataset import Pair, PairDataset, WHICH
from lego_ros.training.data.flip import swap_sides
from lego_ros.training.data.kept import KeptPictures
from lego_ros.training.export.truth import State, TruthRecord
from lego_ros.training.ldm.data import is_flipped
from lego_ros.training.ldm.pictures import ldm_picture
from lego_ros.training.run.draws import Draw
import numpy as np
import torch

HEADS = ('verb', 'noun', 'state')
UNKNOWN = -1
"""Class of a word that the training split does not have."""
_MOST_BLUR = 1.0
"""Pixels; drawn frames are a little softer than real ones."""
_OPEN, _SHUT = 0.8, 0.1


def state_of(truth: TruthRecord) -> str:
    """
    Name the state of what is acted on, as it is in the target picture.

    :param truth: of the action.
    :returns: such as ``open``, ``in the left hand``, ``cut``.
    """
    state, thing = truth.after, truth.thing
    if thing in state.opening:
        return _degree(thing, state.opening[thing])
    if thing in state.cut:
        return 'cut'
    if thing in state.flipped:
        return 'upside down'
    for side in HANDS:
        if state.location.get(thing) == f'{side}_hand':
            return f'in the {side} hand'
        if thing in state.touching.get(side, ()):
            return f'at the {side} hand'
    return _filled(thing, state)


def _degree(thing: str, opening: float) -> str:
    if thing in ('tap', 'hob'):
        return 'on' if opening > 0.5 else 'off'
    return 'shut' if opening < _SHUT else 'ajar' if opening < _OPEN else 'open'


def _filled(thing: str, state: State) -> str:
    if thing in NOUNS and 'fill' in NOUNS[thing].uses:
        return 'filled' if thing in state.liquid else 'empty'
    return 'resting'


def facts_of(pair: Pair, truth: TruthRecord, mirrored: bool = False) -> tuple[str, str, str]:
    """
    Name what is to be read from a picture.

    :param pair: of the dataset.
    :param truth: of its action.
    :param mirrored: whether left and right are swapped in the picture.
    :returns: verb, noun, state.
    """
    state = state_of(truth)
    return pair.verb, pair.noun or '', swap_sides(state) if mirrored else state


def frames_of(pairs: PairDataset, view: View, side: int) -> KeptPictures:
    """
    Give the pictures of a dataset as the LDM sees them.

    :param pairs: whose.
    :param view: the field of view.
    :param side: in pixels.
    :returns: (side, side, 3) uint8 RGB each, read when they are first asked for.
    """
    return KeptPictures(
        len(pairs), side, partial(ldm_picture, pairs, view=view, resolution=side))


class ReaderData:
    """
    The samples of a split, for ``training.run``.

    :param pairs: of the split.
    :param truths: by action id.
    :param frames: of the same pairs.
    :param classes: of each head.
    """

    def __init__(self, pairs: PairDataset, truths: dict[str, TruthRecord], frames: KeptPictures,
                 classes: dict[str, list[str]]) -> None:
        self._pairs, self._truths = pairs, truths
        self._frames, self._classes = frames, classes

    def __len__(self) -> int:
        """Give the number of pairs."""
        return len(self._pairs)

    def name(self, index: int) -> str:
        """
        Name a sample.

        :param index: of the pair.
        """
        return self._pairs[index].pair_id

    def __getitem__(self, draw: Draw) -> dict[str, Any]:
        """
        Make a sample: half of them mirrored, most of them a little blurred.

        :param draw: which pair; its seed decides.
        :returns: ``pictures`` (6, side, side) uint8 and the classes (3,) int64.
        """
        flipped = is_flipped(draw)
        sigma = float(np.random.default_rng(draw.seed).uniform(0, _MOST_BLUR))
        both = [cv2.GaussianBlur(self._frames.get(draw.index, which), (0, 0), sigma + 1e-3)
                for which in WHICH]
        pair = self._pairs[draw.index]
        facts = facts_of(pair, self._truths[pair.action_id], flipped)
        pictures = torch.from_numpy(six_channels(*both))
        return {'pictures': pictures.flip(2) if flipped else pictures,
                'classes': torch.tensor(numbers_of(facts, self._classes))}


def six_channels(before: np.ndarray, candidate: np.ndarray) -> np.ndarray:
    """
    Put the two pictures of a pair together.

    :param before: (H, W, 3) uint8, the input frame.
    :param candidate: likewise, what the action is to be read from.
    :returns: (6, H, W) uint8.
    """
    return np.concatenate([before, candidate], axis=2).transpose(2, 0, 1).copy()


def classes_of(pairs: PairDataset, truths: dict[str, TruthRecord]) -> dict[str, list[str]]:
    """
    List the classes of a split, mirror images included.

    :param pairs: of the split.
    :param truths: by action id.
    :returns: sorted names by head.
    """
    facts = [facts_of(pair, truths[pair.action_id], mirrored)
             for pair in pairs for mirrored in (False, True)]
    return {head: sorted({fact[number] for fact in facts})
            for number, head in enumerate(HEADS)}


def numbers_of(facts: Sequence[str], classes: dict[str, list[str]]) -> list[int]:
    """
    Turn what is to be read into numbers of classes.

    :param facts: verb, noun, state.
    :param classes: of each head.
    :returns: the classes, UNKNOWN for one that is not there.
    """
    return [classes[head].index(fact) if fact in classes[head] else UNKNOWN
            for head, fact in zip(HEADS, facts, strict=True)]
