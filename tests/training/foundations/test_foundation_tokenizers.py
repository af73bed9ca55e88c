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

"""Tokenizers from kitchen words: the same each time, whole texts back, no description cut off."""

import dataclasses

from lego_ros.errors import ErrorCode, LegoError
from lego_ros.training.foundations.captions import full_caption
from lego_ros.training.foundations.sizes import size_of
from lego_ros.training.foundations.tokenizers import (
    fingerprint,
    load_tokenizers,
    make_tokenizers,
    texts,
)
from lego_ros.vllm.templates import question
import pytest


def test_they_come_out_the_same_each_time(splits, size, tokenizers, tmp_path):
    train, _ = splits
    prints = [fingerprint(each) for each in tokenizers]
    again = make_tokenizers(train.pairs, train.scenes, size, tmp_path / 'again')
    assert [fingerprint(each) for each in again] == prints
    assert [fingerprint(each) for each in load_tokenizers(tmp_path / 'again')] == prints
    # Use leaves its traces in a tokenizer, which must not make it another one.
    again[1](['take the mug'] * 2, padding='max_length', truncation=True)
    assert [fingerprint(each) for each in again] == prints
    assert len(set(prints)) == 2


def test_texts_come_back_whole(splits, tokenizers):
    vllm, clip = tokenizers
    train, validation = splits
    for split in (train, validation):
        for pair in split.pairs:
            for text in (pair.description, question(pair.label, 3),
                         full_caption(split.scenes.state(pair, 'target'))):
                assert vllm.decode(vllm.encode(text)) == text
                ids = clip(text, truncation=False)['input_ids']
                words = clip.decode(ids, skip_special_tokens=True)
                assert words.replace(' ', '') == text.lower().replace(' ', '')


def test_words_of_the_kitchen_are_short(splits, tokenizers):
    train, _ = splits
    vllm, clip = tokenizers
    corpus = list(texts(train.pairs, train.scenes))
    characters = sum(map(len, corpus))
    for tokenizer in (vllm, clip):
        tokens = sum(len(tokenizer(text, truncation=False)['input_ids']) for text in corpus)
        assert characters / tokens > 3
    # N of the kitchen's LDM.
    longest = max(len(clip(pair.description)['input_ids']) for pair in train.pairs)
    assert longest <= size_of('kitchen').text_tokens


def test_the_corpus_is_mirrored_too(splits):
    train, _ = splits
    corpus = set(texts(train.pairs, train.scenes))
    described = {pair.description for pair in train.pairs}
    assert described < corpus
    assert any('left' in text and text.replace('left', 'right') in corpus for text in described)


def test_a_vocabulary_that_is_too_small(splits, size, tmp_path):
    train, _ = splits
    with pytest.raises(LegoError, match='too small') as caught:
        make_tokenizers(train.pairs, train.scenes, dataclasses.replace(size, vocabulary=300),
                        tmp_path / 'words')
    assert caught.value.code is ErrorCode.INVALID_SETTING
    assert not (tmp_path / 'words').exists()


def test_a_folder_without_tokenizers(tmp_path):
    with pytest.raises(LegoError, match='cannot be loaded') as caught:
        load_tokenizers(tmp_path)
    assert caught.value.code is ErrorCode.SOURCE_UNREADABLE
