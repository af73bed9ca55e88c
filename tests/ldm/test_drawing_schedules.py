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

from diffusers import (
    DDIMScheduler,
    DPMSolverMultistepScheduler,
    EulerAncestralDiscreteScheduler,
    EulerDiscreteScheduler,
)
from lego_ros.errors import ErrorCode, LegoError
from lego_ros.ldm.config import scheduler_config
from lego_ros.ldm.schedules import schedule_of
import numpy as np
import pytest
import torch


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def network(sample: torch.Tensor, timestep: float) -> torch.Tensor:
    """Stand in for a UNet: any function of the sample and the time that is not linear."""
    mixing = torch.randn(4, 4, generator=seeded(2), dtype=torch.float64).to(sample.dtype)
    mixed = torch.einsum('oc,bchw->bohw', mixing, sample)
    return torch.tanh(mixed + timestep / 1000)


@pytest.mark.parametrize('steps', [1, 2, 10, 100])
@pytest.mark.parametrize('spacing', ['linspace', 'leading', 'trailing'])
@pytest.mark.parametrize('prediction', ['epsilon', 'v_prediction'])
@pytest.mark.parametrize(('kind', 'own'), [
    (EulerAncestralDiscreteScheduler, {}), (EulerDiscreteScheduler, {}),
    (EulerDiscreteScheduler, {'use_karras_sigmas': True}),
    (DDIMScheduler, {'clip_sample': False}),
    (DDIMScheduler, {'clip_sample': False, 'set_alpha_to_one': False})])
def test_a_table_does_what_the_sampler_does(
    kind: type, own: dict[str, object], prediction: str, spacing: str, steps: int,
) -> None:
    scheduler = kind(**{**scheduler_config(), **own, 'prediction_type': prediction,
                        'timestep_spacing': spacing})
    schedule = schedule_of(scheduler, steps)
    # The sampler was left as it was: its own 1000 steps.
    assert scheduler.num_inference_steps is None
    scheduler.set_timesteps(steps)
    first = torch.randn(1, 4, 8, 8, generator=seeded(0))
    latents, expected = first.double() * schedule.initial, first * scheduler.init_noise_sigma
    draws, theirs = seeded(1), seeded(1)
    noise = {} if kind is DDIMScheduler else {'generator': theirs}
    drawn = [torch.randn(1, 4, 8, 8, generator=draws) for _ in range(schedule.noise.shape[1])]
    assert len(schedule.steps) == len(scheduler.timesteps) == len(schedule.noise)
    for step, row, timestep in zip(
            schedule.steps, schedule.noise, scheduler.timesteps, strict=True):
        assert step.timestep == pytest.approx(float(timestep), abs=1e-6)
        estimate = network(scheduler.scale_model_input(expected, timestep), step.timestep)
        expected = scheduler.step(estimate, timestep, expected, **noise, return_dict=False)[0]

        estimate = network(latents * step.scale, step.timestep)
        clean = step.clean_from_latents * latents + step.clean_from_estimate * estimate
        latents = step.keep * latents + step.now * clean
        latents += sum(weight * draw for weight, draw in zip(row, drawn, strict=True))
        # The sampler's own float32 is what is left.
        torch.testing.assert_close(
            latents.float(), expected, rtol=0, atol=2e-5 * float(expected.abs().max()))
    assert np.count_nonzero(schedule.noise) == (
        steps - 1 if kind is EulerAncestralDiscreteScheduler else 0)


@pytest.mark.parametrize('scheduler', [
    DPMSolverMultistepScheduler(**scheduler_config()),
    DDIMScheduler(**scheduler_config(), clip_sample=True),
    DDIMScheduler(**{**scheduler_config(), 'prediction_type': 'sample'}, clip_sample=False),
    EulerDiscreteScheduler(**scheduler_config(), final_sigmas_type='sigma_min')],
    ids=['another sampler', 'clips', 'predicts the sample', 'ends with noise'])
def test_a_sampler_that_no_table_holds_is_refused(scheduler: object) -> None:
    with pytest.raises(LegoError, match='cannot run on engines') as caught:
        schedule_of(scheduler, 10)
    assert caught.value.code is ErrorCode.INVALID_SETTING
