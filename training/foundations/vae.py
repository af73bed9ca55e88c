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
The auto-encoder whose latents the LDM works on.

The loss needs nothing but the pictures: absolute differences of the values, and of their gradients
at several scales, which keep the edges of hands and small things where a plain difference lets
them blur; and a light pull of the latents towards the normal distribution.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
import json
from pathlib import Path
from typing import Annotated

from diffusers import AutoencoderKL
from lego_ros.errors import ErrorCode, LegoError
from lego_ros.training.data.dataset import PairDataset, WHICH
from lego_ros.training.data.files import replacing
from lego_ros.training.foundations.grids import grid
from lego_ros.training.foundations.settings import FromNothing
from lego_ros.training.foundations.sizes import FoundationSize
from lego_ros.training.run.draws import Draw
from lego_ros.training.run.loop import train, Validation
import numpy as np
from pydantic import Field
import torch
from torch import nn, Tensor
from torch.nn import functional

VALIDATED = 128
"""Pictures that a validation looks at, at most."""
MEASURED = 1024
"""Pictures over which the spread of the latents is measured, at most."""
_SHOWN = 8
Weight = Annotated[float, Field(ge=0)]


class VaeSettings(FromNothing):
    """How the auto-encoder is trained."""

    epochs: float | None = 3.0
    """Passes over all pictures, of which a pair has two."""
    batch_size: Annotated[int, Field(gt=0)] = 16
    crop: Annotated[int, Field(gt=0, multiple_of=8)] | None = 64
    """Side of the part of each picture that is trained on [px]; null = the whole. Pixels of
    other pictures teach more than further ones of the same."""
    lr: Annotated[float, Field(gt=0)] = 1e-3
    warmup: Annotated[float, Field(ge=0, lt=1)] = 0.02
    ema: Annotated[float, Field(gt=0, lt=1)] | None = 0.999
    checkpoint_every: Annotated[int, Field(gt=0)] = 500
    validate_every: Annotated[int, Field(gt=0)] = 500
    squares: Weight = 4.0
    """Weight of squared differences, beside 1 for absolute ones: they see that large surfaces have
    their colours, which absolute ones alone learn late."""
    edges: Weight = 1.0
    """Weight of the differences of gradients, beside 1 for those of values."""
    scales: Annotated[int, Field(gt=0, le=5)] = 3
    """At which gradients are compared: full size, half, quarter, ..."""
    kl: Weight = 1e-6
    """Weight of the KL divergence, summed over a latent's values as in latent diffusion."""


