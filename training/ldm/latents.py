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
The latents of all pairs, encoded once.

As in InstructPix2Pix and the released code, the input frame is the mode of its distribution and
not scaled, while the target is a sample of its distribution times the scaling factor. Mean and
standard deviation are stored, so that each epoch draws another sample.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from diffusers import AutoencoderKL
from lego_ros.ldm.inputs import image_batch
from lego_ros.ldm.view import View
from lego_ros.training.data.dataset import PairDataset, WHICH
from lego_ros.training.ldm.pictures import ldm_picture
from lego_ros.training.run.identity import module_sha256, values_sha256
from lego_ros.training.run.rows import ALL, Rows, Share
import numpy as np
import torch

INPUT, MEAN, STD = range(3)
"""The parts of a row: the input's mode, and the target's mean and standard deviation."""


class Latents:
    """
    Rows (3, C, h, w) float16 of all pairs, and of their mirror images where these are wanted.

    :param folder: of the cache; two sub-folders are made in it.
    :param pairs: of a split.
    :param vae: the auto-encoder, on the device that is to encode.
    :param view: the field of view.
    :param resolution: side in pixels.
    :param flip: whether the mirror images are wanted too.
    :raises LegoError: INVALID_SETTING: the folder holds latents of other pictures, or of another
        auto-encoder, view or resolution.
    """

    def __init__(self, folder: Path, pairs: PairDataset, vae: AutoencoderKL, view: View,
                 resolution: int, flip: bool) -> None:
        self._pairs, self._view, self._resolution = pairs, view, resolution
        identity = {
            'vae': module_sha256(vae),
            'pictures': values_sha256([
                [pair.pair_id, pair.input_sha256, pair.target_sha256] for pair in pairs]),
            'view': view.value, 'resolution': resolution}
        side = resolution // 2 ** (len(vae.config.block_out_channels) - 1)
        shape = (3, vae.config.latent_channels, side, side)
        self._rows = {
            flipped: Rows(folder / name, identity, len(pairs), shape)
            for flipped, name in ((False, 'plain'), (True, 'mirrored'))[:1 + flip]}
        self.identity = identity

    def fill(self, vae: AutoencoderKL, stop: Callable[[], bool] = lambda: False,
             share: Share = ALL) -> None:
        """
        Encode what is not there yet.

        :param vae: the auto-encoder that this was made for.
        :param stop: asked now and then; True ends it, and a next call goes on.
        :param share: of the work that is this process's.
        :raises Interrupted: ``stop`` said so.
        :raises LegoError: SOURCE_UNREADABLE: a picture is missing or damaged, which it names;
            RECORDING_FAILED: no room; INFERENCE_FAILED: a latent is not finite.
        """
        # Neither changes what comes out: on two CPU cores they encode half as fast again.
        vae.to(memory_format=torch.channels_last)
        batch = 4 if vae.device.type == 'cpu' else 32
        for flipped, rows in self._rows.items():
            rows.fill(partial(self._encode, vae, batch, flipped),
                      'latents' + ', mirrored' * flipped, stop, share)

    def read(self, index: int, flipped: bool = False) -> np.ndarray:
        """
        Read a pair's latents.

        :param index: of the pair.
        :param flipped: whether of its mirror image.
        :returns: (3, C, h, w) float16: :data:`INPUT`, :data:`MEAN`, :data:`STD`.
        :raises LegoError: SOURCE_UNREADABLE: the cache is damaged.
        """
        return self._rows[flipped][index]

    def _encode(self, vae: AutoencoderKL, batch: int, flipped: bool, span: range) -> np.ndarray:
        return np.concatenate([
            self._encode_few(vae, flipped, range(first, min(first + batch, span.stop)))
            for first in range(span.start, span.stop, batch)])

    @torch.no_grad()
    def _encode_few(self, vae: AutoencoderKL, flipped: bool, span: range) -> np.ndarray:
        frames = [
            ldm_picture(self._pairs, index, which, self._view, self._resolution, flipped)
            for index in span for which in WHICH]
        factor = 2 ** (len(vae.config.block_out_channels) - 1)
        batch = image_batch(frames, factor).to(vae.device, vae.dtype)
        batch = batch.contiguous(memory_format=torch.channels_last)
        seen = vae.encode(batch).latent_dist
        mean, std = seen.mean.float(), seen.std.float()
        return torch.stack([mean[0::2], mean[1::2], std[1::2]], dim=1).cpu().numpy()
