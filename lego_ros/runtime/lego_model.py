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

"""A model bundle at work: LEGO's VLLM and LDM, and LEAP's programs, run by engines."""

from __future__ import annotations

import gc
import hashlib
from pathlib import Path

from lego_ros.bundle.architecture import check_architectures
from lego_ros.bundle.environment import offline_and_quiet
from lego_ros.bundle.integrity import verify
from lego_ros.bundle.manifest import Manifest
from lego_ros.engines.builder import backend_version
from lego_ros.engines.cache import EngineCache
from lego_ros.ldm.drawing import DrawingSettings, EnginePipeline
from lego_ros.ldm.fast import FastSettings
from lego_ros.ldm.loading import load_component
from lego_ros.ldm.view import View
from lego_ros.programs.masks import ProgramMasks
from lego_ros.runtime.allocation import give_back_freed_memory
from lego_ros.runtime.devices import choose_device
from lego_ros.runtime.model import (
    ActionModel,
    AnswerSettings,
    Check,
    Description,
    ModelInfo,
    OnStep,
    OnText,
)
from lego_ros.runtime.networks import (
    built_engines,
    bundle_graphs,
    DTYPES,
    load_networks,
    network_names,
    program_language,
    runner_for,
    torch_engines,
)
from lego_ros.runtime.weights import count_weights
from lego_ros.vllm.decoding import DecodeSettings
from lego_ros.vllm.engine_language import engine_vllm, vocabulary_size
from lego_ros.vllm.enrichment import Enricher, Enrichment, EnrichmentSettings
from lego_ros.vllm.loading import load_processors
from lego_ros.vllm.program_writing import ProgramWriter
from lego_ros.vllm.written import WrittenProgram
import numpy as np
import torch

PROGRAM_TOKENS = 1024
"""The most tokens of a program."""
_SMALL = 5_000_000


