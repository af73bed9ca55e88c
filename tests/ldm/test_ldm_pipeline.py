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

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from diffusers import DPMSolverMultistepScheduler
from lego_ros.errors import ErrorCode, LegoError
from lego_ros.ldm.config import build_pipeline, tiny_size
from lego_ros.ldm.pipeline import LegoPipeline
from lego_ros.runtime.cancel import CancelToken
import numpy as np
import pytest
import torch
from transformers import CLIPTokenizer

PROMPT = 'pull the handle with the right hand'


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@contextmanager
def unet_calls(pipeline: LegoPipeline) -> Iterator[list[dict[str, torch.Tensor]]]:
    """Record what every call of the real UNet is given."""
    calls: list[dict[str, torch.Tensor]] = []

    def record(_: Any, args: tuple, kwargs: dict[str, Any]) -> None:
        calls.append({'sample': args[0].clone(), 'timestep': args[1].clone(),
                      'context': kwargs['encoder_hidden_states'].clone()})

    hook = pipeline.unet.register_forward_pre_hook(record, with_kwargs=True)
    try:
        yield calls
    finally:
        hook.remove()


@torch.no_grad()
def encode(pipeline: LegoPipeline, text: str) -> torch.Tensor:
    """Encode a text without the pipeline's help, padded to 77."""
    ids = pipeline.tokenizer(text, padding='max_length', max_length=77, truncation=True).input_ids
    return pipeline.text_encoder(torch.tensor([ids])).last_hidden_state


@pytest.mark.parametrize('given', [
    (), ('image_embeds',), ('text_embeds',), ('image_embeds', 'text_embeds')])
def test_what_the_unet_is_given_in_each_branch(
    pipeline: LegoPipeline, frame: np.ndarray, embeds: dict[str, torch.Tensor],
    given: tuple[str, ...],
) -> None:
    used = {name: embeds[name] for name in given}
    with unet_calls(pipeline) as calls:
        pipeline(frame, PROMPT, num_inference_steps=3, generator=seeded(0), **used)
    assert len(calls) == 3
    pixels = torch.from_numpy(frame).permute(2, 0, 1)[None] / 127.5 - 1
    with torch.no_grad():
        # The first half of the encoder's channels is the mean, which is a Gaussian's mode.
        moments = pipeline.vae.quant_conv(pipeline.vae.encoder(pixels))
        full_context = pipeline.conditioning(encode(pipeline, PROMPT), **used)
    latent = moments[:, :4]
    for call in calls:
        null, image, full = call['sample']
        assert torch.count_nonzero(null[4:]) == 0
        assert torch.equal(image[4:], full[4:])
        torch.testing.assert_close(full[4:], latent[0], rtol=0, atol=1e-5)
        assert torch.equal(null[:4], image[:4])
        assert torch.equal(null[:4], full[:4])
        null_text, image_text, full_text = call['context']
        assert torch.equal(null_text, image_text)
        torch.testing.assert_close(
            null_text[:77], encode(pipeline, '')[0], rtol=0, atol=1e-5)
        assert torch.count_nonzero(null_text[77:]) == 0
        torch.testing.assert_close(full_text, full_context[0], rtol=0, atol=1e-5)
        image_rows, text_rows = 16 * ('image_embeds' in given), 77 * ('text_embeds' in given)
        assert len(full_text) == 77 + image_rows + text_rows


def test_noise_is_the_samplers_and_scaled_for_the_unet(
    pipeline: LegoPipeline, frame: np.ndarray,
) -> None:
    noise = torch.randn(1, 4, 8, 8, generator=seeded(21))
    with unet_calls(pipeline) as calls:
        pipeline(frame, PROMPT, num_inference_steps=4, generator=seeded(21))
    # Drawn with the largest noise level, then brought to unit variance for the UNet.
    largest = 14.6146
    expected = noise * largest / (largest**2 + 1) ** 0.5
    torch.testing.assert_close(calls[0]['sample'][:1, :4], expected, rtol=0, atol=1e-4)
    assert [float(call['timestep']) for call in calls] == [999, 666, 333, 0]


