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

"""Both tokenizers, from the words of the kitchen's training split."""

from __future__ import annotations

from collections.abc import Iterator
import hashlib
import json
from pathlib import Path

from lego_ros.errors import ErrorCode, LegoError, telling
from lego_ros.training.data.dataset import Pair, PairDataset, WHICH, Which
from lego_ros.training.data.files import replacing
from lego_ros.training.data.flip import swap_sides
from lego_ros.training.foundations.captions import facts, full_caption, SCENE_QUESTIONS
from lego_ros.training.foundations.scenes import Scenes
from lego_ros.training.foundations.sizes import FoundationSize
from lego_ros.vllm.templates import question, QUESTION_TEMPLATES
from lego_ros.vllm.tokenizers import make_clip_tokenizer, make_llava_tokenizer
from transformers import CLIPTokenizer, PreTrainedTokenizerBase, PreTrainedTokenizerFast


def texts(pairs: PairDataset, scenes: Scenes) -> Iterator[str]:
    """
    Give all that the models will read or write, mirrored too.

    :param pairs: of the training split.
    :param scenes: theirs.
    :returns: an iterator, in an order of its own that is always the same.
    """
    yield from SCENE_QUESTIONS
    for number, pair in enumerate(pairs):
        template = number % len(QUESTION_TEMPLATES)
        for change in (str, swap_sides):
            label = change(pair.label)
            yield label
            yield question(label, template)
            yield change(pair.description)
        for which in WHICH:
            yield from _seen(scenes, pair, which, mirrored=number % 2 == 1)


def _seen(scenes: Scenes, pair: Pair, which: Which, mirrored: bool) -> Iterator[str]:
    state = scenes.state(pair, which, mirrored)
    yield full_caption(state)
    for fact in facts(state):
        yield fact.question


def make_tokenizers(pairs: PairDataset, scenes: Scenes, size: FoundationSize, folder: Path
                    ) -> tuple[PreTrainedTokenizerFast, CLIPTokenizer]:
    """
    Train both tokenizers; the same data always gives the same.

    :param pairs: of the training split.
    :param scenes: theirs.
    :param size: of their vocabularies, and N.
    :param folder: for ``vllm`` and ``clip``; what is there is replaced.
    :returns: the VLLM's, and that of the LDM's text encoder.
    :raises LegoError: INVALID_SETTING: the vocabulary is too small.
    :raises OSError: they cannot be written.
    """
    corpus = list(texts(pairs, scenes))
    try:
        vllm = make_llava_tokenizer(corpus, size.vocabulary)
        clip = make_clip_tokenizer(corpus, size.vocabulary, size.text_tokens)
    except ValueError as error:
        raise LegoError(ErrorCode.INVALID_SETTING,
                        f'the vocabulary is too small: {error}') from error
    with replacing(folder, 'the tokenizers') as part:
        vllm.save_pretrained(part / 'vllm')
        clip.save_pretrained(part / 'clip')
    return load_tokenizers(folder)


def load_tokenizers(folder: Path) -> tuple[PreTrainedTokenizerFast, CLIPTokenizer]:
    """
    Load both tokenizers.

    :param folder: that :func:`make_tokenizers` wrote.
    :returns: the VLLM's, and that of the LDM's text encoder.
    :raises LegoError: SOURCE_UNREADABLE: they are not there or damaged.
    """
    with telling(ErrorCode.SOURCE_UNREADABLE,
                 f"'{folder}': the tokenizers cannot be loaded"):
        return (PreTrainedTokenizerFast.from_pretrained(folder / 'vllm', local_files_only=True),
                CLIPTokenizer.from_pretrained(folder / 'clip', local_files_only=True))


def fingerprint(tokenizer: PreTrainedTokenizerBase) -> str:
    """
    Tell tokenizers apart.

    :param tokenizer: one with a backend of the ``tokenizers`` library.
    :returns: SHA-256 of its rules and vocabulary, in hexadecimal.
    """
    rules = json.loads(tokenizer.backend_tokenizer.to_str())
    for state in ('truncation', 'padding'):
        # Of the last call, not of the tokenizer.
        rules.pop(state)
    facts = [rules, tokenizer.get_vocab(), tokenizer.all_special_ids, tokenizer.model_max_length]
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
