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
What fine-tuning minimises: the error of the estimated noise under the context C (LEGO, Eq. 1-2).

sigma, mu and pi are trained with the UNet, as the paper says (in the released code they are not
among the optimiser's weights). The projector tau, which turns the stored vision features into
H_i, is the VLLM's and frozen.
"""

from __future__ import annotations

from diffusers import DDPMScheduler, UNet2DConditionModel
from lego_ros.ldm.conditioning import LegoConditioning
from lego_ros.ldm.config import scheduler_config
from lego_ros.training.ldm.variants import Variant
import torch
from torch import nn
from torch.nn import functional

DROP = 0.05
"""Chance of each: no image, no context, neither (InstructPix2Pix, Sec. 3.2.1)."""

Batch = dict[str, torch.Tensor]


class LegoObjective(nn.Module):
    """
    The networks in training, with the loss.

    Its batches are those of ``training.ldm.data.LdmData``.

    :param unet: with twice the latent's channels at its input.
    :param conditioning: sigma, mu and pi; those that the variant leaves out are frozen.
    :param projector: tau; None for a variant without the image embedding.
    :param psi_null: (1, N, D), psi("").
    :param variant: what the context holds.
    :param scaling: the auto-encoder's scaling_factor.
    :param drop: chance of each of the three ways to drop conditions, 0 to 1/3.
    :param compiled: whether torch.compile makes the UNet faster while it is trained.
    """

    psi_null: torch.Tensor

    def __init__(self, unet: UNet2DConditionModel, conditioning: LegoConditioning,
                 projector: nn.Module | None, psi_null: torch.Tensor, variant: Variant,
                 scaling: float, drop: float = DROP, compiled: bool = False) -> None:
        super().__init__()
        self.unet, self.conditioning = unet, conditioning
        self.projector = projector if variant.image else None
        if variant.image and projector is None:
            raise ValueError('a variant with the image embedding needs the projector')
        if self.projector is not None:
            self.projector.requires_grad_(False)
        unet.requires_grad_(True)
        # What has no share in the loss would be waited for by DDP.
        conditioning.sigma.requires_grad_(variant.image)
        conditioning.mu.requires_grad_(variant.text)
        conditioning.pi.requires_grad_(variant.text)
        self.register_buffer('psi_null', psi_null.detach().float(), persistent=False)
        self._variant, self._scaling, self._drop = variant, scaling, drop
        # Pictures are drawn, and held-out losses taken, of other shapes, each of which would have
        # to be compiled too: in training alone it pays.
        self._compiled = torch.compile(unet.forward, dynamic=False) if compiled else None
        self._scheduler = DDPMScheduler(**scheduler_config())

    @property
    def timesteps(self) -> int:
        """T, the number of noise levels."""
        return self._scheduler.config.num_train_timesteps

    def forward(self, batch: Batch) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """
        Compute the loss of a batch.

        Sample of the target, noise, noise level and drops come from torch's global state.

        :param batch: B samples.
        :returns: the mean squared error, and no other figures.
        """
        mean = batch['mean'].float()
        target = mean + batch['std'].float() * torch.randn_like(mean)
        noise = torch.randn_like(mean)
        steps = torch.randint(0, self.timesteps, (len(mean),), device=mean.device)
        no_image, no_context = draw_drops(len(mean), self._drop, mean.device)
        return self.loss(batch, target, noise, steps, no_image, no_context), {}

    def loss(self, batch: Batch, target: torch.Tensor, noise: torch.Tensor, steps: torch.Tensor,
             no_image: torch.Tensor, no_context: torch.Tensor) -> torch.Tensor:
        """
        Compute the loss for given draws (Eq. 2).

        :param batch: B samples.
        :param target: (B, C, h, w), the target's latents before scaling.
        :param noise: of the same shape.
        :param steps: (B,) noise levels, 0 to T - 1.
        :param no_image: (B,) bool, whose input frame is dropped.
        :param no_context: (B,) bool, whose context is dropped.
        :returns: the mean squared error between the estimate and the noise.
        """
        noisy = self._scheduler.add_noise(target * self._scaling, noise, steps)
        image = torch.where(no_image[:, None, None, None], 0, batch['input'].float())
        sample = torch.cat([noisy, image], dim=1).contiguous(memory_format=torch.channels_last)
        call = self._compiled if self._compiled and self.training else self.unet
        estimate = call(
            sample, steps, encoder_hidden_states=self.context(batch, no_context),
            return_dict=False)[0]
        return functional.mse_loss(estimate.float(), noise)

    def context(self, batch: Batch, no_context: torch.Tensor) -> torch.Tensor:
        """
        Build the context C (Eq. 1), or the null context.

        :param batch: B samples.
        :param no_context: (B,) bool, whose context is psi("") and zeros.
        :returns: (B, tokens, D).
        """
        full = self.conditioning(
            batch['psi'].float(), self.image_embeds(batch), self.text_embeds(batch))
        null = self.conditioning.null_context(
            self.psi_null, self._variant.image, self._variant.text)
        return torch.where(no_context[:, None, None], null.to(full.dtype), full)

    def image_embeds(self, batch: Batch) -> torch.Tensor | None:
        """
        Give H_i.

        :param batch: B samples.
        :returns: (B, M, hidden), or None where the variant has none.
        """
        if self.projector is None:
            return None
        with torch.no_grad():
            return self.projector(batch['vision'].float())

    def text_embeds(self, batch: Batch) -> torch.Tensor | None:
        """
        Give H_t.

        :param batch: B samples.
        :returns: (B, N, hidden), or None where the variant has none.
        """
        return batch['states'].float() if self._variant.text else None


def draw_drops(samples: int, drop: float, device: torch.device
               ) -> tuple[torch.Tensor, torch.Tensor]:
    """
    Draw whose conditions are dropped; at most one of the three ways for each sample.

    :param samples: how many.
    :param drop: chance of each: image only, context only, both.
    :param device: of the result.
    :returns: (samples,) bool: no image; no context.
    """
    chance = torch.rand(samples, device=device)
    image_only, context_only = chance < drop, (chance >= drop) & (chance < 2 * drop)
    both = (chance >= 2 * drop) & (chance < 3 * drop)
    return image_only | both, context_only | both
