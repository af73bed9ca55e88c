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

from lego_ros.leap.classes import ProgramClasses
from lego_ros.leap.config import LeapConfig, UniFormerV2Config
from lego_ros.leap.network import LeapNetwork
from lego_ros.programs.tree import Predicate
import pytest
import torch

CLASSES = ProgramClasses(
    sub_verbs=('reach', 'grasp', 'lift', 'carry', 'place', 'pull_open', 'cut', 'touch', 'hold',
               'slide'),
    objects=('knife', 'cucumber', 'board', 'drawer', 'other'),
    predicates=(
        Predicate('closed', ('drawer',)), Predicate('open', ('drawer',)),
        Predicate('in', ('knife', 'drawer')), Predicate('on', ('knife', 'board')),
        Predicate('in_hand', ('knife', 'either')), Predicate('in_hand', ('cucumber', 'either')),
        Predicate('contact', ('drawer', 'either')), Predicate('cut', ('cucumber',)),
        Predicate('on', ('other', 'board'))),
    verbs=('open', 'take', 'cut'), nouns=('drawer', 'knife', 'cucumber'),
    actions=((0, 0), (1, 1), (1, 2), (2, 2)))

BACKBONE = UniFormerV2Config(
    frames=4, resolution=16, patch=4, width=16, layers=3, heads=2, no_lmhra=False,
    return_list=(1, 2), n_head=4, mlp_dropout=0.0, cls_dropout=0.0)


@pytest.fixture
def classes():
    return CLASSES


@pytest.fixture
def tiny():
    """Make a small network, seeded; ``stirred`` gives what begins at 0 other values."""
    def make(stirred=True, **changes):
        torch.manual_seed(0)
        config = LeapConfig(**{'backbone': BACKBONE, 'max_steps': 4, 'head_layers': 1,
                               'head_heads': 2, 'head_dropout': 0.0, **changes})
        network = LeapNetwork(config, CLASSES)
        if stirred:
            for parameter in network.parameters():
                torch.nn.init.normal_(parameter, std=0.3)
        return network.eval()
    return make


@pytest.fixture
def clips():
    """Make a batch of clips for the small network."""
    def make(batch=2, seed=1):
        return torch.randn(batch, 3, 4, 16, 16, generator=torch.Generator().manual_seed(seed))
    return make
