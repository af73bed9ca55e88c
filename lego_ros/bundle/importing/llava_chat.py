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
The conversation that an imported LLaVA was tuned with, as a chat template in transformers' form.

LLaVA's own layout does not say which it is: LLaVA's code goes by the model's name, and so does
LEGO's. The texts are those of LLaVA's ``conversation.py``; another word in them is another model.
"""

from __future__ import annotations

from pathlib import Path
import re
from typing import Any

from lego_ros.bundle.importing.weights import read_json
from lego_ros.errors import ErrorCode, LegoError
from lego_ros.vllm.prompt import check_chat_template
from transformers import PreTrainedTokenizerBase

_ONE_QUESTION = (
    "{% if messages | length != 1 or messages[0].role != 'user' %}"
    "{{ raise_exception('this template is for one question') }}{% endif %}")
_IMAGE_AND_TEXT = (
    "{% for part in messages[0].content if part.type == 'image' %}<image>\n{% endfor %}"
    "{% for part in messages[0].content if part.type == 'text' %}{{ part.text }}{% endfor %}")
CONVERSATIONS: dict[str, str | None] = {
    'llava_llama_2': (
        f'{_ONE_QUESTION}[INST] <<SYS>>\n'
        'You are a helpful language and vision assistant. You are able to understand the visual '
        'content that the user provides, and assist the user with a variety of tasks using '
        f'natural language.\n<</SYS>>\n\n{_IMAGE_AND_TEXT} [/INST]'),
    'vicuna_v1': (
        f'{_ONE_QUESTION}A chat between a curious user and an artificial intelligence assistant. '
        "The assistant gives helpful, detailed, and polite answers to the user's questions. "
        f'USER: {_IMAGE_AND_TEXT} ASSISTANT:'),
    'lego_ros': None,
}
"""Template by name: LLaVA on Llama 2, LLaVA 1 and 1.5 on Vicuna, and none = lego_ros' own."""
# In LLaVA's order: a name may hold both.
_NAMES = {'llava_llama_2': 'llama-?2', 'vicuna_v1': '(llava|vicuna).*v1'}


def set_conversation(
    tokenizer: PreTrainedTokenizerBase, stated: str | None, raw: dict[str, Any], folder: Path,
    original: bool, own_tokenizer: bool,
) -> str:
    """
    Give the tokenizer the chat template that the VLLM is asked by.

    :param tokenizer: changed in place. Its own template counts where the folder is in
        transformers' layout; LLaVA's own layout has at most that of the language model.
    :param stated: a name of :data:`CONVERSATIONS`; None = find out.
    :param raw: config.json of the folder.
    :param folder: of the VLLM.
    :param original: whether it is in LLaVA's own layout.
    :param own_tokenizer: whether the tokenizer is the folder's.
    :returns: what it is, for people.
    :raises LegoError: INVALID_SETTING: the name is unknown, or must be given; BUNDLE_INVALID,
        SOURCE_UNREADABLE: the folder's template cannot be used.
    """
    if stated is not None and stated not in CONVERSATIONS:
        raise LegoError(
            ErrorCode.INVALID_SETTING,
            f'There is no conversation {stated[:60]!r}; there are {", ".join(CONVERSATIONS)}')
    if stated is None and not original:
        tokenizer.chat_template = _template(tokenizer, folder) if own_tokenizer else None
        _check(tokenizer, folder)
        return "lego_ros' own" if tokenizer.chat_template is None else "the folder's template"
    name = stated or _by_name(raw, folder)
    tokenizer.chat_template = CONVERSATIONS[name]
    _check(tokenizer, folder)
    return f'{name}, {"as stated" if stated else "by the name"}'


def _by_name(raw: dict[str, Any], folder: Path) -> str:
    """Tell the conversation by what the model is called, or by what it was tuned from."""
    for called in (folder.resolve().name, str(raw.get('_name_or_path', ''))):
        for name, pattern in _NAMES.items():
            if re.search(pattern, called, re.IGNORECASE):
                return name
    raise LegoError(
        ErrorCode.INVALID_SETTING,
        f"The name of '{folder}' does not tell how LLaVA was tuned; give --conversation, one of "
        f'{", ".join(CONVERSATIONS)}')


def _template(tokenizer: PreTrainedTokenizerBase, folder: Path) -> Any:
    """Take the folder's template; transformers 4 kept that of a VLLM in a file of its own."""
    path = folder / 'chat_template.json'
    return read_json(path).get('chat_template') if path.is_file() else tokenizer.chat_template


def _check(tokenizer: PreTrainedTokenizerBase, folder: Path) -> None:
    try:
        check_chat_template(tokenizer, folder)
    except LegoError as error:
        raise LegoError(
            error.code, f'{error.message}. Give --conversation if the VLLM was tuned with one of '
                        f'{", ".join(CONVERSATIONS)}') from error
