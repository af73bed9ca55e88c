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
stopped between tokens by a callback that raises. This loop keeps one state per token, and knows
nothing of how the language model is run.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
import math
from typing import Literal, Protocol

from lego_ros.errors import ErrorCode, LegoError
from lego_ros.vllm.language import LanguageModel, TransformersLanguage
import torch
from torch import Tensor
from transformers import LlavaForConditionalGeneration

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
    :param log_probabilities: K natural logarithms: how likely the model took each token to be, of
        all tokens and at temperature 1; empty where there was no mask.
    """

    token_ids: tuple[int, ...]
    states: Tensor
    stop: Stop
    log_probabilities: tuple[float, ...] = ()


class TokenMask(Protocol):
    """Which tokens may come next, by a grammar; of one response."""

    def apply(self, logits: Tensor) -> Tensor:
        """
        Rule out what cannot come next.

        :param logits: (vocabulary,) float32 on the CPU; not changed.
        :returns: the same, at minus infinity where a token cannot come next.
        """

    def accept(self, token_id: int) -> None:
        """
        Take note of the token that was chosen.

        :param token_id: one that :meth:`apply` left.
        """


def _never(token_ids: Sequence[int]) -> bool:
    return False


def _nothing(*_: object) -> None:
    return None


@torch.no_grad()
def decode(
    model: LanguageModel | LlavaForConditionalGeneration,
    prompt_embeds: Tensor,
    eos_token_id: int | None,
    settings: DecodeSettings,
    *,
    conditioning_full: Callable[[Sequence[int]], bool] = _never,
    mask: TokenMask | None = None,
    check: Callable[[], None] = _nothing,
    on_token: Callable[[Sequence[int]], None] = _nothing,
) -> Decoded:
    """
    Decode a response with a key-value cache: the prompt once, then one token a step.

    :param model: the language model; a VLLM of transformers, in evaluation mode, is run as it is.
    :param prompt_embeds: (1, P, hidden) input embeddings of the prompt, image tokens included.
    :param eos_token_id: the token that ends a response, or None.
    :param settings: see :class:`DecodeSettings`. The positions that the model knows bound the
        number of tokens too.
    :param conditioning_full: told the tokens after each one; ends the decode when it returns true.
    :param mask: rules out tokens; None = any may come.
    :param check: called before each pass through the model; what it raises ends the decode.
    :param on_token: called after each token with the tokens so far.
    :returns: at least one token.
    :raises LegoError: QUERY_TOO_LONG when the prompt leaves no position for an answer,
        INFERENCE_FAILED when the model's output is not finite.
    """
    if isinstance(model, LlavaForConditionalGeneration):
        model = TransformersLanguage(model)
    _, length, hidden = prompt_embeds.shape
    room = model.positions - length
    if room < 1:
        raise LegoError(
            ErrorCode.QUERY_TOO_LONG,
            f'the question and its image take {length} of the {model.positions} positions of the '
            'language model; shorten the query',
        )
    limit = min(settings.max_new_tokens, room)
    generator = torch.Generator().manual_seed(settings.seed)
    token_ids: list[int] = []
    likely: list[float] = []
    # The states are written where they stay; memory that no token needs is never touched.
    states = prompt_embeds.new_empty(limit, hidden)
    check()
    logits = model.start(prompt_embeds, states[:1])
    while True:
        logits = _finite(logits)
        allowed = logits if mask is None else mask.apply(logits)
        token_ids.append(_choose(allowed, settings.temperature, generator))
        if mask is not None:
            mask.accept(token_ids[-1])
            likely.append(float(logits[token_ids[-1]] - logits.logsumexp(0)))
        on_token(token_ids)
        stop = _stop(token_ids, eos_token_id, conditioning_full, limit)
        if stop:
            return Decoded(
                tuple(token_ids), states[:len(token_ids)], stop, tuple(likely))
        check()
        logits = model.advance(token_ids[-1], states[len(token_ids):len(token_ids) + 1])


def _stop(token_ids: Sequence[int], eos_token_id: int | None,
          conditioning_full: Callable[[Sequence[int]], bool], limit: int) -> Stop | None:
    """Tell why the decode ends after these tokens, if it does."""
    if token_ids[-1] == eos_token_id:
        return 'eos'
    if conditioning_full(token_ids):
        return 'conditioning_full'
    return 'max_new_tokens' if len(token_ids) == limit else None


def _finite(logits: Tensor) -> Tensor:
    """
    Bring logits (vocabulary,) to the CPU in float32.

    There a seed gives the same draws on every device.
    """
    logits = logits.float().cpu()
    if not bool(torch.isfinite(logits).all()):
        raise LegoError(
            ErrorCode.INFERENCE_FAILED,
            'the language model gave values that are not finite; its weights are damaged or do '
            'not suit the precision in use',
        )
    return logits


def _choose(logits: Tensor, temperature: float, generator: torch.Generator) -> int:
    """Choose a token from its logits (vocabulary,)."""
    if temperature == 0:
        return int(logits.argmax())
    probabilities = torch.softmax((logits - logits.max()) / temperature, dim=-1)
    return int(torch.multinomial(probabilities, 1, generator=generator))
