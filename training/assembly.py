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

"""From trained parts to a bundle with its model card and the curves of its trainings."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
import shutil

from diffusers import EulerAncestralDiscreteScheduler
from lego_ros import __version__
from lego_ros.bundle.integrity import hash_files
from lego_ros.bundle.making import new_bundle
from lego_ros.bundle.manifest import Manifest
from lego_ros.bundle.writing import DTYPES, write_adapter, write_networks
from lego_ros.ldm.config import scheduler_config
from lego_ros.ldm.loading import load_component
from lego_ros.ldm.pipeline import LegoPipeline
from lego_ros.runtime.networks import PROGRAM
from lego_ros.training.ldm.networks import read_record
from lego_ros.training.model_card import model_card, read_evaluation
from lego_ros.training.recipe import Recipe
from lego_ros.training.run.journal import draw_curves
from lego_ros.vllm.loading import load_vllm
import torch

CARD, CURVES = 'README.md', 'curves.png'


@dataclass(frozen=True)
class Parts:
    """
    Where the trained parts are.

    :param vllm: folder of the VLLM.
    :param vae: folder that holds ``vae``.
    :param text: folder that holds ``text_encoder`` and ``tokenizer``.
    :param ldm: folder that holds ``unet`` and ``conditioning``.
    :param programs: folder of the adapter that writes programs; None = there is none.
    :param runs: folders of the trainings by the name that goes above their curves.
    :param evaluation: what ``lego-ros eval`` wrote; it may be missing.
    """

    vllm: Path
    vae: Path
    text: Path
    ldm: Path
    programs: Path | None
    runs: dict[str, Path]
    evaluation: Path


def assemble(recipe: Recipe, parts: Parts, folder: Path) -> Path:
    """
    Make the bundle; one that is there is replaced.

    :param recipe: that the parts were trained by.
    :param parts: where they are.
    :param folder: of the bundle.
    :returns: the folder.
    :raises LegoError: BUNDLE_NOT_FOUND, BUNDLE_INVALID, BUNDLE_MISMATCH: a part is missing,
        damaged or does not go with the others.
    """
    vllm, words, processor = load_vllm(parts.vllm, torch.float32)
    pipeline = LegoPipeline(
        vae=load_component(parts.vae, 'vae', None),
        text_encoder=load_component(parts.text, 'text_encoder', None),
        tokenizer=load_component(parts.text, 'tokenizer', None),
        unet=load_component(parts.ldm, 'unet', None),
        conditioning=load_component(parts.ldm, 'conditioning', None),
        scheduler=EulerAncestralDiscreteScheduler(**scheduler_config()))
    manifest = _manifest(recipe, pipeline)
    report = read_evaluation(parts.evaluation, read_record(parts.ldm))
    old = folder.with_name(f'.{folder.name}.old')
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        folder.rename(old)
    with new_bundle(folder) as part:
        write_networks(part, vllm, words, processor, pipeline, DTYPES[recipe.bundle.dtype])
        if parts.programs is not None:
            write_adapter(parts.programs, part / PROGRAM, DTYPES[recipe.bundle.dtype])
        draw_curves(parts.runs, part / CURVES)
        (part / CARD).write_text(model_card(manifest, recipe, parts.runs, CURVES, report),
                                 encoding='utf-8')
        replace(manifest, files=hash_files(part)).save(part)
    shutil.rmtree(old, ignore_errors=True)
    return folder


def _manifest(recipe: Recipe, pipeline: LegoPipeline) -> Manifest:
    size, bundle = pipeline.conditioning.config, recipe.bundle
    return Manifest(
        name=bundle.name, version=__version__, trained=True, training_data=bundle.training_data,
        license=bundle.license, resolution=pipeline.resolution,
        view=(bundle.view or recipe.ldm.view).value,
        image_tokens=size.image_tokens, text_tokens=size.text_tokens,
        conditioning_channels=size.cross_attention_dim, vllm_hidden=size.vllm_hidden,
        steps=bundle.steps, image_scale=bundle.image_scale, text_scale=bundle.text_scale,
        sampler=type(pipeline.scheduler).__name__)
