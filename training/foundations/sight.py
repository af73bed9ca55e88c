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
The vision tower's first lesson: what is at each place of a picture, and in which state.

A contrastive loss has one right answer per picture to learn from; over the few thousand steps that
a CPU can do, it teaches a tower that starts from nothing next to nothing. Truth has hundreds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
import json
from pathlib import Path
from typing import Annotated, Any

from lego_ros.errors import ErrorCode, telling
from lego_ros.sim.vocabulary import HANDS
from lego_ros.training.data.dataset import Which
from lego_ros.training.data.files import replacing
from lego_ros.training.foundations.grids import grid
from lego_ros.training.foundations.kitchen_split import KitchenSplit
from lego_ros.training.foundations.pictures import image_processor, normalised, stacked
from lego_ros.training.foundations.scenes import Box, SceneState
from lego_ros.training.foundations.settings import Transformer
from lego_ros.training.foundations.sizes import FoundationSize
from lego_ros.training.foundations.tower import freeze_unread, patch_states
from lego_ros.training.run.attention import with_fast_attention
from lego_ros.training.run.draws import Draw
from lego_ros.training.run.loop import train, Validation
import numpy as np
from pydantic import Field
import torch
from torch import nn, Tensor
from torch.nn import functional
from transformers import CLIPImageProcessorPil, CLIPVisionModel

VALIDATED = 256
"""Frames that a validation looks at, at most."""
_SHOWN = 6
_RARE = -4.0
"""Logit that the head starts with: most things are not at most places."""


class SightSettings(Transformer):
    """How the vision tower learns to see."""

    epochs: float | None = 12.0
    batch_size: Annotated[int, Field(gt=0)] = 64
    lr: Annotated[float, Field(gt=0)] = 1e-3
    checkpoint_every: Annotated[int, Field(gt=0)] = 250
    validate_every: Annotated[int, Field(gt=0)] = 500


class Things:
    """
    What is looked for: everything with a box, and everything that can be special about it.

    :param states: in which it is found; mirrored, they need no further names.
    """

    def __init__(self, states: Sequence[SceneState]) -> None:
        self.names = sorted({name for state in states for name, _ in told(state)})
        self._index = {name: index for index, name in enumerate(self.names)}

    def map(self, state: SceneState, side: int) -> np.ndarray:
        """
        Say what is where.

        :param state: of a picture.
        :param side: patches in a row.
        :returns: (side * side, things) float32 in 0..1: how much of a patch the thing covers, or
            how much of the thing is in the patch, whichever is more.
        """
        where = np.zeros((len(self.names), side, side), np.float32)
        for name, box in told(state):
            if name in self._index:
                np.maximum(where[self._index[name]], _coverage(box, side),
                           out=where[self._index[name]])
        return where.reshape(len(self.names), -1).T.copy()


def told(state: SceneState) -> list[tuple[str, Box]]:
    """
    List what a picture shows.

    :param state: of the picture.
    :returns: names with boxes: each entity, and again under what is special about it.
    """
    special: list[tuple[str, str]] = [
        *((name, 'dirty') for name in state.dirty), *((name, 'cut') for name in state.cut),
        *((name, 'flipped') for name in state.flipped),
        *((name, f'with {liquid}') for name, liquid in state.liquid.items()),
        *((name, 'open' if value > 0.8 else 'half open')
          for name, value in state.opening.items() if value >= 0.1),
        *((name, f'touched by {side}') for side in HANDS for name in state.touching.get(side, ())),
        *((name, f'in {place}') for name, place in state.location.items()
          if place in {f'{side}_hand' for side in HANDS}),
        *([('tap', 'running')] if state.running else [])]
    boxes = state.boxes
    return [*boxes.items(), *((what, boxes[name]) for name, what in special if name in boxes)]


