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

"""The chat prompt around a question, as text and as token ids."""

from __future__ import annotations

from lego_ros.errors import ErrorCode, LegoError
from transformers import PreTrainedTokenizerBase

IMAGE_PLACEHOLDER = '<image>'


def chat_prompt(question: str) -> str:
    """
    Build the single-turn prompt in LLaVA's chat format.

    :param question: the question about the frame.
    :returns: the prompt; its first image placeholder is where the image tokens go. The question
        comes after it, so a placeholder spelled in the question is never the first.
    """
    return f'USER: {IMAGE_PLACEHOLDER}\n{question} ASSISTANT:'


def encode_prompt(
    question: str, tokenizer: PreTrainedTokenizerBase
) -> tuple[list[int], list[int]]:
    """
    Tokenise the prompt on both sides of the image.

    Each side is tokenised as plain text, as LLaVA does. Text that spells a special token
    ("<image>", "</s>") is thereby split into ordinary pieces and cannot act as one.

    :param question: the question about the frame.
    :param tokenizer: the VLLM's tokenizer.
    :returns: token ids before the image (with the beginning-of-sequence token, where the tokenizer
        has one) and after it.
    :raises LegoError: INVALID_QUERY when the tokenizer makes an added token out of the text all
        the same (a token that it was not told is special).
    """
    before, _, after = chat_prompt(question).partition(IMAGE_PLACEHOLDER)
    start = [] if tokenizer.bos_token_id is None else [tokenizer.bos_token_id]
    return start + _encode_plain(before, tokenizer), _encode_plain(after, tokenizer)


def _encode_plain(text: str, tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """Tokenise text in which no special token may appear."""
    ids: list[int] = tokenizer.encode(text, add_special_tokens=False, split_special_tokens=True)
    added = {index: token for token, index in tokenizer.get_added_vocab().items()}
    added.pop(tokenizer.unk_token_id, None)
    for index in ids:
        if index in added:
            raise LegoError(
                ErrorCode.INVALID_QUERY,
                f'the query spells {added[index]!r}, which means something else to the model; '
                'leave it out',
            )
    return ids
