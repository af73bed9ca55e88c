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

"""Training of LEAP's network for recognition or anticipation."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
import json
from pathlib import Path
from typing import Any

from lego_ros.errors import ErrorCode, LegoError
from lego_ros.files import sha256_of, write_whole
from lego_ros.leap.classes import ProgramClasses
from lego_ros.leap.network import LeapNetwork
from lego_ros.leap.official_weights import load_official
from lego_ros.leap.prediction import (
    context_of,
    LeapOutput,
    probabilities,
    ProgramLogits,
    ProgramPrediction,
)
from lego_ros.leap.targets import TargetBatch
from lego_ros.training.data.files import unusable
from lego_ros.training.leap.clips import ClipSet
from lego_ros.training.leap.data import LeapCollate, LeapSamples, Programs
from lego_ros.training.leap.losses import leap_loss
from lego_ros.training.leap.settings import LeapSettings, WEIGHTS
from lego_ros.training.run.identity import values_sha256
from lego_ros.training.run.loop import train, Validation
from lego_ros.training.run.samples import to_device
import torch
from torch import nn, Tensor

TRAIN, VALIDATION = 'train', 'validation'
RESULT, RECORD, RUN = 'result', 'training.json', 'run'
"""In the folder of a training: the network, what it was trained with, checkpoints and figures."""


@dataclass(frozen=True)
class LeapData:
    """
    A clip set with its programs, which several trainings may share.

    :param clips: the clips.
    :param programs: of them.
    """

    clips: ClipSet
    programs: Programs

    @classmethod
    def open(cls, folder: Path) -> LeapData:
        """
        Open a clip set.

        :param folder: of its manifest.
        :returns: the data.
        :raises LegoError: SOURCE_UNREADABLE, see ``ClipSet``.
        """
        clips = ClipSet(folder)
        return cls(clips, Programs(clips))


class LeapObjective(nn.Module):
    """
    What is minimised: L_AP over batches of ``LeapCollate``.

    :param network: trained.
    :param settings: which losses count.
    """

    def __init__(self, network: LeapNetwork, settings: LeapSettings) -> None:
        super().__init__()
        self.network = network
        self._weights = WEIGHTS[settings.losses]

    def predict(self, frames: Tensor, present: Tensor) -> LeapOutput:
        """
        Predict the programs of all clips, and with them the action.

        :param frames: (B, Q, 3, T, R, R), the oldest first.
        :param present: (B, Q) bool.
        :returns: verb, noun and action of B samples; programs of their B x Q clips, those of a
            sample one after the other.
        """
        batch, earlier = frames.shape[0], frames.shape[1] - 1
        if not earlier:
            return self.network(frames[:, 0])
        logits = self.network.program(self.network.backbone(frames[:, :-1].flatten(0, 1)))
        before = ProgramLogits(*(each.unflatten(0, (batch, earlier)) for each in logits))
        predicted = probabilities(before)
        context = context_of(
            [ProgramPrediction(*(each[:, number] for each in predicted))
             for number in range(earlier)], present[:, :-1])
        last = self.network(frames[:, -1], context)
        programs = (torch.cat([old, new[:, None]], 1).flatten(0, 1)
                    for old, new in zip(before, last.program, strict=True))
        return LeapOutput(last.verb, last.noun, last.action, *programs)

    def forward(self, batch: dict[str, Any]) -> tuple[Tensor, dict[str, Tensor]]:
        """
        Compute the loss of a batch.

        :param batch: of ``LeapCollate``.
        :returns: L_AP, its parts, and the share of verbs and nouns that are right.
        """
        targets = TargetBatch(*batch['targets'])
        output = self.predict(batch['frames'], batch['present'])
        loss = leap_loss(output, targets, self._weights)
        figures = {'loss_ce': loss.action, 'loss_t': loss.steps, 'loss_pc': loss.conditions}
        for name in ('verb', 'noun', 'action'):
            right = getattr(output, name).argmax(1) == getattr(targets, name)
            figures[name] = right.float().mean()
        return loss.total, figures


def train_leap(settings: LeapSettings, data: LeapData, folder: Path, *,
               stop: Callable[[], bool] = lambda: False) -> LeapNetwork:
    """
    Train, going on where an earlier call with the same folder stopped; load what is trained.

    :param settings: see there.
    :param data: with a training and a validation split.
    :param folder: for checkpoints, figures and the result.
    :param stop: asked after each step.
    :returns: the trained network.
    :raises Interrupted: ``stop`` said so.
    :raises LegoError: what ``train`` raises; SOURCE_UNREADABLE: clips are missing or damaged.
    """
    classes = data.programs.classes(TRAIN, settings.min_count)
    record = {'stage': 'leap', 'clips': data.clips.sha256,
              'classes': values_sha256(classes.to_json()), 'start': _start(settings),
              'settings': settings.model_dump(mode='json')}
    if _is_there(folder, record):
        return LeapNetwork.load(folder / RESULT)
    network = _begun(settings, classes)
    samples, held_out = (LeapSamples(data.clips, data.programs, split, classes, settings)
                         for split in (TRAIN, VALIDATION))
    collate = LeapCollate(classes, settings.network.max_steps)

    def validate(bare: nn.Module, step: int) -> Validation:
        assert isinstance(bare, LeapObjective)
        return _validate(bare, held_out, collate, settings)

    train(LeapObjective(network, settings), samples, settings, folder / RUN,
          identity={name: value for name, value in record.items() if name != 'settings'},
          collate=collate, validate=validate, stop=stop)
    network.save(folder / RESULT)
    try:
        # Last: it is what says that the training is done.
        write_whole(folder / RECORD, (json.dumps(record, indent=1) + '\n').encode())
    except OSError as error:
        raise LegoError(ErrorCode.RECORDING_FAILED, f"'{folder / RECORD}' cannot be written: "
                        f'{error}. Make room; the same command goes on') from error
    return network


def read_record(folder: Path) -> LeapSettings:
    """
    Read how a network was trained.

    :param folder: given to :func:`train_leap`.
    :returns: the settings.
    :raises LegoError: SOURCE_UNREADABLE, no training has come to its end there.
    """
    path = folder / RECORD
    try:
        settings = LeapSettings.model_validate(
            json.loads(path.read_text(encoding='utf-8'))['settings'])
    # A ValidationError is a ValueError.
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise unusable(path, f'no finished training: {error}') from error
    return settings


def batches(samples: LeapSamples, collate: LeapCollate, size: int, most: int | None = None
            ) -> Iterator[dict[str, Any]]:
    """
    Give samples to evaluate, evenly chosen where not all are wanted.

    :param samples: of a split.
    :param collate: makes the batches.
    :param size: of a batch, at most.
    :param most: how many samples; None = all.
    :returns: an iterator over batches.
    """
    count = len(samples) if most is None else min(most, len(samples))
    chosen = [place * len(samples) // count for place in range(count)]
    for first in range(0, count, size):
        yield collate([samples.sample(index) for index in chosen[first:first + size]])


def _begun(settings: LeapSettings, classes: ProgramClasses) -> LeapNetwork:
    """Make the network that training begins with."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        network = LeapNetwork(settings.network, classes)
    if settings.start is not None:
        load_official(network.backbone, Path(settings.start))
    return network


