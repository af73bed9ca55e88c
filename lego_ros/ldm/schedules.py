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
Samplers as tables of numbers: what a step multiplies and adds, worked out before the first one.

Every sampler here is linear in the latents, in what the UNet says and in the noise. So a step
needs a few numbers that depend on the schedule alone, and no work on the host between two runs of
the UNet. Timesteps and noise levels are those of diffusers' samplers; the numbers are worked out
in float64.
"""

from __future__ import annotations

from dataclasses import dataclass

from diffusers import DDIMScheduler, EulerAncestralDiscreteScheduler, EulerDiscreteScheduler
from diffusers.schedulers.scheduling_utils import SchedulerMixin
from lego_ros.errors import ErrorCode, LegoError
import numpy as np


@dataclass(frozen=True)
class Step:
    """
    One step of a sampler.

    With the latents x and the guided estimate e that the UNet gives for ``scale x``, the clean
    picture is believed to be ``m = m_x x + m_e e``, and the next latents are
    ``keep x + now m + before m'`` and noise, where m' is the m of the step before.

    :param timestep: what the UNet is told.
    :param sigma: standard deviation of the noise in the latents over that of the picture in them.
    :param scale: of the latents before they go to the UNet.
    :param clean_from_latents: m_x.
    :param clean_from_estimate: m_e.
    :param keep: of the latents.
    :param now: of the clean picture as believed now.
    :param before: of the clean picture as believed at the step before; 0 at the first.
    :param guided: whether all branches are run, or :attr:`Branch.FULL` alone.
    """

    timestep: float
    sigma: float
    scale: float
    clean_from_latents: float
    clean_from_estimate: float
    keep: float
    now: float
    before: float = 0.
    guided: bool = True


@dataclass(frozen=True, eq=False)
class Schedule:
    """
    All steps of a sampler.

    :param initial: the standard deviation of the first latents.
    :param steps: the steps in their order.
    :param noise: (steps, draws) float64: how much of each draw from a normal distribution a step
        adds to the latents.
    """

    initial: float
    steps: tuple[Step, ...]
    noise: np.ndarray


def schedule_of(scheduler: SchedulerMixin, steps: int) -> Schedule:
    """
    Work out the steps of a sampler.

    :param scheduler: diffusers' Euler-ancestral, Euler or DDIM sampler; it stays as it is.
    :param steps: how many, 1 to 1000.
    :returns: the schedule.
    :raises LegoError: INVALID_SETTING for another sampler, or one that clips or was told to work
        in another way that a table cannot hold.
    """
    if isinstance(scheduler, (EulerAncestralDiscreteScheduler, EulerDiscreteScheduler)):
        return _euler(scheduler, steps)
    if isinstance(scheduler, DDIMScheduler):
        return _ddim(scheduler, steps)
    raise _unknown(scheduler, 'it is none of Euler-ancestral, Euler and DDIM')


def _euler(scheduler: SchedulerMixin, count: int) -> Schedule:
    """Work out Euler's steps, or ancestral ones, for ``x = clean + sigma * noise``."""
    config = scheduler.config
    # The defaults are for the sampler that has no such setting.
    settings = (config.get('timestep_type', 'discrete'), config.get('final_sigmas_type', 'zero'))
    if settings != ('discrete', 'zero'):
        raise _unknown(
            scheduler,
            f'timestep_type and final_sigmas_type are {settings}, not discrete and zero')
    ancestral = isinstance(scheduler, EulerAncestralDiscreteScheduler)
    own = type(scheduler).from_config(config)
    own.set_timesteps(count)
    sigmas = own.sigmas.double().tolist()
    noise = np.zeros((count, count if ancestral else 0))
    steps = []
    for index, timestep in enumerate(own.timesteps.tolist()):
        sigma, after = sigmas[index:index + 2]
        total = sigma ** 2 + 1
        if _prediction(scheduler) == 'epsilon':
            clean = (1., -sigma)
        else:
            clean = (1 / total, -sigma / total ** 0.5)
        keep = after / sigma
        if ancestral:
            # Down to sigma_down = after ** 2 / sigma, and up again by noise.
            keep *= after / sigma
            noise[index, index] = after * (1 - keep) ** 0.5
        steps.append(Step(timestep, sigma, total ** -0.5, *clean, keep, 1 - keep))
    return Schedule(float(own.init_noise_sigma), tuple(steps), noise)


def _ddim(scheduler: DDIMScheduler, count: int) -> Schedule:
    """Work out DDIM's steps without noise (Song et al. 2021, Eq. 12)."""
    config = scheduler.config
    if config.clip_sample or config.thresholding:
        raise _unknown(scheduler, 'clip_sample and thresholding must be off')
    own = DDIMScheduler.from_config(config)
    own.set_timesteps(count)
    alphas = own.alphas_cumprod.double()
    stride = config.num_train_timesteps // count
    steps = []
    for timestep in own.timesteps.tolist():
        alpha = float(alphas[timestep])
        after = timestep - stride
        alpha_after = float(alphas[after] if after >= 0 else own.final_alpha_cumprod)
        signal, noise = alpha ** 0.5, (1 - alpha) ** 0.5
        if _prediction(scheduler) == 'epsilon':
            clean = (1 / signal, -noise / signal)
        else:
            clean = (signal, -noise)
        # The noise in the latents is what the clean picture leaves of them; it is kept, scaled.
        keep = ((1 - alpha_after) / (1 - alpha)) ** 0.5
        now = alpha_after ** 0.5 - keep * signal
        steps.append(Step(timestep, noise / signal, 1., *clean, keep, now))
    return Schedule(1., tuple(steps), np.zeros((count, 0)))


def _prediction(scheduler: SchedulerMixin) -> str:
    """Say what the UNet estimates: the noise or the velocity."""
    prediction: str = scheduler.config.prediction_type
    if prediction not in ('epsilon', 'v_prediction'):
        raise _unknown(scheduler, f'prediction_type is {prediction!r}')
    return prediction


def _unknown(scheduler: SchedulerMixin, why: str) -> LegoError:
    return LegoError(
        ErrorCode.INVALID_SETTING,
        f'{type(scheduler).__name__} cannot run on engines: {why}. Use the pipeline itself, or '
        'a bundle with another sampler.')
