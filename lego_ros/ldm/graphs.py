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

"""The generator's networks as graphs: what is exported, built and run by engines."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from diffusers import AutoencoderKL
from lego_ros.engines.engine import TensorSpec
from lego_ros.engines.graph import Graph
from lego_ros.errors import ErrorCode, LegoError
from lego_ros.ldm.cached_attention import KeysAndValues, packed_size
from lego_ros.ldm.conditioning import LegoConditioning
from lego_ros.ldm.guidance import Branch
from lego_ros.ldm.pipeline import LegoPipeline
from lego_ros.ldm.unet_graph import GuidedUNet, share, SteppedUNet, TimeShifts, UnguidedUNet
import torch
from torch import nn, Tensor
from transformers import CLIPTextModel

FORMATS = (torch.float32, torch.bfloat16, torch.float16)


@dataclass(frozen=True)
class ContextTokens:
    """
    Which tokens the context holds beside psi(R); the ablations of Table 3 leave some out.

    :param image: whether the VLLM's image tokens.
    :param text: whether the VLLM's text tokens.
    """

    image: bool = True
    text: bool = True


def ldm_graphs(pipeline: LegoPipeline, dtype: torch.dtype = torch.float32, batch: int = 1,
               tokens: ContextTokens = ContextTokens()) -> dict[str, Graph]:
    """
    Make the graphs of a pipeline.

    They are ``text_encoder``, ``conditioning`` (none where the context is psi(R) alone),
    ``cross_attention``, ``time_embedding``, ``unet``, ``unet_full`` (the full branch alone, for
    fast mode), ``vae_encoder`` and ``vae_decoder``. All sizes are fixed.

    ``time_embedding`` takes sines of timesteps up to 999, which bfloat16 does not tell apart: an
    engine that is told to compute in bfloat16 must not be told so for this graph, which runs once
    per step of a new schedule only.

    :param pipeline: the parts, on the CPU. They stay as they are; weights that have the format
        already are shared with them, and the UNet's graphs share theirs with each other.
    :param dtype: number format of all networks, one of :data:`FORMATS`.
    :param batch: B, how many pictures are drawn together.
    :param tokens: what the context holds.
    :returns: the graphs by their names.
    :raises LegoError: BUNDLE_MISMATCH for a UNet of another kind than Stable Diffusion 1.5's,
        INVALID_SETTING for another number format or a batch of none.
    """
    if dtype not in FORMATS or batch < 1:
        raise LegoError(
            ErrorCode.INVALID_SETTING,
            f'Graphs are made in {", ".join(map(str, FORMATS))} and for at least one picture, got '
            f'{dtype} and {batch}.')
    size = pipeline.conditioning.config
    psi = (size.text_tokens, size.cross_attention_dim)
    context_tokens = (size.text_tokens + tokens.image * size.image_tokens
                      + tokens.text * size.text_tokens)
    graphs = {'text_encoder': _text_encoder_graph(pipeline.text_encoder, dtype, batch, psi[0])}
    if tokens.image or tokens.text:
        graphs['conditioning'] = _conditioning_graph(
            pipeline.conditioning, dtype, batch, tokens, context_tokens)
    graphs.update(_unet_graphs(pipeline, dtype, batch, context_tokens))
    graphs.update(_vae_graphs(pipeline.vae, dtype, batch, pipeline.resolution))
    return graphs


class TextEncoder(nn.Module):
    """
    The ``text_encoder`` graph.

    :param model: CLIP's text encoder, psi.
    """

    def __init__(self, model: CLIPTextModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: Tensor) -> tuple[Tensor]:
        """
        Encode texts.

        :param input_ids: (B, N) int64, cut and padded to N.
        :returns: psi (B, N, D) float32, the last hidden state.
        """
        return (self.model(input_ids).last_hidden_state.float(),)


class Conditioning(nn.Module):
    """
    The ``conditioning`` graph.

    :param model: sigma, mu and pi.
    :param tokens: which inputs follow psi.
    """

    def __init__(self, model: LegoConditioning, tokens: ContextTokens) -> None:
        super().__init__()
        self.model = model
        self._tokens = tokens

    def forward(self, psi: Tensor, first: Tensor, second: Tensor | None = None
                ) -> tuple[Tensor]:
        """
        Build the context C (Eq. 1).

        :param psi: (B, N, D) float32.
        :param first: H_i (B, M, vllm_hidden) float32 where the context holds image tokens, else
            H_t (B, N, vllm_hidden).
        :param second: H_t where it holds both.
        :returns: C (B, T, D) float32.
        """
        dtype = self.model.dtype
        image = first.to(dtype) if self._tokens.image else None
        text = second if self._tokens.image else first
        return (self.model(psi.to(dtype), image,
                           None if text is None else text.to(dtype)).float(),)


class VaeEncoder(nn.Module):
    """
    The ``vae_encoder`` graph.

    :param model: the auto-encoder.
    """

    def __init__(self, model: AutoencoderKL) -> None:
        super().__init__()
        self.model = model

    def forward(self, frames: Tensor) -> tuple[Tensor]:
        """
        Encode frames.

        :param frames: (B, 3, H, W) float32 in [-1, 1].
        :returns: the mode (B, 4, h, w) float32, not scaled, as the UNet takes it.
        """
        distribution = self.model.encode(frames.to(self.model.dtype)).latent_dist
        return (distribution.mode().float(),)


class VaeDecoder(nn.Module):
    """
    The ``vae_decoder`` graph.

    :param model: the auto-encoder.
    """

    def __init__(self, model: AutoencoderKL) -> None:
        super().__init__()
        self.model = model
        self._scale = model.config.scaling_factor

    def forward(self, latents: Tensor) -> tuple[Tensor]:
        """
        Decode latents.

        :param latents: (B, 4, h, w) float32, scaled as in the UNet.
        :returns: pictures (B, 3, H, W) float32, about [-1, 1].
        """
        latents = (latents / self._scale).to(self.model.dtype)
        return (self.model.decode(latents).sample.float(),)


def _text_encoder_graph(model: CLIPTextModel, dtype: torch.dtype, batch: int,
                        tokens: int) -> Graph:
    return _graph(
        'text_encoder', TextEncoder(share(model, dtype)),
        [TensorSpec('input_ids', torch.int64, (batch, tokens))],
        [_float32('psi', batch, tokens, model.config.hidden_size)])


def _conditioning_graph(model: LegoConditioning, dtype: torch.dtype, batch: int,
                        tokens: ContextTokens, context_tokens: int) -> Graph:
    size = model.config
    inputs = [_float32('psi', batch, size.text_tokens, size.cross_attention_dim)]
    if tokens.image:
        inputs.append(_float32('image_embeds', batch, size.image_tokens, size.vllm_hidden))
    if tokens.text:
        inputs.append(_float32('text_embeds', batch, size.text_tokens, size.vllm_hidden))
    return _graph(
        'conditioning', Conditioning(share(model, dtype), tokens), inputs,
        [_float32('context', batch, context_tokens, size.cross_attention_dim)])


def _unet_graphs(pipeline: LegoPipeline, dtype: torch.dtype, batch: int,
                 context_tokens: int) -> dict[str, Graph]:
    size = pipeline.conditioning.config
    unet = SteppedUNet(pipeline.unet, dtype)
    guided = GuidedUNet(unet, size.text_tokens, context_tokens - size.text_tokens)
    channels, side = pipeline.unet.config.in_channels, pipeline.unet.config.sample_size
    shifts = _float32('time_shifts', 1, unet.shifts)
    full = TensorSpec('full', dtype, (batch, packed_size(unet.layers, context_tokens)))
    null = TensorSpec(
        'null', dtype, (1, packed_size(unet.layers, size.text_tokens + guided.zero_keys)))

    def sample(name: str, samples: int, depth: int) -> TensorSpec:
        return _float32(name, samples, depth, side, side)

    branches = len(Branch) * batch
    graphs = (
        _graph('cross_attention', KeysAndValues(unet.layers, guided.zero_keys),
               [_float32('context', batch, context_tokens, size.cross_attention_dim),
                _float32('psi_null', 1, size.text_tokens, size.cross_attention_dim)],
               [full, null]),
        _graph('time_embedding', TimeShifts(unet), [_float32('timestep', 1)], [shifts]),
        _graph('unet', guided, [sample('sample', branches, channels), shifts, full, null],
               [sample('noise', branches, channels // 2)]),
        _graph('unet_full', UnguidedUNet(unet), [sample('sample', batch, channels), shifts, full],
               [sample('noise', batch, channels // 2)]))
    return {graph.name: graph for graph in graphs}


def _vae_graphs(vae: AutoencoderKL, dtype: torch.dtype, batch: int,
                side: int) -> dict[str, Graph]:
    own = share(vae, dtype)
    factor = 2 ** (len(vae.config.block_out_channels) - 1)
    pictures = (batch, 3, side, side)
    latents = _float32(
        'latents', batch, vae.config.latent_channels, side // factor, side // factor)
    return {
        'vae_encoder': _graph(
            'vae_encoder', VaeEncoder(own), [_float32('frames', *pictures)], [latents]),
        'vae_decoder': _graph(
            'vae_decoder', VaeDecoder(own), [latents], [_float32('pictures', *pictures)])}


def _graph(name: str, module: nn.Module, inputs: list[TensorSpec],
           outputs: list[TensorSpec]) -> Graph:
    noise = torch.Generator().manual_seed(0)
    example = tuple(_example(spec, noise) for spec in inputs)
    return Graph(name, module.eval(), tuple(inputs), tuple(outputs), example)


def _example(spec: TensorSpec, noise: torch.Generator) -> Tensor:
    shape = cast('tuple[int, ...]', spec.shape)
    if spec.dtype == torch.int64:
        return torch.zeros(shape, dtype=torch.int64)
    return torch.randn(shape, generator=noise).to(spec.dtype)


def _float32(name: str, *shape: int) -> TensorSpec:
    return TensorSpec(name, torch.float32, shape)
