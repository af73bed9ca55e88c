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

"""With the VLLM's tokens left out, LEGO's generator is InstructPix2Pix; diffusers has that one."""

from __future__ import annotations

from diffusers import StableDiffusionInstructPix2PixPipeline
from lego_ros.ldm.pipeline import LegoPipeline
import numpy as np
import PIL.Image
import pytest
import torch


@pytest.fixture(scope='module')
def peer(pipeline: LegoPipeline) -> StableDiffusionInstructPix2PixPipeline:
    made = StableDiffusionInstructPix2PixPipeline(
        vae=pipeline.vae, text_encoder=pipeline.text_encoder, tokenizer=pipeline.tokenizer,
        unet=pipeline.unet, safety_checker=None, feature_extractor=None,
        scheduler=type(pipeline.scheduler).from_config(pipeline.scheduler.config),
        requires_safety_checker=False)
    made.set_progress_bar_config(disable=True)
    return made


@pytest.mark.parametrize(('steps', 'scales'), [
    (2, (1.5, 7.5)), (10, (1.5, 7.5)), (10, (1.0, 3.0)), (100, (1.5, 7.5))])
def test_equals_instruct_pix2pix(
    pipeline: LegoPipeline,
    peer: StableDiffusionInstructPix2PixPipeline,
    frame: np.ndarray,
    steps: int,
    scales: tuple[float, float],
) -> None:
    # Latents as well: the picture's clamp could hide a difference.
    latents: dict[LegoPipeline | StableDiffusionInstructPix2PixPipeline, torch.Tensor] = {}

    def keep(owner: LegoPipeline, _: int, __: torch.Tensor, tensors: dict) -> dict:
        latents[owner] = tensors['latents']
        return tensors

    ours, theirs = (
        run(prompt='open the drawer', image=image, num_inference_steps=steps, output_type='np',
            image_guidance_scale=scales[0], guidance_scale=scales[1], callback_on_step_end=keep,
            generator=torch.Generator().manual_seed(9)).images
        for run, image in ((pipeline, frame), (peer, PIL.Image.fromarray(frame))))
    # Not a picture that any two pipelines would agree on.
    assert theirs.std() > 0.05
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-4)
    scale = float(latents[peer].std())
    torch.testing.assert_close(
        latents[pipeline] / scale, latents[peer] / scale, rtol=0, atol=1e-4)


def test_equals_instruct_pix2pix_for_a_batch_with_given_embeddings_and_noise(
    pipeline: LegoPipeline, peer: StableDiffusionInstructPix2PixPipeline, frame: np.ndarray,
) -> None:
    noise = torch.Generator().manual_seed(1)
    size = pipeline.conditioning.config
    embeds = torch.randn(2, size.text_tokens, size.cross_attention_dim, generator=noise)
    latents = torch.randn(2, 4, 8, 8, generator=noise)
    frames = np.stack([frame, 255 - frame])
    common = {'prompt_embeds': embeds, 'num_inference_steps': 8, 'output_type': 'np',
              'latents': latents}

    def generators() -> list[torch.Generator]:
        return [torch.Generator().manual_seed(seed) for seed in (3, 4)]

    ours = pipeline(image=frames, generator=generators(), **common).images
    theirs = peer(
        image=[PIL.Image.fromarray(one) for one in frames], generator=generators(),
        negative_prompt_embeds=pipeline.encode_prompt(['', '']).detach(), **common).images
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-4)
    assert np.abs(ours[0] - ours[1]).max() > 0.05


def test_the_comparison_notices_swapped_scales(
    pipeline: LegoPipeline, peer: StableDiffusionInstructPix2PixPipeline, frame: np.ndarray,
) -> None:
    common = {'prompt': 'open the drawer', 'num_inference_steps': 10, 'output_type': 'np'}
    ours = pipeline(image=frame, generator=torch.Generator().manual_seed(9),
                    image_guidance_scale=7.5, guidance_scale=1.5, **common).images
    theirs = peer(image=PIL.Image.fromarray(frame), generator=torch.Generator().manual_seed(9),
                  image_guidance_scale=1.5, guidance_scale=7.5, **common).images
    assert np.abs(ours - theirs).max() > 1e-2
