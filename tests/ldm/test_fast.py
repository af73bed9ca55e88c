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

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from diffusers import DDIMScheduler, EulerAncestralDiscreteScheduler, EulerDiscreteScheduler
from lego_ros.engines.torch_engine import TorchEngine
from lego_ros.errors import ErrorCode, LegoError
from lego_ros.ldm.config import scheduler_config
from lego_ros.ldm.drawing import DrawingSettings, EnginePipeline
from lego_ros.ldm.fast import fast_schedule, FastSettings
from lego_ros.ldm.graphs import ldm_graphs
from lego_ros.ldm.pipeline import LegoPipeline
from lego_ros.ldm.schedules import Schedule, schedule_of
import numpy as np
import pytest
import torch
from torch import Tensor

SAMPLERS = {
    'ancestral': EulerAncestralDiscreteScheduler(**scheduler_config()),
    'euler': EulerDiscreteScheduler(**scheduler_config()),
    'ddim': DDIMScheduler(**scheduler_config(), clip_sample=False)}
PROMPT = 'pull the handle with the right hand'


class CountingEngine(TorchEngine):
    """A network that counts how often it is run."""

    runs = 0

    def run(self, feeds: Mapping[str, Tensor], into: Mapping[str, Tensor] | None = None
            ) -> dict[str, Tensor]:
        self.runs += 1
        return super().run(feeds, into)


class KnownDistribution:
    """
    The ideal denoiser of pictures that are one of eight patterns, each with noise of its own.

    What is left to a sampler is then its own error alone.
    """

    def __init__(self) -> None:
        source = torch.Generator().manual_seed(5)
        self.patterns = torch.randn(8, 64, generator=source, dtype=torch.float64) / 2
        self.spread = 0.3

    def solve(self, schedule: Schedule, seed: int) -> Tensor:
        """Draw 16 pictures by a schedule."""
        source = torch.Generator().manual_seed(seed)
        shape = (1 + schedule.noise.shape[1], 16, 64)
        draws = torch.randn(shape, generator=source, dtype=torch.float64)
        latents, before = draws[0] * schedule.initial, torch.zeros(16, 64, dtype=torch.float64)
        for step, row in zip(schedule.steps, schedule.noise, strict=True):
            # The estimate of the noise, in latents that are signal * picture + noise * estimate.
            signal = 1. if schedule.initial > 2 else (1 + step.sigma ** 2) ** -0.5
            estimate = (latents / signal - self._mean(latents / signal, step.sigma)) / step.sigma
            clean = step.clean_from_latents * latents + step.clean_from_estimate * estimate
            latents = step.keep * latents + step.now * clean + step.before * before
            latents = latents + torch.tensordot(torch.from_numpy(row), draws[1:], dims=1)
            before = clean
        return latents

    def _mean(self, noisy: Tensor, sigma: float) -> Tensor:
        variance = self.spread ** 2 + sigma ** 2
        distances = torch.cdist(noisy, self.patterns).square()
        pattern = torch.softmax(-distances / (2 * variance), dim=1) @ self.patterns
        return (pattern * sigma ** 2 + noisy * self.spread ** 2) / variance


def apart(one: Tensor, other: Tensor) -> float:
    """Give the root mean square difference of the median picture."""
    return float((one - other).square().mean(dim=1).sqrt().median())


@pytest.fixture(scope='module')
def drawer(pipeline: LegoPipeline) -> EnginePipeline:
    engines = {name: TorchEngine(graph) for name, graph in ldm_graphs(pipeline).items()}
    return EnginePipeline(engines, pipeline.tokenizer, pipeline.scheduler)


@pytest.mark.parametrize('sampler', SAMPLERS)
def test_fast_mode_comes_to_the_exact_answer_of_the_same_seed(sampler: str) -> None:
    world = KnownDistribution()
    exact = schedule_of(SAMPLERS[sampler], 100)
    answer = world.solve(exact, seed=1)
    errors = [apart(world.solve(fast_schedule(exact, FastSettings(steps, 1)), seed=1), answer)
              for steps in (5, 10, 20, 40)]
    assert errors == sorted(errors, reverse=True)
    # The patterns are 1.4 apart, and each picture 0.3 from its pattern.
    assert errors[2] < 0.03
    assert apart(world.solve(exact, seed=2), answer) > 0.3
    # Steps of the same number that do not follow the exact ones end elsewhere.
    fewer = apart(world.solve(schedule_of(SAMPLERS[sampler], 20), seed=1), answer)
    assert errors[2] < fewer / 2