def _coverage(box: Box, side: int) -> np.ndarray:
    """Give (side, side) parts of patches under a box, or of the box in patches."""
    edges = np.arange(side + 1) / side
    x, y = (np.clip(np.minimum(edges[1:], high) - np.maximum(edges[:-1], low), 0, None)
            for low, high in ((box[0], box[2]), (box[1], box[3])))
    area = (box[2] - box[0]) * (box[3] - box[1])
    return np.outer(y, x) / max(min(area, side ** -2), 1e-9)


class Seen:
    """
    Pictures with what is where in them; half of them are mirrored.

    :param split: of the kitchen.
    :param things: that are looked for.
    :param patches: in a row.
    """

    def __init__(self, split: KitchenSplit, things: Things, patches: int) -> None:
        self._split, self._things, self._patches = split, things, patches

    def __len__(self) -> int:
        """Give the number of pairs."""
        return len(self._split.pairs)

    def name(self, index: int) -> str:
        """Give a pair's id."""
        return self._split.pairs[index].pair_id

    def __getitem__(self, draw: Draw) -> tuple[np.ndarray, np.ndarray]:
        """Give a picture (side, side, 3) uint8 and its map, see ``Things.map``."""
        which: Which = 'target' if draw.seed & 2 else 'input'
        return self.look(draw.index, which, bool(draw.seed & 1))

    def look(self, index: int, which: Which, mirrored: bool = False
             ) -> tuple[np.ndarray, np.ndarray]:
        """
        Give a picture and its map.

        :param index: of the pair.
        :param which: of its two pictures.
        :param mirrored: whether left and right are swapped.
        :returns: (side, side, 3) uint8; see ``Things.map``.
        """
        state = self._split.scenes.state(self._split.pairs[index], which, mirrored)
        return (self._split.pictures.get(index, which, mirrored),
                self._things.map(state, self._patches))


def collate(samples: Sequence[tuple[np.ndarray, np.ndarray]]) -> dict[str, Tensor]:
    """
    Make a batch.

    :param samples: pictures and maps.
    :returns: ``pictures`` (B, side, side, 3) uint8, ``maps`` (B, patches, things) float32.
    """
    return {'pictures': stacked([picture for picture, _ in samples]),
            'maps': torch.from_numpy(np.stack([where for _, where in samples]))}


class SightObjective(nn.Module):
    """
    Cross-entropy of what is in each patch, from the layer that the VLLM reads.

    :param tower: is trained, but for what comes after that layer.
    :param processor: gives mean and standard deviation of its pictures.
    :param things: how many there are.
    :param layer: that is read; LLaVA's is -2.
    """

    def __init__(self, tower: CLIPVisionModel, processor: CLIPImageProcessorPil, things: int,
                 layer: int) -> None:
        super().__init__()
        self.tower = tower
        self.head = nn.Linear(tower.config.hidden_size, things)
        nn.init.constant_(self.head.bias, _RARE)
        self._processor, self._layer = processor, layer
        freeze_unread(tower, layer)

    def forward(self, batch: dict[str, Any]) -> tuple[Tensor, dict[str, Tensor]]:
        """
        Compute the loss.

        :param batch: of :func:`collate`.
        :returns: mean cross-entropy [nat]; ``found``, the part of what is there that is seen, and
            ``right``, the part of what is seen that is there.
        """
        logits = self.look(batch['pictures']).float()
        loss = functional.binary_cross_entropy_with_logits(logits, batch['maps'])
        seen, there = logits.detach() > 0, batch['maps'] > 0.5
        both = (seen & there).sum()
        return loss, {'found': both / there.sum().clamp(min=1),
                      'right': both / seen.sum().clamp(min=1)}

    def look(self, pictures: Tensor) -> Tensor:
        """
        Say what is where.

        :param pictures: (B, side, side, 3) uint8.
        :returns: (B, patches, things) logits.
        """
        pixels = normalised(pictures, self._processor)
        return self.head(patch_states(self.tower, pixels, self._layer))


