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
What the decode needs of a language model, and transformers' way of giving it.

The decode does not know how the networks are run. This implementation takes the model as it is,
for training and as the reference; :mod:`lego_ros.vllm.engine_language` takes built engines.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast, Protocol

from lego_ros.vllm.llava import LegoLlava
import torch
from torch import Tensor
from transformers import DynamicCache, LlavaForConditionalGeneration


class LanguageModel(Protocol):
    """A language model that reads one text at a time."""

    @property
    def positions(self) -> int:
        """Give the most tokens of a prompt with its answer."""

    def embed(self, token_ids: Sequence[int]) -> Tensor:
        """
        Look up words.

        :param token_ids: n of them.
        :returns: (n, hidden) input embeddings, on the model's device.
        """

    def start(self, prompt_embeds: Tensor, state: Tensor) -> Tensor:
        """
        Read a prompt, and forget what was read before.

        :param prompt_embeds: (1, P, hidden) as of :meth:`embed`, P below ``positions``.
        :param state: (1, hidden) of the same kind, contiguous; the last layer's state after the
            final norm at the prompt's last position is written to it.
        :returns: (vocabulary,) the logits of that state, good until the next call.
        """

    def advance(self, token_id: int, state: Tensor) -> Tensor:
        """
        Read one more token. At most ``positions`` of them are read in all.

        :param token_id: the token.
        :param state: see :meth:`start`, at the token's position.
        :returns: see :meth:`start`.
        """


@dataclass(frozen=True)
class VisionLanguage:
    """
    The parts of a VLLM that an enrichment uses.

    :param language: reads and answers.
    :param see: from (1, 3, S, S) float32 pixels on the CPU, normalised, to H_i (M, hidden) as of
        ``language.embed``.
    :param image_side: S, pixels.
    """

    language: LanguageModel
    see: Callable[[Tensor], Tensor]
    image_side: int


class TransformersLanguage:
    """
    A model of transformers, with a cache that grows.

    :param model: the VLLM, in evaluation mode; its dtype and device are used.
    """

    def __init__(self, model: LlavaForConditionalGeneration) -> None:
        self._model = model
        self._cache: DynamicCache | None = None

    @property
    def positions(self) -> int:
        """See :attr:`LanguageModel.positions`."""
        return int(self._model.model.language_model.config.max_position_embeddings)

    @torch.no_grad()
    def embed(self, token_ids: Sequence[int]) -> Tensor:
        """See :meth:`LanguageModel.embed`."""
        ids = torch.tensor(token_ids, dtype=torch.long, device=self._model.device)
        return cast(Tensor, self._model.get_input_embeddings()(ids))

    @torch.no_grad()
    def start(self, prompt_embeds: Tensor, state: Tensor) -> Tensor:
        """See :meth:`LanguageModel.start`."""
        self._cache = DynamicCache(config=self._model.model.language_model.config)
        return self._read(prompt_embeds, state)

    @torch.no_grad()
    def advance(self, token_id: int, state: Tensor) -> Tensor:
        """See :meth:`LanguageModel.advance`."""
        return self._read(self.embed([token_id])[None], state)

    def _read(self, embeds: Tensor, state: Tensor) -> Tensor:
        """Put embeddings (1, n, hidden) through the model."""
        output = self._model.model.language_model(
            inputs_embeds=embeds, past_key_values=self._cache, use_cache=True)
        state.copy_(output.last_hidden_state[:, -1])
        return cast(Tensor, self._model.lm_head(state[0]))


def transformers_vllm(model: LegoLlava) -> VisionLanguage:
    """
    Take a VLLM as transformers runs it.

    :param model: the VLLM; it is put in evaluation mode.
    :returns: its parts.
    """

    @torch.no_grad()
    def see(pixels: Tensor) -> Tensor:
        features = model.get_image_features(pixel_values=pixels.to(model.device, model.dtype))
        return cast(Tensor, features.pooler_output[0])

    model.eval()
    return VisionLanguage(
        TransformersLanguage(model), see, model.model.vision_tower.config.image_size)
