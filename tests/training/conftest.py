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

"""Datasets and VLLMs for the stages that describe frames: real files, small sizes."""

import hashlib

from lego_ros.training.data.dataset import PairDataset
from lego_ros.training.data.manifest import PairRecord, to_line
from lego_ros.vllm.llava import LegoLlava, tiny_llava_config
from lego_ros.vllm.templates import QUESTION_TEMPLATES
from lego_ros.vllm.tokenizers import make_clip_tokenizer, make_llava_tokenizer
import numpy as np
from PIL import Image
import pytest
import torch
from transformers import CLIPImageProcessorPil

ACTIONS = [
    ('open', 'left drawer', 'left',
     'The person pulls the handle of the left drawer with the left hand.'),
    ('open', 'left drawer', 'right',
     'The right hand reaches across and pulls the left drawer open.'),
    ('take', 'mug', 'right', 'The person grasps the mug beside the sink with the right hand.'),
    ('cut', 'tomato', 'both', 'The left hand holds the tomato while the right hand cuts it.'),
    ('wash', 'large plate', None, 'The person holds the plate under the tap.')]


def _record(folder, number, split, description):
    verb, noun, hand, described = ACTIONS[number % len(ACTIONS)]
    action = f'{split}{number}'

    def picture(role, frame):
        noise = np.random.default_rng((number, frame, len(split)))
        small = noise.integers(0, 256, (3, 5, 3), dtype=np.uint8)
        path = folder / f'pictures/{action}_{role}.png'
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(small).resize((80, 48), Image.Resampling.BICUBIC).save(path)
        return {
            'asked_time': frame / 30, 'asked_frame': None, 'asked_base': 0, 'asked_fps': 30.0,
            'asked_source': 'rule', 'frame': frame, 'base': 0, 'fps': 30.0,
            'numbering': 'frames', 'time': frame / 30,
            'candidates': [{'frame': frame, 'time': frame / 30, 'quality': 0.5}],
            'path': f'pictures/{path.name}',
            'sha256': hashlib.sha256(path.read_bytes()).hexdigest(), 'width': 80, 'height': 48}

    return PairRecord.model_validate({
        'pair_id': f'kitchen/{action}', 'dataset': 'kitchen', 'action_id': action,
        'video_id': f'v{number}', 'video': f'v{number}.mp4', 'split': split,
        'label': f'{verb} {noun}', 'narration': f'{verb} {noun}',
        'description': described if description is None else description,
        'verb': verb, 'verb_class': None, 'noun': noun, 'noun_class': None, 'hand': hand,
        'boxes': [], 'input': picture('input', 15), 'target': picture('target', 30),
        'quality_by': 'order', 'similarity': 0.9, 'similarity_by': 'cosine', 'kept': True,
        'reason': 'kept'})


@pytest.fixture(scope='session')
def write_described():
    """Write a dataset of described pairs; gives its training split."""
    def write(folder, train=5, validation=2, descriptions=()):
        given = dict(enumerate(descriptions))
        records = [_record(folder, number, 'train', given.get(number)) for number in range(train)]
        records += [_record(folder, number, 'validation', None) for number in range(validation)]
        (folder / 'pairs.jsonl').write_bytes(b''.join(to_line(record) for record in records))
        return PairDataset(folder, 'train')

    return write


@pytest.fixture(scope='session')
def words():
    return [*QUESTION_TEMPLATES, *(f'{action[0]} {action[1]} {action[3]}' for action in ACTIONS)]


@pytest.fixture(scope='session')
def vllm_tokenizer(words):
    return make_llava_tokenizer(words * 2, 600)


@pytest.fixture(scope='session')
def make_vllm(vllm_tokenizer):
    """Make VLLMs whose logits differ enough for answers to vary."""
    def make(seed=0, positions=None):
        config = tiny_llava_config(len(vllm_tokenizer))
        config.text_config.initializer_range = 0.2
        config.vision_config.initializer_range = 0.2
        if positions is not None:
            config.text_config.max_position_embeddings = positions
        torch.manual_seed(seed)
        return LegoLlava(config).eval()

    return make


@pytest.fixture(scope='session')
def save_tiny_vllm(make_vllm, vllm_tokenizer):
    """Save a VLLM as bundles hold it."""
    def save(folder, **arguments):
        for part in (make_vllm(**arguments), vllm_tokenizer, CLIPImageProcessorPil()):
            part.save_pretrained(folder)
        return folder

    return save


@pytest.fixture(scope='session')
def vllm_folder(tmp_path_factory, save_tiny_vllm):
    """Give a VLLM that tests only read."""
    return save_tiny_vllm(tmp_path_factory.mktemp('untuned'))


@pytest.fixture(scope='session')
def small_clip_tokenizer(words):
    return make_clip_tokenizer(words, 700)
