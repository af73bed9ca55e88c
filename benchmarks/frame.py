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
One action frame on the CPU, against diffusers' own InstructPix2Pix pipeline.

All draw the same frame from the same weights, context and noise, turn by turn; how near the
pictures are to that of diffusers in float32 is a figure of its own. Fast mode is held against the
exact mode on the same backend, in time and, on several frames, in likeness.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
import time
from typing import Any

from benchmarks.kitchen import (
    at_most,
    BACKENDS,
    Bundle,
    fastest,
    interleaved,
    kitchen_bundle,
    ratio,
    Scene,
    scenes,
)
from benchmarks.peers import as_bytes, PeerPipeline
from benchmarks.report import Figure, Report, Target
from benchmarks.unet_step import measure_steps
from lego_ros.ldm.drawing import DrawingSettings, EnginePipeline
from lego_ros.ldm.fast import FastSettings
from lego_ros.training.evaluation.frames import psnr, ssim
from lego_ros.vllm.enrichment import Enrichment, EnrichmentSettings
import numpy as np
import torch

EXACT = DrawingSettings()
FAST = DrawingSettings(fast=FastSettings())
_EAGER, _EAGER_BF16 = 'diffusers, eager float32', 'diffusers, eager bfloat16'
_COMPILED = 'diffusers, torch.compile bfloat16'
_COMPILE_WITHIN = 360
_LEAST_EAGER, _LEAST_COMPILED, _LEAST_FAST, _LEAST_SSIM = 3.0, 1.3, 5.0, 0.9
# Rounding differs between libraries, and a hundred steps carry it on.
_SAME_DB = 35.0


@dataclass(frozen=True, eq=False)
class Case:
    """
    What is to be drawn.

    :param scene: frame and action.
    :param words: what our VLLM says about them, run by transformers.
    :param seed: of the noise.
    """

    scene: Scene
    words: Enrichment
    seed: int


def run(out: Path, rounds: int = 3, frames: int = 3, seeds: int = 2) -> Report:
    """
    Run the benchmark.

    :param out: not used.
    :param rounds: how often each way draws the first frame.
    :param frames: of other scenes, on which fast mode is compared.
    :param seeds: of noise for each of these.
    :returns: what was found.
    :raises RuntimeError: ours does not draw what diffusers draws.
    """
    bundle = kitchen_bundle()
    cases = _cases(bundle, frames, seeds)
    engines = {f'{backend} {precision}': bundle.engines(backend, precision)
               for backend, precision in BACKENDS}
    pipeline = bundle.networks().pipeline
    drawers = {name: EnginePipeline(each, pipeline.tokenizer, pipeline.scheduler)
               for name, each in engines.items()}
    pictures: dict[str, np.ndarray] = {}
    peers, compiling = _peers(bundle, cases[0])
    drawing: dict[str, Callable[[Case], np.ndarray]] = dict(peers)
    for name, drawer in drawers.items():
        drawing[f'lego_ros, {name}'] = partial(draw, drawer)
        drawing[f'lego_ros, {name}, fast'] = partial(draw, drawer, settings=FAST)
        draw(drawer, cases[0], FAST)
    ways = {name: partial(_kept, pictures, name, way, cases[0]) for name, way in drawing.items()}
    # All have drawn a few steps before.
    seconds = interleaved(ways, rounds, warm_ups=0)
    report = _report(bundle, seconds, pictures, compiling, drawers, cases)
    steps, shares = measure_steps(bundle, cases[0].words, engines)
    report.conditions.update(shares)
    report.figures += steps
    return report


def draw(drawer: EnginePipeline, case: Case, settings: DrawingSettings = EXACT) -> np.ndarray:
    """
    Draw with ours.

    :param drawer: on some engines.
    :param case: what to draw.
    :param settings: how.
    :returns: (S, S, 3) uint8.
    """
    words = case.words
    return as_bytes(drawer.draw(
        case.scene.rgb[None], [words.text], words.image_embeds[None], words.text_embeds[None],
        settings, torch.Generator().manual_seed(case.seed))[0])


def _cases(bundle: Bundle, frames: int, seeds: int) -> list[Case]:
    enricher = bundle.enricher(bundle.networks().vllm)
    settings = EnrichmentSettings(temperature=0.)
    described = [(scene, enricher.enrich(scene.rgb, scene.action, settings))
                 for scene in scenes(frames, bundle.manifest.resolution)]
    return [Case(scene, words, seed) for scene, words in described for seed in range(seeds)]


