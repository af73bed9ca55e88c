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

"""From the released weights of others to a bundle."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from lego_ros import __version__
from lego_ros.bundle.importing.diffusers_folder import read_diffusers_folder
from lego_ros.bundle.importing.llava_folder import read_llava
from lego_ros.bundle.importing.matching import fill
from lego_ros.bundle.importing.parts import LdmParts, VllmParts
from lego_ros.bundle.importing.single_file import read_single_file
from lego_ros.bundle.importing.weights import unreadable
from lego_ros.bundle.integrity import hash_files
from lego_ros.bundle.making import new_bundle
from lego_ros.bundle.manifest import Manifest, read_manifest
from lego_ros.bundle.writing import DTYPES, write_networks
from lego_ros.errors import ErrorCode, LegoError
from lego_ros.files import FileEntry
from lego_ros.ldm.conditioning import LegoConditioning
from lego_ros.ldm.config import LdmSize, paper_size
from lego_ros.ldm.guidance import GUIDANCE_SCALE, IMAGE_GUIDANCE_SCALE
from lego_ros.ldm.pipeline import LegoPipeline, STEPS
from lego_ros.ldm.view import View
import torch

NOT_STATED = 'NOASSERTION'
"""SPDX's word for a licence that nobody has stated."""


@dataclass(frozen=True)
class ImportRequest:
    """
    What to import.

    :param ldm: a diffusers folder, or a file by the names of CompVis.
    :param vllm: a folder of LLaVA.
    :param clip_tokenizer: folder of the text encoder's tokenizer; a file has none.
    :param vision_tower: folder of CLIP, where the VLLM's folder does not hold its own.
    :param vllm_tokenizer: folder of the VLLM's tokenizer, where its own folder has none to read.
    :param conversation: that the VLLM was tuned with, see :func:`read_llava`; None = find out.
    :param name: of the bundle.
    :param license: SPDX identifier of the weights.
    :param training_data: what they were trained on, in a sentence; None when not stated.
    :param view: see lego_ros.ldm.view; None = as the weights were trained (``released`` for
        LEGO's, ``whole`` for others).
    :param resolution: side in pixels of the pictures; LEGO's is 256.
    :param dtype: one of :data:`DTYPES`.
    :param seed: of sigma, mu and pi, where they are new.
    """

    ldm: Path
    vllm: Path
    name: str
    clip_tokenizer: Path | None = None
    vision_tower: Path | None = None
    vllm_tokenizer: Path | None = None
    conversation: str | None = None
    license: str = NOT_STATED  # noqa: A003 - what the manifest calls it
    training_data: str | None = None
    view: str | None = None
    resolution: int = 256
    dtype: str = 'float16'
    seed: int = 0


def import_bundle(
    out: Path, request: ImportRequest, size: LdmSize | None = None,
    on_bytes: Callable[[int, int], None] | None = None,
) -> tuple[Manifest, dict[str, str]]:
    """
    Make a bundle; it is either there whole or not at all.

    :param out: where it shall be; must not exist.
    :param request: what to import.
    :param size: of the networks in a single file, and of pi's layers; None = the paper's.
    :param on_bytes: called with the bytes written so far and in all.
    :returns: its manifest, and part by part where it came from.
    :raises LegoError: SOURCE_UNREADABLE, BUNDLE_UNSAFE, BUNDLE_MISMATCH, BUNDLE_INVALID or
        INVALID_SETTING; the message names what was wrong.
    """
    size = size or paper_size()
    # A name that is mistyped shall not be taken for a file of another kind.
    for path in (request.ldm, request.vllm):
        if not path.exists():
            raise unreadable(path, 'there is nothing')
    vllm = read_llava(request.vllm, request.vision_tower, request.vllm_tokenizer,
                      request.conversation)
    if request.ldm.is_dir():
        ldm = read_diffusers_folder(request.ldm, request.resolution, request.clip_tokenizer)
    else:
        ldm = read_single_file(request.ldm, size, request.resolution, request.clip_tokenizer)
    pipeline = LegoPipeline(
        vae=ldm.vae, text_encoder=ldm.text_encoder, tokenizer=ldm.tokenizer, unet=ldm.unet,
        scheduler=ldm.scheduler, conditioning=_conditioning(ldm, vllm, size, request))
    manifest = _manifest(request, ldm, vllm, pipeline)
    origins = {**_origins(ldm, request), **vllm.origins}
    with new_bundle(out) as part:
        # A name or sentence that the manifest refuses is found before gigabytes are written.
        replace(manifest, files={'README.md': FileEntry(0, '0' * 64)}).save(part)
        read_manifest(part)
        write_networks(part, vllm.model, vllm.tokenizer, vllm.processor, pipeline,
                       DTYPES[request.dtype], on_bytes)
        (part / 'README.md').write_text(_card(manifest, request, origins), encoding='utf-8')
        manifest = replace(manifest, files=hash_files(part))
        manifest.save(part)
    return manifest, origins