def test_long_descriptions_are_cut_and_embeddings_may_stand_for_them(
    pipeline: LegoPipeline, frame: np.ndarray,
) -> None:
    letters = 'a ' * 200
    common = {'num_inference_steps': 2, 'output_type': 'latent'}
    long = pipeline(frame, letters, generator=seeded(0), **common).images
    # 75 tokens are left between the start and the end token.
    cut = pipeline(frame, 'a ' * 75, generator=seeded(0), **common).images
    given = pipeline(
        frame, prompt_embeds=encode(pipeline, letters), generator=seeded(0), **common).images
    assert torch.equal(long, cut)
    torch.testing.assert_close(given, long, rtol=0, atol=1e-3)
    shorter = pipeline(frame, 'a ' * 74, generator=seeded(0), **common).images
    assert (shorter - long).abs().max() > 1e-2


@pytest.mark.parametrize('scheduler', [None, DPMSolverMultistepScheduler])
def test_a_seed_means_one_picture_whatever_the_batch_and_position(
    pipeline: LegoPipeline, tokenizer: CLIPTokenizer, frame: np.ndarray, scheduler: type | None,
) -> None:
    if scheduler is not None:
        pipeline = build_pipeline(tiny_size(), tokenizer, seed=3)
        pipeline.scheduler = scheduler.from_config(
            pipeline.scheduler.config, algorithm_type='sde-dpmsolver++')
    size = pipeline.conditioning.config
    frames = np.stack([frame, frame[::-1], 255 - frame])
    prompts = [PROMPT, 'cut the bread', 'x']
    tokens = {
        'image_embeds': torch.randn(3, size.image_tokens, size.vllm_hidden, generator=seeded(7)),
        'text_embeds': torch.randn(3, size.text_tokens, size.vllm_hidden, generator=seeded(8))}

    def draw(samples: list[int]) -> np.ndarray:
        return pipeline(
            frames[samples], [prompts[one] for one in samples], num_inference_steps=20,
            generator=[seeded(100 + one) for one in samples],
            **{name: value[samples] for name, value in tokens.items()}).images

    batch, turned = draw([0, 1, 2]), draw([2, 0, 1])
    for sample in range(3):
        alone = draw([sample])[0]
        # Other kernels run for another batch, so that roundings differ, by about 2e-6 here.
        np.testing.assert_allclose(batch[sample], alone, rtol=0, atol=1e-4)
        np.testing.assert_allclose(turned[(sample + 1) % 3], alone, rtol=0, atol=1e-4)
    assert np.abs(batch[0] - batch[1]).max() > 0.1
    assert np.array_equal(draw([1]), draw([1]))


def test_the_seed_rules_every_draw(pipeline: LegoPipeline, frame: np.ndarray) -> None:
    start = torch.randn(1, 4, 8, 8, generator=seeded(1))

    def draw(seed: int | None) -> np.ndarray:
        return pipeline(frame, PROMPT, num_inference_steps=5, latents=start,
                        generator=None if seed is None else seeded(seed)).images

    # The same initial noise; only the ancestral noise differs.
    assert np.array_equal(draw(1), draw(1))
    assert np.abs(draw(1) - draw(2)).max() > 1e-3
    torch.manual_seed(5)
    first = draw(None)
    assert not np.array_equal(draw(None), first)
    torch.manual_seed(5)
    assert np.array_equal(draw(None), first)


def test_given_latents_are_not_changed(pipeline: LegoPipeline, frame: np.ndarray) -> None:
    start = torch.randn(1, 4, 8, 8, generator=seeded(1))
    before = start.clone()
    drawn = pipeline(frame, PROMPT, num_inference_steps=2, latents=start, generator=seeded(2))
    assert torch.equal(start, before)
    other = pipeline(frame, PROMPT, num_inference_steps=2, latents=-start, generator=seeded(2))
    assert not np.array_equal(drawn.images, other.images)


