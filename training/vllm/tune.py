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
from pathlib import Path

from lego_ros.training.run.loop import make_accelerator, train
from lego_ros.training.vllm.data import Collate
from lego_ros.training.vllm.networks import merge, prepare, save_vllm
from lego_ros.training.vllm.objective import AnswerObjective
from lego_ros.training.vllm.settings import TuneSettings
from lego_ros.training.vllm.stage import Stage, TuneSources
from lego_ros.training.vllm.tasks import Describe

RESULT = 'model'
"""Sub-folder of a run with the tuned VLLM."""


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
    stage = Stage(settings, sources, folder, accelerator, Describe())
    result = folder / RESULT
    if stage.is_done(result):
        return result
    data, validator = stage.data(stop)
    prepare(stage.model, settings)
    train(AnswerObjective(stage.model, settings.compile), data, settings, folder,
          identity=stage.identity, collate=Collate(stage.model.image_tokens), validate=validator,
          stop=stop, accelerator=accelerator)
    if accelerator.is_main_process:
        merge(stage.model)
        save_vllm(stage.model, stage.tokenizer, stage.processor, result)
        stage.note()
    accelerator.wait_for_everyone()
    return result
