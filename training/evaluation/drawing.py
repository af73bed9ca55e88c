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

"""Drawing the action frames of held-out pairs, with exactly what a variant is conditioned on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
import hashlib
import io
from pathlib import Path
from typing import Any

from diffusers import EulerAncestralDiscreteScheduler
from lego_ros.errors import ErrorCode, LegoError
from lego_ros.files import write_whole
from lego_ros.ldm.config import scheduler_config
from lego_ros.ldm.guidance import GUIDANCE_SCALE, IMAGE_GUIDANCE_SCALE
from lego_ros.ldm.loading import load_component
from lego_ros.ldm.pipeline import LegoPipeline, STEPS
from lego_ros.training.data.dataset import PairDataset, read_picture
from lego_ros.training.evaluation.inputs import Network, RunFolder
from lego_ros.training.ldm.features import Enrichment
from lego_ros.training.ldm.pictures import ldm_picture
from lego_ros.training.ldm.projector import load_projector
from lego_ros.training.run.draws import mix
from lego_ros.training.run.identity import module_sha256, values_sha256
from lego_ros.training.run.loop import Interrupted
import numpy as np
from PIL import Image
from pydantic import BaseModel, ConfigDict
import torch
from tqdm import tqdm

_BATCH = 8


class DrawSettings(BaseModel):
    """How pictures are drawn."""

    model_config = ConfigDict(extra='forbid', frozen=True)

    steps: int = STEPS
    image_scale: float = IMAGE_GUIDANCE_SCALE
    text_scale: float = GUIDANCE_SCALE
    seed: int = 0


@dataclass(frozen=True)
class Condition:
    """
    What a picture is drawn from.

    :param key: gives the noise its seed, so that every variant begins with the same.
    :param frame: (S, S, 3) uint8, the input frame.
    :param words: what psi encodes.
    :param vision: (M, vision_hidden), before the projector; None where there is no enrichment.
    :param states: (K, hidden), the real rows of H_t; likewise.
    """

    key: str
    frame: np.ndarray
    words: str
    vision: np.ndarray | None
    states: np.ndarray | None


class Painter:
    """
    A variant's networks at work: on a GPU where there is one, on a CPU in training's precision.

    :param network: the variant's.
    :param run: whose auto-encoder, text encoder and VLLM it was trained with.
    :param settings: see there.
    :raises LegoError: BUNDLE_MISMATCH: it was trained with others; BUNDLE_NOT_FOUND,
        BUNDLE_INVALID.
    """

    def __init__(self, network: Network, run: RunFolder, settings: DrawSettings) -> None:
        self._variant, self._settings = network.variant, settings
        device = torch.device('cuda' if torch.cuda.is_available() else 'cpu')
        vae = load_component(run.vae, 'vae', None)
        text_encoder = load_component(run.text, 'text_encoder', None)
        self._projector = (load_projector(run.vllms[network.variant.tuned]).to(device)
                           if network.variant.image else None)
        for name, module in (('vae', vae), ('text_encoder', text_encoder),
                             ('projector', self._projector)):
            if module is not None and network.record[name] != module_sha256(module):
                raise LegoError(
                    ErrorCode.BUNDLE_MISMATCH,
                    f"'{network.folder}' was trained with another {name} than the run has now: "
                    'train it again')
        self._pipeline = LegoPipeline(
            vae=vae, text_encoder=text_encoder,
            tokenizer=load_component(run.text, 'tokenizer', None),
            unet=load_component(network.folder, 'unet', None),
            conditioning=load_component(network.folder, 'conditioning', None),
            scheduler=EulerAncestralDiscreteScheduler(**scheduler_config())).to(device)
        self._device = device
        # A GPU is fast enough without, and the same numbers are easier to get again.
        self._half = device.type == 'cpu' and network.record['loop']['precision'] == 'bf16'

    def draw(self, conditions: Sequence[Condition]) -> list[np.ndarray]:
        """
        Draw pictures.

        :param conditions: of each; with the features that the variant needs.
        :returns: (S, S, 3) uint8 each.
        """
        image = text = None
        with torch.autocast(self._device.type, torch.bfloat16, enabled=self._half), \
                torch.no_grad():
            if self._projector is not None:
                image = self._projector(self._stack([each.vision for each in conditions]))
            if self._variant.text:
                rows = self._pipeline.conditioning.config.text_tokens
                text = self._stack([_padded(each.states, rows) for each in conditions])
            drawn: Any = self._pipeline(
                image=[each.frame for each in conditions],
                prompt=[each.words for each in conditions], image_embeds=image, text_embeds=text,
                num_inference_steps=self._settings.steps,
                image_guidance_scale=self._settings.image_scale,
                guidance_scale=self._settings.text_scale,
                generator=[torch.Generator().manual_seed(seed_of(self._settings.seed, each.key))
                           for each in conditions])
        return list((drawn.images * 255).round().astype(np.uint8))

    @torch.no_grad()
    def restored(self, pictures: Sequence[np.ndarray]) -> list[np.ndarray]:
        """
        Give pictures as the auto-encoder gives them back: what drawing cannot surpass.

        :param pictures: (S, S, 3) uint8 each.
        :returns: likewise.
        """
        found = []
        for first in range(0, len(pictures), _BATCH):
            batch = torch.from_numpy(np.stack(pictures[first:first + _BATCH])).permute(0, 3, 1, 2)
            latents = self._pipeline.vae.encode(
                (batch.float() / 127.5 - 1).to(self._device)).latent_dist.mode()
            back = self._pipeline.vae.decode(latents).sample.float().cpu().clamp(-1, 1)
            found += list(((back + 1) * 127.5).round().byte().permute(0, 2, 3, 1).numpy())
        return found

    def _stack(self, arrays: Sequence[np.ndarray | None]) -> torch.Tensor:
        there = [array for array in arrays if array is not None]
        return torch.from_numpy(np.stack(there).astype(np.float32)).to(self._device)


def seed_of(seed: int, key: str) -> int:
    """
    Give the seed of a picture's noise.

    :param seed: of the evaluation.
    :param key: of the pair.
    :returns: 0 to 2^63 - 1; it depends on nothing else.
    """
    return mix(seed, int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], 'little'))


def condition_of(network: Network, pairs: PairDataset, index: int,
                 enrichment: Enrichment | None) -> Condition:
    """
    Put together what a held-out pair's picture is drawn from.

    :param network: whose variant tells what is needed.
    :param pairs: of the split.
    :param index: of the pair.
    :param enrichment: of the variant's VLLM; None for a variant that needs none.
    :returns: the condition.
    """
    pair = pairs[index]
    frame = ldm_picture(pairs, index, 'input', network.view, network.resolution)
    if enrichment is None:
        return Condition(pair.pair_id, frame, pair.label, None, None)
    return Condition(pair.pair_id, frame, enrichment.words(pair.pair_id, False).description,
                     *enrichment.features(pair.pair_id, False))


def draw_split(network: Network, run: RunFolder, pairs: PairDataset, indices: Sequence[int],
               enrichment: Enrichment | None, settings: DrawSettings, folder: Path, *,
               stop: Callable[[], bool]) -> list[np.ndarray]:
    """
    Draw held-out pairs, but for those that an earlier call drew.

    :param network: that draws.
    :param run: it belongs to.
    :param pairs: of the split.
    :param indices: of those that are drawn.
    :param enrichment: see :func:`condition_of`.
    :param settings: see there.
    :param folder: for the pictures; those drawn otherwise lie beside them.
    :param stop: asked after each batch.
    :returns: the pictures in order, (S, S, 3) uint8 each.
    :raises Interrupted: ``stop`` said so.
    :raises LegoError: RECORDING_FAILED: a picture cannot be written; and what the parts raise.
    """
    identity = values_sha256([
        network.record, enrichment.index.vllm if enrichment else None,
        settings.model_dump(mode='json')])
    place = folder / network.name / identity[:16] / pairs.split
    paths = [place / f'{hashlib.sha256(pairs[index].pair_id.encode()).hexdigest()[:24]}.png'
             for index in indices]
    missing = [number for number, path in enumerate(paths) if not path.is_file()]
    if missing:
        painter = Painter(network, run, settings)
        with tqdm(total=len(paths), initial=len(paths) - len(missing), unit='picture',
                  desc=f'{network.name}, {pairs.split}') as bar:
            for first in range(0, len(missing), _BATCH):
                if stop():
                    raise Interrupted(len(paths) - len(missing) + first)
                some = missing[first:first + _BATCH]
                drawn = painter.draw([condition_of(network, pairs, indices[number], enrichment)
                                      for number in some])
                for number, picture in zip(some, drawn, strict=True):
                    _save(paths[number], picture)
                bar.update(len(some))
    return [read_picture(path) for path in paths]


def _save(path: Path, picture: np.ndarray) -> None:
    content = io.BytesIO()
    Image.fromarray(picture).save(content, 'PNG')
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, content.getvalue(), durable=False)
    except OSError as error:
        raise LegoError(
            ErrorCode.RECORDING_FAILED,
            f"'{path}' cannot be written: {error}. Make room; the same command goes on") from error


def _padded(states: np.ndarray | None, rows: int) -> np.ndarray | None:
    if states is None:
        return None
    full = np.zeros((rows, states.shape[1]), states.dtype)
    full[:len(states[:rows])] = states[:rows]
    return full