def test_every_input_moves_the_picture(
    pipeline: LegoPipeline, frame: np.ndarray, embeds: dict[str, torch.Tensor],
) -> None:
    def draw(**changes: Any) -> np.ndarray:
        given = {'image': frame, 'prompt': PROMPT, **embeds, **changes}
        return pipeline(num_inference_steps=5, generator=seeded(3), **given).images

    base = draw()
    for changes in (
        {'image': 255 - frame}, {'prompt': 'stir'},
        {'image_embeds': -embeds['image_embeds']}, {'text_embeds': -embeds['text_embeds']},
        {'image_embeds': None}, {'text_embeds': None},
        {'image_guidance_scale': 3.0}, {'guidance_scale': 3.0},
    ):
        assert np.abs(draw(**changes) - base).max() > 1e-3, changes


def test_output_types_show_one_picture(pipeline: LegoPipeline, frame: np.ndarray) -> None:
    def draw(output_type: str) -> Any:
        return pipeline(frame, PROMPT, num_inference_steps=2, generator=seeded(0),
                        output_type=output_type).images

    array, tensor, pictures, latent = (draw(kind) for kind in ('np', 'pt', 'pil', 'latent'))
    assert (array.shape, array.dtype) == ((1, 64, 64, 3), np.float32)
    assert tensor.shape == (1, 3, 64, 64)
    assert np.array_equal(tensor.permute(0, 2, 3, 1).numpy(), array)
    assert np.array_equal(np.asarray(pictures[0]), (array[0] * 255).round().astype(np.uint8))
    assert latent.shape == (1, 4, 8, 8)
    with torch.no_grad():
        decoded = pipeline.vae.decode(latent / 0.18215).sample
    # No contrast stretch: only clamped and moved from [-1, 1] to [0, 1].
    torch.testing.assert_close(tensor, (decoded / 2 + 0.5).clamp(0, 1), rtol=0, atol=1e-6)
    as_tuple = pipeline(frame, PROMPT, num_inference_steps=2, generator=seeded(0),
                        return_dict=False)
    assert np.array_equal(as_tuple[0], array)


@pytest.mark.parametrize('step', [0, 1, 4])
def test_a_cancel_before_a_step_stops_after_exactly_that_many(
    pipeline: LegoPipeline, frame: np.ndarray, step: int,
) -> None:
    stop = CancelToken()

    def after_step(_: Any, done: int, *__: Any) -> None:
        if done == step - 1:
            stop.cancel(ErrorCode.CANCELED, 'enough')

    checks = 0

    def check() -> None:
        nonlocal checks
        checks += 1
        if step == 0 and checks == 3:
            stop.cancel(ErrorCode.CANCELED, 'enough')
        stop.check()

    with unet_calls(pipeline) as calls, pytest.raises(LegoError, match='enough') as caught:
        pipeline(frame, PROMPT, num_inference_steps=6, check=check,
                 callback_on_step_end=after_step)
    assert caught.value.code is ErrorCode.CANCELED
    assert len(calls) == step
    # Text, auto-encoder, one per step that ran, and the one that stopped it.
    assert checks == 2 + step + 1
    # The next query is answered as if nothing had been.
    again, fresh = (
        pipeline(frame, PROMPT, num_inference_steps=3, generator=seeded(0)).images
        for _ in range(2))
    assert np.array_equal(again, fresh)


@pytest.mark.parametrize(('at', 'ran'), [
    (1, []), (2, ['text']), (3, ['text', 'encoder']),
    (6, ['text', 'encoder', 'unet', 'unet', 'unet'])])
