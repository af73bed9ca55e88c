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
The UNet as engines run it: no context and no clock inside the loop.

Keys and values of the context come in ready (:mod:`lego_ros.ldm.cached_attention`), and so does
what each residual block adds for the timestep, which depends on the schedule alone. Everything
else is diffusers' own blocks, on the weights of the UNet that was given.
"""

from __future__ import annotations

from collections.abc import Sequence
import copy
from typing import Any, cast, TypeVar

from diffusers import UNet2DConditionModel
from diffusers.models.attention_processor import Attention
from diffusers.models.resnet import ResnetBlock2D
from lego_ros.errors import ErrorCode, LegoError
from lego_ros.ldm.cached_attention import (
    CachedCrossAttention,
    cross_attention_layers,
    LayerContext,
    unpack,
    zero_key_logits,
)
import torch
from torch import nn, Tensor

Network = TypeVar('Network', bound=nn.Module)

# What a UNet may have beside Stable Diffusion 1.5's inputs, and how its configuration says no.
_UNSUPPORTED = {
    'addition_embed_type': None,
    'center_input_sample': False,
    'class_embed_type': None,
    'encoder_hid_dim_type': None,
    'num_class_embeds': None,
    'only_cross_attention': False,
    'time_cond_proj_dim': None,
    'time_embedding_act_fn': None,
    'timestep_post_act': None,
}


class SteppedUNet(nn.Module):
    """
    A UNet whose residual blocks and cross-attention layers take what was computed beforehand.

    :param unet: the UNet; it stays as it is. Its weights are shared, not copied, where the number
        format is the same.
    :param dtype: the number format.
    :raises LegoError: BUNDLE_MISMATCH for a UNet of another kind than Stable Diffusion 1.5's.
    """

    def __init__(self, unet: UNet2DConditionModel, dtype: torch.dtype) -> None:
        super().__init__()
        _check_kind(unet)
        own = share(unet, dtype)
        self.time_proj = own.time_proj
        self.time_embedding = own.time_embedding
        projections = _take_time_projections(own)
        self.time_projections = nn.ModuleList(projections)
        self._shifts = sum(projection.out_features for projection in projections)
        del own.time_proj, own.time_embedding
        layers = cross_attention_layers(own)
        for index, layer in enumerate(layers):
            layer.set_processor(CachedCrossAttention(index))
        self._layers = tuple(layers)
        self._scale = 2 ** own.num_upsamplers
        self.unet = own

    @property
    def layers(self) -> Sequence[Attention]:
        """Its cross-attention layers, in their order."""
        return self._layers

    @property
    def dtype(self) -> torch.dtype:
        """Its number format."""
        return cast(torch.dtype, self.unet.conv_in.weight.dtype)

    @property
    def shifts(self) -> int:
        """Length of what :meth:`time_shifts` gives for a timestep."""
        return self._shifts

    def time_shifts(self, timesteps: Tensor) -> Tensor:
        """
        Compute what the residual blocks add to their channels at a timestep.

        :param timesteps: (S,) float32, 0 to 999 and between.
        :returns: (S, :attr:`shifts`) in the UNet's format, block after block.
        """
        embedding = self.time_embedding(self.time_proj(timesteps).to(self.dtype))
        embedding = nn.functional.silu(embedding)
        return torch.cat([project(embedding) for project in self.time_projections], dim=1)

    def forward(self, sample: Tensor, shifts: Tensor, context: Sequence[LayerContext]) -> Tensor:
        """
        Estimate the noise.

        :param sample: (S, channels, h, w).
        :param shifts: (1, :attr:`shifts`) of :meth:`time_shifts`.
        :param context: one item per layer of :attr:`layers`.
        :returns: (S, latent channels, h, w) in the UNet's format.
        """
        unet = self.unet
        sides = sample.shape[-2:]
        # As in diffusers: sides that do not halve evenly need their size said on the way up.
        uneven = any(side % self._scale for side in sides)
        hidden = unet.conv_in(sample.to(self.dtype))
        shifts = shifts.to(self.dtype)
        skipped = [hidden]
        for block in unet.down_blocks:
            hidden, outputs = _run(block, hidden, shifts, context)
            skipped += outputs
        hidden = _run(unet.mid_block, hidden, shifts, context)
        for block in unet.up_blocks:
            count = len(block.resnets)
            residuals, skipped = tuple(skipped[-count:]), skipped[:-count]
            size = skipped[-1].shape[2:] if uneven and skipped else None
            hidden = _run(block, hidden, shifts, context,
                          res_hidden_states_tuple=residuals, upsample_size=size)
        return unet.conv_out(unet.conv_act(unet.conv_norm_out(hidden)))


class TimeShifts(nn.Module):
    """
    The ``time_embedding`` graph.

    :param unet: the UNet that it serves.
    """

    def __init__(self, unet: SteppedUNet) -> None:
        super().__init__()
        self.unet = unet

    def forward(self, timestep: Tensor) -> tuple[Tensor]:
        """
        Compute the shifts of a timestep.

        :param timestep: (1,) float32.
        :returns: (1, shifts) float32.
        """
        return (self.unet.time_shifts(timestep).float(),)


class GuidedUNet(nn.Module):
    """
    The ``unet`` graph: all three branches in one batch.

    :param unet: the UNet.
    :param text_tokens: N, the rows of psi("") in the null context.
    :param zero_tokens: the rows of zeros after them.
    """

    _logits: Tensor | None

    def __init__(self, unet: SteppedUNet, text_tokens: int, zero_tokens: int) -> None:
        super().__init__()
        self.unet = unet
        logits = zero_key_logits(zero_tokens, unet.dtype)
        self.zero_keys = len(logits)
        self.register_buffer(
            '_logits',
            torch.tensor([0.] * text_tokens + logits, dtype=unet.dtype) if logits else None,
            persistent=False)

    def forward(self, sample: Tensor, shifts: Tensor, full: Tensor,
                null: Tensor) -> tuple[Tensor]:
        """
        Estimate the noise with each branch.

        :param sample: (3B, channels, h, w) float32 in the order of ``Branch``.
        :param shifts: (1, shifts) float32.
        :param full: (B, size) keys and values of the full branch.
        :param null: (1, size) those of the other two.
        :returns: (3B, latent channels, h, w) float32.
        """
        layers = self.unet.layers
        context = [LayerContext(pair, null_pair, self._logits) for pair, null_pair in
                   zip(unpack(full, layers), unpack(null, layers), strict=True)]
        return (self.unet(sample, shifts, context).float(),)


class UnguidedUNet(nn.Module):
    """
    The ``unet_full`` graph: the full branch alone, on the same weights.

    :param unet: the UNet.
    """

    def __init__(self, unet: SteppedUNet) -> None:
        super().__init__()
        self.unet = unet

    def forward(self, sample: Tensor, shifts: Tensor, full: Tensor) -> tuple[Tensor]:
        """
        Estimate the noise with the full branch.

        :param sample: (B, channels, h, w) float32.
        :param shifts: (1, shifts) float32.
        :param full: (B, size) keys and values.
        :returns: (B, latent channels, h, w) float32.
        """
        context = [LayerContext(pair, None, None) for pair in unpack(full, self.unet.layers)]
        return (self.unet(sample, shifts, context).float(),)


class Shift(nn.Module):
    """
    What stands in a residual block for the projection of its time embedding.

    :param start: where the block's channels begin in what all blocks add.
    :param stop: where they end.
    """

    def __init__(self, start: int, stop: int) -> None:
        super().__init__()
        self._start = start
        self._stop = stop

    def forward(self, shifts: Tensor) -> Tensor:
        """Take (S, channels of the block) out of (S, those of all blocks)."""
        return shifts[:, self._start:self._stop]


def share(module: Network, dtype: torch.dtype) -> Network:
    """
    Copy the structure of a network and share its weights, so that the copy may be rebuilt.

    :param module: the network.
    :param dtype: of the copy's weights; another one than the network's does copy them.
    :returns: the copy, in evaluation mode, whose weights take no gradients.
    """
    known: dict[int, object] = {
        id(weight): nn.Parameter(weight.detach().to(dtype), requires_grad=False)
        for weight in module.parameters()}
    for buffer in module.buffers():
        known[id(buffer)] = buffer.to(dtype) if buffer.is_floating_point() else buffer
    return copy.deepcopy(module, known).eval()


def _take_time_projections(unet: UNet2DConditionModel) -> list[nn.Linear]:
    """Replace each residual block's time projection by its share of what comes in ready."""
    projections = []
    start = 0
    for block in unet.modules():
        if isinstance(block, ResnetBlock2D):
            projection = block.time_emb_proj
            projections.append(projection)
            block.time_emb_proj = Shift(start, start + projection.out_features)
            block.skip_time_act = True
            start += projection.out_features
    return projections


def _run(block: Any, hidden: Tensor, shifts: Tensor, context: Sequence[LayerContext],
         **more: Any) -> Any:
    if getattr(block, 'has_cross_attention', False):
        more['encoder_hidden_states'] = context
    return block(hidden, temb=shifts, **more)


def _check_kind(unet: UNet2DConditionModel) -> None:
    config = unet.config
    wrong = [f'{name} is {config[name]!r}' for name, plain in _UNSUPPORTED.items()
             if config.get(name, plain) != plain]
    if unet.mid_block is None:
        wrong.append('it has no middle block')
    if wrong:
        raise LegoError(
            ErrorCode.BUNDLE_MISMATCH,
            "The UNet is not of Stable Diffusion 1.5's kind and has no engine: "
            f'{"; ".join(wrong)}.')