class Pictures:
    """
    All pictures of a dataset, half of them mirrored.

    :param pairs: whose pictures.
    :param side: of the square that the LDM sees [px].
    :param crop: side of the part of it that a sample is [px]; None = all of it.
    """

    def __init__(self, pairs: PairDataset, side: int, crop: int | None = None) -> None:
        self._pairs, self._side, self._crop = pairs, side, min(crop or side, side)

    def __len__(self) -> int:
        """Give the number of pictures."""
        return 2 * len(self._pairs)

    def name(self, index: int) -> str:
        """Name a picture."""
        return f'{self._pairs[index // 2].pair_id} {WHICH[index % 2]}'

    def __getitem__(self, draw: Draw) -> Tensor:
        """Give a picture, or a part of it, (3, crop, crop) in -1 .. 1."""
        rng = np.random.default_rng(draw.seed)
        top, left = rng.integers(self._side - self._crop + 1, size=2)
        picture = self.picture(draw.index, bool(rng.random() < 0.5))
        return picture[:, top:top + self._crop, left:left + self._crop]

    def picture(self, index: int, mirrored: bool = False) -> Tensor:
        """
        Give a picture.

        :param index: of the picture.
        :param mirrored: whether left and right are swapped.
        :returns: (3, side, side) in -1 .. 1.
        """
        rgb = self._pairs.picture(index // 2, WHICH[index % 2], self._side, mirrored)
        return torch.from_numpy(rgb).permute(2, 0, 1).float() / 127.5 - 1


class VaeObjective(nn.Module):
    """
    How well pictures come back from their latents.

    :param vae: is trained.
    :param settings: weights of the parts.
    """

    def __init__(self, vae: AutoencoderKL, settings: VaeSettings) -> None:
        super().__init__()
        self.vae = vae
        self._settings = settings

    def forward(self, pictures: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """
        Compute the loss.

        :param pictures: (B, 3, side, side) in -1 .. 1.
        :returns: the loss; ``values``, ``squares``, ``edges`` and ``kl``, its parts before their
            weights.
        """
        settings = self._settings
        # On a CPU the convolutions of a training step take two thirds of the time in this order.
        ordered = pictures.contiguous(memory_format=torch.channels_last)
        posterior = self.vae.encode(ordered).latent_dist
        restored = self.vae.decode(posterior.sample()).sample.float()
        values = functional.l1_loss(restored, pictures)
        edges = edge_loss(restored, pictures, settings.scales)
        kl = posterior.kl().float().mean()
        squares = functional.mse_loss(restored, pictures)
        loss = (values + settings.squares * squares + settings.edges * edges
                + settings.kl * kl)
        return loss, {'values': values.detach(), 'squares': squares.detach(),
                      'edges': edges.detach(), 'kl': kl.detach()}


def edge_loss(restored: Tensor, pictures: Tensor, scales: int) -> Tensor:
    """
    Compare gradients at several scales.

    :param restored: (B, 3, H, W).
    :param pictures: the same shape.
    :param scales: how many; each has half of the last one's size.
    :returns: mean absolute difference of neighbours' differences, over directions and scales.
    """
    total = restored.new_zeros(())
    error = restored - pictures
    for _ in range(scales):
        # Gradients are linear: those of the error are the errors of the gradients.
        total = total + (error[..., 1:, :] - error[..., :-1, :]).abs().mean()
        total = total + (error[..., 1:] - error[..., :-1]).abs().mean()
        error = functional.avg_pool2d(error, 2)
    return total / (2 * scales)


def train_vae(settings: VaeSettings, size: FoundationSize, pairs: PairDataset,
              validation: PairDataset, folder: Path, run: Path, *,
              stop: Callable[[], bool] = lambda: False) -> Path:
    """
    Train the auto-encoder, going on where an earlier run stopped.

    :param settings: see there.
    :param size: of the auto-encoder.
    :param pairs: the training split.
    :param validation: the validation split.
    :param folder: for the result, as ``AutoencoderKL.save_pretrained`` writes it, with the scaling
        factor that gives the training split's latents a standard deviation of 1.
    :param run: for checkpoints and figures.
    :param stop: asked after each step.
    :returns: the folder of the result.
    :raises Interrupted: ``stop`` said so.
    :raises LegoError: see ``train``.
    """
    vae = build_vae(size, settings.seed).to(memory_format=torch.channels_last)
    pictures = Pictures(pairs, size.picture_side, settings.crop)
    shown = Pictures(validation, size.picture_side)

    def validate(bare: nn.Module, step: int) -> Validation:
        return _validate(bare, shown)

    train(VaeObjective(vae, settings), pictures, settings, run,
          identity={'stage': 'vae', 'data': pairs.sha256,
                    'model': json.loads(vae.to_json_string())},
          validate=validate, stop=stop)
    vae.register_to_config(scaling_factor=1 / latent_spread(vae, pictures))
    with replacing(folder, "the kitchen's auto-encoder") as part:
        # safetensors takes only the plain order of the channels.
        vae.to(memory_format=torch.contiguous_format)
        vae.save_pretrained(part, safe_serialization=True)
    return folder


def build_vae(size: FoundationSize, seed: int) -> AutoencoderKL:
    """
    Make an auto-encoder with random weights.

    :param size: of it.
    :param seed: the same seed gives the same weights.
    :returns: the model in training mode; the global random state is left alone.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return AutoencoderKL(**size.ldm.vae).train()


@torch.no_grad()
def latent_spread(vae: AutoencoderKL, pictures: Pictures, batch: int = 16) -> float:
    """
    Measure the standard deviation of all values of the latents.

    :param vae: in evaluation mode.
    :param pictures: evenly spaced ones of these are encoded, at most MEASURED.
    :param batch: pictures per forward pass.
    :returns: the standard deviation, > 0.
    :raises LegoError: INFERENCE_FAILED: the latents say nothing, or are not finite.
    """
    device = next(vae.parameters()).device
    chosen = np.unique(np.linspace(0, len(pictures) - 1, MEASURED).astype(int)).tolist()
    generator = torch.Generator(device).manual_seed(0)
    latents = torch.cat([
        vae.encode(torch.stack([pictures.picture(index) for index in chosen[at:at + batch]])
                   .to(device)).latent_dist.sample(generator).float().cpu()
        for at in range(0, len(chosen), batch)])
    spread = float(latents.std())
    if not np.isfinite(spread) or spread < 1e-6:
        raise LegoError(
            ErrorCode.INFERENCE_FAILED,
            f'the latents of the auto-encoder have a standard deviation of {spread}: they say '
            'nothing of the picture. Train it longer, or with a smaller weight of kl')
    return spread


def _validate(objective: nn.Module, data: Pictures, batch: int = 16) -> Validation:
    """Give the loss and how near pictures come back, the most likely latent taken."""
    vae: AutoencoderKL = objective.vae
    device = next(vae.parameters()).device
    chosen = np.unique(np.linspace(0, len(data) - 1, VALIDATED).astype(int)).tolist()
    sums, ratios = 0.0, list[float]()
    shown: list[tuple[np.ndarray, np.ndarray]] = []
    for at in range(0, len(chosen), batch):
        portion = torch.stack([data.picture(index) for index in chosen[at:at + batch]]).to(device)
        sums += float(objective(portion)[0]) * len(portion)
        restored = vae.decode(vae.encode(portion).latent_dist.mode()).sample.float()
        ratios += psnr(restored, portion)
        if len(shown) < _SHOWN:
            shown += list(zip(_rgb(portion), _rgb(restored), strict=True))
    figures = {'loss': sums / len(chosen), 'psnr': float(np.mean(ratios)),
               'psnr_worst': float(np.min(ratios))}
    rows = list(zip(*shown[:_SHOWN], strict=True))
    return Validation(figures, {'above: pictures, below: restored': grid(rows)})


def psnr(restored: Tensor, pictures: Tensor) -> list[float]:
    """
    Compare pictures.

    :param restored: (B, 3, H, W); values are cut to -1 .. 1.
    :param pictures: (B, 3, H, W) in -1 .. 1.
    :returns: the peak signal-to-noise ratio of each [dB].
    """
    error = ((restored.clamp(-1, 1) - pictures) ** 2).flatten(1).mean(1).clamp(min=1e-10)
    return [float(value) for value in 10 * torch.log10(4 / error)]


def _rgb(pictures: Tensor) -> Sequence[np.ndarray]:
    values = ((pictures.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)
    return list(values.permute(0, 2, 3, 1).cpu().numpy())
