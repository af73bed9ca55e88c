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

"""Fine-tuning of the LDM (LEGO, Sec. 3.2): from pairs and an enrichment to UNet, sigma, mu, pi."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from accelerate import Accelerator
from diffusers import AutoencoderKL, EulerAncestralDiscreteScheduler
from lego_ros.errors import ErrorCode, LegoError
from lego_ros.ldm.config import scheduler_config
from lego_ros.ldm.loading import check_components, load_component
from lego_ros.ldm.pipeline import LegoPipeline
from lego_ros.training.data.dataset import PairDataset
from lego_ros.training.ldm.data import LdmData, Words
from lego_ros.training.ldm.features import Enrichment
from lego_ros.training.ldm.latents import Latents
from lego_ros.training.ldm.networks import make_networks, read_record, save_networks, speed_up
from lego_ros.training.ldm.objective import LegoObjective
from lego_ros.training.ldm.projector import load_projector
from lego_ros.training.ldm.settings import LdmSettings
from lego_ros.training.ldm.texts import encode_texts, TextEncodings
from lego_ros.training.ldm.validation import Validator
from lego_ros.training.ldm.variants import Variant, VARIANTS
from lego_ros.training.run.identity import module_sha256, values_sha256
from lego_ros.training.run.loop import make_accelerator, train
from lego_ros.training.vllm.identity import vllm_sha256
from torch import nn
from transformers import CLIPTextModel, CLIPTokenizer

RESULT = 'result'
"""Sub-folder of a run with ``unet``, ``conditioning`` and ``training.json``."""


@dataclass(frozen=True)
class Sources:
    """
    Where everything is that fine-tuning needs.

    :param dataset: folder of the pairs.
    :param vae: folder that holds ``vae``.
    :param text: folder that holds ``text_encoder`` and ``tokenizer``.
    :param cache: for latents and text encodings; runs on the same data share it.
    :param vllm: folder of the VLLM; None for variants without its image embedding.
    :param enrichment: shards of the training split; None for ``labels``.
    :param held_out_enrichment: shards of the held-out split; None for ``labels``.
    :param split: to train on.
    :param held_out: to validate on; None = no validation.
    """

    dataset: Path
    vae: Path
    text: Path
    cache: Path
    vllm: Path | None = None
    enrichment: Path | None = None
    held_out_enrichment: Path | None = None
    split: str = 'train'
    held_out: str | None = 'validation'


def finetune(settings: LdmSettings, sources: Sources, folder: Path, *,
             stop: Callable[[], bool] = lambda: False) -> Path:
    """
    Fine-tune, going on from wherever an earlier call in the same folder came to.

    :param settings: of the stage.
    :param sources: what is trained on.
    :param folder: of the run: checkpoints, figures and the result.
    :param stop: asked now and then; True ends it with nothing lost.
    :returns: the folder with the trained ``unet`` and ``conditioning``, averaged where the
        settings say so.
    :raises Interrupted: ``stop`` said so.
    :raises LegoError: what ``training.run.loop.train`` raises; and for sources that are missing,
        damaged or do not go together.
    """
    accelerator = make_accelerator(settings.loop)
    stage = _Stage(settings, sources, accelerator)
    result = folder / RESULT
    record = {**stage.identity, 'loop': settings.loop.model_dump(mode='json')}
    if read_record(result) == record:
        return result
    data = stage.data(sources.split, sources.enrichment, settings.flip, stop)
    validator = None
    if sources.held_out is not None:
        held_out = stage.data(sources.held_out, sources.held_out_enrichment, False, stop)
        validator = stage.validator(held_out)
    train(stage.objective, data, settings.loop, folder, identity=stage.identity,
          validate=validator, stop=stop, accelerator=accelerator)
    if accelerator.is_main_process:
        save_networks(result, stage.objective.unet, stage.objective.conditioning, record)
    accelerator.wait_for_everyone()
    return result


class _Stage:
    """The parts of the stage, and what identifies a run."""

    def __init__(self, settings: LdmSettings, sources: Sources, accelerator: Accelerator) -> None:
        self._settings, self._sources, self._accelerator = settings, sources, accelerator
        self._variant: Variant = VARIANTS[settings.variant]
        device = accelerator.device
        self._vae: AutoencoderKL = load_component(sources.vae, 'vae', None).to(device)
        self._text_encoder: CLIPTextModel = load_component(
            sources.text, 'text_encoder', None).to(device)
        self._tokenizer: CLIPTokenizer = load_component(sources.text, 'tokenizer', None)
        self._enrichments: dict[Path, Enrichment] = {}
        opened = self._enrichment(sources.enrichment)
        unet, conditioning = make_networks(
            settings, self._vae, self._text_encoder, opened.index if opened else None)
        check_components(self._vae, self._text_encoder, self._tokenizer, unet, conditioning)
        self._tokens = conditioning.config.text_tokens
        speed_up(unet, device)
        projector = self._projector(opened)
        self.objective = LegoObjective(
            unet, conditioning, projector,
            encode_texts([''], self._text_encoder, self._tokenizer, self._tokens),
            self._variant, self._vae.config.scaling_factor, settings.drop, settings.compile)
        self.identity = self._identify(projector)

    def data(self, split: str, enrichment: Path | None, flip: bool,
             stop: Callable[[], bool]) -> LdmData:
        """Give the samples of a split; what is cached of them is computed if need be."""
        settings, share = self._settings, (
            self._accelerator.process_index, self._accelerator.num_processes)
        pairs = PairDataset(self._sources.dataset, split, described=False)
        opened = self._enrichment(enrichment)
        words = Words(pairs, opened, self._variant, flip)
        # The caches' folders are claimed by one process, before the others look at them.
        with self._accelerator.main_process_first():
            latents = Latents(self._sources.cache / f'latents-{split}', pairs, self._vae,
                              settings.view, settings.resolution, flip)
            texts = TextEncodings(self._sources.cache / 'texts', words.all(), self._text_encoder,
                                  self._tokenizer, self._tokens)
        latents.fill(self._vae, stop=stop, share=share)
        texts.fill(self._text_encoder, self._tokenizer, stop=stop, share=share)
        self._accelerator.wait_for_everyone()
        return LdmData(pairs, words, latents, texts, opened, self._variant, flip)

    def validator(self, data: LdmData) -> Validator:
        """Give what validates on held-out samples."""
        pipeline = LegoPipeline(
            vae=self._vae, text_encoder=self._text_encoder, tokenizer=self._tokenizer,
            unet=self.objective.unet, conditioning=self.objective.conditioning,
            scheduler=EulerAncestralDiscreteScheduler(**scheduler_config()))
        return Validator(data, pipeline, self._settings.view, self._settings.shown,
                         half=self._settings.loop.precision == 'bf16')

    def _enrichment(self, folder: Path | None) -> Enrichment | None:
        if not self._variant.enriched:
            return None
        if folder is None:
            raise LegoError(
                ErrorCode.INVALID_SETTING,
                f"the variant '{self._settings.variant}' is conditioned on the VLLM's "
                'descriptions: name the enrichments of both splits, or choose the variant '
                "'labels'")
        if folder not in self._enrichments:
            self._enrichments[folder] = Enrichment(folder)
        return self._enrichments[folder]

    def _projector(self, enrichment: Enrichment | None) -> nn.Module | None:
        if not self._variant.image:
            return None
        assert enrichment is not None
        folder = self._sources.vllm
        if folder is None:
            raise LegoError(
                ErrorCode.INVALID_SETTING,
                f"the variant '{self._settings.variant}' needs the VLLM's projector: name the "
                "VLLM's folder")
        if vllm_sha256(folder) != enrichment.index.vllm:
            raise LegoError(
                ErrorCode.BUNDLE_MISMATCH,
                f"the VLLM in '{folder}' is not the one that made the enrichment in "
                f"'{self._sources.enrichment}'")
        return load_projector(folder)

    def _identify(self, projector: nn.Module | None) -> dict[str, Any]:
        """Name all that the run's outcome depends on."""
        settings, sources, objective = self._settings, self._sources, self.objective
        pairs = PairDataset(sources.dataset, sources.split, described=False)
        enrichment = self._enrichment(sources.enrichment)
        # Where things lie, what is shown of the run and how fast it is do not count; the loop has
        # its own eye on its settings.
        chosen = settings.model_dump(mode='json', exclude={'loop', 'start', 'shown', 'compile'})
        return {
            'stage': 'ldm', **chosen,
            'pairs': pairs.sha256, 'vae': module_sha256(self._vae),
            'scaling_factor': self._vae.config.scaling_factor,
            'text_encoder': module_sha256(self._text_encoder),
            'tokenizer': values_sha256(self._tokenizer.get_vocab()),
            'enrichment': enrichment.sha256 if enrichment else None,
            'projector': module_sha256(projector) if projector is not None else None,
            'unet': module_sha256(objective.unet),
            'conditioning': module_sha256(objective.conditioning),
        }
