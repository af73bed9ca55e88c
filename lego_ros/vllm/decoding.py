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
The token-by-token decode, which hands out the state behind each token.

transformers' ``generate`` gives the states of all layers of all steps or none, and cannot be
stopped between tokens by a callback that raises. This loop keeps one state per token.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
import math
from typing import Literal

from lego_ros.errors import ErrorCode, LegoError
import torch
from torch import Tensor
from transformers import DynamicCache, LlavaForConditionalGeneration

Stop = Literal['eos', 'conditioning_full', 'max_new_tokens']


@dataclass(frozen=True)
class DecodeSettings:
    """
    How tokens are chosen, and how many at most.

    :param temperature: >= 0; 0 takes the likeliest token, above it tokens are drawn.
    :param max_new_tokens: the most response tokens, >= 1.
    :param seed: of the drawing, 0 to 2^64 - 1; without effect at temperature 0.
    :raises LegoError: INVALID_SETTING for a value out of range.
    """

    temperature: float = 0.2
    max_new_tokens: int = 1024
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        if not (math.isfinite(self.temperature) and self.temperature >= 0):
            raise LegoError(
                ErrorCode.INVALID_SETTING,
                f'the temperature is {self.temperature}; give 0 (likeliest token) or more',
            )
        if self.max_new_tokens < 1:
            raise LegoError(
                ErrorCode.INVALID_SETTING,
                f'max_new_tokens is {self.max_new_tokens}; give 1 or more',
            )
        if not 0 <= self.seed < 2**64:
            raise LegoError(
                ErrorCode.INVALID_SETTING, f'the seed is {self.seed}; give 0 to 2^64 - 1'
            )


@dataclass(frozen=True, eq=False)
class Decoded:
    """
    A response as tokens and states.

    :param token_ids: the K >= 1 response tokens; the last is the end-of-sequence token when
        ``stop`` is "eos".
    :param states: (K, hidden) in the model's dtype and on its device. Row k is the last layer's
        state after the final norm that predicted ``token_ids[k]``: ``lm_head(states[k])`` are its
        logits.
    :param stop: why the decode ended.
    """

    token_ids: tuple[int, ...]
    states: Tensor
    stop: Stop


def _never(token_ids: Sequence[int]) -> bool:
    return False


def _nothing(*_: object) -> None:
    return None


@torch.no_grad()
def decode(
    model: LlavaForConditionalGeneration,
    prompt_embeds: Tensor,
    eos_token_id: int | None,
    settings: DecodeSettings,
    *,
    conditioning_full: Callable[[Sequence[int]], bool] = _never,
    check: Callable[[], None] = _nothing,
    on_token: Callable[[int], None] = _nothing,
) -> Decoded:
    """
    Decode a response with a key-value cache: the prompt once, then one token a step.

    :param model: the VLLM, in evaluation mode.
    :param prompt_embeds: (1, P, hidden) input embeddings of the prompt, image tokens included.
    :param eos_token_id: the token that ends a response, or None.
    :param settings: see :class:`DecodeSettings`. The positions that the model knows bound the
        number of tokens too.
    :param conditioning_full: told the tokens after each one; ends the decode when it returns true.
    :param check: called before each pass through the model; what it raises ends the decode.
    :param on_token: called after each token with the number of tokens so far.
    :returns: at least one token.
    :raises LegoError: QUERY_TOO_LONG when the prompt leaves no position for an answer,
        INFERENCE_FAILED when the model's output is not finite.
    """
    text_config = model.model.language_model.config
    room = text_config.max_position_embeddings - prompt_embeds.shape[1]
    if room < 1:
        raise LegoError(
            ErrorCode.QUERY_TOO_LONG,
            f'the question and its image take {prompt_embeds.shape[1]} of the '
            f'{text_config.max_position_embeddings} positions of the language model; shorten '
            'the query',
        )
    limit = min(settings.max_new_tokens, room)
    generator = torch.Generator().manual_seed(settings.seed)
    cache = DynamicCache(config=text_config)
    token_ids: list[int] = []
    states: list[Tensor] = []
    inputs = prompt_embeds
    stop: Stop | None = None
    while stop is None:
        check()
        output = model.model.language_model(
            inputs_embeds=inputs, past_key_values=cache, use_cache=True
        )
        state = output.last_hidden_state[0, -1]
        token = _choose(model.lm_head(state), settings.temperature, generator)
        token_ids.append(token)
        states.append(state)
        on_token(len(token_ids))
        if token == eos_token_id:
            stop = 'eos'
        elif conditioning_full(token_ids):
            stop = 'conditioning_full'
        elif len(token_ids) == limit:
            stop = 'max_new_tokens'
        else:
            inputs = model.get_input_embeddings()(
                torch.tensor([[token]], device=prompt_embeds.device)
            )
    return Decoded(tuple(token_ids), torch.stack(states), stop)


def _choose(logits: Tensor, temperature: float, generator: torch.Generator) -> int:
    """
    Choose a token from its logits (vocabulary,).

    Drawn on the CPU in float32, so that a seed gives the same draws on every device.
    """
    logits = logits.float().cpu()
    if not bool(torch.isfinite(logits).all()):
        raise LegoError(
            ErrorCode.INFERENCE_FAILED,
            'the language model gave values that are not finite; its weights are damaged or do '
            'not suit the precision in use',
        )
    if temperature == 0:
        return int(logits.argmax())
    probabilities = torch.softmax((logits - logits.max()) / temperature, dim=-1)
    return int(torch.multinomial(probabilities, 1, generator=generator))
