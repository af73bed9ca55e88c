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
The kitchen's CLIP: image and text encoder, trained to tell which text goes with which picture.

Its vision tower becomes the VLLM's, its text encoder the LDM's psi, and the whole is the space in
which generated frames are compared. The method is CLIP's (Radford et al., 2021, Sec. 2.3).
"""

from __future__ import annotations

from collections.abc import Callable
import json
from pathlib import Path
from typing import Annotated

from lego_ros.errors import ErrorCode, telling
from lego_ros.training.data.clip_scorers import SIMILARITY_FILE
from lego_ros.training.data.files import replacing
from lego_ros.training.foundations.contrast import (
    ContrastCollate,
    ContrastObjective,
    PicturesWithTexts,
)
from lego_ros.training.foundations.grids import grid
from lego_ros.training.foundations.kitchen_split import KitchenSplit
from lego_ros.training.foundations.pictures import image_processor, normalised, stacked
from lego_ros.training.foundations.settings import Transformer
from lego_ros.training.foundations.sizes import FoundationSize
from lego_ros.training.foundations.tokenizers import fingerprint
from lego_ros.training.run.attention import with_fast_attention
from lego_ros.training.run.identity import module_sha256
from lego_ros.training.run.loop import train, Validation
import numpy as np
from pydantic import Field, model_validator
import torch
from torch import nn, Tensor
from transformers import (
    CLIPConfig,
    CLIPImageProcessorPil,
    CLIPModel,
    CLIPTokenizer,
    CLIPVisionModel,
)

TEXT_ENCODER, TOKENIZER = 'text_encoder', 'tokenizer'
"""Sub-folders with psi alone, as a bundle has them."""
VALIDATED = 256
"""Pictures and texts among which a validation searches, at most."""
_SHOWN, _FOUND = 6, 4
_BOUNDS = (1.0, 99.0)
"""Percentiles of the pairs' cosines between which a like pair is taken for a good one."""


class ClipSettings(Transformer):
    """How the two encoders are trained."""

    epochs: float | None = 30.0
    batch_size: Annotated[int, Field(gt=1)] = 256
    lr: Annotated[float, Field(gt=0)] = 5e-4
    warmup: Annotated[float, Field(ge=0, lt=1)] = 0.05
    weight_decay: Annotated[float, Field(ge=0)] = 0.1
    checkpoint_every: Annotated[int, Field(gt=0)] = 200
    validate_every: Annotated[int, Field(gt=0)] = 200
    facts: Annotated[int, Field(gt=0)] = 4
    """Facts in a caption, at most; the text encoder reads N tokens."""

    @model_validator(mode='after')
    def _is_one_batch(self) -> ClipSettings:
        if self.micro_batch not in (None, self.batch_size):
            raise ValueError('micro_batch must be null: each picture is compared with all texts '
                             'of its batch')
        return self


def train_clip(settings: ClipSettings, size: FoundationSize, data: KitchenSplit,
               validation: KitchenSplit, tokenizer: CLIPTokenizer, tower: CLIPVisionModel,
               folder: Path, run: Path, *,
               stop: Callable[[], bool] = lambda: False) -> Path:
    """
    Train the encoders, going on where an earlier run stopped.

    :param settings: see there.
    :param size: of the encoders.
    :param data: the training split.
    :param validation: the validation split.
    :param tokenizer: of the text encoder.
    :param tower: that the image encoder begins with; copied.
    :param folder: for the result: model, tokenizer, image processor, psi apart, and
        ``similarity.json`` for ``data.clip_scorers``.
    :param run: for checkpoints and figures.
    :param stop: asked after each step.
    :returns: the folder of the result.
    :raises Interrupted: ``stop`` said so.
    :raises LegoError: see ``train``.
    """
    model = build_clip(size, tokenizer, settings.seed)
    model.vision_model.load_state_dict(tower.state_dict())
    processor = image_processor(model.config.vision_config.image_size)
    objective, collate = ContrastObjective(model, processor), ContrastCollate(tokenizer)
    shown = PicturesWithTexts(validation, settings.facts)

    def validate(bare: nn.Module, step: int) -> Validation:
        return _validate(bare, shown, collate)

    train(objective, PicturesWithTexts(data, settings.facts), settings, run,
          identity={'stage': 'clip', 'data': data.sha256, 'tokenizer': fingerprint(tokenizer),
                    'tower': module_sha256(tower),
                    'model': json.loads(model.config.to_json_string())},
          collate=collate, validate=validate, stop=stop)
    # What the last call left in it would be saved too, and make another file of the same rules.
    tokenizer.backend_tokenizer.no_padding()
    tokenizer.backend_tokenizer.no_truncation()
    similarity = _similarity(model, processor, data)
    with replacing(folder, "the kitchen's CLIP") as part:
        for saved in (model, tokenizer, processor):
            saved.save_pretrained(part)
        model.text_model.save_pretrained(part / TEXT_ENCODER)
        tokenizer.save_pretrained(part / TOKENIZER)
        (part / SIMILARITY_FILE).write_text(
            json.dumps(similarity, indent=1), encoding='utf-8')
    return folder


