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

"""The tokenizer of an imported LLaVA."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from lego_ros.bundle.importing.weights import understanding, unreadable
from lego_ros.errors import ErrorCode, LegoError
from lego_ros.vllm.prompt import IMAGE_PLACEHOLDER
from tokenizers import AddedToken
from transformers import LlamaTokenizer, PreTrainedTokenizerBase, PreTrainedTokenizerFast


def load_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    """
    Load the tokenizer of a Llama.

    :param folder: with tokenizer.json; or with tokenizer.model alone, as LLaVA's own code saves
        it, which the package sentencepiece must be installed for.
    :returns: the tokenizer; it has an end-of-sequence token.
    :raises LegoError: SOURCE_UNREADABLE.
    """
    if (folder / 'tokenizer.json').is_file():
        with understanding(folder / 'tokenizer.json'):
            tokenizer = PreTrainedTokenizerFast.from_pretrained(folder, local_files_only=True)
    elif (folder / 'tokenizer.model').is_file():
        if importlib.util.find_spec('sentencepiece') is None:
            raise unreadable(
                folder / 'tokenizer.model', 'that needs the package sentencepiece; or give a '
                'folder with the tokenizer.json of the same Llama by --vllm-tokenizer')
        with understanding(folder / 'tokenizer.model'):
            tokenizer = LlamaTokenizer.from_pretrained(folder, local_files_only=True)
    else:
        raise unreadable(
            folder, 'it has neither tokenizer.json nor tokenizer.model; give a folder with the '
                    'tokenizer of the same Llama by --vllm-tokenizer')
    if tokenizer.eos_token_id is None:
        raise LegoError(
            ErrorCode.SOURCE_UNREADABLE,
            f"The tokenizer in '{folder}' has no end-of-sequence token, so no answer would end")
    return tokenizer


def with_image_token(tokenizer: PreTrainedTokenizerBase) -> int:
    """
    Add what LLaVA's own code puts beside its tokenizer: the image placeholder and padding.

    :param tokenizer: changed in place; where it pads with nothing, it pads with the token for
        unknown words, as LLaVA on Llama 2 does, or with the end of the sequence.
    :returns: the id of the image placeholder.
    """
    tokenizer.add_tokens(
        [AddedToken(IMAGE_PLACEHOLDER, special=True, normalized=False)], special_tokens=True)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.unk_token or tokenizer.eos_token
    return int(tokenizer.convert_tokens_to_ids(IMAGE_PLACEHOLDER))