def _conditioning(
    ldm: LdmParts, vllm: VllmParts, size: LdmSize, request: ImportRequest,
) -> LegoConditioning:
    shape = {
        **size.conditioning,
        'vllm_hidden': vllm.model.config.text_config.hidden_size,
        'cross_attention_dim': ldm.unet.config.cross_attention_dim,
        'image_tokens': vllm.model.image_tokens,
        'text_tokens': ldm.text_encoder.config.max_position_embeddings,
    }
    if shape['cross_attention_dim'] % shape['heads']:
        raise LegoError(
            ErrorCode.BUNDLE_MISMATCH,
            f"The UNet's context has {shape['cross_attention_dim']} channels, which do not part "
            f"into the {shape['heads']} heads of pi")
    if ldm.conditioning is None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(request.seed)
            return LegoConditioning(**shape)
    with torch.device('meta'):
        empty = LegoConditioning(**shape)
    return fill(empty, ldm.conditioning,
                f"sigma, mu and pi in '{request.ldm}', for the VLLM in '{request.vllm}',")


def _origins(ldm: LdmParts, request: ImportRequest) -> dict[str, str]:
    wires = (f'new, Xavier, seed {request.seed}: untrained' if ldm.conditioning is None
             else f'{request.ldm.name}, projection_img, projection_txt, self_attn_mix')
    return {**ldm.origins, 'sigma, mu, pi': wires}


def _manifest(
    request: ImportRequest, ldm: LdmParts, vllm: VllmParts, pipeline: LegoPipeline,
) -> Manifest:
    lego = ldm.conditioning is not None
    size = pipeline.conditioning.config
    stated = request.training_data or (
        f'not stated; imported from {request.ldm.name} and {request.vllm.resolve().name}')
    return Manifest(
        name=request.name, version=__version__, trained=lego, training_data=stated,
        license=request.license, resolution=pipeline.resolution,
        view=View(request.view or ('released' if lego else 'whole')).value,
        image_tokens=size.image_tokens, text_tokens=size.text_tokens,
        conditioning_channels=size.cross_attention_dim, vllm_hidden=size.vllm_hidden,
        steps=STEPS, image_scale=IMAGE_GUIDANCE_SCALE, text_scale=GUIDANCE_SCALE,
        sampler=type(pipeline.scheduler).__name__)


def _card(manifest: Manifest, request: ImportRequest, origins: dict[str, str]) -> str:
    rows = ''.join(f'| {name} | {origin} |\n' for name, origin in origins.items())
    state = ('' if manifest.trained else
             'Not trained as a whole: its pictures mean nothing until sigma, mu, pi and the UNet '
             'have been trained together.\n\n')
    return (
        f'# {manifest.name}\n\nImported by lego_ros {__version__}, in {request.dtype}. '
        f'Licence of the weights: {manifest.license}. Training data: {manifest.training_data}.'
        f'\n\n{state}| Part | Comes from |\n| --- | --- |\n{rows}')
