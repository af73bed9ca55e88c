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
Drawing action frames on engines: what :class:`LegoPipeline` computes, with nothing done twice.

The same noise for a seed, the same mathematics, but what depends on the schedule or on the query
alone is computed before the loop, and nothing in the loop waits for the device.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import cast

from diffusers.schedulers.scheduling_utils import SchedulerMixin
from diffusers.utils.torch_utils import randn_tensor
from lego_ros.engines.engine import Engine
from lego_ros.errors import ErrorCode, LegoError
from lego_ros.ldm.conditioning import fit_rows
from lego_ros.ldm.estimation import Estimator, Pace
from lego_ros.ldm.fast import fast_schedule, FastSettings
from lego_ros.ldm.guidance import GUIDANCE_SCALE, IMAGE_GUIDANCE_SCALE
from lego_ros.ldm.inputs import AnyImage, check_settings, image_batch, sample_generators
from lego_ros.ldm.pipeline import STEPS
from lego_ros.ldm.schedules import Schedule, schedule_of
import numpy as np
import torch
from torch import Tensor
from transformers import CLIPTokenizer

Check = Callable[[], None]
OnStep = Callable[[int, int], None]

# Schedules that are kept ready. A caller that changes its number of steps all the time should not
# fill the memory: at paper size a hundred steps take 8 MB.
_KEPT_PLANS = 4


@dataclass(frozen=True)
class DrawingSettings:
    """
    How to draw.

    :param steps: of the exact mode, 1 to 1000.
    :param image_guidance_scale: s_x, finite, at least 0.
    :param guidance_scale: s_c, finite, at least 0.
    :param fast: how to draw nearly the exact mode's picture with less work, or None for the exact
        mode itself.
    """

    steps: int = STEPS
    image_guidance_scale: float = IMAGE_GUIDANCE_SCALE
    guidance_scale: float = GUIDANCE_SCALE
    fast: FastSettings | None = None


@dataclass(frozen=True, eq=False)
class _Plan:
    """A schedule, and what the UNet's blocks add at each of its steps: (steps, shifts)."""

    schedule: Schedule
    shifts: Tensor


