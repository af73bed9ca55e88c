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

"""The parts that a stage of tuning is made of, and what identifies its run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
import json
from pathlib import Path
from typing import Any

from accelerate import Accelerator
from lego_ros.files import write_whole
from lego_ros.training.data.dataset import PairDataset
from lego_ros.training.run.attention import with_fast_attention
from lego_ros.training.vllm.data import InstructionData
from lego_ros.training.vllm.features import FrameFeatures
from lego_ros.training.vllm.identity import vllm_sha256
from lego_ros.training.vllm.settings import TuneSettings
from lego_ros.training.vllm.tasks import Task
from lego_ros.training.vllm.validation import Validator
from lego_ros.vllm.loading import load_vllm
import torch

RECORD = 'training.json'
"""What the result of a run was trained on."""


@dataclass(frozen=True)
class TuneSources:
    """
    Where everything is that tuning needs.

    :param dataset: folder of the pairs.
    :param vllm: folder of the VLLM to begin with.
    :param split: to train on.
    :param held_out: to validate on; None = no validation.
    """

    dataset: Path
    vllm: Path
    split: str = 'train'
    held_out: str | None = 'validation'


class Stage:
    """
    The VLLM and the questions that it is tuned to answer.

    :param settings: of the stage.
    :param sources: what is trained on.
    :param folder: of the run.
    :param accelerator: of the run.
    :param task: what is asked.
    :raises LegoError: the sources are missing or damaged.
    """

    def __init__(self, settings: TuneSettings, sources: TuneSources, folder: Path,
                 accelerator: Accelerator, task: Task) -> None:
        self._settings, self._sources, self._task = settings, sources, task
        self._folder, self._accelerator = folder, accelerator
        self._vllm = vllm_sha256(sources.vllm)
        self._pairs = {split: PairDataset(sources.dataset, split)
                       for split in (sources.split, sources.held_out) if split is not None}
        self.model, self.tokenizer, self.processor = load_vllm(sources.vllm, torch.float32)
        # What is trained goes where accelerate puts it, which may be in parts.
        self.model.model.vision_tower.to(accelerator.device)
        with_fast_attention(self.model.model.language_model)
        self.identity = {'vllm': self._vllm, 'data': self._pairs[sources.split].sha256,
                         **task.identity}
        self._record = {**self.identity, 'settings': settings.model_dump(mode='json')}

    def is_done(self, result: Path) -> bool:
        """
        Tell whether an earlier call has done all.

        :param result: of the stage.
        :returns: whether it is there and of the same sources and settings.
        """
        return self._recorded() == self._record and result.is_dir()

    def note(self) -> None:
        """Write down what the result was trained on, once it is there."""
        write_whole(self._folder / RECORD, (json.dumps(self._record, indent=1) + '\n').encode())

    def data(self, stop: Callable[[], bool]) -> tuple[InstructionData, Validator | None]:
        """
        Give what is trained and validated on; image features are computed if need be.

        :param stop: see ``training.run.loop.train``.
        :returns: the samples, and the validation where one is wanted.
        :raises Interrupted: ``stop`` said so.
        :raises LegoError: the samples cannot be trained on.
        """
        samples = self._samples(self._sources.split, stop)
        if self._sources.held_out is None:
            return samples, None
        return samples, Validator(
            self.model, self.tokenizer, self._samples(self._sources.held_out, stop))

    def _samples(self, split: str, stop: Callable[[], bool]) -> InstructionData:
        settings, accelerator = self._settings, self._accelerator
        # The cache's folder is claimed by one process, before the others look at it.
        with accelerator.main_process_first():
            features = FrameFeatures(
                self._folder / f'features-{split}', self._pairs[split], self.model, self._vllm,
                settings.frame, settings.view,
                mirrored=settings.flip and split == self._sources.split)
        data = InstructionData(self._pairs[split], features, self.tokenizer, self._task)
        data.check(self.model.image_tokens,
                   self.model.model.language_model.config.max_position_embeddings)
        features.fill(self.model, self.processor, stop=stop,
                      share=(accelerator.process_index, accelerator.num_processes))
        accelerator.wait_for_everyone()
        return data

    def _recorded(self) -> dict[str, Any] | None:
        try:
            record: dict[str, Any] = json.loads(
                (self._folder / RECORD).read_text(encoding='utf-8'))
        except (OSError, ValueError):
            # Without it the result is written again, from the last checkpoint.
            return None
        return record