def _peers(bundle: Bundle, case: Case) -> tuple[dict[str, Callable[[Case], np.ndarray]], str]:
    """Make the peers, and tell how long the compilation took."""
    def drawing(peer: PeerPipeline, steps: int = EXACT.steps) -> Callable[[Case], np.ndarray]:
        return lambda case: peer.draw(case.scene.rgb, case.words, case.seed, steps)

    found = {_EAGER: PeerPipeline(bundle.networks().pipeline),
             _EAGER_BF16: PeerPipeline(bundle.networks('bfloat16').pipeline)}
    for peer in found.values():
        drawing(peer, 2)(case)
    compiled = PeerPipeline(bundle.networks('bfloat16').pipeline, compiled=True)
    begin = time.perf_counter()
    try:
        with at_most(_COMPILE_WITHIN):
            drawing(compiled, 2)(case)
        found[_COMPILED] = compiled
        told = f'{time.perf_counter() - begin:.0f} s, not counted'
    except TimeoutError as error:
        told = f'left out: {error}'
    return {name: drawing(peer) for name, peer in found.items()}, told


def _kept(pictures: dict[str, np.ndarray], name: str, way: Callable[[Case], np.ndarray],
          case: Case) -> None:
    pictures[name] = way(case)


def _report(bundle: Bundle, seconds: dict[str, list[float]], pictures: dict[str, np.ndarray],
            compiling: str, drawers: dict[str, EnginePipeline], cases: list[Case]) -> Report:
    near = {name: psnr(picture, pictures[_EAGER]) for name, picture in pictures.items()
            if name != _EAGER and not name.endswith('fast')}
    for name, decibels in near.items():
        if 'float32' in name and decibels < _SAME_DB:
            raise RuntimeError(f'{name} draws another picture: {decibels:.1f} dB')
    exact = [name for name in near if name.startswith('lego_ros')]
    best32 = fastest(seconds, [name for name in exact if 'float32' in name])
    best16 = fastest(seconds, [name for name in exact if 'bfloat16' in name])
    best = fastest(seconds, exact)
    # The time does not depend on them, the picture does.
    scaled = DrawingSettings(image_guidance_scale=bundle.manifest.image_scale,
                             guidance_scale=bundle.manifest.text_scale)
    likeness, noise = _likeness(
        drawers[best.removeprefix('lego_ros, ')], cases, scaled)
    conditions: dict[str, Any] = {
        'weights': bundle.weights, 'steps': EXACT.steps, 'resolution': bundle.manifest.resolution,
        'threads of PyTorch': torch.get_num_threads(), 'compilation of the peer': compiling,
        'fast mode': f'{FAST.fast}',
        'scales of the comparison with exact answers':
            f'{scaled.image_guidance_scale:g}, {scaled.guidance_scale:g}',
        'best backends': f'{best32}; {best16}',
        'PSNR to the picture of diffusers in float32 [dB]': ', '.join(
            f'{name}: {decibels:.1f}' for name, decibels in near.items()),
        'SSIM of another seed to the exact answer, mean': noise}
    if not bundle.manifest.trained:
        conditions['likeness'] = 'of an untrained UNet, which says little'
    return Report(
        'frame', conditions,
        [*(Figure(name, 's', samples) for name, samples in seconds.items()),
         *(Figure(f'fast to exact, {name}', unit, values)
           for (name, unit), values in likeness.items())],
        _targets(seconds, best32, best16, best, likeness['SSIM', '']))


def _likeness(drawer: EnginePipeline, cases: list[Case], scaled: DrawingSettings
              ) -> tuple[dict[tuple[str, str], list[float]], float]:
    """Compare fast answers, and exact ones of other seeds, with exact ones of these scales."""
    exact = [draw(drawer, case, scaled) for case in cases]
    fast = [draw(drawer, case, replace(scaled, fast=FAST.fast)) for case in cases]
    others = [ssim(one, other) for place, one in enumerate(exact)
              for number, other in enumerate(exact)
              if cases[place].scene is cases[number].scene and place < number]
    pairs = list(zip(fast, exact, strict=True))
    return ({('SSIM', ''): [ssim(*pair) for pair in pairs],
             ('PSNR', 'dB'): [psnr(*pair) for pair in pairs]},
            sum(others) / len(others))


def _targets(seconds: dict[str, list[float]], best32: str, best16: str, best: str,
             likeness: list[float]) -> list[Target]:
    def least(name: str, limit: float, measured: float, unit: str = 'times') -> Target:
        return Target(name, unit, limit, measured, least=True)

    targets = [
        least('exact, eager float32 diffusers to our best', _LEAST_EAGER,
              ratio(seconds[_EAGER], seconds[best])),
        least('exact, eager float32 diffusers to our best float32', _LEAST_EAGER,
              ratio(seconds[_EAGER], seconds[best32]))]
    if _COMPILED in seconds:
        targets += [
            least('exact, compiled bfloat16 diffusers to our best bfloat16', _LEAST_COMPILED,
                  ratio(seconds[_COMPILED], seconds[best16]))]
    return [
        *targets,
        least('fast to exact on the same backend', _LEAST_FAST,
              ratio(seconds[best], seconds[f'{best}, fast'])),
        least('SSIM of the fast to the exact answer, mean', _LEAST_SSIM,
              sum(likeness) / len(likeness), '')]
