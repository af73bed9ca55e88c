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
A question and its answer as tokens, laid out as the run-time decode sees them.

The prompt is lego_ros.vllm.prompt's; the answer follows it as generated tokens would. Only the
answer's tokens are to be predicted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypedDict

from lego_ros.errors import ErrorCode, LegoError
from lego_ros.vllm.prompt import chat_prompt, encode_prompt
import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True)
class Dialogue:
    """
    Token ids of one question and answer.

    :param before: what comes before the image tokens.
    :param after: the rest of the prompt.
    :param answer: with the end-of-sequence token.
    """

    before: tuple[int, ...]
    after: tuple[int, ...]
    answer: tuple[int, ...]

    def positions(self, image_tokens: int) -> int:
        """
        Count the positions that the dialogue takes.

        :param image_tokens: M.
        :returns: the positions, those of the image included.
        """
        return len(self.before) + image_tokens + len(self.after) + len(self.answer)


def encode_dialogue(question: str, answer: str, tokenizer: PreTrainedTokenizerBase) -> Dialogue:
    """
    Tokenise a question and its answer.

    :param question: about the frame.
    :param answer: not empty.
    :param tokenizer: the VLLM's, with an end-of-sequence token.
    :returns: the ids.
    :raises LegoError: INVALID_QUERY: a question that spells an added token; INVALID_SETTING: an
        answer that does, or one without words; BUNDLE_INVALID: a tokenizer that cannot end an
        answer or that joins its first word with the prompt.
    """
    if tokenizer.eos_token_id is None:
        raise LegoError(ErrorCode.BUNDLE_INVALID, 'the tokenizer has no end-of-sequence token')
    before, after = encode_prompt(question, tokenizer)
    words = answer.strip()
    if not words:
        raise LegoError(ErrorCode.INVALID_SETTING, f'the answer to {question!r} is empty')
    # Some tokenizers put a space of their own before each text, so that the answer alone would
    # begin with another token than the one that is generated after the prompt.
    text = chat_prompt(question, tokenizer)[1]
    ids = tokenizer.encode(f'{text} {words}', add_special_tokens=False, split_special_tokens=True)
    if ids[:len(after)] != after:
        raise LegoError(
            ErrorCode.BUNDLE_INVALID,
            f'the tokenizer joins the end of the prompt with {words.split()[0]!r}, so that it '
            'cannot be generated; use a tokenizer that splits at white space')
    added = {index: token for token, index in tokenizer.get_added_vocab().items()}
    added.pop(tokenizer.unk_token_id, None)
    spelled = [added[index] for index in ids[len(after):] if index in added]
    if spelled:
        raise LegoError(
            ErrorCode.INVALID_SETTING,
            f'the answer to {question!r} spells {spelled[0]!r}, which means something else to the '
            'model')
    return Dialogue(tuple(before), tuple(after), (*ids[len(after):], tokenizer.eos_token_id))


class Layout(TypedDict):
    """A batch of dialogues, right-padded, the image tokens between ``before`` and ``after``."""

    token_ids: Tensor
    """(B, L) int64; 0 at image tokens and padding."""
    image: Tensor
    """(B, L) bool, the image tokens; M in each row."""
    mask: Tensor
    """(B, L) bool, all but padding."""
    answers: Tensor
    """(B, L) bool, positions whose *next* token is one of the answer's."""
    targets: Tensor
    """(A,) int64, those next tokens, row by row."""


def lay_out(dialogues: Sequence[Dialogue], image_tokens: int) -> Layout:
    """
    Lay dialogues out as a batch.

    :param dialogues: at least one.
    :param image_tokens: M.
    :returns: the batch.
    """
    lengths = [dialogue.positions(image_tokens) for dialogue in dialogues]
    shape = (len(dialogues), max(lengths))
    token_ids = torch.zeros(shape, dtype=torch.long)
    image, mask, answers = (torch.zeros(shape, dtype=torch.bool) for _ in range(3))
    for row, (dialogue, length) in enumerate(zip(dialogues, lengths, strict=True)):
        begin = len(dialogue.before)
        end = begin + image_tokens
        token_ids[row, :begin] = torch.tensor(dialogue.before, dtype=torch.long)
        token_ids[row, end:length] = torch.tensor([*dialogue.after, *dialogue.answer])
        image[row, begin:end] = True
        mask[row, :length] = True
        answers[row, length - len(dialogue.answer) - 1:length - 1] = True
    targets = torch.tensor([token for dialogue in dialogues for token in dialogue.answer])
    return Layout(token_ids=token_ids, image=image, mask=mask, answers=answers, targets=targets)
