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
The run-time decode for many frames at once: likeliest tokens, one state behind each.

Rows are decoded together only where their prompts are equally long, so that no padding changes a
number; what comes out is what lego_ros.vllm.decoding gives, up to the rounding of larger products.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from lego_ros.errors import ErrorCode, LegoError
from lego_ros.vllm.decoding import Decoded, Stop
from lego_ros.vllm.llava import LegoLlava
from lego_ros.vllm.prompt import encode_prompt
import torch
from torch import Tensor
from transformers import DynamicCache, PreTrainedTokenizerBase

BATCH = 32
"""Rows that are decoded together at most."""
Full = Callable[[Sequence[int]], bool]


def never(token_ids: Sequence[int]) -> bool:
    """
    Tell that a response is not full yet, whatever its tokens.

    :param token_ids: so far.
    :returns: False.
    """
    return False


@torch.no_grad()
def answer(model: LegoLlava, tokenizer: PreTrainedTokenizerBase, questions: Sequence[str],
           vision: Tensor, max_new_tokens: int, full: Full = never) -> list[Decoded]:
    """
    Let the VLLM answer questions about frames.

    :param model: the VLLM, in evaluation mode.
    :param tokenizer: its tokenizer.
    :param questions: B of them.
    :param vision: (B, M, vision hidden), what the vision tower sees, on the model's device.
    :param max_new_tokens: the most tokens of a response, >= 1.
    :param full: told a row's tokens after each one; ends the row when it returns true.
    :returns: B responses. Which rows are decoded together follows from the questions alone.
    :raises LegoError: INVALID_QUERY: a question that spells an added token; and see
        :func:`decode_rows`.
    """
    prompts = [encode_prompt(question, tokenizer) for question in questions]
    by_length: dict[int, list[int]] = {}
    for number, (_, after) in enumerate(prompts):
        by_length.setdefault(len(after), []).append(number)
    look_up, projector = model.get_input_embeddings(), model.model.multi_modal_projector
    responses: dict[int, Decoded] = {}
    for numbers in by_length.values():
        for first in range(0, len(numbers), BATCH):
            rows = numbers[first:first + BATCH]
            before, after = (
                look_up(torch.tensor([prompts[number][side] for number in rows],
                                     dtype=torch.long, device=vision.device)) for side in (0, 1))
            image = projector(vision[rows].to(before.dtype))
            responses.update(zip(rows, decode_rows(
                model, torch.cat([before, image, after], dim=1), tokenizer.eos_token_id,
                max_new_tokens, full), strict=True))
    return [responses[number] for number in range(len(questions))]


@torch.no_grad()
def decode_rows(model: LegoLlava, prompt_embeds: Tensor, eos_token_id: int | None,
                max_new_tokens: int, full: Full = never) -> list[Decoded]:
    """
    Decode the responses to several prompts of one length.

    :param model: the VLLM, in evaluation mode.
    :param prompt_embeds: (B, P, hidden), image tokens included.
    :param eos_token_id: the token that ends a response, or None.
    :param max_new_tokens: the most tokens of a response, >= 1.
    :param full: told a row's tokens after each one; ends the row when it returns true.
    :returns: one response for each row.
    :raises LegoError: INFERENCE_FAILED: the model's output is not finite; QUERY_TOO_LONG: the
        prompt leaves no position for an answer.
    """
    config = model.model.language_model.config
    room = config.max_position_embeddings - prompt_embeds.shape[1]
    if room < 1:
        raise LegoError(
            ErrorCode.QUERY_TOO_LONG,
            f'a prompt takes {prompt_embeds.shape[1]} of the {config.max_position_embeddings} '
            'positions of the language model; shorten the labels')
    cache = DynamicCache(config=config)
    rows = [_Row(eos_token_id, min(max_new_tokens, room), full) for _ in prompt_embeds]
    # Which row each line of the batch still belongs to; finished rows leave it.
    active = rows
    inputs = prompt_embeds
    while True:
        states = model.model.language_model(
            inputs_embeds=inputs, past_key_values=cache, use_cache=True).last_hidden_state[:, -1]
        tokens = _likeliest(model.lm_head(states))
        for row, token, state in zip(active, tokens, states, strict=True):
            row.add(token, state)
        going = [line for line, row in enumerate(active) if row.stop is None]
        if not going:
            return [row.decoded() for row in rows]
        if len(going) < len(active):
            active = [active[line] for line in going]
            cache.batch_select_indices(torch.tensor(going, device=states.device))
        inputs = model.get_input_embeddings()(
            torch.tensor([[tokens[line]] for line in going], device=prompt_embeds.device))


def _likeliest(logits: Tensor) -> list[int]:
    if not bool(torch.isfinite(logits).all()):
        raise LegoError(
            ErrorCode.INFERENCE_FAILED,
            'the language model gave values that are not finite; its weights are damaged or do '
            'not suit the precision in use')
    return logits.float().argmax(-1).tolist()


class _Row:
    """A response that is being decoded."""

    def __init__(self, eos_token_id: int | None, limit: int, full: Full) -> None:
        self._eos_token_id, self._limit, self._full = eos_token_id, limit, full
        self._tokens: list[int] = []
        self._states: list[Tensor] = []
        self.stop: Stop | None = None

    def add(self, token: int, state: Tensor) -> None:
        self._tokens.append(token)
        # A copy: a view would keep the whole batch's states in memory.
        self._states.append(state.clone())
        if token == self._eos_token_id:
            self.stop = 'eos'
        elif self._full(self._tokens):
            self.stop = 'conditioning_full'
        elif len(self._tokens) == self._limit:
            self.stop = 'max_new_tokens'

    def decoded(self) -> Decoded:
        assert self.stop is not None
        return Decoded(tuple(self._tokens), torch.stack(self._states), self.stop)
