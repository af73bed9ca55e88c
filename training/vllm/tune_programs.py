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
Tuning for action programs: (frame, question with the description) -> the program (LEAP).

The VLLM that describes is not changed: an adapter beside it writes.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from lego_ros.training.run.loop import make_accelerator, train
from lego_ros.training.vllm.data import Collate
from lego_ros.training.vllm.networks import prepare_adapter, save_adapter
from lego_ros.training.vllm.objective import AnswerObjective
from lego_ros.training.vllm.settings import ProgramSettings
from lego_ros.training.vllm.stage import Stage, TuneSources
from lego_ros.training.vllm.tasks import read_programs, WriteProgram

RESULT = 'adapter'
"""Sub-folder of a run with the adapter."""


def tune_programs(settings: ProgramSettings, sources: TuneSources, programs: Path, folder: Path,
                  *, stop: Callable[[], bool] = lambda: False) -> Path:
    """
    Train the adapter, going on from wherever an earlier call in the same folder came to.

    :param settings: of the stage.
    :param sources: what is trained on; the VLLM is the tuned one.
    :param programs: the file with the programs, the kitchen's ``truth.jsonl``.
    :param folder: of the run: features, checkpoints, figures and the result.
    :param stop: asked now and then; True ends it with nothing lost.
    :returns: the folder that ``lego_ros.vllm.adapter.adapted`` reads.
    :raises Interrupted: ``stop`` said so.
    :raises LegoError: see :func:`lego_ros.training.vllm.tune.tune`; SOURCE_UNREADABLE: an action
        has no program.
    """
    accelerator = make_accelerator(settings)
    stage = Stage(settings, sources, folder, accelerator, WriteProgram(read_programs(programs)))
    result = folder / RESULT
    if stage.is_done(result):
        return result
    data, validator = stage.data(stop)
    adapted = prepare_adapter(stage.model, settings)
    train(AnswerObjective(stage.model, settings.compile), data, settings, folder,
          identity=stage.identity, collate=Collate(stage.model.image_tokens), validate=validator,
          stop=stop, accelerator=accelerator)
    if accelerator.is_main_process:
        save_adapter(adapted, result)
        stage.note()
    accelerator.wait_for_everyone()
    return result