class LegoModel(ActionModel):
    """
    Loads a bundle and answers from it. All calls come from one thread.

    :param folder: the bundle; every file of it is checked first.
    :param device: ``cpu``, ``cuda``, ``cuda:1`` ..., or ``auto``: the GPU where there is one.
    :param precision: float32, bfloat16 or float16.
    :param check: called between the parts; raises LegoError to stop.
    :param backend: what runs the networks, of ``engines.builder.BACKENDS``.
    :param cache: folder that their engines were built to; None = the user's. PyTorch needs none.
    :raises LegoError: a BUNDLE code, INVALID_SETTING for device, precision or backend,
        OUT_OF_MEMORY by way of :func:`lego_ros.runtime.answering.classify`.
    """

    def __init__(self, folder: Path, device: str = 'auto', precision: str = 'float32',
                 check: Check = lambda: None, backend: str = 'torch',
                 cache: Path | None = None) -> None:
        offline_and_quiet()
        manifest, manifest_hash = verify(folder, lambda done, total: check())
        check_architectures(folder)
        self._device = choose_device(device)
        weights = count_weights(folder)
        if self._device.type == 'cpu' and weights < _SMALL:
            torch.set_num_threads(1)
        tokenizer, processor = load_processors(folder / 'vllm')
        if backend == 'torch':
            dtype = DTYPES[precision]
            networks = load_networks(folder, manifest, dtype, check)
            self._engines = torch_engines(bundle_graphs(networks, dtype), self._device)
            clip_tokenizer = networks.pipeline.tokenizer
            sampler = networks.pipeline.scheduler
        else:
            runner = runner_for(backend, self._device, precision, torch.get_num_threads())
            self._engines = built_engines(
                network_names(folder), manifest_hash, runner, EngineCache(cache), check)
            clip_tokenizer, sampler = (
                load_component(folder, name, None) for name in ('tokenizer', 'scheduler'))
        self._view = View(manifest.view)
        self._pipeline = EnginePipeline(self._engines, clip_tokenizer, sampler)
        parts = engine_vllm(self._engines)
        self._enricher = Enricher(
            parts, tokenizer, processor, clip_tokenizer, manifest.text_tokens)
        masks = ProgramMasks(tokenizer, vocabulary_size(self._engines))
        self._writer = ProgramWriter(
            parts, program_language(self._engines), tokenizer, processor, masks.new)
        self.info = _describe_model(
            manifest, manifest_hash, backend, self._device, precision, weights)

    def warm_up(self) -> None:
        """Answer once about a grey frame, with a few tokens and two steps, one of them guided."""
        grey = np.full((self.info.height, self.info.width, 3), 128, np.uint8)
        enrichment = self._enricher.enrich(
            grey, 'open the drawer', EnrichmentSettings(temperature=0., max_new_tokens=4))
        self.depict(
            grey, Description(enrichment.text, enrichment),
            AnswerSettings(seed=0, steps=2, mode='fast'), lambda: None, lambda step, steps: None)

    def describe(self, rgb: np.ndarray, action: str, settings: AnswerSettings, check: Check,
                 on_token: OnStep) -> Description:
        """See :meth:`ActionModel.describe`."""
        enrichment = self._enricher.enrich(
            self._view.vllm_view(rgb), action,
            EnrichmentSettings(temperature=settings.temperature, seed=settings.seed),
            check=check, on_token=lambda count: on_token(count, 0))
        return Description(enrichment.text, enrichment)

    def depict(self, rgb: np.ndarray, description: Description, settings: AnswerSettings,
               check: Check, on_step: OnStep) -> np.ndarray:
        """See :meth:`ActionModel.depict`."""
        enrichment: Enrichment = description.embeddings
        pictures = self._pipeline.draw(
            self._view.ldm_view(rgb, self.info.height)[None],
            [description.text],
            image_embeds=enrichment.image_embeds[None],
            text_embeds=enrichment.text_embeds[None],
            settings=_drawing(settings),
            generator=torch.Generator().manual_seed(settings.seed),
            check=check,
            on_step=on_step,
        )
        picture = (pictures[0] * 255).round().clip(0, 255).astype(np.uint8)
        return self._view.answer_view(picture, *rgb.shape[:2])

    def write_program(self, rgb: np.ndarray, action: str, description: str,
                      settings: AnswerSettings, check: Check, on_text: OnText) -> WrittenProgram:
        """See :meth:`ActionModel.write_program`."""
        return self._writer.write(
            self._view.vllm_view(rgb), action, description,
            DecodeSettings(settings.temperature, PROGRAM_TOKENS, settings.seed), check, on_text)

    def close(self) -> None:
        """Drop the networks and give their memory back, the GPU's too."""
        self._pipeline.close()
        for engine in self._engines.values():
            engine.close()
        del self._pipeline, self._enricher, self._writer, self._engines
        gc.collect()
        give_back_freed_memory()
        if self._device.type == 'cuda':
            torch.cuda.empty_cache()


def _drawing(settings: AnswerSettings) -> DrawingSettings:
    fast = None
    # A single step cannot be drawn by fewer.
    if settings.mode == 'fast' and settings.steps > 1:
        fast = FastSettings.of(settings.steps_taken)
    return DrawingSettings(settings.steps, settings.image_scale, settings.text_scale, fast)


def _describe_model(manifest: Manifest, manifest_hash: str, backend: str, device: torch.device,
                    precision: str, parameters: int) -> ModelInfo:
    name = str(device)
    if device.type == 'cuda':
        name = f'{device} ({torch.cuda.get_device_name(device)})'
    identity = '\n'.join(
        [manifest_hash, backend, backend_version(backend), precision, name])
    return ModelInfo(
        bundle=manifest.name, bundle_version=manifest.version, bundle_sha256=manifest_hash,
        trained=manifest.trained, training_data=manifest.training_data, backend=backend,
        device=name, precision=precision,
        fingerprint=hashlib.sha256(identity.encode()).hexdigest(),
        height=manifest.resolution, width=manifest.resolution,
        image_tokens=manifest.image_tokens, text_tokens=manifest.text_tokens,
        conditioning_channels=manifest.conditioning_channels, parameters=parameters,
        steps=manifest.steps, image_scale=manifest.image_scale, text_scale=manifest.text_scale)
