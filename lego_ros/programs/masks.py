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

"""Which tokens a language model may write next, so that its answer is a program."""

from __future__ import annotations

from typing import Any

from lego_ros.errors import ErrorCode, LegoError
from lego_ros.programs.grammar import writing_grammar
from lego_ros.programs.vocabulary import default_vocabulary, Vocabulary
from llguidance import LLMatcher
from llguidance.hf import from_tokenizer
import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedTokenizerFast


class ProgramMask:
    """
    The mask of one program; :class:`lego_ros.vllm.decoding.TokenMask`.

    :param matcher: at the beginning of the grammar.
    """

    def __init__(self, matcher: LLMatcher) -> None:
        self._matcher = matcher

    def apply(self, logits: Tensor) -> Tensor:
        """See :meth:`lego_ros.vllm.decoding.TokenMask.apply`."""
        bits = np.frombuffer(self._matcher.compute_bitmask(), np.uint8)
        allowed = np.unpackbits(bits, bitorder='little')[:len(logits)].astype(bool)
        self._require_sound()
        return logits.masked_fill(torch.from_numpy(~allowed), -torch.inf)

    def accept(self, token_id: int) -> None:
        """See :meth:`lego_ros.vllm.decoding.TokenMask.accept`."""
        self._matcher.consume_token(token_id)
        self._require_sound()

    def _require_sound(self) -> None:
        # The matcher keeps its errors to itself, and from then on allows nothing or anything.
        if self._matcher.is_error():
            raise LegoError(
                ErrorCode.INFERENCE_FAILED,
                f'the grammar of programs cannot be followed: {self._matcher.get_error()}')


class ProgramMasks:
    """
    Makes masks for one language model.

    :param tokenizer: the model's; a fast one.
    :param size: how many logits the model gives, where that is more than the tokenizer's words.
    :param vocabulary: the programs' words; those of the package by default.
    :raises LegoError: BUNDLE_MISMATCH, there is no fast tokenizer.
    """

    def __init__(self, tokenizer: Any, size: int, vocabulary: Vocabulary | None = None) -> None:
        if not isinstance(tokenizer, PreTrainedTokenizerFast):
            raise LegoError(
                ErrorCode.BUNDLE_MISMATCH,
                f'a {type(tokenizer).__name__} cannot be held to a grammar; give the bundle a '
                'tokenizer.json')
        self._tokenizer = from_tokenizer(tokenizer, n_vocab=size)
        self._grammar = LLMatcher.grammar_from_lark(
            writing_grammar(vocabulary or default_vocabulary()))

    def new(self) -> ProgramMask:
        """
        Begin a program.

        :returns: its mask.
        """
        return ProgramMask(LLMatcher(self._tokenizer, self._grammar))
