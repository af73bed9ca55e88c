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

"""From a frame, an action and its description to the text of an action program (LEAP)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
import math
import time

from lego_ros.vllm.decoding import decode, DecodeSettings, TokenMask
from lego_ros.vllm.language import LanguageModel, VisionLanguage
from lego_ros.vllm.pixels import vision_pixels
from lego_ros.vllm.prompt import encode_prompt
from lego_ros.vllm.templates import program_question
from lego_ros.vllm.written import WrittenProgram
import numpy as np
import torch
from torch import Tensor
from transformers import CLIPImageProcessorPil, PreTrainedTokenizerBase


class ProgramWriter:
    """
    Writes programs; one at a time.

    :param vllm: sees frames.
    :param language: writes; the VLLM's own or one that was tuned to write programs. Its input
        embeddings are the VLLM's.
    :param tokenizer: of both.
    :param image_processor: see :class:`lego_ros.vllm.enrichment.Enricher`.
    :param new_mask: gives the mask of a new program.
    """

    def __init__(self, vllm: VisionLanguage, language: LanguageModel,
                 tokenizer: PreTrainedTokenizerBase, image_processor: CLIPImageProcessorPil,
                 new_mask: Callable[[], TokenMask]) -> None:
        self._vllm, self._language = vllm, language
        self._tokenizer, self._image_processor = tokenizer, image_processor
        self._new_mask = new_mask

    def write(self, image: np.ndarray, action: str, description: str, settings: DecodeSettings,
              check: Callable[[], None], on_text: Callable[[int, str], None]) -> WrittenProgram:
        """
        Write the program of an action in a frame.

        :param image: (H, W, 3) uint8 RGB, the view that the VLLM shall see.
        :param action: the action phrase.
        :param description: R, how the action is done.
        :param settings: of the decode.
        :param check: called between tokens; what it raises ends the writing.
        :param on_text: called after each token with the number of tokens and their text so far.
        :returns: the text under the mask's grammar.
        :raises LegoError: NOT_A_COLOR_IMAGE, INVALID_QUERY (action or description spell a special
            token that cannot be split), and what :func:`lego_ros.vllm.decoding.decode` raises.
        """
        before, after = encode_prompt(program_question(action, description), self._tokenizer)
        check()
        image_embeds = self._vllm.see(vision_pixels(
            image, self._image_processor, self._vllm.image_side))
        words = self._language.embed([*before, *after])
        mask = _TimedMask(self._new_mask)
        decoded = decode(
            self._language,
            torch.cat([words[:len(before)], image_embeds, words[len(before):]])[None],
            self._tokenizer.eos_token_id, settings, mask=mask, check=check,
            on_token=lambda ids: on_text(len(ids), self._text(ids)))
        likely = decoded.log_probabilities
        return WrittenProgram(self._text(decoded.token_ids), decoded.stop == 'eos',
                              math.exp(sum(likely) / len(likely)),
                              mask.decode_seconds, mask.seconds)

    def _text(self, token_ids: Sequence[int]) -> str:
        text: str = self._tokenizer.decode(
            token_ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return text.strip()


class _TimedMask:
    """
    A mask that knows how long it took, and how long all of the decode.

    Logits are on the CPU before they are masked, so that no time of a GPU is counted as its own.

    :param new: gives the mask; that counts too.
    """

    def __init__(self, new: Callable[[], TokenMask]) -> None:
        begin = time.perf_counter()
        self._mask = new()
        self.seconds = self.decode_seconds = self._made = time.perf_counter() - begin
        self._first: float | None = None

    def apply(self, logits: Tensor) -> Tensor:
        """See :meth:`TokenMask.apply`."""
        begin = time.perf_counter()
        if self._first is None:
            self._first = begin
        allowed = self._mask.apply(logits)
        self.seconds += time.perf_counter() - begin
        return allowed

    def accept(self, token_id: int) -> None:
        """See :meth:`TokenMask.accept`."""
        assert self._first is not None
        begin = time.perf_counter()
        self._mask.accept(token_id)
        end = time.perf_counter()
        self.seconds += end - begin
        self.decode_seconds = self._made + end - self._first
