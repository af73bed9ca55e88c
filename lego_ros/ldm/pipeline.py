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

"""The action frame generator: a diffusers pipeline over the conditioning C (LEGO, Sec. 3.2)."""

from __future__ import annotations

from collections.abc import Callable
import inspect
from pathlib import Path
from typing import Any

from diffusers import (
    AutoencoderKL,
    DiffusionPipeline,
    EulerAncestralDiscreteScheduler,
    ImagePipelineOutput,
    UNet2DConditionModel,
)
from diffusers.image_processor import VaeImageProcessor
from diffusers.utils.torch_utils import randn_tensor
from lego_ros.errors import ErrorCode, LegoError
from lego_ros.ldm.conditioning import LegoConditioning
from lego_ros.ldm.guidance import (
    GUIDANCE_SCALE,
    IMAGE_GUIDANCE_SCALE,
    stack_branches,
    three_way_guidance,
)
from lego_ros.ldm.inputs import AnyImage, check_settings, image_batch, sample_generators
from lego_ros.ldm.loading import check_components, load_component
import torch
from transformers import CLIPTextModel, CLIPTokenizer

STEPS = 100

# Called after each step as (pipeline, step, timestep, {'latents': latents}); a dict that it
# returns may replace the latents, as in diffusers.
StepCallback = Callable[[Any, int, torch.Tensor, dict[str, torch.Tensor]], Any]


