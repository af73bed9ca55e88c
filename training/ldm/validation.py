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

"""What fine-tuning shows of itself: the loss on held-out pairs, and pictures that it draws."""

from __future__ import annotations

from typing import Any

from lego_ros.ldm.pipeline import LegoPipeline
from lego_ros.ldm.view import View
from lego_ros.training.data.dataset import WHICH
from lego_ros.training.ldm.data import LdmData
from lego_ros.training.ldm.objective import Batch, LegoObjective
from lego_ros.training.ldm.pictures import ldm_picture
from lego_ros.training.ldm.settings import ShownSettings
from lego_ros.training.run.draws import mix, spread
from lego_ros.training.run.loop import Validation
import numpy as np
import torch
from torch import nn
from torch.utils.data import default_collate

_BATCH = 16
_GAP = 4
"""Pixels of white between the pictures of a grid."""


class Validator:
    """
    Validates on the held-out pairs, always the same ones with the same noise.

    :param data: the held-out samples, without mirror images.
    :param pipeline: with the objective's own UNet and conditioning.
    :param view: the field of view.
    :param settings: what is shown.
    :param half: whether to compute in bfloat16, as the training does.
    """

    def __init__(self, data: LdmData, pipeline: LegoPipeline, view: View,
                 settings: ShownSettings, half: bool) -> None:
        self._data, self._pipeline = data, pipeline
        self._view, self._settings, self._half = view, settings, half
        # Evenly over all pairs: their order is that of the recordings.
        self._losses = spread(len(data), settings.loss_pairs)
        self._shown = spread(len(data), settings.grid_pairs)

    def __call__(self, objective: nn.Module, step: int) -> Validation:
        """
        Validate.

        :param objective: the :class:`LegoObjective`, in evaluation mode.
        :param step: how many steps are done.
        :returns: ``loss``, the grid input | target | drawn, and its words.
        """
        assert isinstance(objective, LegoObjective)
        device = objective.psi_null.device.type
        with torch.autocast(device, torch.bfloat16, enabled=self._half):
            found = Validation({'loss': self._loss(objective)})
            if self._shown:
                found.pictures['input, target, drawn'] = self._grid(objective)
                found.texts['words'] = '\n'.join(
                    f'{row + 1}. {self._data.words(index)}'
                    for row, index in enumerate(self._shown))
        return found

    def _loss(self, objective: LegoObjective) -> float:
        total = 0.0
        for first in range(0, len(self._losses), _BATCH):
            places = range(first, min(first + _BATCH, len(self._losses)))
            batch = self._batch(objective, [self._losses[place] for place in places])
            noise, chance = self._noise(list(places), batch['mean'].shape)
            # One noise level of each of equal parts of the schedule, the same at each validation.
            steps = torch.tensor([
                int((place + 0.5) * objective.timesteps / len(self._losses)) for place in places])
            device = batch['mean'].device
            keep = torch.zeros(len(places), dtype=torch.bool, device=device)
            target = batch['mean'].float() + batch['std'].float() * chance.to(device)
            loss = objective.loss(
                batch, target, noise.to(device), steps.to(device), keep, keep)
            total += float(loss) * len(places)
        return total / len(self._losses)

    def _grid(self, objective: LegoObjective) -> np.ndarray:
        pipeline, settings = self._pipeline, self._settings
        batch = self._batch(objective, self._shown)
        pipeline.to(batch['mean'].device)
        inputs, targets = (
            [ldm_picture(self._data.pairs, index, which, self._view, pipeline.resolution)
             for index in self._shown] for which in WHICH)
        drawn: Any = pipeline(
            image=inputs, prompt_embeds=batch['psi'].float(),
            image_embeds=objective.image_embeds(batch), text_embeds=objective.text_embeds(batch),
            num_inference_steps=settings.steps,
            image_guidance_scale=settings.image_guidance_scale,
            guidance_scale=settings.guidance_scale,
            generator=[torch.Generator().manual_seed(mix(row)) for row in range(len(inputs))],
        )
        rows = [inputs, targets, list((drawn.images * 255).round().astype(np.uint8))]
        return _mosaic([list(row) for row in zip(*rows, strict=True)])

    def _batch(self, objective: LegoObjective, indices: list[int]) -> Batch:
        device = objective.psi_null.device
        # On a CPU, torch.stack refuses float16 where bfloat16 is the rule.
        with torch.autocast(device.type, enabled=False):
            batch = default_collate([self._data.sample(index, False) for index in indices])
        return {name: tensor.to(device) for name, tensor in batch.items()}

    @staticmethod
    def _noise(places: list[int], shape: torch.Size) -> tuple[torch.Tensor, torch.Tensor]:
        drawn = torch.stack([
            torch.randn((2, *shape[1:]), generator=torch.Generator().manual_seed(mix(place)))
            for place in places])
        return drawn[:, 0], drawn[:, 1]


def _mosaic(rows: list[list[np.ndarray]]) -> np.ndarray:
    """Lay pictures (S, S, 3) of one size out in rows, on white."""
    side = rows[0][0].shape[0] + _GAP
    canvas = np.full((len(rows) * side - _GAP, len(rows[0]) * side - _GAP, 3), 255, np.uint8)
    for top, row in enumerate(rows):
        for left, picture in enumerate(row):
            canvas[top * side:top * side + side - _GAP,
                   left * side:left * side + side - _GAP] = picture
    return canvas