def _start(settings: LeapSettings) -> str | None:
    """Identify the file of the first weights."""
    if settings.start is None:
        return None
    try:
        return sha256_of(Path(settings.start))
    except OSError as error:
        raise unusable(settings.start, f'the first weights cannot be read: {error.strerror}'
                       ) from error


def _validate(objective: LeapObjective, held_out: LeapSamples, collate: LeapCollate,
              settings: LeapSettings) -> Validation:
    device = next(objective.parameters()).device
    sums: dict[str, float] = {}
    count = 0
    size = settings.micro_batch or settings.batch_size
    for batch in batches(held_out, collate, size, settings.validated):
        loss, figures = objective(to_device(batch, device))
        many = len(batch['frames'])
        count += many
        for name, value in {'loss': loss, **figures}.items():
            sums[name] = sums.get(name, 0.0) + many * float(value)
    return Validation({name: value / count for name, value in sums.items()})


def _is_there(folder: Path, record: dict[str, Any]) -> bool:
    path = folder / RECORD
    try:
        found = json.loads(path.read_text(encoding='utf-8'))
    except FileNotFoundError:
        return False
    except (OSError, ValueError) as error:
        raise unusable(path, f'it is damaged ({error}); remove it') from error
    wanted = json.loads(json.dumps(record))
    if found != wanted:
        differ = [name for name in wanted
                  if not isinstance(found, dict) or found.get(name) != wanted[name]]
        raise LegoError(ErrorCode.INVALID_SETTING,
                        f"'{folder}' was trained with other values of {', '.join(differ)}: name "
                        'another folder')
    return True