class EnginePipeline:
    """
    Draws action frames. All calls come from one thread.

    :param engines: those of :func:`lego_ros.ldm.graphs.ldm_graphs`, on one device. ``unet_full``
        may be missing where fast mode is not asked for.
    :param tokenizer: the text encoder's.
    :param scheduler: the sampler; it stays as it is.
    :raises LegoError: INVALID_SETTING when an engine is missing or they lie on several devices.
    """

    def __init__(self, engines: Mapping[str, Engine], tokenizer: CLIPTokenizer,
                 scheduler: SchedulerMixin) -> None:
        self._engines = dict(engines)
        self._check_engines()
        self._tokenizer = tokenizer
        self._scheduler = scheduler
        self.device = self._engines['unet'].device
        self._batch, self._text_tokens = self._shape('text_encoder', 'input_ids')
        self._frames = self._shape('vae_encoder', 'frames')
        self._latents = self._shape('vae_decoder', 'latents')
        sample = self._shape('unet', 'sample')
        self._estimator = Estimator(
            self._engines, torch.zeros(sample, device=self.device), self._latents)
        self._plans: dict[tuple[int, FastSettings | None], _Plan] = {}
        self._psi_null = self._encode([''] * self._batch)[:1]

    def draw(
        self,
        image: AnyImage,
        prompts: list[str],
        image_embeds: Tensor | None = None,
        text_embeds: Tensor | None = None,
        settings: DrawingSettings = DrawingSettings(),
        generator: torch.Generator | list[torch.Generator] | None = None,
        check: Check | None = None,
        on_step: OnStep | None = None,
    ) -> np.ndarray:
        """
        Draw one action frame per input frame.

        :param image: B frames, see :func:`lego_ros.ldm.inputs.image_batch`, of the size that the
            engines were made for.
        :param prompts: B enriched descriptions R, cut to N tokens each.
        :param image_embeds: H_i (B, M, vllm_hidden), where the context holds image tokens.
        :param text_embeds: H_t (B, any length, vllm_hidden), cut or zero-padded to N rows, where
            the context holds the VLLM's text tokens.
        :param settings: how.
        :param generator: the noise, see :func:`lego_ros.ldm.inputs.sample_generators`.
        :param check: called before the text encoder, the auto-encoder's two passes and each step;
            what it raises ends the call.
        :param on_step: called after each step with the number of steps done and of all.
        :returns: (B, H, W, 3) float32 in [0, 1].
        :raises LegoError: INVALID_SETTING for a setting out of range, INFERENCE_FAILED when the
            result is not finite, and what the engines raise.
        :raises ValueError: for inputs that are malformed or do not go together.
        """
        check = check or _nothing
        check_settings(settings.steps, settings.image_guidance_scale, settings.guidance_scale,
                       'np')
        frames = self._checked_frames(image, prompts)
        generators = sample_generators(generator, self._batch)
        plan = self._plan(settings)
        check()
        keys_values = self._encode_context(prompts, image_embeds, text_embeds)
        check()
        frame_latents = self._run('vae_encoder', 'latents', frames=frames.to(self.device))
        self._estimator.begin(frame_latents, keys_values,
                              (settings.image_guidance_scale, settings.guidance_scale))
        latents, noise = self._draw_noise(plan.schedule, generators)
        self._denoise(plan, latents, noise, check, on_step or _nothing)
        check()
        return self._decode(latents)

    def close(self) -> None:
        """Let go of the engines, which their maker closes."""
        self._engines.clear()
        self._plans.clear()
        del self._estimator

    def _denoise(self, plan: _Plan, latents: Tensor, noise: Tensor | None, check: Check,
                 on_step: OnStep) -> None:
        """Denoise (B, 4, h, w) in place."""
        steps = plan.schedule.steps
        # One flag per step, read once after the loop: reading each would make a GPU wait.
        finite = torch.zeros(len(steps), dtype=torch.bool, device=self.device)
        pace = Pace(self.device)
        believed = torch.zeros_like(latents)
        for index, step in enumerate(steps):
            check()
            estimate = self._estimator.estimate(step, latents, plan.shifts[index:index + 1])
            clean = (latents * step.clean_from_latents).add_(
                estimate, alpha=step.clean_from_estimate)
            latents.mul_(step.keep).add_(clean, alpha=step.now)
            if step.before:
                latents.add_(believed, alpha=step.before)
            if noise is not None:
                latents.add_(noise[index])
            believed = clean
            torch.all(torch.isfinite(latents), out=finite[index])
            pace.step()
            on_step(index + 1, len(steps))
        _check_finite(finite)

    def _plan(self, settings: DrawingSettings) -> _Plan:
        key = (settings.steps, settings.fast)
        if key not in self._plans:
            schedule = schedule_of(self._scheduler, settings.steps)
            if settings.fast is not None:
                schedule = fast_schedule(schedule, settings.fast)
            timesteps = torch.tensor(
                [step.timestep for step in schedule.steps], dtype=torch.float32,
                device=self.device)
            shifts = torch.cat([
                self._run('time_embedding', 'time_shifts', timestep=timestep)
                for timestep in timesteps.split(1)])
            while len(self._plans) >= _KEPT_PLANS:
                self._plans.pop(next(iter(self._plans)))
            self._plans[key] = _Plan(schedule, shifts)
        return self._plans[key]

    def _encode(self, texts: list[str]) -> Tensor:
        tokens = self._tokenizer(
            texts, padding='max_length', truncation=True, max_length=self._text_tokens,
            return_tensors='pt')
        return self._run('text_encoder', 'psi', input_ids=tokens.input_ids.to(self.device))

    def _encode_context(self, prompts: list[str], image_embeds: Tensor | None,
                        text_embeds: Tensor | None) -> dict[str, Tensor]:
        """Compute the keys and values of all cross-attention layers."""
        given = {'image_embeds': image_embeds, 'text_embeds': text_embeds}
        embeds = {name: self._place(embed) for name, embed in given.items() if embed is not None}
        context = self._encode(prompts)
        conditioning = self._engines.get('conditioning')
        wanted = {spec.name for spec in conditioning.inputs} if conditioning else {'psi'}
        if wanted != {'psi', *embeds}:
            raise ValueError(
                f'The engines take {", ".join(sorted(wanted - {"psi"})) or "no embeddings"}, got '
                f'{", ".join(sorted(embeds)) or "none"}.')
        if 'text_embeds' in embeds:
            embeds['text_embeds'] = fit_rows(embeds['text_embeds'], self._text_tokens).contiguous()
        if conditioning is not None:
            context = self._run('conditioning', 'context', psi=context, **embeds)
        return self._engines['cross_attention'].run(
            {'context': context, 'psi_null': self._psi_null})

    def _draw_noise(self, schedule: Schedule, generators: list[torch.Generator]
                    ) -> tuple[Tensor, Tensor | None]:
        """
        Draw all of a picture's noise, in the order in which the pipeline does.

        :returns: the first latents (B, 4, h, w), and what each step adds (steps, B, 4, h, w).
        """
        count = schedule.noise.shape[1]
        draws = torch.stack([
            randn_tensor(self._latents, generator=generators, dtype=torch.float32)
            for _ in range(1 + count)])
        latents = self._place(draws[0] * schedule.initial)
        if not count:
            return latents, None
        weights = torch.from_numpy(schedule.noise).to(torch.float32)
        return latents, self._place(torch.tensordot(weights, draws[1:], dims=1))

    def _decode(self, latents: Tensor) -> np.ndarray:
        pictures = self._run('vae_decoder', 'pictures', latents=latents)
        if not bool(torch.isfinite(pictures).all()):
            raise LegoError(
                ErrorCode.INFERENCE_FAILED,
                'The decoder gave values that are not finite; an engine in 16 bit may need 32 '
                'bit, or the weights are damaged.')
        return (pictures / 2 + 0.5).clamp(0, 1).permute(0, 2, 3, 1).cpu().numpy()

    def _run(self, engine: str, output: str, **feeds: Tensor) -> Tensor:
        return self._engines[engine].run(feeds)[output]

    def _place(self, tensor: Tensor) -> Tensor:
        return tensor.to(self.device, torch.float32).contiguous()

    def _shape(self, engine: str, name: str) -> tuple[int, ...]:
        spec = next(spec for spec in self._engines[engine].inputs if spec.name == name)
        return cast('tuple[int, ...]', spec.shape)

    def _checked_frames(self, image: AnyImage, prompts: list[str]) -> Tensor:
        frames = image_batch(image, self._frames[2] // self._latents[2])
        if tuple(frames.shape) != self._frames or len(prompts) != self._batch:
            raise ValueError(
                f'The engines draw {self._batch} picture(s) of {self._frames[3]} x '
                f'{self._frames[2]} pixels at a time, got {len(frames)} frame(s) of '
                f'{frames.shape[3]} x {frames.shape[2]} and {len(prompts)} prompt(s).')
        return frames.contiguous()

    def _check_engines(self) -> None:
        missing = {'text_encoder', 'cross_attention', 'time_embedding', 'unet', 'vae_encoder',
                   'vae_decoder'} - set(self._engines)
        if missing:
            raise LegoError(ErrorCode.INVALID_SETTING,
                            f'Drawing needs engines for {", ".join(sorted(missing))} too.')
        devices = sorted({str(engine.device) for engine in self._engines.values()})
        if len(devices) > 1:
            raise LegoError(ErrorCode.INVALID_SETTING,
                            f'The engines lie on {", ".join(devices)}; put them all on '
                            'one device.')


def _check_finite(finite: Tensor) -> None:
    flags = finite.tolist()
    if not all(flags):
        raise LegoError(
            ErrorCode.INFERENCE_FAILED,
            f'Denoising step {flags.index(False) + 1} of {len(flags)} gave values that are not '
            'finite; a guidance scale may be too high, an engine in 16 bit may need 32 bit, or '
            'the weights are damaged.')


def _nothing(*_: object) -> None:
    """Stand in for a callback that nobody asked for."""