def test_a_cancel_stops_before_each_stage(
    pipeline: LegoPipeline, frame: np.ndarray, at: int, ran: list[str],
) -> None:
    parts = {'text': pipeline.text_encoder, 'encoder': pipeline.vae.encoder,
             'unet': pipeline.unet, 'decoder': pipeline.vae.decoder}
    seen: list[str] = []

    def note(name: str) -> Callable[..., None]:
        return lambda *_: seen.append(name)

    hooks = [part.register_forward_pre_hook(note(name)) for name, part in parts.items()]
    checks = 0

    def check() -> None:
        nonlocal checks
        checks += 1
        if checks == at:
            raise LegoError(ErrorCode.PREEMPTED, 'newer query')

    try:
        with pytest.raises(LegoError, match='newer query'):
            pipeline(frame, PROMPT, num_inference_steps=3, check=check)
    finally:
        for hook in hooks:
            hook.remove()
    assert seen == ran


def test_the_callback_sees_every_step_and_may_replace_the_latents(
    pipeline: LegoPipeline, frame: np.ndarray,
) -> None:
    seen = []

    def watch(owner: LegoPipeline, step: int, timestep: torch.Tensor, tensors: dict) -> None:
        assert owner is pipeline
        seen.append((step, float(timestep), tensors['latents'].clone()))

    latents = pipeline(frame, PROMPT, num_inference_steps=4, callback_on_step_end=watch,
                       output_type='latent').images
    assert [one[:2] for one in seen] == [(0, 999.0), (1, 666.0), (2, 333.0), (3, 0.0)]
    assert torch.equal(seen[-1][2], latents)
    assert not torch.equal(seen[0][2], seen[1][2])
    blank = pipeline(
        frame, PROMPT, num_inference_steps=2, output_type='latent',
        callback_on_step_end=lambda *args: {'latents': torch.zeros_like(args[3]['latents'])}
        if args[1] == 1 else None).images
    assert torch.count_nonzero(blank) == 0


def test_the_step_that_went_wrong_is_named(pipeline: LegoPipeline, frame: np.ndarray) -> None:
    def spoil(_: Any, step: int, __: Any, tensors: dict) -> dict:
        latents = tensors['latents'].clone()
        if step == 3:
            latents[0, 0, 2, 2] = torch.nan
        return {'latents': latents}

    with pytest.raises(LegoError, match='step 4 of 6') as caught:
        pipeline(frame, PROMPT, num_inference_steps=6, callback_on_step_end=spoil)
    assert caught.value.code is ErrorCode.INFERENCE_FAILED


def test_a_scale_that_overflows_is_an_error_not_a_picture(
    pipeline: LegoPipeline, frame: np.ndarray,
) -> None:
    with pytest.raises(LegoError, match='step 1 of 3') as caught:
        pipeline(frame, PROMPT, num_inference_steps=3, guidance_scale=1e300)
    assert caught.value.code is ErrorCode.INFERENCE_FAILED


def test_a_damaged_decoder_is_an_error_not_a_picture(
    tokenizer: CLIPTokenizer, frame: np.ndarray,
) -> None:
    damaged = build_pipeline(tiny_size(), tokenizer)
    with torch.no_grad():
        damaged.vae.decoder.conv_out.bias.fill_(torch.inf)
    with pytest.raises(LegoError, match='decoder') as caught:
        damaged(frame, PROMPT, num_inference_steps=2)
    assert caught.value.code is ErrorCode.INFERENCE_FAILED


def test_sixteen_bit_weights_draw_nearly_the_same_picture(
    pipeline: LegoPipeline, tokenizer: CLIPTokenizer, frame: np.ndarray,
    embeds: dict[str, torch.Tensor],
) -> None:
    half = build_pipeline(tiny_size(), tokenizer, seed=3).to(torch.bfloat16)
    assert half.unet.dtype == half.conditioning.dtype == torch.bfloat16
    common = {'num_inference_steps': 5, 'guidance_scale': 2.0, **embeds}
    ours, exact = (one(frame, PROMPT, generator=seeded(0), **common).images
                   for one in (half, pipeline))
    assert ours.dtype == np.float32
    assert np.abs(ours - exact).mean() < 0.02


