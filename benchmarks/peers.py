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

"""The public pipelines that ours is measured against, on the same networks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

from benchmarks.kitchen import Bundle, Scene
from diffusers import StableDiffusionInstructPix2PixPipeline
from diffusers.utils.torch_utils import randn_tensor
from lego_ros.ldm.guidance import GUIDANCE_SCALE, IMAGE_GUIDANCE_SCALE
from lego_ros.ldm.pipeline import LegoPipeline, STEPS
from lego_ros.ldm.view import View
from lego_ros.vllm.enrichment import Enrichment
from lego_ros.vllm.loading import load_processors
from lego_ros.vllm.prompt import encode_prompt
from lego_ros.vllm.templates import question
import numpy as np
import PIL.Image
import torch
from torch import Tensor

_DRAWING = ('diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion_instruct_pix2pix',
            'diffusers.schedulers.scheduling_euler_ancestral_discrete')


class PeerPipeline:
    """
    diffusers' own InstructPix2Pix pipeline. It is given our context, which it takes as it is.

    :param pipeline: whose networks and sampler it runs; in the number format of their weights.
    :param compiled: whether the UNet is compiled by torch.compile, at its first call.
    """

    def __init__(self, pipeline: LegoPipeline, compiled: bool = False) -> None:
        self._ours = pipeline
        self.pipe = StableDiffusionInstructPix2PixPipeline(
            vae=pipeline.vae, text_encoder=pipeline.text_encoder, tokenizer=pipeline.tokenizer,
            unet=pipeline.unet, scheduler=pipeline.scheduler, safety_checker=None,
            feature_extractor=None, requires_safety_checker=False)
        self.pipe.set_progress_bar_config(disable=True)
        if compiled:
            # As diffusers' guide to speed says.
            self.pipe.unet.to(memory_format=torch.channels_last)
            self.pipe.vae.to(memory_format=torch.channels_last)
            self.pipe.unet = torch.compile(self.pipe.unet)

    @torch.no_grad()
    def draw(self, rgb: np.ndarray, words: Enrichment, seed: int, steps: int = STEPS
             ) -> np.ndarray:
        """
        Draw an action frame.

        :param rgb: (S, S, 3) uint8.
        :param words: of our VLLM.
        :param seed: of the noise.
        :param steps: of denoising.
        :returns: (S, S, 3) uint8.
        """
        # null, null, full
        context = self._ours.encode_context(
            [words.text], None, words.image_embeds[None], words.text_embeds[None])
        with _noise_in_float32():
            pictures = self.pipe(
                image=PIL.Image.fromarray(rgb), prompt_embeds=context[2:],
                negative_prompt_embeds=context[:1], num_inference_steps=steps,
                guidance_scale=GUIDANCE_SCALE, image_guidance_scale=IMAGE_GUIDANCE_SCALE,
                generator=torch.Generator().manual_seed(seed), output_type='np').images
        return as_bytes(pictures[0])


class PeerVllm:
    """
    The VLLM as transformers' own ``generate`` runs it: the likeliest tokens, without an end.

    :param bundle: whose VLLM it is.
    :param precision: of ``runtime.model.PRECISIONS``.
    :param compiled: whether its language model is compiled, with a cache of a fixed size.
    """

    def __init__(self, bundle: Bundle, precision: str = 'float32', compiled: bool = False) -> None:
        self.model = bundle.networks(precision).vllm
        self._tokenizer, self._processor = load_processors(bundle.folder / 'vllm')
        self._view = View(bundle.manifest.view)
        self._compiled = compiled
        # How many tokens are made is the caller's choice, so that both make as many.
        self.model.generation_config.eos_token_id = None
        if compiled:
            language = self.model.model.language_model
            language.forward = torch.compile(language.forward)

    def read(self, scene: Scene) -> dict[str, Tensor]:
        """
        Make what ``generate`` takes.

        :param scene: frame and action.
        :returns: its arguments.
        """
        before, after = encode_prompt(question(scene.action), self._tokenizer)
        config = self.model.config
        ids = torch.tensor([
            [*before, *[config.image_token_id] * self.model.image_tokens, *after]])
        side = config.vision_config.image_size
        pixels = self._processor(
            images=self._view.vllm_view(scene.rgb), do_resize=True,
            size={'height': side, 'width': side}, resample=PIL.Image.Resampling.BICUBIC,
            do_center_crop=False, input_data_format='channels_last',
            return_tensors='pt')['pixel_values']
        return {'input_ids': ids, 'attention_mask': torch.ones_like(ids),
                'pixel_values': pixels.to(self.model.dtype)}

    @torch.no_grad()
    def generate(self, given: dict[str, Tensor], tokens: int) -> list[int]:
        """
        Answer.

        :param given: of :meth:`read`.
        :param tokens: how many to make.
        :returns: they.
        """
        kind = {'cache_implementation': 'static'} if self._compiled else {}
        made = self.model.generate(
            **given, do_sample=False, max_new_tokens=tokens, **kind)[0]
        return [int(token) for token in made[given['input_ids'].shape[1]:]]

    @torch.no_grad()
    def states(self, given: dict[str, Tensor], tokens: list[int]) -> Tensor:
        """
        Read question and answer again, for the states behind the answer's tokens.

        :param given: of :meth:`read`.
        :param tokens: of :meth:`generate`.
        :returns: (K, hidden) the states that predicted them.
        """
        ids = torch.cat([given['input_ids'], torch.tensor([tokens[:-1]], dtype=torch.long)], dim=1)
        output = self.model(
            input_ids=ids, attention_mask=torch.ones_like(ids),
            pixel_values=given['pixel_values'], output_hidden_states=True, logits_to_keep=1)
        states: Tensor = output.hidden_states[-1][0, -len(tokens):]
        return states

    @torch.no_grad()
    def see(self, given: dict[str, Tensor]) -> Tensor:
        """
        Look at the frame.

        :param given: of :meth:`read`.
        :returns: H_i (M, hidden).
        """
        features: Tensor = self.model.get_image_features(
            pixel_values=given['pixel_values']).pooler_output[0]
        return features


def as_bytes(picture: np.ndarray) -> np.ndarray:
    """
    Round a picture.

    :param picture: (S, S, 3) float in [0, 1].
    :returns: (S, S, 3) uint8.
    """
    return (picture * 255).round().clip(0, 255).astype(np.uint8)


@contextmanager
def _noise_in_float32() -> Iterator[None]:
    """Let a seed mean the same noise in all number formats, as it does with ours."""
    def draw(shape: tuple[int, ...], generator: torch.Generator | None = None,
             device: torch.device | None = None, dtype: torch.dtype | None = None,
             layout: torch.layout | None = None) -> Tensor:
        return randn_tensor(shape, generator, device, torch.float32, layout).to(dtype)

    with patch(f'{_DRAWING[0]}.randn_tensor', draw), patch(f'{_DRAWING[1]}.randn_tensor', draw):
        yield