def build_clip(size: FoundationSize, tokenizer: CLIPTokenizer, seed: int) -> CLIPModel:
    """
    Make the encoders with random weights.

    :param size: of the encoders.
    :param tokenizer: gives the vocabulary.
    :param seed: the same seed gives the same weights.
    :returns: the model in training mode; the global random state is left alone.
    """
    # The vision tower's configuration does not hang on the language model's vocabulary.
    vision = size.llava(len(tokenizer)).vision_config
    text = {**size.ldm.text, 'vocab_size': len(tokenizer),
            'bos_token_id': tokenizer.bos_token_id, 'eos_token_id': tokenizer.eos_token_id,
            'pad_token_id': tokenizer.pad_token_id}
    config = CLIPConfig(text_config=text, vision_config=vision.to_dict(),
                        projection_dim=vision.projection_dim)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return with_fast_attention(CLIPModel(config)).train()


def load_clip(folder: Path) -> tuple[CLIPModel, CLIPTokenizer, CLIPImageProcessorPil]:
    """
    Load the encoders.

    :param folder: that :func:`train_clip` wrote.
    :returns: the model in evaluation mode on the CPU, its tokenizer, its image processor.
    :raises LegoError: SOURCE_UNREADABLE: it is not there, or damaged.
    """
    with telling(ErrorCode.SOURCE_UNREADABLE,
                 f"'{folder}': the kitchen's CLIP cannot be loaded"):
        model, report = CLIPModel.from_pretrained(
            folder, local_files_only=True, use_safetensors=True, output_loading_info=True)
        if report['missing_keys']:
            raise ValueError(f'weights are missing: {sorted(report["missing_keys"])[:3]}')
        return (model.eval(), CLIPTokenizer.from_pretrained(folder, local_files_only=True),
                CLIPImageProcessorPil.from_pretrained(folder, local_files_only=True))


def _validate(objective: nn.Module, data: PicturesWithTexts, collate: ContrastCollate
              ) -> Validation:
    """Search captions for inputs, and descriptions for targets, and the other way round."""
    count = min(len(data), VALIDATED)
    captions = [data.captioned(index, np.random.default_rng(index)) for index in range(count)]
    descriptions = [data.described(index) for index in range(count)]
    figures: dict[str, float] = {}
    losses = []
    for name, samples in (('captions', captions), ('descriptions', descriptions)):
        batch = collate(samples)
        device = next(objective.parameters()).device
        batch = {key: value.to(device) for key, value in batch.items()}
        losses.append(float(objective(batch)[0]))
        # An nn.Module's attributes are tensors or modules to mypy; this one is a method.
        pictures, texts = objective.embed(batch)  # type: ignore[operator]
        likeness = pictures @ texts.T
        same = batch['texts'][:, None] == batch['texts'][None, :]
        figures[f'{name}/text_found'] = _found(likeness, same)
        figures[f'{name}/picture_found'] = _found(likeness.T, same)
    figures['loss'] = float(np.mean(losses))
    return Validation(figures, *_shown(likeness, descriptions))


def _found(likeness: Tensor, same: Tensor) -> float:
    """Give the part of rows whose best column is right."""
    return float(same.gather(1, likeness.argmax(1, keepdim=True)).float().mean())


def _shown(likeness: Tensor, samples: list[tuple[np.ndarray, str]]
           ) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """For a few texts, show the right picture and the likeliest ones."""
    rows, lines = [], ['one row each: the right picture, then those that fit best', '']
    for index in range(min(_SHOWN, len(samples))):
        best = likeness[:, index].argsort(descending=True)[:_FOUND].tolist()
        best += [best[-1]] * (_FOUND - len(best))
        rows.append([samples[index][0], *(samples[each][0] for each in best)])
        lines.append(f'{index + 1}. {samples[index][1]}')
    return {'found': grid(rows)}, {'texts': '\n'.join(lines)}


@torch.no_grad()
def _similarity(model: CLIPModel, processor: CLIPImageProcessorPil, data: KitchenSplit,
                most: int = 2048, batch: int = 64) -> dict[str, float]:
    """Measure how alike the two pictures of a pair are."""
    device = next(model.parameters()).device
    count = min(len(data.pairs), most)
    cosines = []
    for first in range(0, count, batch):
        indices = range(first, min(first + batch, count))
        embeds = [model.get_image_features(pixel_values=normalised(stacked(
            [data.pictures.get(index, which) for index in indices]).to(device), processor)
        ).pooler_output for which in ('input', 'target')]
        cosines.append(nn.functional.cosine_similarity(*embeds))
    # In double precision: a cosine of 1 must not come out above it.
    values = torch.cat(cosines).double().clamp(-1, 1).cpu().numpy()
    lowest, highest = np.percentile(values, _BOUNDS)
    return {'lowest': float(lowest), 'highest': float(highest)}
