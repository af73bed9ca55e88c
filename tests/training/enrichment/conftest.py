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

"""An enrichment that all tests compare with, made in this process."""

from types import SimpleNamespace

from lego_ros.training.enrichment.enrich import enrich
from lego_ros.training.enrichment.settings import EnrichSettings, EnrichSources
import pytest
import torch

PAIRS, TEXT_TOKENS, MAX_NEW_TOKENS = 7, 12, 20


@pytest.fixture(scope='session')
def enrich_settings():
    def make(**changes):
        return EnrichSettings(**{
            'flipped': True, 'text_tokens': TEXT_TOKENS, 'max_new_tokens': MAX_NEW_TOKENS,
            'shard_pairs': 2, **changes})

    return make


@pytest.fixture(scope='session')
def enriched_world(tmp_path_factory, write_described, vllm_folder, small_clip_tokenizer,
                   enrich_settings):
    """Give one that tests only read."""
    folder = tmp_path_factory.mktemp('enriched')
    pairs = write_described(folder / 'data', train=PAIRS)
    small_clip_tokenizer.save_pretrained(folder / 'text/tokenizer')
    sources = EnrichSources(
        dataset=folder / 'data', split='train', vllm=vllm_folder, text=folder / 'text')
    threads = torch.get_num_threads()
    index = enrich(enrich_settings(), sources, folder / 'shards')
    assert torch.get_num_threads() == threads
    return SimpleNamespace(pairs=pairs, sources=sources, shards=folder / 'shards', index=index)


@pytest.fixture(scope='session')
def contents():
    """Read all files of a folder."""
    def read(folder):
        return {path.name: path.read_bytes() for path in folder.iterdir()}

    return read
