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
Enrichment: from a frame and an action to R, H_i and H_t (Sec. 3.1 and 3.2 of the paper).

R is the VLLM's description of how the action is done, H_i = tau(phi(X)) its image embedding and
H_t the states behind the description's tokens. All three condition the picture (Eq. 1).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lego_ros.vllm.answer_text import AnswerText
from lego_ros.vllm.decoding import decode, DecodeSettings, Stop
from lego_ros.vllm.language import transformers_vllm, VisionLanguage
from lego_ros.vllm.llava import LegoLlava
from lego_ros.vllm.pixels import vision_pixels
from lego_ros.vllm.prompt import encode_prompt
from lego_ros.vllm.templates import check_template, DEFAULT_TEMPLATE
from lego_ros.vllm.templates import question as question_of
import numpy as np
import torch
from torch import Tensor
from transformers import CLIPImageProcessorPil, PreTrainedTokenizerBase


@dataclass(frozen=True)
class EnrichmentSettings(DecodeSettings):
    """
    Settings of one enrichment.

    :param template: index of the question template; the paper's other nine are for training.
    :raises LegoError: INVALID_SETTING for a value out of range.
    """

    template: int = DEFAULT_TEMPLATE

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        super().__post_init__()
        check_template(self.template)


@dataclass(frozen=True, eq=False)
class Enrichment:
    """
    What the VLLM says about an action, in words and in embeddings.

    :param text: the description R, not empty. Up to the early stop it is the whole answer; at an
        early stop it ends with the last whole word, beyond what CLIP can take in.
    :param answered: whether ``text`` is the model's. When the model has nothing to say (as an
        untrained one may), ``text`` is the action itself: an empty R would be the null condition
        and the picture would ignore the action.
    :param question: what was asked about the frame.
    :param image_embeds: H_i, (M, hidden) on the model's device; in the model's dtype, or float32
        where engines run it.
    :param text_embeds: H_t, (N, hidden) like H_i. Row k is the state that predicted response token
        k; rows after ``text_rows`` are zero.
    :param text_rows: how many rows of H_t are states, 1 to N.
    :param token_ids: all response tokens, the end-of-sequence token included.
    :param stop: why the decode ended.
    """

    text: str
    answered: bool
    question: str
    image_embeds: Tensor
    text_embeds: Tensor
    text_rows: int
    token_ids: tuple[int, ...]
    stop: Stop


def _nothing(*_: object) -> None:
    return None


class Enricher:
    """
    Asks the VLLM about a frame. One at a time: the tokenizers keep state.

    :param model: the VLLM, as transformers runs it (in its dtype, on its device) or in parts.
    :param tokenizer: the VLLM's tokenizer.
    :param image_processor: gives the mean and standard deviation of the vision tower's input.
    :param clip_tokenizer: the tokenizer of the LDM's text encoder; tells when R is long enough.
    :param text_tokens: N, the rows of H_t and the tokens of a CLIP text.
    """

    def __init__(
        self,
        model: LegoLlava | VisionLanguage,
        tokenizer: PreTrainedTokenizerBase,
        image_processor: CLIPImageProcessorPil,
        clip_tokenizer: PreTrainedTokenizerBase,
        text_tokens: int = 77,
    ) -> None:
        self._parts = transformers_vllm(model) if isinstance(model, LegoLlava) else model
        self._tokenizer = tokenizer
        self._image_processor = image_processor
        self._answer_text = AnswerText(tokenizer, clip_tokenizer, text_tokens)
        self._text_tokens = text_tokens

    def enrich(
        self,
        image: np.ndarray,
        action: str,
        settings: EnrichmentSettings | None = None,
        *,
        check: Callable[[], None] = _nothing,
        on_token: Callable[[int], None] = _nothing,
    ) -> Enrichment:
        """
        Let the VLLM describe how the action is done in the frame.

        :param image: (H, W, 3) uint8 RGB, the view that the VLLM shall see; it is squashed to the
            vision tower's square, so a crop is the caller's choice.
        :param action: the action phrase, such as "open the drawer".
        :param settings: see :class:`EnrichmentSettings`; its defaults when None.
        :param check: called between tokens; what it raises ends the enrichment.
        :param on_token: called after each token with the number of tokens so far.
        :returns: R, H_i and H_t.
        :raises LegoError: NOT_A_COLOR_IMAGE, INVALID_QUERY (the action spells a special token
            that cannot be split), and what :func:`lego_ros.vllm.decoding.decode` raises.
        """
        settings = settings or EnrichmentSettings()
        question = question_of(action, settings.template)
        before, after = encode_prompt(question, self._tokenizer)
        check()
        image_embeds = self._parts.see(vision_pixels(
            image, self._image_processor, self._parts.image_side))
        words = self._parts.language.embed([*before, *after])
        decoded = decode(
            self._parts.language,
            torch.cat([words[:len(before)], image_embeds, words[len(before):]])[None],
            self._tokenizer.eos_token_id,
            settings,
            conditioning_full=self._conditioning_full,
            check=check,
            on_token=lambda token_ids: on_token(len(token_ids)),
        )
        read = self._answer_text
        text = (read.settled if decoded.stop == 'conditioning_full' else read.whole)(
            decoded.token_ids
        )
        rows = decoded.states[:self._text_tokens]
        text_embeds = rows.new_zeros(self._text_tokens, rows.shape[1])
        text_embeds[:len(rows)] = rows
        return Enrichment(
            text=text or action,
            answered=bool(text),
            question=question,
            image_embeds=image_embeds,
            text_embeds=text_embeds,
            text_rows=len(rows),
            token_ids=decoded.token_ids,
            stop=decoded.stop,
        )

    def _conditioning_full(self, token_ids: Sequence[int]) -> bool:
        """Tell whether no further token can reach the picture, by H_t or by CLIP's text."""
        return len(token_ids) >= self._text_tokens and self._answer_text.fills_clip(token_ids)
