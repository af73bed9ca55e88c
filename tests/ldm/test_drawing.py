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

from collections.abc import Iterator

from diffusers import DDIMScheduler, EulerDiscreteScheduler
from lego_ros.engines.engine import Engine
from lego_ros.engines.torch_engine import TorchEngine
from lego_ros.errors import ErrorCode, LegoError
from lego_ros.ldm.config import build_pipeline, tiny_size
from lego_ros.ldm.drawing import DrawingSettings, EnginePipeline
from lego_ros.ldm.graphs import ContextTokens, ldm_graphs
from lego_ros.ldm.pipeline import LegoPipeline
import numpy as np
import pytest
import torch
from transformers import CLIPTokenizer

PROMPT = 'pull the handle with the right hand'
# Pictures are in [0, 1].
EXACT = 1e-4


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def torch_engines(
    pipeline: LegoPipeline, **given: object,
) -> dict[str, Engine]:
    return {name: TorchEngine(graph) for name, graph in ldm_graphs(pipeline, **given).items()}


def make_drawer(pipeline: LegoPipeline, **given: object) -> EnginePipeline:
    return EnginePipeline(torch_engines(pipeline, **given), pipeline.tokenizer, pipeline.scheduler)


@pytest.fixture(scope='module')
def drawer(pipeline: LegoPipeline) -> EnginePipeline:
    return make_drawer(pipeline)


@pytest.mark.parametrize('steps', [2, 10, 50])
def test_the_pipelines_picture(
    pipeline: LegoPipeline, drawer: EnginePipeline, frame: np.ndarray,
    embeds: dict[str, torch.Tensor], steps: int,
) -> None:
    expected = pipeline(frame, PROMPT, num_inference_steps=steps, generator=seeded(3),
                        image_guidance_scale=1.2, guidance_scale=5., **embeds).images
    picture = drawer.draw(
        frame, [PROMPT], **embeds, settings=DrawingSettings(steps, 1.2, 5.), generator=seeded(3))
    assert picture.dtype == expected.dtype
    np.testing.assert_allclose(picture, expected, rtol=0, atol=EXACT)
    other = drawer.draw(
        frame, [PROMPT], **embeds, settings=DrawingSettings(steps, 1.2, 5.), generator=seeded(4))
    assert np.abs(other - expected).max() > 100 * EXACT


@pytest.mark.parametrize(('dtype', 'most', 'mean'), [
    (torch.bfloat16, 0.1, 0.01), (torch.float16, 0.02, 0.002)])
def test_half_precision_is_near(
    pipeline: LegoPipeline, frame: np.ndarray, embeds: dict[str, torch.Tensor],
    dtype: torch.dtype, most: float, mean: float,
) -> None:
    expected = pipeline(
        frame, PROMPT, num_inference_steps=10, generator=seeded(3), **embeds).images
    picture = make_drawer(pipeline, dtype=dtype).draw(
        frame, [PROMPT], **embeds, settings=DrawingSettings(10), generator=seeded(3))
    off = np.abs(picture - expected)
    assert EXACT < off.max() < most
    assert off.mean() < mean


@pytest.mark.parametrize('scheduler', [EulerDiscreteScheduler, DDIMScheduler])
def test_the_pipelines_picture_with_other_samplers(
    tokenizer: CLIPTokenizer, frame: np.ndarray, embeds: dict[str, torch.Tensor],
    scheduler: type,
) -> None:
    pipeline = build_pipeline(tiny_size(), tokenizer, seed=3)
    pipeline.scheduler = scheduler.from_config(pipeline.scheduler.config, clip_sample=False)
    expected = pipeline(
        frame, PROMPT, num_inference_steps=10, generator=seeded(3), **embeds).images
    picture = make_drawer(pipeline).draw(
        frame, [PROMPT], **embeds, settings=DrawingSettings(10), generator=seeded(3))
    np.testing.assert_allclose(picture, expected, rtol=0, atol=EXACT)


@pytest.mark.parametrize('given', [
    (), ('image_embeds',), ('text_embeds',), ('image_embeds', 'text_embeds')])
