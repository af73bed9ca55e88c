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
Whether the action can be read from a picture: a classifier of verb, noun and object state.

It is trained on real pairs of frames. On real targets its accuracy is the ceiling of what drawn
frames can reach, on the input frame in the target's place it is the floor.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
import json
from pathlib import Path
from typing import Annotated

from lego_ros.training.data.dataset import PairDataset
from lego_ros.training.data.files import replacing, unusable
from lego_ros.training.data.kept import KeptPictures
from lego_ros.training.evaluation.reader_data import (
    classes_of,
    HEADS,
    numbers_of,
    ReaderData,
    six_channels,
    UNKNOWN,
)
from lego_ros.training.export.truth import TruthRecord
from lego_ros.training.foundations.settings import FromNothing
from lego_ros.training.run.identity import values_sha256
from lego_ros.training.run.loop import train
import numpy as np
from pydantic import Field
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
import torch
from torch import nn, Tensor
from torch.nn import functional

_BATCH = 64
_WEIGHTS, _RECORD = 'model.safetensors', 'reader.json'


class ReaderSettings(FromNothing):
    """How the reader is trained."""

    epochs: float | None = 12.0
    batch_size: Annotated[int, Field(gt=0)] = 64
    lr: Annotated[float, Field(gt=0)] = 1e-3
    warmup: Annotated[float, Field(ge=0, lt=1)] = 0.05
    weight_decay: Annotated[float, Field(ge=0)] = 0.05
    checkpoint_every: Annotated[int, Field(gt=0)] = 500
    widths: tuple[int, ...] = (32, 64, 128, 192)
    """Channels at a half, a quarter, ... of the side."""


