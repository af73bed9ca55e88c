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

"""How like a drawn frame is to the target: in the kitchen's CLIP space, and pixel by pixel."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lego_ros.training.foundations.clip import load_clip
from lego_ros.training.foundations.pictures import normalised, stacked, tower_view
import numpy as np
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
import torch
from torch import nn, Tensor
from torch.nn.functional import cosine_similarity, normalize

MEASURES = ('clip', 'psnr', 'ssim', 'feature_distance')
_BATCH = 32
_HIGHEST_PSNR = 100.0
"""What equal pictures get instead of infinity, so that means stay finite."""


def psnr(picture: np.ndarray, target: np.ndarray) -> float:
    """
    Give the peak signal-to-noise ratio.

    :param picture: (H, W, 3) uint8.
    :param target: likewise.
    :returns: dB over a range of 255; at most 100.
    """
    if np.array_equal(picture, target):
        return _HIGHEST_PSNR
    return min(_HIGHEST_PSNR, float(peak_signal_noise_ratio(target, picture, data_range=255)))


def ssim(picture: np.ndarray, target: np.ndarray) -> float:
    """
    Give the structural similarity (Wang et al., 2004: Gaussian windows, sigma 1.5).

    :param picture: (H, W, 3) uint8, at least 11 x 11.
    :param target: likewise.
    :returns: -1 .. 1, the mean over pixels and channels.
    """
    return float(structural_similarity(
        target, picture, data_range=255, channel_axis=2, gaussian_weights=True, sigma=1.5,
        use_sample_covariance=False))


class FrameMeasures:
    """
    Compares frames with their targets.

    ``feature_distance`` is built as LPIPS is (Zhang et al., 2018), but it is not LPIPS: features
    are those of all layers of the kitchen's own vision tower, and no weights were learned from
    people's judgement. Its figures compare with each other only.

    :param folder: of the kitchen's CLIP.
    :raises LegoError: SOURCE_UNREADABLE.
    """

    def __init__(self, folder: Path) -> None:
        model, _, self._processor = load_clip(folder)
        device = 'cuda' if torch.cuda.is_available() else 'cpu'
        self._model: nn.Module = model.to(device)
        self._device = torch.device(device)
        self._side = int(model.config.vision_config.image_size)

    def compare(self, pictures: Sequence[np.ndarray], targets: Sequence[np.ndarray]
                ) -> list[dict[str, float]]:
        """
        Compare pictures with their targets.

        :param pictures: (H, W, 3) uint8 each.
        :param targets: as many of the same sizes.
        :returns: for each, MEASURES: ``clip`` is a cosine, ``psnr`` in dB, ``ssim`` up to 1,
            ``feature_distance`` 0 for equal pictures and up to 4.
        """
        rows = []
        for first in range(0, len(pictures), _BATCH):
            some, wanted = (list(each[first:first + _BATCH]) for each in (pictures, targets))
            cosines, distances = self._features(some, wanted)
            rows += [
                {'clip': cosine, 'psnr': psnr(picture, target), 'ssim': ssim(picture, target),
                 'feature_distance': distance}
                for picture, target, cosine, distance in zip(
                    some, wanted, cosines, distances, strict=True)]
        return rows

    @torch.no_grad()
    def _features(self, pictures: list[np.ndarray], targets: list[np.ndarray]
                  ) -> tuple[list[float], list[float]]:
        one, other = (self._embed(each) for each in (pictures, targets))
        cosines = cosine_similarity(one[0].double(), other[0].double()).clamp(-1, 1)
        # As in LPIPS: unit length at each place, squared differences summed over the channels;
        # the mean over places and layers.
        distances = torch.stack([
            (normalize(a, dim=-1) - normalize(b, dim=-1)).square().sum(-1).mean(-1)
            for a, b in zip(one[1], other[1], strict=True)]).mean(0)
        return cosines.tolist(), distances.tolist()

    def _embed(self, pictures: list[np.ndarray]) -> tuple[Tensor, list[Tensor]]:
        pixels = normalised(stacked([tower_view(each, self._side) for each in pictures]
                                    ).to(self._device), self._processor)
        # transformers' decorators hide from mypy that these can be called.
        embed = self._model.get_image_features(pixel_values=pixels)  # type: ignore[operator]
        seen = self._model.vision_model(  # type: ignore[operator]
            pixel_values=pixels, output_hidden_states=True)
        # Without the class token, and without the embedding of the raw patches.
        return embed.pooler_output, [layer[:, 1:] for layer in seen.hidden_states[1:]]
