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

"""What a tuned VLLM answers about held-out frames."""

from __future__ import annotations

import cv2
from lego_ros.training.run.loop import Validation
from lego_ros.training.run.samples import to_device
from lego_ros.training.vllm.data import Collate, InstructionData
from lego_ros.training.vllm.decoding import answer
from lego_ros.vllm.llava import LegoLlava
import numpy as np
import torch
from torch import nn
from transformers import PreTrainedTokenizerBase

SHOWN = 8
"""Answers that are shown, at most."""
COUNTED = 512
"""Pairs that the loss is computed on, at most."""
BATCH = 32
MAX_NEW_TOKENS = 256
SIDE = 224
"""Of a shown frame [px]."""


class Validator:
    """
    Computes loss and accuracy, and lets the VLLM answer about a few frames as at run time.

    :param model: the VLLM, whose parts the objective trains.
    :param tokenizer: its tokenizer.
    :param data: held-out pairs.
    """

    def __init__(self, model: LegoLlava, tokenizer: PreTrainedTokenizerBase,
                 data: InstructionData) -> None:
        self._model, self._tokenizer, self._data = model, tokenizer, data
        self._collate = Collate(model.image_tokens)

    def __call__(self, objective: nn.Module, step: int) -> Validation:
        """Validate; see ``training.run.loop.train``."""
        device = next(objective.parameters()).device
        indices = range(min(SHOWN, len(self._data)))
        strip = np.concatenate([
            cv2.resize(self._data.frame(index), (SIDE, SIDE), interpolation=cv2.INTER_AREA)
            for index in indices], axis=1)
        return Validation(
            self._figures(objective, device), {'frames': strip},
            {'answers': self._table(indices, device)})

    def _figures(self, objective: nn.Module, device: torch.device) -> dict[str, float]:
        """Give the means over the answers' tokens, asked with the run-time template."""
        sums, tokens = {'loss': 0.0, 'accuracy': 0.0}, 0
        count = min(len(self._data), COUNTED)
        for first in range(0, count, BATCH):
            batch = self._collate([self._data.sample(index, 0)
                                   for index in range(first, min(first + BATCH, count))])
            loss, others = objective(to_device(batch, device))
            weight = len(batch['targets'])
            tokens += weight
            for key, value in {'loss': loss, **others}.items():
                sums[key] += float(value) * weight
        return {key: value / tokens for key, value in sums.items()}

    def _table(self, indices: range, device: torch.device) -> str:
        """Give questions, answers and true answers in Markdown."""
        vision = torch.stack([self._data.sample(index, 0)[1] for index in indices]).to(device)
        questions = [self._data.question(index) for index in indices]
        said = answer(self._model, self._tokenizer, questions, vision, MAX_NEW_TOKENS)
        rows = ['| question | answer | true answer |', '|---|---|---|']
        for index, asked, response in zip(indices, questions, said, strict=True):
            text = self._tokenizer.decode(response.token_ids, skip_special_tokens=True)
            cells = (asked, str(text).strip(), self._data.answer(index))
            rows.append('| ' + ' | '.join(
                cell.replace('|', '\\|').replace('\n', ' ') for cell in cells) + ' |')
        return '\n'.join(rows)
