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
One guided step of the UNet: what each trick of ours is worth, and the share of the peak.

PyTorch runs our graph with one trick left out at a time, and diffusers' UNet as it is; all give
the same estimate, which is checked. The engines run the graph as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from benchmarks.kitchen import Bundle, interleaved
from benchmarks.report import Figure
from benchmarks.roofline import flops, matmul_peak
from lego_ros.engines.engine import Engine
from lego_ros.ldm.cached_attention import KeysAndValues
from lego_ros.ldm.graphs import ldm_graphs
from lego_ros.ldm.pipeline import LegoPipeline
from lego_ros.ldm.unet_graph import GuidedUNet, SteppedUNet
from lego_ros.runtime.timings import percentile
from lego_ros.vllm.enrichment import Enrichment
import torch
from torch import nn, Tensor

_TIMESTEP = 501.0
_ROUNDS, _WARM_UPS = 10, 5
# Of float32, relative to the largest value.
_SAME = 1e-3


def measure_steps(bundle: Bundle, words: Enrichment, engines: Mapping[str, Mapping[str, Engine]]
                  ) -> tuple[list[Figure], dict[str, Any]]:
    """
    Measure single steps.

    :param bundle: whose UNet is measured.
    :param words: that make the context.
    :param engines: the bundle's, by the names of backend and precision.
    :returns: milliseconds of a step by each way, and shares of the peak, in words.
    :raises RuntimeError: a way gives another estimate.
    """
    plain = _Plain(bundle.networks().pipeline, words)
    ways = {'diffusers': plain.run, **_without(bundle, plain)}
    wanted = plain.run()
    for name, way in ways.items():
        difference = float((way() - wanted).abs().max() / wanted.abs().max())
        if not difference <= _SAME:
            raise RuntimeError(f'{name} gives another estimate: {difference:.1e} off')
    graph = ldm_graphs(plain.pipeline)['unet']
    work = flops(graph.module, graph.example)
    runs: dict[str, Callable[[], object]] = {
        **{f'PyTorch float32, {name}': way for name, way in ways.items()},
        **{name: partial(kind['unet'].run, _feeds(kind)) for name, kind in engines.items()}}
    seconds = interleaved(runs, _ROUNDS, _WARM_UPS)
    peaks = {name: matmul_peak(dtype) for name, dtype in (
        ('float32', torch.float32), ('bfloat16', torch.bfloat16))}
    shares = {
        name: work / percentile(seconds[name], 50) / peaks[name.split()[-1]] for name in engines}
    return (
        [Figure(f'a step, {name}', 'ms', [1e3 * each for each in samples])
         for name, samples in seconds.items()],
        {'GFLOP of a step': f'{work / 1e9:.2f}, of diffusers {plain.flops() / 1e9:.2f}',
         'peak of a product of 4096 x 4096 [GFLOP/s]': ', '.join(
             f'{name} {peak / 1e9:.0f}' for name, peak in peaks.items()),
         'share of the peak in a step [%]': ', '.join(
             f'{name} {100 * share:.0f}' for name, share in shares.items())})


class _Plain:
    """
    diffusers' UNet on the three branches.

    :param pipeline: whose UNet it is.
    :param words: that make the context.
    """

    def __init__(self, pipeline: LegoPipeline, words: Enrichment) -> None:
        self.pipeline = pipeline
        with torch.no_grad():
            self.context = pipeline.encode_context(
                [words.text], None, words.image_embeds[None], words.text_embeds[None])
        config = pipeline.unet.config
        noise = torch.Generator().manual_seed(0)
        self.sample = torch.randn(
            3, config.in_channels, config.sample_size, config.sample_size, generator=noise)
        self.timestep = torch.tensor([_TIMESTEP])

    @torch.no_grad()
    def run(self) -> Tensor:
        """Estimate the noise."""
        estimate: Tensor = self.pipeline.unet(
            self.sample, self.timestep, self.context, return_dict=False)[0]
        return estimate

    def flops(self) -> int:
        """Count its arithmetic."""
        return flops(self.pipeline.unet, (self.sample, self.timestep, self.context))


class _Step(nn.Module):
    """
    Our step, with its tricks or without one of them.

    :param unet: its blocks.
    :param plain: the inputs.
    :param collapsed: whether the rows of zeros of the null context are one key.
    """

    def __init__(self, unet: SteppedUNet, plain: _Plain, collapsed: bool = True) -> None:
        super().__init__()
        text = plain.pipeline.conditioning.config.text_tokens
        tokens = plain.context.shape[1]
        rows = text if collapsed else tokens
        self.guided = GuidedUNet(unet, rows, tokens - rows)
        self.keys_values = KeysAndValues(unet.layers, self.guided.zero_keys)
        self.inputs = plain.context[2:], plain.context[:1, :rows]
        self.sample, self.timestep = plain.sample, plain.timestep
        with torch.no_grad():
            self.ready = unet.time_shifts(self.timestep), *self.keys_values(*self.inputs)

    @torch.no_grad()
    def forward(self, timed: bool = True, cached: bool = True) -> Tensor:
        """
        Estimate the noise.

        :param timed: whether the time's part is taken ready.
        :param cached: whether keys and values are.
        """
        shifts = self.ready[0] if timed else self.guided.unet.time_shifts(self.timestep)
        keys_values = self.ready[1:] if cached else self.keys_values(*self.inputs)
        estimate: Tensor = self.guided(self.sample, shifts, *keys_values)[0]
        return estimate


def _without(bundle: Bundle, plain: _Plain) -> dict[str, Callable[[], Tensor]]:
    """Give our step, whole and with each trick left out."""
    def fresh(last: bool = True, collapsed: bool = True) -> _Step:
        unet = SteppedUNet(bundle.networks().pipeline.unet, torch.float32)
        if last:
            # The stubs of PyTorch leave this way of calling it out.
            unet.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        return _Step(unet.eval(), plain, collapsed)

    ours = fresh()
    return {
        'ours': ours,
        'without ready keys and values': partial(ours, cached=False),
        'without ready time embeddings': partial(ours, timed=False),
        'with all zeros of the null branch': fresh(collapsed=False),
        'without channels last': fresh(last=False)}


def _feeds(engines: Mapping[str, Engine]) -> dict[str, Tensor]:
    noise = torch.Generator().manual_seed(0)
    return {spec.name: torch.randn(
        [int(size) for size in spec.shape], generator=noise).to(spec.dtype)
        for spec in engines['unet'].inputs}
