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

"""What visual instruction tuning minimises: the surprise at the answers."""

from __future__ import annotations

from typing import Any

from lego_ros.vllm.llava import LegoLlava
import torch
from torch import nn, Tensor
from torch.nn import functional


class AnswerObjective(nn.Module):
    """
    Cross-entropy on the answer's tokens alone.

    :param model: the VLLM. Its vision tower is not run: the batch brings what it saw.
    :param compiled: whether torch.compile makes the language model faster while it is trained.
    """

    def __init__(self, model: LegoLlava, compiled: bool = False) -> None:
        super().__init__()
        self.projector = model.model.multi_modal_projector
        self.language_model = model.model.language_model
        self.lm_head = model.lm_head
        # Every batch has another length. Answers are sampled through the model itself.
        self._compiled = (torch.compile(self.language_model.forward, dynamic=True)
                          if compiled else None)

    def forward(self, batch: dict[str, Any]) -> tuple[Tensor, dict[str, Tensor]]:
        """
        Compute the loss.

        :param batch: the fields of ``answers.Layout``, and ``vision`` (B, M, vision hidden).
        :returns: mean over the answers' tokens [nat], and the part of them that is predicted
            right (``accuracy``).
        """
        states = self.states(batch)[batch['answers']]
        logits = self.lm_head(states).float()
        targets = batch['targets']
        right = (logits.detach().argmax(-1) == targets).float().mean()
        return functional.cross_entropy(logits, targets), {'accuracy': right}

    def states(self, batch: dict[str, Any]) -> Tensor:
        """
        Run the language model.

        :param batch: as for ``forward``.
        :returns: (B, L, hidden), the last layer's states after the final norm.
        """
        weight = next(self.projector.parameters())
        image_embeds = self.projector(batch['vision'].to(weight.dtype))
        embeds = self.language_model.get_input_embeddings()(batch['token_ids'])
        embeds = embeds.masked_scatter(
            batch['image'][..., None], image_embeds.to(embeds.dtype))
        call = self._compiled if self._compiled and self.training else self.language_model
        return call(
            inputs_embeds=embeds, attention_mask=batch['mask'].long(), use_cache=False,
        ).last_hidden_state
