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
Visual instruction tuning: (frame, question about an action) -> its detailed description.

The vision tower is frozen, projector and language model are trained (LEGO, Sec. 3.1); of the
questions, one of ten templates is drawn per sample and epoch (Sec. 3.3 and supplement F.2).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
import json
from pathlib import Path

from accelerate import Accelerator
from lego_ros.files import write_whole
from lego_ros.training.data.dataset import PairDataset
from lego_ros.training.run.loop import make_accelerator, train
from lego_ros.training.vllm.data import Collate, InstructionData
from lego_ros.training.vllm.features import FrameFeatures
from lego_ros.training.vllm.identity import vllm_sha256
from lego_ros.training.vllm.networks import merge, prepare, save_vllm
from lego_ros.training.vllm.objective import AnswerObjective
from lego_ros.training.vllm.settings import TuneSettings
from lego_ros.training.vllm.validation import Validator
from lego_ros.vllm.loading import load_vllm
import torch

RESULT = 'model'
"""Sub-folder of a run with the tuned VLLM."""
RECORD = 'training.json'
"""What the result was trained on."""


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


def tune(settings: TuneSettings, sources: TuneSources, folder: Path, *,
         stop: Callable[[], bool] = lambda: False) -> Path:
    """
    Tune the VLLM, going on from wherever an earlier call in the same folder came to.

    :param settings: of the stage.
    :param sources: what is trained on.
    :param folder: of the run: features, checkpoints, figures and the result.
    :param stop: asked now and then; True ends it with nothing lost.
    :returns: the folder that ``lego_ros.vllm.loading.load_vllm`` reads.
    :raises Interrupted: ``stop`` said so.
    :raises LegoError: what ``training.run.loop.train`` raises; and for sources that are missing,
        damaged or cannot be trained on.
    """
    accelerator = make_accelerator(settings)
    stage = _Stage(settings, sources, folder, accelerator)
    result = folder / RESULT
    if _read_record(folder) == stage.record and result.is_dir():
        return result
    data = stage.data(sources.split, stop)
    validator = None
    if sources.held_out is not None:
        validator = Validator(stage.model, stage.tokenizer, stage.data(sources.held_out, stop))
    prepare(stage.model, settings)
    train(AnswerObjective(stage.model), data, settings, folder, identity=stage.identity,
          collate=Collate(stage.model.image_tokens), validate=validator, stop=stop,
          accelerator=accelerator)
    if accelerator.is_main_process:
        merge(stage.model)
        save_vllm(stage.model, stage.tokenizer, stage.processor, result)
        write_whole(folder / RECORD, (json.dumps(stage.record, indent=1) + '\n').encode())
    accelerator.wait_for_everyone()
    return result


class _Stage:
    """The parts of the stage, and what identifies a run."""

    def __init__(self, settings: TuneSettings, sources: TuneSources, folder: Path,
                 accelerator: Accelerator) -> None:
        self._settings, self._sources = settings, sources
        self._folder, self._accelerator = folder, accelerator
        self._vllm = vllm_sha256(sources.vllm)
        self._pairs = {split: PairDataset(sources.dataset, split)
                       for split in (sources.split, sources.held_out) if split is not None}
        self.model, self.tokenizer, self.processor = load_vllm(sources.vllm, torch.float32)
        # What is trained goes where accelerate puts it, which may be in parts.
        self.model.model.vision_tower.to(accelerator.device)
        self.identity = {'vllm': self._vllm, 'data': self._pairs[sources.split].sha256}
        self.record = {**self.identity, 'settings': settings.model_dump(mode='json')}

    def data(self, split: str, stop: Callable[[], bool]) -> InstructionData:
        """Give the samples of a split; image features are computed if need be."""
        settings, accelerator = self._settings, self._accelerator
        # The cache's folder is claimed by one process, before the others look at it.
        with accelerator.main_process_first():
            features = FrameFeatures(
                self._folder / f'features-{split}', self._pairs[split], self.model, self._vllm,
                settings.frame, settings.view,
                mirrored=settings.flip and split == self._sources.split)
        data = InstructionData(self._pairs[split], features, self.tokenizer)
        data.check(self.model.image_tokens,
                   self.model.model.language_model.config.max_position_embeddings)
        features.fill(self.model, self.processor, stop=stop,
                      share=(accelerator.process_index, accelerator.num_processes))
        accelerator.wait_for_everyone()
        return data


def _read_record(folder: Path) -> dict | None:
    try:
        return json.loads((folder / RECORD).read_text(encoding='utf-8'))
    except (OSError, ValueError):
        # Without it the result is written again, from the last checkpoint.
        return None
