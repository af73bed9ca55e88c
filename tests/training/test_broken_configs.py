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

"""A config.json with a value of another type is one clear error, whoever reads it."""

from __future__ import annotations

import json

from lego_ros.bundle.importing.llava_folder import read_llava
from lego_ros.errors import ErrorCode, LegoError, telling
from lego_ros.ldm.config import tiny_size
from lego_ros.ldm.loading import load_component
from lego_ros.training.data.clip_scorers import ClipEmbedder
from lego_ros.training.descriptors.local_models import load_local
from lego_ros.training.foundations.clip import load_clip
from lego_ros.training.foundations.sight import load_tower
from lego_ros.training.ldm.projector import load_projector
from lego_ros.vllm.llava import tiny_llava_config
from lego_ros.vllm.loading import load_vllm
from lego_ros.vllm.tokenizers import make_llava_tokenizer
import pytest
from safetensors.torch import save_file
import torch
from transformers import (
    AutoModelForImageClassification,
    CLIPConfig,
    CLIPImageProcessorPil,
    CLIPTextConfig,
    CLIPVisionConfig,
    ViTConfig,
)

LLAVA = ('text_config', 'hidden_size')
PLAIN = ('hidden_size',)
CASES = {
    'vllm': (lambda at: load_vllm(at, torch.float32), LLAVA, ErrorCode.BUNDLE_INVALID),
    'projector': (load_projector, LLAVA, ErrorCode.BUNDLE_INVALID),
    'import': (read_llava, LLAVA, ErrorCode.SOURCE_UNREADABLE),
    'text_encoder': (lambda at: load_component(at.parent, at.name, None), PLAIN,
                     ErrorCode.BUNDLE_INVALID),
    'unet': (lambda at: load_component(at.parent, at.name, None), ('cross_attention_dim',),
             ErrorCode.BUNDLE_INVALID),
    'tower': (load_tower, PLAIN, ErrorCode.SOURCE_UNREADABLE),
    'clip': (load_clip, ('vision_config', 'hidden_size'), ErrorCode.SOURCE_UNREADABLE),
    'embedder': (ClipEmbedder, ('vision_config', 'hidden_size'), ErrorCode.SOURCE_UNREADABLE),
    'classifier': (lambda at: load_local(
        AutoModelForImageClassification, CLIPImageProcessorPil, at), PLAIN,
        ErrorCode.SOURCE_UNREADABLE),
}


def config_of(name):
    if name == 'unet':
        return {'_class_name': 'UNet2DConditionModel', **tiny_size().unet}
    config = {
        'text_encoder': CLIPTextConfig, 'tower': CLIPVisionConfig, 'clip': CLIPConfig,
        'embedder': CLIPConfig, 'classifier': ViTConfig,
    }.get(name, lambda: tiny_llava_config(400))()
    return json.loads(config.to_json_string(use_diff=False))


@pytest.mark.parametrize('name', CASES)
def test_a_value_of_another_type(tmp_path, name):
    load, keys, code = CASES[name]
    folder = tmp_path / name
    folder.mkdir()
    config = inner = config_of(name)
    for key in keys[:-1]:
        inner = inner[key]
    assert keys[-1] in inner
    inner[keys[-1]] = 'x'
    (folder / 'config.json').write_text(json.dumps(config))
    # What is read before it is sound.
    save_file({'nothing': torch.ones(1)}, folder / 'model.safetensors', {'format': 'pt'})
    make_llava_tokenizer(['a b c']).save_pretrained(folder)
    CLIPImageProcessorPil().save_pretrained(folder)
    with pytest.raises(LegoError) as caught:
        load(folder)
    assert caught.value.code is code
    assert str(folder) in caught.value.message
    if name != 'unet':
        # diffusers does not look at types; it fails somewhere in the network.
        assert f"field '{keys[-1]}'" in caught.value.message
        assert "expected int, got str (value: 'x')" in caught.value.message
    assert '\n' not in caught.value.message


@pytest.mark.parametrize('raised', [IndexError(), ValueError('a\n  b')])
def test_any_exception_is_told_on_one_line(raised):
    with pytest.raises(LegoError) as caught, telling(ErrorCode.BUNDLE_INVALID, 'No x'):
        raise raised
    assert caught.value.message == f"No x: {'a b' if raised.args else 'IndexError'}"
    assert caught.value.__cause__ is raised


@pytest.mark.parametrize('raised', [
    MemoryError(), LegoError(ErrorCode.BUNDLE_UNSAFE, 'mine'), KeyboardInterrupt()])
def test_what_is_no_fault_of_the_file_is_left_as_it_is(raised):
    with pytest.raises(type(raised)) as caught, telling(ErrorCode.BUNDLE_INVALID, 'No x'):
        raise raised
    assert caught.value is raised