def test_every_kind_of_context_in_a_batch(
    pipeline: LegoPipeline, frame: np.ndarray, embeds: dict[str, torch.Tensor],
    given: tuple[str, ...],
) -> None:
    frames = np.stack([frame, 255 - frame])
    # Fewer text tokens than N: the rest is zeros.
    used = {name: torch.cat([embeds[name][:, :16], embeds[name][:, :16] ** 2]) for name in given}
    tokens = ContextTokens('image_embeds' in given, 'text_embeds' in given)
    drawer = make_drawer(pipeline, batch=2, tokens=tokens)

    def generators() -> list[torch.Generator]:
        return [seeded(3), seeded(4)]

    expected = pipeline(frames, [PROMPT, 'x'], num_inference_steps=4, generator=generators(),
                        **used).images
    picture = drawer.draw(frames, [PROMPT, 'x'], **used, settings=DrawingSettings(4),
                          generator=generators())
    np.testing.assert_allclose(picture, expected, rtol=0, atol=EXACT)
    with pytest.raises(ValueError, match='The engines take'):
        drawer.draw(frames, [PROMPT, 'x'], settings=DrawingSettings(4),
                    **({} if given else {'image_embeds': embeds['image_embeds']}))


def test_one_query_leaves_nothing_to_the_next(
    drawer: EnginePipeline, frame: np.ndarray, embeds: dict[str, torch.Tensor],
) -> None:
    def draw(steps: int, of: np.ndarray) -> np.ndarray:
        return drawer.draw(of, [PROMPT], **embeds, settings=DrawingSettings(steps),
                           generator=seeded(1))

    first = draw(3, frame)
    for steps in range(2, 9):
        draw(steps, 255 - frame)
    assert np.array_equal(draw(3, frame), first)


def test_checks_and_progress_come_in_turn(
    drawer: EnginePipeline, frame: np.ndarray, embeds: dict[str, torch.Tensor],
) -> None:
    seen: list[object] = []
    drawer.draw(frame, [PROMPT], **embeds, settings=DrawingSettings(3), generator=seeded(0),
                check=lambda: seen.append('check'),
                on_step=lambda done, steps: seen.append((done, steps)))
    assert seen == ['check', 'check',
                    'check', (1, 3), 'check', (2, 3), 'check', (3, 3), 'check']


def test_a_cancel_ends_the_drawing_at_the_next_step(
    drawer: EnginePipeline, frame: np.ndarray, embeds: dict[str, torch.Tensor],
) -> None:
    done: list[int] = []

    def check() -> None:
        if len(done) == 2:
            raise LegoError(ErrorCode.CANCELED, 'enough')

    with pytest.raises(LegoError, match='enough'):
        drawer.draw(frame, [PROMPT], **embeds, settings=DrawingSettings(9), generator=seeded(0),
                    check=check, on_step=lambda step, steps: done.append(step))
    assert done == [1, 2]


@pytest.mark.parametrize(('part', 'message'), [
    ('conv_out', 'Denoising step 1 of 3'), ('decoder', 'decoder gave values')])
def test_values_that_are_not_finite_are_named(
    tokenizer: CLIPTokenizer, frame: np.ndarray, embeds: dict[str, torch.Tensor],
    part: str, message: str,
) -> None:
    pipeline = build_pipeline(tiny_size(), tokenizer, seed=3)
    broken = pipeline.unet.conv_out if part == 'conv_out' else pipeline.vae.decoder.conv_out
    torch.nn.init.constant_(broken.bias, float('nan'))
    with pytest.raises(LegoError, match=message) as caught:
        make_drawer(pipeline).draw(frame, [PROMPT], **embeds, settings=DrawingSettings(3))
    assert caught.value.code is ErrorCode.INFERENCE_FAILED


def test_what_cannot_be_drawn_is_refused(
    pipeline: LegoPipeline, drawer: EnginePipeline, frame: np.ndarray,
    embeds: dict[str, torch.Tensor],
) -> None:
    with pytest.raises(ValueError, match=r'1 picture.* 64 x 64'):
        drawer.draw(np.zeros((128, 64, 3), np.uint8), [PROMPT], **embeds)
    with pytest.raises(ValueError, match='2 prompt'):
        drawer.draw(frame, [PROMPT] * 2, **embeds)
    with pytest.raises(LegoError) as caught:
        drawer.draw(frame, [PROMPT], **embeds, settings=DrawingSettings(steps=0))
    assert caught.value.code is ErrorCode.INVALID_SETTING
    engines = torch_engines(pipeline)
    del engines['vae_encoder']
    with pytest.raises(LegoError, match='vae_encoder'):
        EnginePipeline(engines, pipeline.tokenizer, pipeline.scheduler)


@pytest.fixture(scope='module', autouse=True)
def no_gradients() -> Iterator[None]:
    """Run the reference, too, as at work."""
    with torch.no_grad():
        yield
