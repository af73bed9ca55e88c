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
Tokenizers trained on given texts, for bundles without downloaded ones.

Both are byte-level, so that any text can be written, and come out the same for the same texts.
"""

from __future__ import annotations

from collections.abc import Iterable
import json
from typing import Any

from lego_ros.vllm.prompt import IMAGE_PLACEHOLDER
from tokenizers import decoders, models, pre_tokenizers, Tokenizer, trainers
from transformers import CLIPTokenizer, PreTrainedTokenizerFast

PAD_TOKEN = '<pad>'
BOS_TOKEN = '<s>'
EOS_TOKEN = '</s>'
_CLIP_BOS_TOKEN = '<|startoftext|>'
_CLIP_EOS_TOKEN = '<|endoftext|>'
_CLIP_WORD_END = '</w>'


def make_llava_tokenizer(
    texts: Iterable[str], vocab_size: int = 1024
) -> PreTrainedTokenizerFast:
    """
    Train a tokenizer for the VLLM.

    :param texts: what to learn the merges from.
    :param vocab_size: the most tokens, at least the 256 bytes and the 4 special tokens.
    :returns: a tokenizer with "<pad>" (0), "<s>" (1), "</s>" (2) and "<image>" (3). Loads from its
        ``save_pretrained`` folder as ``PreTrainedTokenizerFast``.
    """
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=[PAD_TOKEN, BOS_TOKEN, EOS_TOKEN, IMAGE_PLACEHOLDER],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    backend.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        pad_token=PAD_TOKEN,
        bos_token=BOS_TOKEN,
        eos_token=EOS_TOKEN,
        extra_special_tokens={'image_token': IMAGE_PLACEHOLDER},
        clean_up_tokenization_spaces=False,
    )


def make_clip_tokenizer(
    texts: Iterable[str], vocab_size: int = 1024, max_length: int = 77
) -> CLIPTokenizer:
    """
    Train a tokenizer for the LDM's text encoder, with CLIP's rules and smaller vocabulary.

    :param texts: what to learn the merges from.
    :param vocab_size: the most tokens, at least 514: each byte inside and at the end of a word,
        and the 2 special tokens.
    :param max_length: N, the tokens of a text with its two special ones.
    :returns: a tokenizer that lower-cases, ends words with "</w>" and has "<|startoftext|>" and
        "<|endoftext|>" as its last two ids, as CLIP's. Loads from its ``save_pretrained`` folder
        as ``CLIPTokenizer``.
    :raises ValueError: when ``vocab_size`` is too small.
    """
    inner = sorted(pre_tokenizers.ByteLevel.alphabet())
    alphabet = [*inner, *(byte + _CLIP_WORD_END for byte in inner)]
    if vocab_size < len(alphabet) + 2:
        raise ValueError(f'{vocab_size} tokens are too few; give {len(alphabet) + 2} or more')
    # The rules before the merges are taken from transformers, so that they are CLIP's.
    rules = CLIPTokenizer().backend_tokenizer
    backend = Tokenizer(models.BPE(end_of_word_suffix=_CLIP_WORD_END))
    backend.normalizer = rules.normalizer
    backend.pre_tokenizer = rules.pre_tokenizer
    # Word ends are given as "special": left to itself the trainer numbers them in the order of a
    # hash table, and equally frequent merges would come out in another order each time.
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size - 2,
        special_tokens=alphabet[len(inner):],
        initial_alphabet=inner,
        end_of_word_suffix=_CLIP_WORD_END,
        show_progress=False,
    )
    backend.train_from_iterator(texts, trainer)
    # Typed loosely: CLIPTokenizer is annotated for strings but takes only pairs.
    merges: list[Any] = [tuple(pair) for pair in json.loads(backend.to_str())['model']['merges']]
    tokens = [*alphabet, *(''.join(pair) for pair in merges), _CLIP_BOS_TOKEN, _CLIP_EOS_TOKEN]
    return CLIPTokenizer(
        vocab={token: index for index, token in enumerate(dict.fromkeys(tokens))},
        merges=merges,
        model_max_length=max_length,
        clean_up_tokenization_spaces=False,
    )