class _Block(nn.Module):
    """Halves the side and adds what two convolutions find (He et al., 2016)."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.down = nn.Conv2d(before, after, 3, stride=2, padding=1)
        self.body = nn.Sequential(
            nn.GroupNorm(8, after), nn.SiLU(), nn.Conv2d(after, after, 3, padding=1),
            nn.GroupNorm(8, after), nn.SiLU(), nn.Conv2d(after, after, 3, padding=1))

    def forward(self, x: Tensor) -> Tensor:
        x = self.down(x)
        return x + self.body(x)


class Reader(nn.Module):
    """
    Classifies a pair of frames.

    :param classes: how many each head has.
    :param widths: channels of its stages, multiples of 8.
    """

    def __init__(self, classes: Sequence[int], widths: Sequence[int]) -> None:
        super().__init__()
        self.body = nn.Sequential(*(
            _Block(before, after) for before, after in zip((6, *widths), widths, strict=False)))
        # Mean and maximum: what has changed is a small part of the picture.
        self.heads = nn.ModuleList(nn.Linear(2 * widths[-1], count) for count in classes)

    def logits(self, pictures: Tensor) -> list[Tensor]:
        """
        Classify.

        :param pictures: (B, 6, H, W) uint8.
        :returns: (B, classes) of each head.
        """
        found = functional.silu(self.body(pictures.float() / 127.5 - 1))
        found = torch.cat([found.mean((2, 3)), found.amax((2, 3))], 1)
        return [head(found) for head in self.heads]

    def forward(self, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """
        Compute the loss of a batch.

        :param batch: ``pictures`` (B, 6, H, W) uint8 and ``classes`` (B, 3).
        :returns: the sum of the heads' cross-entropies, and their accuracies.
        """
        scores, truth = self.logits(batch['pictures']), batch['classes'].unbind(1)
        losses = [functional.cross_entropy(score.float(), each)
                  for score, each in zip(scores, truth, strict=True)]
        right = {head: (score.argmax(1) == each).float().mean()
                 for head, score, each in zip(HEADS, scores, truth, strict=True)}
        return torch.stack(losses).sum(), right


class TrainedReader:
    """
    A reader with its classes.

    :param model: trained.
    :param classes: of each head.
    :param sha256: of all that it depends on.
    """

    def __init__(self, model: Reader, classes: dict[str, list[str]], sha256: str) -> None:
        self._model, self._classes, self.sha256 = model.eval(), classes, sha256

    @torch.no_grad()
    def read(self, befores: Sequence[np.ndarray], candidates: Sequence[np.ndarray],
             facts: Sequence[Sequence[str]]) -> list[dict[str, bool]]:
        """
        Tell what can be read from pictures.

        :param befores: the input frames, (S, S, 3) uint8 each.
        :param candidates: the pictures in question, likewise.
        :param facts: verb, noun and state of each, as they truly are.
        :returns: of each, which heads are right; ``action``: verb and noun are.
        """
        device = next(self._model.parameters()).device
        rows: list[dict[str, bool]] = []
        for first in range(0, len(befores), _BATCH):
            stack = np.stack([six_channels(*both) for both in zip(
                befores[first:first + _BATCH], candidates[first:first + _BATCH], strict=True)])
            found = [scores.argmax(1).tolist()
                     for scores in self._model.logits(torch.from_numpy(stack).to(device))]
            for said, fact in zip(zip(*found, strict=True), facts[first:first + _BATCH],
                                  strict=True):
                wanted = numbers_of(fact, self._classes)
                row = {head: one == other != UNKNOWN
                       for head, one, other in zip(HEADS, said, wanted, strict=True)}
                rows.append({**row, 'action': row['verb'] and row['noun']})
        return rows


def train_reader(settings: ReaderSettings, pairs: PairDataset, truths: dict[str, TruthRecord],
                 frames: KeptPictures, folder: Path, *, view: str, side: int,
                 stop: Callable[[], bool] = lambda: False) -> TrainedReader:
    """
    Train the reader, going on where an earlier call stopped; load it where it is trained.

    :param settings: see there.
    :param pairs: of the training split.
    :param truths: by action id.
    :param frames: of the same pairs.
    :param folder: for checkpoints, figures and the result.
    :param view: the frames' field of view.
    :param side: of the frames in pixels.
    :param stop: asked after each step.
    :returns: the trained reader.
    :raises Interrupted: ``stop`` said so.
    :raises LegoError: what ``train`` raises; SOURCE_UNREADABLE: the result is damaged.
    """
    classes = classes_of(pairs, truths)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        model = Reader([len(classes[head]) for head in HEADS], settings.widths)
    record = {'stage': 'reader', 'pairs': pairs.sha256, 'classes': classes, 'view': view,
              'side': side, 'settings': settings.model_dump(mode='json')}
    sha256, result = values_sha256(record), folder / 'result'
    if _is_there(result, sha256):
        _load(result, model)
    else:
        train(model, ReaderData(pairs, truths, frames, classes), settings, folder / 'run',
              identity={key: value for key, value in record.items() if key != 'settings'},
              stop=stop)
        with replacing(result, 'the reader') as part:
            save_file({name: weight.contiguous().cpu()
                       for name, weight in model.state_dict().items()}, part / _WEIGHTS)
            (part / _RECORD).write_text(
                json.dumps({'sha256': sha256, **record}, indent=1), encoding='utf-8')
    return TrainedReader(model, classes, sha256)


def _is_there(folder: Path, sha256: str) -> bool:
    try:
        found = json.loads((folder / _RECORD).read_text(encoding='utf-8'))
    except FileNotFoundError:
        return False
    except (OSError, ValueError) as error:
        raise unusable(folder / _RECORD, f'it is damaged ({error}); remove the folder') from error
    return isinstance(found, dict) and found.get('sha256') == sha256


def _load(folder: Path, model: Reader) -> None:
    try:
        model.load_state_dict(load_file(folder / _WEIGHTS))
    except (OSError, RuntimeError, SafetensorError) as error:
        raise unusable(folder / _WEIGHTS,
                       f'it cannot be loaded ({error}); remove the folder') from error
