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

from __future__ import annotations

from hypothesis import given, HealthCheck, settings
from hypothesis import strategies as st
from lego_ros.vllm.tokenizers import make_clip_tokenizer, make_llava_tokenizer
import pytest
from transformers import CLIPTokenizer, PreTrainedTokenizerFast

_any_text = st.text(st.characters(exclude_categories=['Cs']))
_shared = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.mark.parametrize('make', [make_llava_tokenizer, make_clip_tokenizer])
def test_the_same_texts_give_the_same_tokenizer(make, texts):
    assert make(texts).backend_tokenizer.to_str() == make(texts).backend_tokenizer.to_str()


def test_llava_special_tokens(tokenizer):
    assert tokenizer.convert_tokens_to_ids(['<pad>', '<s>', '</s>', '<image>']) == [0, 1, 2, 3]
    assert (tokenizer.pad_token_id, tokenizer.bos_token_id, tokenizer.eos_token_id) == (0, 1, 2)
    assert tokenizer.image_token_id == 3
    assert set(tokenizer.all_special_ids) == {0, 1, 2, 3}


@_shared
@given(_any_text)
def test_llava_reads_back_any_text(tokenizer, text):
    ids = tokenizer.encode(text, add_special_tokens=False, split_special_tokens=True)
    assert tokenizer.decode(ids) == text


def test_clip_has_its_rules_and_its_special_tokens_last(clip_tokenizer):
    size = len(clip_tokenizer)
    assert (clip_tokenizer.bos_token, clip_tokenizer.bos_token_id) == ('<|startoftext|>', size - 2)
    assert (clip_tokenizer.eos_token, clip_tokenizer.eos_token_id) == ('<|endoftext|>', size - 1)
    assert clip_tokenizer.pad_token_id == size - 1
    assert clip_tokenizer.model_max_length == 77
    ids = clip_tokenizer('Open  the DRAWER', padding='max_length', truncation=True)['input_ids']
    assert len(ids) == 77
    assert ids[0] == size - 2
    assert ids[-1] == size - 1
    assert ids == clip_tokenizer('open the drawer', padding='max_length')['input_ids']
    assert clip_tokenizer.tokenize('the person') == ['the</w>', 'person</w>']


@_shared
@given(_any_text)
def test_clip_knows_every_text(clip_tokenizer, text):
    ids = clip_tokenizer(text, add_special_tokens=False, split_special_tokens=True)['input_ids']
    assert clip_tokenizer.unk_token_id not in ids


@pytest.mark.parametrize(('make', 'loader', 'size'), [
    (make_llava_tokenizer, PreTrainedTokenizerFast, 300),
    (make_clip_tokenizer, CLIPTokenizer, 560),
])
def test_it_loads_from_its_folder_as_it_was(make, loader, size, texts, tmp_path):
    made = make(texts, vocab_size=size)
    made.save_pretrained(tmp_path)
    loaded = loader.from_pretrained(tmp_path, local_files_only=True)
    assert type(loaded) is loader
    assert len(loaded) == len(made) == size
    assert loaded.get_vocab() == made.get_vocab()
    assert loaded.all_special_ids == made.all_special_ids
    assert loaded.model_max_length == made.model_max_length
    for text in [*texts, 'unseen: Ünïcødé 漢字 🍅 !?']:
        assert loaded(text)['input_ids'] == made(text)['input_ids']


def test_a_clip_vocabulary_without_room_for_bytes_is_refused(texts):
    assert len(make_clip_tokenizer(texts, vocab_size=514)) == 514
    with pytest.raises(ValueError, match='513 tokens are too few; give 514'):
        make_clip_tokenizer(texts, vocab_size=513)