@pytest.mark.parametrize('sampler', SAMPLERS)
def test_all_steps_are_the_exact_mode(sampler: str) -> None:
    exact = schedule_of(SAMPLERS[sampler], 30)
    same = fast_schedule(exact, FastSettings(30, 30))
    assert same.initial == exact.initial
    assert [replace(step, before=0.) for step in same.steps] == list(exact.steps)
    assert all(step.before == 0 for step in same.steps)
    np.testing.assert_array_equal(same.noise, exact.noise)


@pytest.mark.parametrize('steps', [2, 7, 20, 99])
def test_the_steps_are_some_of_the_exact_ones(steps: int) -> None:
    exact = schedule_of(SAMPLERS['ancestral'], 100)
    fast = fast_schedule(exact, FastSettings(steps, min(steps, 3)))
    timesteps = [step.timestep for step in fast.steps]
    assert len(set(timesteps)) == steps
    assert timesteps == sorted(timesteps, reverse=True)
    assert set(timesteps) <= {step.timestep for step in exact.steps}
    assert (timesteps[0], timesteps[-1]) == (999, 0)
    assert [step.guided for step in fast.steps] == [index < 3 for index in range(steps)]
    # A picture that is believed in all the time is what all steps end at.
    clean = torch.tensor(1., dtype=torch.float64)
    latents = torch.tensor(5., dtype=torch.float64)
    for step in fast.steps:
        latents = step.keep * latents + step.now * clean + step.before * clean
        if step is fast.steps[0]:
            # There is no belief before the first.
            assert step.before == 0
    assert float(latents) == pytest.approx(1., abs=1e-12)


def test_a_fast_drawing_is_repeatable_and_near(
    drawer: EnginePipeline, frame: np.ndarray, embeds: dict[str, torch.Tensor],
) -> None:
    def draw(fast: FastSettings | None, seed: int = 0) -> np.ndarray:
        return drawer.draw(
            frame, [PROMPT], **embeds, settings=DrawingSettings(steps=40, fast=fast),
            generator=torch.Generator().manual_seed(seed))

    exact = draw(None)
    assert np.array_equal(draw(FastSettings(40, 40)), exact)
    fast = draw(FastSettings(20, 10))
    assert np.array_equal(draw(FastSettings(20, 10)), fast)
    off = np.abs(fast - exact).mean()
    assert 0 < off < np.abs(draw(None, seed=1) - exact).mean() / 2


def test_steps_without_guidance_run_one_branch(
    pipeline: LegoPipeline, frame: np.ndarray, embeds: dict[str, torch.Tensor],
) -> None:
    engines = {name: CountingEngine(graph) for name, graph in ldm_graphs(pipeline).items()}
    drawer = EnginePipeline(engines, pipeline.tokenizer, pipeline.scheduler)
    steps: list[tuple[int, int]] = []
    drawer.draw(frame, [PROMPT], **embeds,
                settings=DrawingSettings(steps=30, fast=FastSettings(8, 3)),
                on_step=lambda done, of: steps.append((done, of)))
    assert (engines['unet'].runs, engines['unet_full'].runs) == (3, 5)
    assert engines['cross_attention'].runs == 1
    assert steps == [(done, 8) for done in range(1, 9)]
    drawer.draw(frame, [PROMPT], **embeds,
                settings=DrawingSettings(steps=30, fast=FastSettings(8, 3)))
    # The schedule is kept: its 8 embeddings were computed once.
    assert engines['time_embedding'].runs == 8

    del engines['unet_full']
    without = EnginePipeline(engines, pipeline.tokenizer, pipeline.scheduler)
    with pytest.raises(LegoError, match='unet_full'):
        without.draw(frame, [PROMPT], **embeds,
                     settings=DrawingSettings(steps=30, fast=FastSettings(8, 3)))


@pytest.mark.parametrize('settings', [
    FastSettings(1, 1), FastSettings(31, 1), FastSettings(10, 0), FastSettings(10, 11)])
def test_settings_that_leave_nothing_out_are_refused(settings: FastSettings) -> None:
    exact = schedule_of(SAMPLERS['euler'], 30)
    with pytest.raises(LegoError) as caught:
        fast_schedule(exact, settings)
    assert caught.value.code is ErrorCode.INVALID_SETTING
