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

import itertools
import json
import threading

from lego_ros.ldm.config import build_pipeline, tiny_size
from lego_ros.sim.episode import sample_episode
from lego_ros.training.curation.annotator import read_annotator
from lego_ros.training.curation.curate import curate_with_annotator
from lego_ros.training.curation.queries import Selection
from lego_ros.training.export.generate import generate
from lego_ros.training.export.settings import ExportSettings
from lego_ros.training.export.splits import annotated, split_of
from lego_ros.training.export.truth import TruthRecord
from lego_ros.training.foundations.clip import build_clip
from lego_ros.training.foundations.pictures import image_processor
from lego_ros.training.foundations.sizes import size_of
from lego_ros.training.ldm.projector import load_projector
from lego_ros.training.run.identity import module_sha256
import pytest
import torch

SIDE = 64
NEEDED = ('train', 'validation')


@pytest.fixture(scope='session', autouse=True)
def _one_thread():
    torch.set_num_threads(1)


def _state(**changes):
    """Make a scene as it is seen from before the counter: sink in the middle, mug left of it."""
    return {
        'frame': 10,
        'boxes': {'counter': (0.0, 0.2, 1.0, 1.0), 'sink': (0.45, 0.35, 0.75, 0.6),
                  'tap': (0.55, 0.2, 0.65, 0.4), 'mug': (0.2, 0.4, 0.3, 0.52),
                  'glass': (0.2, 0.25, 0.28, 0.36), 'bowl': (0.3, 0.45, 0.42, 0.56),
                  'left_drawer': (0.1, 0.7, 0.4, 0.9), 'right_hand': (0.7, 0.7, 0.9, 1.0)},
        'touching': {'left': (), 'right': ()}, 'opening': {'left_drawer': 0.0, 'tap': 0.0},
        'running': False,
        'location': {'mug': 'near_free_0', 'glass': 'far_free_0', 'bowl': 'near_free_1',
                     'fork': 'left_drawer_0'},
        'liquid': {}, 'cut': (), 'flipped': (), 'dirty': (), 'stained': False,
        'camera_position': (0.0, -0.15, 1.6), 'camera_quaternion': (0.92, 0.39, 0.0, 0.0),
        **changes}


@pytest.fixture(scope='session')
def make_truth():
    """Make the truth of taking the mug; ``after`` changes the target's state."""
    def make(after=None, **changes):
        frames = dict.fromkeys(
            ('pre_45', 'pre_30', 'pre_15', 'pre', 'contact', 'pnr', 'post', 'end'), 10)
        return TruthRecord.model_validate({
            'action_id': 'a', 'video_id': 'v', 'seed': 1, 'number': 0, 'split': 'test',
            'verb': 'take', 'noun': 'mug', 'noun_phrase': 'mug', 'hand': 'right', 'thing': 'mug',
            'tool': '', 'place': '', 'way': '', 'label': 'take mug',
            'narration': '#C C takes the mug',
            'program': 'objects mug reach(mug, right)',
            'description': 'The person takes the mug to the left of the sink with the right hand '
                           'and lifts it up.',
            'fps': 30.0, 'focal': 0.9, 'frames': frames, 'phases': (),
            'before': _state(), 'after': _state(**(after or {})), **changes})

    return make


def _seed():
    """Find an episode to train on that is followed by one to validate on, whatever is drawn."""
    for seed in itertools.count():
        episodes = [sample_episode(seed), sample_episode(seed + 1)]
        if all(split_of(episode) == split and len(annotated(episode)) >= 4
               for episode, split in zip(episodes, NEEDED, strict=True)):
            return seed


@pytest.fixture(scope='session')
def kitchen(tmp_path_factory):
    """Draw some pairs to train on and some to validate on, four or more each."""
    folder = tmp_path_factory.mktemp('run') / 'data'
    generate(ExportSettings('pairs', 2, seed=_seed(), size=SIDE), folder, 1, threading.Event(),
             lambda progress: None)
    curate_with_annotator(folder / 'pairs.jsonl', folder / 'descriptions.jsonl',
                          Selection(NEEDED), read_annotator(folder / 'truth.jsonl'))
    return folder


@pytest.fixture(scope='session')
def clip_folder(tmp_path_factory, small_clip_tokenizer):
    """Give encoders with random weights."""
    folder = tmp_path_factory.mktemp('clip')
    clip = build_clip(size_of('tiny'), small_clip_tokenizer, 0)
    processor = image_processor(clip.config.vision_config.image_size)
    for saved in (clip, small_clip_tokenizer, processor):
        saved.save_pretrained(folder)
    return folder


@pytest.fixture(scope='session')
def run_folder(kitchen, small_clip_tokenizer, save_tiny_vllm):
    """Give a run with labels and joint: all parts are real, and none is trained."""
    folder = kitchen.parent
    pipeline = build_pipeline(tiny_size(), small_clip_tokenizer, seed=4)
    clip = build_clip(size_of('tiny'), small_clip_tokenizer, 0)
    foundations = folder / 'foundations'
    for saved in (clip, small_clip_tokenizer,
                  image_processor(clip.config.vision_config.image_size)):
        saved.save_pretrained(foundations / 'clip')
    pipeline.text_encoder.save_pretrained(foundations / 'clip' / 'text_encoder')
    small_clip_tokenizer.save_pretrained(foundations / 'clip' / 'tokenizer')
    pipeline.vae.save_pretrained(foundations / 'vae')
    save_tiny_vllm(foundations / 'vllm', seed=1)
    save_tiny_vllm(folder / 'vllm' / 'model', seed=2)
    asked = folder / 'enrichment' / 'train' / 'identity.json'
    asked.parent.mkdir(parents=True)
    asked.write_text(json.dumps({
        'vllm': 'x', 'view': 'whole', 'max_new_tokens': 6,
        'text_tokens': pipeline.conditioning.config.text_tokens}))
    for name in ('labels', 'joint'):
        result = folder / 'ldm' / name / 'result'
        pipeline.unet.save_pretrained(result / 'unet')
        pipeline.conditioning.save_pretrained(result / 'conditioning')
        (result / 'training.json').write_text(json.dumps({
            'variant': name, 'size': 'tiny', 'resolution': SIDE, 'view': 'whole', 'flip': True,
            'drop': 0.05, 'pairs': 'x', 'vae': module_sha256(pipeline.vae),
            'text_encoder': module_sha256(pipeline.text_encoder),
            'projector': module_sha256(load_projector(folder / 'vllm' / 'model')),
            'loop': {'steps': 1, 'seed': 0, 'precision': 'fp32', 'checkpoint_every': 5}}))
    return folder
