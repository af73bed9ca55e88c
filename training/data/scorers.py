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
How good a frame is, and how alike two are: what a scorer must do, and the embedded defaults.

The paper scores frames with the LAION aesthetic predictor and compares pairs with CLIP; both need
weights (see ``clip_scorers``). The defaults here need none, and are named for what they are, so
that a manifest says which was used. Cosines of different embedders cannot be compared, so each
brings the bounds of the filter that are meant for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import cv2
import numpy as np


class FrameQuality(Protocol):
    """
    Something that tells good frames from bad ones.

    :param name: what goes into the manifest.
    """

    name: str

    def scores(self, pictures: Sequence[np.ndarray]) -> np.ndarray:
        """
        Score pictures.

        :param pictures: (H, W, 3) uint8 RGB each.
        :returns: (n,) float; more is better.
        """
        ...


class ImageEmbedder(Protocol):
    """
    Something that turns pictures into unit vectors whose cosine tells how alike they are.

    :param name: what goes into the manifest.
    :param bounds: cosines between which a pair is kept unless the user says otherwise.
    """

    name: str
    bounds: tuple[float, float]

    def embed(self, pictures: Sequence[np.ndarray]) -> np.ndarray:
        """
        Embed pictures.

        :param pictures: (H, W, 3) uint8 RGB each.
        :returns: (n, d) float, each row of length 1.
        """
        ...


class Sharpness:
    """
    Variance of the Laplacian, relative to the picture's own contrast.

    Motion blur takes away edges but not contrast; a dark scene takes away both. x / (1 + x) brings
    the ratio to 0..1.
    """

    name = 'sharpness'

    def scores(self, pictures: Sequence[np.ndarray]) -> np.ndarray:
        """
        Score pictures.

        :param pictures: (H, W, 3) uint8 RGB each.
        :returns: (n,) float64 in 0..1.
        """
        return np.array([_sharpness(picture) for picture in pictures])


def _sharpness(rgb: np.ndarray) -> float:
    grey = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY).astype(np.float64)
    ratio = cv2.Laplacian(grey, cv2.CV_64F).var() / (grey.var() + 1.0)
    return float(ratio / (1.0 + ratio))


class GistCosine:
    """
    A fixed descriptor of layout: edge energy by direction and place, and coarse colour.

    Eight directions on an 8 x 8 grid in the manner of GIST (Oliva and Torralba, 2001) without its
    filter bank, beside the mean colour of each cell. It needs no weights. It is no CLIP: it knows
    nothing of objects, and its cosines lie otherwise.
    """

    name = 'gist_cosine'
    bounds = (0.6, 0.98)
    """
    Its own; the paper's 0.81 and 0.97 are CLIP's.

    Of 295 actions of the simulated kitchen, every one a good pair, the middle half lies from 0.81
    to 0.90, one in a hundred below 0.65 and none above 0.98.
    """
    _SIDE = 128
    _CELLS = 8
    _DIRECTIONS = 8

    def embed(self, pictures: Sequence[np.ndarray]) -> np.ndarray:
        """
        Embed pictures.

        :param pictures: (H, W, 3) uint8 RGB each.
        :returns: (n, 704) float64, each row of length 1.
        """
        return np.stack([self._one(picture) for picture in pictures])

    def _one(self, rgb: np.ndarray) -> np.ndarray:
        small = cv2.resize(rgb, (self._SIDE, self._SIDE), interpolation=cv2.INTER_AREA)
        lab = cv2.cvtColor(small, cv2.COLOR_RGB2LAB).astype(np.float64) / 255.0 - 0.5
        edges = self._edges(lab[..., 0])
        # One scale for all three, so that grey pictures stay comparable with each other.
        colour = self._cells(lab)
        return _unit(np.concatenate([_unit(edges), _unit(colour + 1e-9)]))

    def _edges(self, light: np.ndarray) -> np.ndarray:
        # Without the blur the root below would raise sensor noise to edges.
        light = cv2.GaussianBlur(light, (0, 0), 1.5)
        dx = cv2.Sobel(light, cv2.CV_64F, 1, 0)
        dy = cv2.Sobel(light, cv2.CV_64F, 0, 1)
        direction = np.floor(np.mod(np.arctan2(dy, dx), np.pi) / np.pi * self._DIRECTIONS)
        strength = np.hypot(dx, dy)
        planes = [strength * (np.minimum(direction, self._DIRECTIONS - 1) == number)
                  for number in range(self._DIRECTIONS)]
        # The root keeps one strong edge from outweighing the rest of the picture.
        return np.sqrt(self._cells(np.stack(planes, axis=-1))) + 1e-9

    def _cells(self, planes: np.ndarray) -> np.ndarray:
        size = self._SIDE // self._CELLS
        shape = (self._CELLS, size, self._CELLS, size, planes.shape[-1])
        return planes.reshape(shape).mean(axis=(1, 3)).ravel()


def _unit(vector: np.ndarray) -> np.ndarray:
    return vector / np.linalg.norm(vector)
