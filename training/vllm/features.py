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
What the frozen vision tower sees in each frame, computed once.

The tower does not change while the VLLM is tuned, so that its output before the projector serves
all epochs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from lego_ros.ldm.view import View
from lego_ros.training.data.dataset import PairDataset, Which
from lego_ros.training.run.identity import values_sha256
from lego_ros.training.run.rows import ALL, Rows, Share
from lego_ros.vllm.llava import LegoLlava
import numpy as np
from PIL.Image import Resampling
import torch
from torch import Tensor
from transformers import CLIPImageProcessorPil

CHUNK = 256
"""Frames per file: what a kill costs at most."""
BATCH = 32
"""Frames per forward pass."""


class FrameFeatures:
    """
    Features (M, vision hidden) float16 of one frame of each pair, and of its mirror image.

    :param folder: of the cache.
    :param pairs: of a split.
    :param model: the VLLM.
    :param vllm: ``vllm_sha256`` of its folder.
    :param frame: which of a pair's two.
    :param view: the part of it that the VLLM sees.
    :param mirrored: whether mirror images are wanted too; these come after all frames.
    :raises LegoError: INVALID_SETTING: the folder holds features of other frames, or of another
        model or view.
    """

    def __init__(self, folder: Path, pairs: PairDataset, model: LegoLlava, vllm: str,
                 frame: Which, view: View, mirrored: bool = False) -> None:
        self._pairs, self._frame, self._view = pairs, frame, view
        self.mirrored = mirrored
        pictures = [[pair.pair_id, pair.input_sha256 if frame == 'input' else pair.target_sha256]
                    for pair in pairs]
        self._rows = Rows(
            folder, {'vllm': vllm, 'pictures': values_sha256(pictures), 'view': view.value},
            len(pairs) * (2 if mirrored else 1),
            (model.image_tokens, model.model.vision_tower.config.hidden_size), CHUNK)
        self.identity = self._rows.identity

    def fill(self, model: LegoLlava, processor: CLIPImageProcessorPil, *,
             stop: Callable[[], bool] = lambda: False, share: Share = ALL) -> None:
        """
        Compute what is not there yet.

        :param model: the VLLM that this was made for.
        :param processor: gives mean and standard deviation of its input.
        :param stop: asked now and then; True ends it, and a next call goes on.
        :param share: of the work that is this process's.
        :raises Interrupted: ``stop`` said so.
        :raises LegoError: SOURCE_UNREADABLE: a picture is missing or damaged, which it names;
            RECORDING_FAILED: no room; INFERENCE_FAILED: a feature is not finite.
        """
        def make(span: range) -> np.ndarray:
            few = (range(first, min(first + BATCH, span.stop))
                   for first in range(span.start, span.stop, BATCH))
            return np.concatenate([
                vision_features(model, processor, [self._row(index) for index in indices]
                                ).float().cpu().numpy() for indices in few])

        self._rows.fill(make, 'image features', stop, share)

    def frame(self, index: int) -> np.ndarray:
        """
        Give a frame as the VLLM sees it.

        :param index: of the pair.
        :returns: (S, S, 3) uint8 RGB.
        :raises LegoError: SOURCE_UNREADABLE: the picture is missing or damaged.
        """
        return self._row(index)

    def get(self, index: int, mirrored: bool = False) -> Tensor:
        """
        Read a frame's features.

        :param index: of the pair.
        :param mirrored: whether its mirror image's are wanted.
        :returns: (M, vision hidden) float16.
        :raises LegoError: SOURCE_UNREADABLE: the cache is damaged.
        """
        row = index + len(self._pairs) if mirrored else index
        return torch.from_numpy(np.array(self._rows[row]))

    def _row(self, row: int) -> np.ndarray:
        """Give what a row is of: (S, S, 3) uint8 RGB."""
        mirrored, index = divmod(row, len(self._pairs))
        return self._view.vllm_view(
            self._pairs.picture(index, self._frame, mirrored=bool(mirrored)))


@torch.no_grad()
def vision_features(model: LegoLlava, processor: CLIPImageProcessorPil,
                    pictures: Sequence[np.ndarray]) -> Tensor:
    """
    Run the vision tower as the VLLM does at run time, up to the projector.

    :param model: the VLLM.
    :param processor: gives mean and standard deviation of its input.
    :param pictures: (H, W, 3) uint8 RGB each, as the VLLM shall see them.
    :returns: (B, M, vision hidden) in the tower's dtype.
    """
    tower = model.model.vision_tower
    side = tower.config.image_size
    pixels = processor(
        images=list(pictures), do_resize=True, size={'height': side, 'width': side},
        resample=Resampling.BICUBIC, do_center_crop=False, input_data_format='channels_last',
        return_tensors='pt')['pixel_values'].to(tower.device, tower.dtype)
    output = tower(pixels, output_hidden_states=True)
    # The first token is the class token.
    return output.hidden_states[model.config.vision_feature_layer][:, 1:]
