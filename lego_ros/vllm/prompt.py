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
The chat prompt around a question, as text and as token ids.

A VLLM is asked in the format that it was tuned with. The format lies with the VLLM, as the chat
template of its tokenizer (``chat_template.jinja``, by which transformers asks it in the same way);
where there is none, it is lego_ros' own.
"""

from __future__ import annotations

from pathlib import Path

from lego_ros.errors import ErrorCode, LegoError, telling
from transformers import PreTrainedTokenizerBase

IMAGE_PLACEHOLDER = '<image>'
_OWN = ('USER: ', '\n', ' ASSISTANT:')
# Stands for the question while a template is looked at: a code point without a meaning, which no
# template changes.
_QUESTION = '\ue000'
_MAX_TEMPLATE = 1 << 16


def chat_prompt(question: str, tokenizer: PreTrainedTokenizerBase) -> tuple[str, str]:
    """
    Build the single-turn prompt in the VLLM's chat format.

    :param question: the question about the frame; never part of the template, so that nothing in
        it acts as one.
    :param tokenizer: the VLLM's, with its chat template; without one, the format is
        ``USER:``, the image, a line break, the question, ``ASSISTANT:``.
    :returns: the text before the image tokens, and the text after them.
    :raises LegoError: see :func:`check_chat_template`.
    """
    before, between, end = _OWN if tokenizer.chat_template is None else _read(tokenizer)
    return before, f'{between}{question}{end}'


def check_chat_template(tokenizer: PreTrainedTokenizerBase, folder: Path) -> None:
    """
    Check that a VLLM can be asked by its tokenizer's chat template, if it has one.

    :param tokenizer: the VLLM's.
    :param folder: where it is, for the error.
    :raises LegoError: BUNDLE_INVALID: the template does not make one image and the question after
        it out of a user's message, needs special tokens, is too large or has errors.
    """
    try:
        chat_prompt('?', tokenizer)
    except LegoError as error:
        raise LegoError(error.code, f"'{folder}': {error.message}") from error


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
        the same (a token that it was not told is special); and see :func:`check_chat_template`.
    """
    before, after = chat_prompt(question, tokenizer)
    start = [] if tokenizer.bos_token_id is None else [tokenizer.bos_token_id]
    return start + _encode_plain(before, tokenizer), _encode_plain(after, tokenizer)


def _read(tokenizer: PreTrainedTokenizerBase) -> tuple[str, str, str]:
    """Take the texts before the image, between it and the question, and after the question."""
    with telling(ErrorCode.BUNDLE_INVALID, "the tokenizer's chat template cannot be used"):
        template = tokenizer.get_chat_template()
        if len(template) > _MAX_TEMPLATE:
            raise ValueError(f'it has more than {_MAX_TEMPLATE} characters')
        # Rendered in transformers' sandbox.
        text = str(tokenizer.apply_chat_template(
            [{'role': 'user', 'content': [{'type': 'image'},
                                          {'type': 'text', 'text': _QUESTION}]}],
            chat_template=template, tokenize=False, add_generation_prompt=True))
        # The beginning of the sequence is put there as an id, whether the template has it or not.
        before, image, rest = text.removeprefix(tokenizer.bos_token or '').partition(
            IMAGE_PLACEHOLDER)
        between, asked, end = rest.partition(_QUESTION)
        if not (image and asked) or IMAGE_PLACEHOLDER in rest or _QUESTION in before + end:
            raise ValueError(
                f'it does not make one {IMAGE_PLACEHOLDER} and the question after it out of a '
                "user's message with an image and a text")
        for token in sorted(tokenizer.get_added_vocab()):
            if token in before + between + end:
                raise ValueError(f'it needs the special token {token!r}; only formats of plain '
                                 'text are supported')
    return before, between, end


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
