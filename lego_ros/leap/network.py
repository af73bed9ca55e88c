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

"""The whole network: backbone, program head, action heads; and its folder."""

from __future__ import annotations

import json
import os
from pathlib import Path
import shutil

from lego_ros.errors import ErrorCode, LegoError
from lego_ros.files import sync
from lego_ros.leap.classes import ProgramClasses
from lego_ros.leap.config import LeapConfig
from lego_ros.leap.fusion import ProgramFusion
from lego_ros.leap.prediction import LeapOutput, probabilities, ProgramContext
from lego_ros.leap.program_head import ProgramHead
from lego_ros.leap.uniformerv2 import UniFormerV2
from lego_ros.programs.vocabulary import Vocabulary
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
import torch
from torch import nn

CONFIG = 'config.json'
CLASSES = 'classes.json'
WEIGHTS = 'model.safetensors'
_MAX_CONFIG_BYTES = 1 << 20


class LeapNetwork(nn.Module):
    """
    Clip to action label and program.

    :param config: sizes.
    :param classes: of the outputs.
    """

    def __init__(self, config: LeapConfig, classes: ProgramClasses) -> None:
        super().__init__()
        self.config = config
        self.classes = classes
        width = config.backbone.width
        self.backbone = UniFormerV2(config.backbone)
        self.program = ProgramHead(config, classes)
        self.fusion = ProgramFusion(config, classes) if config.aggregated_clips else None
        self.verb = nn.Linear(width, len(classes.verbs))
        self.noun = nn.Linear(width, len(classes.nouns))
        self.action = nn.Linear(width, len(classes.actions))

    def forward(self, frames: torch.Tensor, context: ProgramContext | None = None) -> LeapOutput:
        """
        Predict action and program of clips.

        Gradients of the action heads go through the clip's own predicted program into the
        program head, and through ``context`` where it has a gradient.

        :param frames: (B, 3, T, H, W) float, as of :func:`lego_ros.leap.frames.prepare`.
        :param context: predicted programs of the clips before it, for networks with
            ``aggregated_clips``, see :func:`lego_ros.leap.prediction.context_of`; others do
            without it.
        :returns: logits.
        """
        features = self.backbone(frames)
        program = self.program(features)
        feature = features.pooled
        if self.fusion is not None:
            feature = self.fusion(feature, probabilities(program), context)
        return LeapOutput(self.verb(feature), self.noun(feature), self.action(feature), *program)

    def save(self, folder: Path) -> None:
        """
        Write the network to a folder; one that is there is replaced when all is written.

        :param folder: of the network alone; its parent is there.
        :raises LegoError: RECORDING_FAILED, it cannot be written.
        """
        part, old = (folder.with_name(f'.{folder.name}.{kind}') for kind in ('part', 'old'))
        try:
            for left in (part, old):
                if left.exists():
                    shutil.rmtree(left)
            part.mkdir()
            text = json.dumps(self.config.to_dict(), indent=1)
            (part / CONFIG).write_text(text, encoding='utf-8')
            self.classes.save(part / CLASSES)
            save_file({name: tensor.detach().cpu().contiguous()
                       for name, tensor in self.state_dict().items()}, part / WEIGHTS)
            for path in (*part.iterdir(), part):
                sync(path)
            if folder.exists():
                os.replace(folder, old)
            os.replace(part, folder)
            sync(folder.parent)
            shutil.rmtree(old, ignore_errors=True)
        except (OSError, SafetensorError) as error:
            raise LegoError(ErrorCode.RECORDING_FAILED,
                            f"the LEAP network cannot be written to '{folder}': {error}"
                            ) from error

    @classmethod
    def load(cls, folder: Path, vocabulary: Vocabulary | None = None) -> LeapNetwork:
        """
        Read a network.

        :param folder: as of :meth:`save`.
        :param vocabulary: whose words its programs have; those of the package by default.
        :returns: the network, on the CPU, in evaluation mode.
        :raises LegoError: SOURCE_UNREADABLE, a file is missing or damaged, or the weights are not
            those of the configuration; INVALID_SETTING, configuration or classes are wrong.
        """
        folder = _whole(folder)
        path = folder / CONFIG
        try:
            if path.stat().st_size > _MAX_CONFIG_BYTES:
                raise ValueError(f'it has more than {_MAX_CONFIG_BYTES:,} bytes')
            data = json.loads(path.read_text(encoding='utf-8'))
        except (OSError, ValueError, RecursionError) as error:
            raise _unreadable(path, error) from error
        classes = ProgramClasses.load(folder / CLASSES, vocabulary)
        config = LeapConfig.from_dict(data)
        # Without memory: a configuration may ask for more than there is, a file cannot.
        with torch.device('meta'):
            network = cls(config, classes)
        try:
            network.load_state_dict(load_file(folder / WEIGHTS), assign=True)
        except (OSError, SafetensorError, RuntimeError) as error:
            raise _unreadable(folder / WEIGHTS, error) from error
        return network.eval()


def _whole(folder: Path) -> Path:
    """Find the network where a kill came between the two renamings of :meth:`LeapNetwork.save`."""
    old = folder.with_name(f'.{folder.name}.old')
    return old if old.is_dir() and not folder.exists() else folder


def _unreadable(path: Path, error: Exception) -> LegoError:
    return LegoError(ErrorCode.SOURCE_UNREADABLE,
                     f"the LEAP network's '{path}' cannot be used: {error}")
