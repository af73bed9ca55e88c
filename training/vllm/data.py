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

"""The samples of visual instruction tuning: questions about frames, and their answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lego_ros.errors import ErrorCode, LegoError
from lego_ros.training.data.dataset import Pair, PairDataset
from lego_ros.training.run.draws import Draw
from lego_ros.training.vllm.answers import Dialogue, encode_dialogue, lay_out
from lego_ros.training.vllm.features import FrameFeatures
from lego_ros.training.vllm.tasks import Task
from lego_ros.vllm.prompt import encode_prompt
import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase


class InstructionData:
    """
    Questions and answers about frames.

    :param pairs: each with a description.
    :param features: of each pair's frame, in their order; where they hold mirror images, half of
        the samples are about these, with left and right swapped in the words.
    :param tokenizer: the VLLM's.
    :param task: asks, and knows the answers.
    """

    def __init__(self, pairs: PairDataset, features: FrameFeatures,
                 tokenizer: PreTrainedTokenizerBase, task: Task) -> None:
        self._pairs, self._features, self._tokenizer = pairs, features, tokenizer
        self._task = task

    def __len__(self) -> int:
        """Give the number of pairs."""
        return len(self._pairs)

    def name(self, index: int) -> str:
        """Give a pair's id."""
        return self._pairs[index].pair_id

    def __getitem__(self, draw: Draw) -> tuple[Dialogue, Tensor]:
        """Give a dialogue in the drawn template's words, and (M, vision hidden) float16."""
        rest, template = divmod(draw.seed, self._task.templates)
        return self.sample(draw.index, template, self._features.mirrored and bool(rest & 1))

    def sample(self, index: int, template: int, mirrored: bool = False
               ) -> tuple[Dialogue, Tensor]:
        """
        Give a dialogue in a template's words.

        :param index: of the pair.
        :param template: index of the question template.
        :param mirrored: whether it is about the frame's mirror image.
        :returns: the dialogue, and (M, vision hidden) float16.
        :raises LegoError: see :func:`lego_ros.training.vllm.answers.encode_dialogue`.
        """
        return (self._dialogue(self._pairs[index], template, mirrored),
                self._features.get(index, mirrored))

    def pair(self, index: int) -> Pair:
        """
        Give a pair.

        :param index: of it.
        :returns: the pair.
        """
        return self._pairs[index]

    def question(self, index: int) -> str:
        """
        Give the question that is put about a pair at run time.

        :param index: of the pair.
        :returns: the question.
        """
        return self._task.dialogue(self._pairs[index], 0, mirrored=False)[0]

    def answer(self, index: int) -> str:
        """
        Give the true answer to it.

        :param index: of the pair.
        :returns: the answer.
        """
        return self._task.dialogue(self._pairs[index], 0, mirrored=False)[1]

    def frame(self, index: int) -> np.ndarray:
        """
        Give a pair's frame as the VLLM sees it.

        :param index: of the pair.
        :returns: (S, S, 3) uint8 RGB.
        """
        return self._features.frame(index)

    def check(self, image_tokens: int, longest: int) -> None:
        """
        Find out before the first step whether all dialogues can be trained on.

        :param image_tokens: M.
        :param longest: the positions that the language model has.
        :raises LegoError: QUERY_TOO_LONG, and what ``encode_dialogue`` raises; names the pair.
        """
        longest_template = max(range(self._task.templates), key=self._length)
        for pair in self._pairs:
            try:
                positions = self._dialogue(pair, longest_template).positions(image_tokens)
            except LegoError as error:
                raise LegoError(error.code, f'{pair.pair_id}: {error.message}') from error
            if positions > longest:
                raise LegoError(
                    ErrorCode.QUERY_TOO_LONG,
                    f'{pair.pair_id}: its question and answer take {positions} of the {longest} '
                    'positions of the language model; shorten its answer')

    def _length(self, template: int) -> int:
        asked, _ = self._task.dialogue(self._pairs[0], template, mirrored=False)
        return len(encode_prompt(asked, self._tokenizer)[1])

    def _dialogue(self, pair: Pair, template: int, mirrored: bool = False) -> Dialogue:
        return encode_dialogue(
            *self._task.dialogue(pair, template, mirrored), self._tokenizer)


class Collate:
    """
    Makes a batch of dialogues; a class, since a closure cannot go to a loader.

    :param image_tokens: M.
    """

    def __init__(self, image_tokens: int) -> None:
        self._image_tokens = image_tokens

    def __call__(self, samples: Sequence[tuple[Dialogue, Tensor]]) -> dict[str, Any]:
        """Give the fields of ``answers.Layout`` and ``vision`` (B, M, vision hidden)."""
        layout = lay_out([dialogue for dialogue, _ in samples], self._image_tokens)
        return {**layout, 'vision': torch.stack([vision for _, vision in samples])}