@pytest.mark.parametrize(('change', 'message'), [
    ({'num_inference_steps': 0}, 'num_inference_steps must be a whole number 1 to 1000'),
    ({'num_inference_steps': 1001}, 'num_inference_steps'),
    ({'num_inference_steps': 2.5}, 'num_inference_steps'),
    ({'guidance_scale': -0.1}, 'guidance_scale must be a finite number'),
    ({'guidance_scale': float('nan')}, 'guidance_scale'),
    ({'image_guidance_scale': float('inf')}, 'image_guidance_scale'),
    ({'image_guidance_scale': '1.5'}, 'image_guidance_scale'),
    ({'output_type': 'jpeg'}, 'output_type must be one of np, pt, pil, latent'),
])
def test_settings_out_of_range_are_named_before_any_work(
    pipeline: LegoPipeline, frame: np.ndarray, change: dict[str, Any], message: str,
) -> None:
    def never() -> None:
        pytest.fail('work was begun')

    with pytest.raises(LegoError, match=message) as caught:
        pipeline(frame, PROMPT, check=never, **change)
    assert caught.value.code is ErrorCode.INVALID_SETTING


@pytest.mark.parametrize(('change', 'message'), [
    ({'prompt': None}, 'either a prompt or prompt_embeds'),
    ({'prompt_embeds': torch.zeros(1, 77, 32)}, 'either a prompt or prompt_embeds'),
    ({'prompt': ['a', 'b']}, 'got 2 for 1'),
    ({'prompt': 5}, 'string or a list'),
    ({'latents': torch.zeros(1, 4, 4, 4)}, r'shape \(1, 4, 8, 8\)'),
    ({'prompt': None, 'prompt_embeds': torch.zeros(2, 77, 32)}, 'got them for 2'),
    ({'image_embeds': torch.zeros(2, 16, 64)}, 'different numbers of samples'),
])
def test_inputs_that_do_not_go_together_are_refused(
    pipeline: LegoPipeline, frame: np.ndarray, change: dict[str, Any], message: str,
) -> None:
    with pytest.raises(ValueError, match=message):
        pipeline(**{'image': frame, 'prompt': PROMPT, 'num_inference_steps': 2, **change})


def test_embeddings_of_another_vllm_are_named(pipeline: LegoPipeline, frame: np.ndarray) -> None:
    with pytest.raises(LegoError, match='VLLM image embedding') as caught:
        pipeline(frame, PROMPT, image_embeds=torch.zeros(1, 16, 4096), num_inference_steps=2)
    assert caught.value.code is ErrorCode.BUNDLE_MISMATCH


def test_no_progress_bar_unless_asked_for(
    pipeline: LegoPipeline, frame: np.ndarray, capfd: pytest.CaptureFixture[str],
) -> None:
    pipeline(frame, PROMPT, num_inference_steps=2)
    assert capfd.readouterr().err == ''


def test_other_sizes_than_the_trained_one_work(pipeline: LegoPipeline) -> None:
    assert pipeline.resolution == 64
    wide = np.zeros((40, 72, 3), np.uint8)
    assert pipeline(wide, PROMPT, num_inference_steps=2).images.shape == (1, 40, 72, 3)


@pytest.mark.gpu
def test_a_seed_means_one_picture_on_any_device(
    pipeline: LegoPipeline, tokenizer: CLIPTokenizer, frame: np.ndarray,
    embeds: dict[str, torch.Tensor],
) -> None:
    if not torch.cuda.is_available():
        pytest.skip('needs a CUDA device, to compare it with the CPU')
    moved = build_pipeline(tiny_size(), tokenizer, seed=3).to('cuda')
    here, there = (
        one(frame, PROMPT, num_inference_steps=20, generator=seeded(0), **embeds).images
        for one in (pipeline, moved))
    # Convolutions may run in TF32 there, with a mantissa of 10 bits; other noise would differ
    # by 0.1.
    assert np.abs(here - there).mean() < 1e-2
