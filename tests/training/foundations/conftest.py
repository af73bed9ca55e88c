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

"""A small real kitchen, and the stages trained on it for a few steps."""

import itertools
import threading

from lego_ros.sim.episode import sample_episode
from lego_ros.training.curation.annotator import read_annotator
from lego_ros.training.curation.curate import curate_with_annotator
from lego_ros.training.curation.queries import Selection
from lego_ros.training.export.generate import generate
from lego_ros.training.export.settings import ExportSettings
from lego_ros.training.export.splits import annotated, split_of, split_of_seed
from lego_ros.training.foundations.kitchen_split import KitchenSplit
from lego_ros.training.foundations.sizes import size_of
from lego_ros.training.foundations.tokenizers import make_tokenizers
import pytest
import torch
from transformers import CLIPVisionModel

SIDE = 64


@pytest.fixture(scope='session', autouse=True)
def _one_thread():
    torch.set_num_threads(1)


def good_seed():
    """Find an episode to train on that is followed by one to validate on, whatever is drawn."""
    for seed in itertools.count():
        wanted = ('train', 'validation')
        if (split_of_seed(seed), split_of_seed(seed + 1)) != wanted:
            continue
        episodes = [sample_episode(seed), sample_episode(seed + 1)]
        if all(split_of(episode) == split and len(annotated(episode)) >= 4
               for episode, split in zip(episodes, wanted, strict=True)):
            return seed


@pytest.fixture(scope='session')
def kitchen(tmp_path_factory):
    """Draw some pairs to train on and some to validate on, four or more each."""
    folder = tmp_path_factory.mktemp('kitchen') / 'pairs'
    generate(ExportSettings('pairs', 2, seed=good_seed(), size=SIDE), folder, 1, threading.Event(),
             lambda progress: None)
    curate_with_annotator(
        folder / 'pairs.jsonl', folder / 'descriptions.jsonl',
        Selection(('train', 'validation')), read_annotator(folder / 'truth.jsonl'))
    return folder


@pytest.fixture(scope='session')
def size():
    return size_of('tiny')


@pytest.fixture(scope='session')
def splits(kitchen):
    return tuple(KitchenSplit.load(kitchen, split, SIDE) for split in ('train', 'validation'))


@pytest.fixture(scope='session')
def tokenizers(splits, size, tmp_path_factory):
    train, _ = splits
    return make_tokenizers(
        train.pairs, train.scenes, size, tmp_path_factory.mktemp('words') / 'tokenizers')


@pytest.fixture(scope='session')
def tower(size):
    """Make a vision tower that CLIP can begin with."""
    torch.manual_seed(0)
    return CLIPVisionModel(size.llava(size.vocabulary).vision_config)