def train_sight(settings: SightSettings, size: FoundationSize, data: KitchenSplit,
                validation: KitchenSplit, folder: Path, run: Path, *,
                stop: Callable[[], bool] = lambda: False) -> Path:
    """
    Train the vision tower, going on where an earlier run stopped.

    :param settings: see there.
    :param size: of the tower.
    :param data: the training split.
    :param validation: the validation split.
    :param folder: for the tower, as ``CLIPVisionModel.save_pretrained`` writes it.
    :param run: for checkpoints and figures.
    :param stop: asked after each step.
    :returns: the folder of the tower.
    :raises Interrupted: ``stop`` said so.
    :raises LegoError: see ``train``.
    """
    things = Things([data.scenes.state(pair, which, mirrored) for pair in data.pairs
                     for which in ('input', 'target') for mirrored in (False, True)])
    config = size.llava(size.vocabulary)
    patches = config.vision_config.image_size // config.vision_config.patch_size
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        tower = with_fast_attention(CLIPVisionModel(config.vision_config)).train()
        objective = SightObjective(tower, image_processor(config.vision_config.image_size),
                                   len(things.names), config.vision_feature_layer)
    shown = Seen(validation, things, patches)

    def validate(bare: nn.Module, step: int) -> Validation:
        return _validate(bare, shown)

    train(objective, Seen(data, things, patches), settings, run,
          identity={'stage': 'sight', 'data': data.sha256, 'things': things.names,
                    'model': json.loads(tower.config.to_json_string())},
          collate=collate, validate=validate, stop=stop)
    with replacing(folder, 'the vision tower') as part:
        tower.save_pretrained(part)
    return folder


def load_tower(folder: Path) -> CLIPVisionModel:
    """
    Load the vision tower.

    :param folder: that :func:`train_sight` wrote.
    :returns: the tower, on the CPU.
    :raises LegoError: SOURCE_UNREADABLE: it is not there, or damaged.
    """
    with telling(ErrorCode.SOURCE_UNREADABLE,
                 f"'{folder}': the vision tower cannot be loaded"):
        tower, report = CLIPVisionModel.from_pretrained(
            folder, local_files_only=True, use_safetensors=True, output_loading_info=True)
        if report['missing_keys']:
            raise ValueError(f'weights are missing: {sorted(report["missing_keys"])[:3]}')
    return tower


def _validate(objective: nn.Module, data: Seen, batch: int = 64) -> Validation:
    """Give loss, found and right over inputs and targets, and show where things are seen."""
    count = min(len(data), VALIDATED)
    sums: dict[str, float] = {}
    rows: list[list[np.ndarray]] = []
    device = next(objective.parameters()).device
    for first in range(0, count, batch):
        samples = [data.look(index, ('input', 'target')[index % 2])
                   for index in range(first, min(first + batch, count))]
        portion = {key: value.to(device) for key, value in collate(samples).items()}
        loss, others = objective(portion)
        for key, value in {'loss': loss, **others}.items():
            sums[key] = sums.get(key, 0.0) + float(value) * len(samples) / count
        if not rows:
            # An nn.Module's attributes are tensors or modules to mypy; this one is a method.
            seen = objective.look(portion['pictures'][:_SHOWN]).float()  # type: ignore[operator]
            rows = [[picture, _coloured(where, picture), _coloured(each, picture)]
                    for (picture, where), each
                    in zip(samples, seen.sigmoid().cpu().numpy(), strict=False)]
    return Validation(sums, {'frame, what is where, what is seen': grid(rows)})


def _coloured(where: np.ndarray, picture: np.ndarray) -> np.ndarray:
    """Draw for each patch the thing that is most there: (side, side, 3) uint8."""
    side = round(len(where) ** 0.5)
    best = where.argmax(1)
    # Multiples of irrational parts lie far apart.
    hues = np.stack([(best * part) % 1 for part in (0.618, 0.414, 0.732)], 1)
    colours = (where.max(1, keepdims=True) * (0.25 + 0.75 * hues) * 255).astype(np.uint8)
    scale = picture.shape[0] // side
    return colours.reshape(side, side, 3).repeat(scale, 0).repeat(scale, 1)