class LegoPipeline(DiffusionPipeline):
    """
    Draws the action frame from the input frame, the description and the VLLM's embeddings.

    :param vae: encodes the input frame and decodes the answer; both see it in [-1, 1].
    :param text_encoder: psi, the CLIP text encoder.
    :param tokenizer: its tokenizer.
    :param unet: with twice the latent's channels at its input.
    :param scheduler: the sampler; Euler-ancestral in the released code.
    :param conditioning: sigma, mu and pi.
    :raises LegoError: BUNDLE_MISMATCH when the parts were not made for each other.
    """

    model_cpu_offload_seq = 'text_encoder->conditioning->unet->vae'

    def __init__(
        self,
        vae: AutoencoderKL,
        text_encoder: CLIPTextModel,
        tokenizer: CLIPTokenizer,
        unet: UNet2DConditionModel,
        scheduler: EulerAncestralDiscreteScheduler,
        conditioning: LegoConditioning,
    ) -> None:
        super().__init__()
        check_components(vae, text_encoder, tokenizer, unet, conditioning)
        self.register_modules(
            vae=vae, text_encoder=text_encoder, tokenizer=tokenizer, unet=unet,
            scheduler=scheduler, conditioning=conditioning)
        self.vae_scale_factor = 2 ** (len(vae.config.block_out_channels) - 1)
        self.image_processor = VaeImageProcessor(vae_scale_factor=self.vae_scale_factor)
        self.set_progress_bar_config(disable=True)

    @classmethod
    def from_pretrained(
        cls, folder: str | Path, torch_dtype: torch.dtype | None = None, **components: Any,
    ) -> LegoPipeline:
        """
        Load what :meth:`save_pretrained` wrote, from a local folder and from safetensors only.

        :param folder: the saved pipeline.
        :param torch_dtype: of the weights; float32 when None.
        :param components: parts to take as they are instead of loading them.
        :returns: the pipeline, in evaluation mode on the CPU.
        :raises LegoError: BUNDLE_NOT_FOUND, BUNDLE_INVALID, BUNDLE_UNSAFE or BUNDLE_MISMATCH.
        """
        names = [name for name in inspect.signature(cls.__init__).parameters if name != 'self']
        unknown = sorted(set(components) - set(names))
        if unknown:
            raise TypeError(f'A pipeline has no parts {", ".join(unknown)}.')
        loaded = {
            name: load_component(Path(folder), name, torch_dtype)
            for name in names if name not in components}
        return cls(**loaded, **components)

    @property
    def resolution(self) -> int:
        """Side in pixels of the frames that the model was made for."""
        return self.unet.config.sample_size * self.vae_scale_factor

    @torch.no_grad()
    def __call__(
        self,
        image: AnyImage,
        prompt: str | list[str] | None = None,
        prompt_embeds: torch.Tensor | None = None,
        image_embeds: torch.Tensor | None = None,
        text_embeds: torch.Tensor | None = None,
        num_inference_steps: int = STEPS,
        image_guidance_scale: float = IMAGE_GUIDANCE_SCALE,
        guidance_scale: float = GUIDANCE_SCALE,
        generator: torch.Generator | list[torch.Generator] | None = None,
        latents: torch.Tensor | None = None,
        output_type: str = 'np',
        callback_on_step_end: StepCallback | None = None,
        check: Callable[[], None] | None = None,
        return_dict: bool = True,
    ) -> ImagePipelineOutput | tuple:
        """
        Draw one action frame per input frame.

        Without image_embeds, text_embeds or both, the context C lacks these tokens, as in the
        ablations of Table 3. A single step starts at timestep 0 in diffusers' Euler samplers and
        so denoises nothing; use at least 2.

        :param image: B frames, see :func:`lego_ros.ldm.inputs.image_batch`; their sides are
            multiples of the auto-encoder's factor. :attr:`resolution` is what was trained.
        :param prompt: B enriched descriptions R; a string counts as one. Cut to N tokens.
        :param prompt_embeds: psi(R) (B, N, D) instead of the prompt.
        :param image_embeds: H_i (B, M, vllm_hidden).
        :param text_embeds: H_t (B, N, vllm_hidden), cut or zero-padded to N rows.
        :param num_inference_steps: 1 to 1000.
        :param image_guidance_scale: s_x, finite, at least 0.
        :param guidance_scale: s_c, finite, at least 0.
        :param generator: the noise, see :func:`lego_ros.ldm.inputs.sample_generators`.
        :param latents: the initial noise (B, 4, H / 8, W / 8) of unit variance, instead of drawing
            it.
        :param output_type: np (B, H, W, 3) float32 in [0, 1], pt (B, 3, H, W) in [0, 1], pil, or
            latent, scaled as in the UNet.
        :param callback_on_step_end: called after each step.
        :param check: called before the text encoder, the auto-encoder's two passes and each
            step; what it raises ends the call, so that a cancel waits for one step at most.
        :param return_dict: whether to return diffusers' output object or a tuple.
        :returns: the pictures, as ``images`` or as a tuple's only item.
        :raises LegoError: INVALID_SETTING for a setting out of range, BUNDLE_MISMATCH for
            embeddings of another size, INFERENCE_FAILED when the result is not finite.
        :raises ValueError: for inputs that are malformed or do not go together.
        """
        # 1. Check the inputs.
        check_settings(num_inference_steps, image_guidance_scale, guidance_scale, output_type)
        frames = image_batch(image, self.vae_scale_factor)
        prompts = self._check_prompt(prompt, prompt_embeds, len(frames))
        generators = sample_generators(generator, len(frames))
        check = check or _never

        # 2. Encode the description and put the context together: (3B, tokens, D).
        check()
        context = self.encode_context(prompts, prompt_embeds, image_embeds, text_embeds)

        # 3. Encode the input frames: (3B, 4, h, w).
        check()
        image_latents = self.encode_frames(frames)
        if len(context) != len(image_latents):
            raise ValueError(f'Expected embeddings for {len(frames)} frames, '
                             f'got them for {len(context) // 3}.')

        # 4. Draw the initial noise.
        self.scheduler.set_timesteps(num_inference_steps, device=self._execution_device)
        latents = self.prepare_latents(
            (len(frames), *image_latents.shape[1:]), generators, latents)

        # 5. Denoise.
        latents = self._denoise(
            latents, image_latents, context, (image_guidance_scale, guidance_scale), generators,
            callback_on_step_end, check)

        # 6. Decode.
        if output_type == 'latent':
            pictures = latents
        else:
            check()
            pictures = self.image_processor.postprocess(
                self.decode(latents), output_type=output_type)

        # 7. Hand back.
        self.maybe_free_model_hooks()
        return ImagePipelineOutput(images=pictures) if return_dict else (pictures,)

    def encode_prompt(self, prompts: list[str]) -> torch.Tensor:
        """
        Encode texts as psi does in the released code: cut and padded to N, no attention mask.

        :param prompts: B texts.
        :returns: (B, N, D), the last hidden state.
        """
        tokens = self.tokenizer(
            prompts, padding='max_length', truncation=True, return_tensors='pt',
            max_length=self.conditioning.config.text_tokens)
        return self.text_encoder(tokens.input_ids.to(self._execution_device)).last_hidden_state

    def encode_context(
        self,
        prompts: list[str] | None,
        prompt_embeds: torch.Tensor | None,
        image_embeds: torch.Tensor | None,
        text_embeds: torch.Tensor | None,
    ) -> torch.Tensor:
        """
        Build the context of the three branches: null, null, C.

        :param prompts: B descriptions, or None with prompt_embeds (B, N, D) in their place.
        :param prompt_embeds: psi(R), or None.
        :param image_embeds: H_i, or None.
        :param text_embeds: H_t, or None.
        :returns: (3B, tokens, D) in the order of :class:`lego_ros.ldm.guidance.Branch`.
        :raises LegoError: BUNDLE_MISMATCH for embeddings of another size.
        """
        place = {'device': self._execution_device, 'dtype': self.conditioning.dtype}
        encoded = self.encode_prompt([*(prompts or []), '']).to(**place)
        psi, psi_null = encoded[:-1], encoded[-1:]
        if prompt_embeds is not None:
            psi = prompt_embeds.to(**place)
        full = self.conditioning(
            psi,
            None if image_embeds is None else image_embeds.to(**place),
            None if text_embeds is None else text_embeds.to(**place))
        null = self.conditioning.null_context(
            psi_null, image_embeds is not None, text_embeds is not None).expand_as(full)
        return stack_branches(null, null, full).to(self.unet.dtype)

    def encode_frames(self, frames: torch.Tensor) -> torch.Tensor:
        """
        Encode the input frames for the three branches: zeros, latent, latent.

        The latent is the mode of the auto-encoder's distribution and is not scaled by its
        scaling_factor, which is InstructPix2Pix's convention.

        :param frames: (B, 3, H, W) in [-1, 1].
        :returns: (3B, 4, h, w) float32 in the order of :class:`lego_ros.ldm.guidance.Branch`.
        """
        frames = frames.to(self._execution_device, self.vae.dtype)
        latents = self.vae.encode(frames).latent_dist.mode().to(torch.float32)
        return stack_branches(torch.zeros_like(latents), latents, latents)

    def prepare_latents(
        self,
        shape: tuple[int, ...],
        generators: list[torch.Generator],
        latents: torch.Tensor | None,
    ) -> torch.Tensor:
        """
        Draw the initial noise, or take the one given, at the sampler's scale.

        :param shape: (B, 4, h, w).
        :param generators: one per sample.
        :param latents: noise of unit variance to take instead, or None.
        :returns: float32 noise of the given shape on the model's device.
        :raises ValueError: when the latents have another shape.
        """
        if latents is None:
            latents = randn_tensor(shape, generator=generators, device=self._execution_device,
                                   dtype=torch.float32)
        elif tuple(latents.shape) != shape:
            raise ValueError(f'Expected latents of shape {shape}, got {tuple(latents.shape)}.')
        return latents.to(self._execution_device, torch.float32) * self.scheduler.init_noise_sigma

    def decode(self, latents: torch.Tensor) -> torch.Tensor:
        """
        Decode latents to pictures, without any contrast stretch.

        :param latents: (B, 4, h, w), scaled as in the UNet.
        :returns: (B, 3, H, W) float32, about [-1, 1].
        :raises LegoError: INFERENCE_FAILED when a value is not finite.
        """
        latents = latents / self.vae.config.scaling_factor
        pictures = self.vae.decode(latents.to(self.vae.dtype)).sample.to(torch.float32)
        if not bool(torch.isfinite(pictures).all()):
            raise LegoError(ErrorCode.INFERENCE_FAILED,
                            'The decoder gave values that are not finite; a model in 16 bit may '
                            'need 32 bit, or its weights are damaged.')
        return pictures

    def _denoise(
        self,
        latents: torch.Tensor,
        image_latents: torch.Tensor,
        context: torch.Tensor,
        scales: tuple[float, float],
        generators: list[torch.Generator],
        callback: StepCallback | None,
        check: Callable[[], None],
    ) -> torch.Tensor:
        takes_noise = 'generator' in inspect.signature(self.scheduler.step).parameters
        noise = {'generator': generators} if takes_noise else {}
        # One flag per step, read once after the loop: reading each would make a GPU wait.
        finite = []
        timesteps = self.scheduler.timesteps
        with self.progress_bar(total=len(timesteps)) as progress:
            for step, timestep in enumerate(timesteps):
                check()
                # In float32 whatever the UNet's type: the noise levels span four decades.
                estimates = self._estimate(latents, image_latents, timestep, context)
                latents = self.scheduler.step(
                    three_way_guidance(estimates, *scales), timestep, latents, **noise,
                    return_dict=False)[0]
                if callback is not None:
                    changed = callback(self, step, timestep, {'latents': latents})
                    latents = (changed or {}).get('latents', latents)
                finite.append(torch.isfinite(latents).all())
                progress.update()
        self._check_finite(torch.stack(finite))
        return latents

    def _estimate(
        self,
        latents: torch.Tensor,
        image_latents: torch.Tensor,
        timestep: torch.Tensor,
        context: torch.Tensor,
    ) -> torch.Tensor:
        noisy = self.scheduler.scale_model_input(latents, timestep)
        sample = torch.cat([stack_branches(noisy, noisy, noisy), image_latents], dim=1)
        return self.unet(
            sample.to(self.unet.dtype), timestep, encoder_hidden_states=context,
            return_dict=False)[0].to(torch.float32)

    @staticmethod
    def _check_finite(finite: torch.Tensor) -> None:
        flags = finite.tolist()
        if not all(flags):
            raise LegoError(
                ErrorCode.INFERENCE_FAILED,
                f'Denoising step {flags.index(False) + 1} of {len(flags)} gave values that are '
                'not finite; a guidance scale may be too high, a model in 16 bit may need 32 bit, '
                'or its weights are damaged.')

    @staticmethod
    def _check_prompt(
        prompt: str | list[str] | None, prompt_embeds: torch.Tensor | None, batch: int,
    ) -> list[str] | None:
        if (prompt is None) == (prompt_embeds is None):
            raise ValueError('Give either a prompt or prompt_embeds.')
        if prompt is None:
            return None
        prompts = [prompt] if isinstance(prompt, str) else prompt
        if not isinstance(prompts, list) or not all(isinstance(one, str) for one in prompts):
            raise ValueError('Expected the prompt as a string or a list of strings.')
        if len(prompts) != batch:
            raise ValueError(f'Expected one prompt per frame, got {len(prompts)} for {batch}.')
        return prompts


def _never() -> None:
    """Stand in for a check that nobody asked for."""
