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

import json

from lego_ros.vllm.llava import LegoLlava, llava_config, paper_llava_config, tiny_llava_config
import pytest
import torch
from torch import nn
from transformers import CLIPVisionConfig, LlamaConfig, LlavaForConditionalGeneration


def test_the_projector_is_one_initialised_linear_layer(model):
    projector = model.model.multi_modal_projector
    assert type(projector) is nn.Linear
    assert (projector.in_features, projector.out_features) == (32, 64)
    # The model's initialisation, not torch's: normal with the fixture's range, zero bias.
    assert projector.bias.eq(0).all()
    assert projector.weight.std().item() == pytest.approx(0.2, rel=0.1)


def test_making_the_projector_leaves_the_other_weights_as_transformers_made_them(tokenizer):
    config = tiny_llava_config(len(tokenizer))
    torch.manual_seed(3)
    theirs = LlavaForConditionalGeneration(config).state_dict()
    torch.manual_seed(3)
    for name, weight in LegoLlava(config).state_dict().items():
        assert 'multi_modal_projector' in name or torch.equal(weight, theirs[name]), name


def test_image_features_are_the_layer_before_the_last_without_cls_times_tau(model):
    pixels = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        features = torch.stack(model.get_image_features(pixel_values=pixels).pooler_output)
        hidden = model.model.vision_tower(pixels, output_hidden_states=True).hidden_states
        tau = model.model.multi_modal_projector
        expected = hidden[-2][:, 1:] @ tau.weight.T + tau.bias
    assert features.shape == (2, model.image_tokens, 64) == (2, 16, 64)
    torch.testing.assert_close(features, expected, atol=1e-5, rtol=1e-5)
    assert not torch.allclose(hidden[-1], hidden[-2], atol=1e-2)


def read_config(folder):
    """Read a model's configuration without the dtype, which only loading writes to its parts."""
    config = json.loads((folder / 'config.json').read_text())
    for part in (config, config['text_config'], config['vision_config']):
        part.pop('dtype', None)
    return config


@pytest.mark.parametrize('shard', ['5GB', '100KB'])
def test_saving_and_loading_gives_the_same_model(model, tmp_path, shard):
    model.save_pretrained(tmp_path, max_shard_size=shard)
    assert {path.suffix for path in tmp_path.iterdir()} == {'.safetensors', '.json'}
    assert (len(list(tmp_path.glob('*.safetensors'))) > 1) == (shard == '100KB')
    loaded, report = LegoLlava.from_pretrained(
        tmp_path, local_files_only=True, use_safetensors=True, output_loading_info=True
    )
    assert not any(report.values())
    assert type(loaded.model.multi_modal_projector) is nn.Linear
    saved = model.state_dict()
    assert saved.keys() == loaded.state_dict().keys()
    for name, weight in loaded.state_dict().items():
        assert torch.equal(weight, saved[name]), name
    loaded.save_pretrained(tmp_path / 'again', max_shard_size=shard)
    assert read_config(tmp_path / 'again') == read_config(tmp_path)


def test_loading_in_half_precision_converts_the_projector_too(model, tmp_path):
    model.save_pretrained(tmp_path)
    loaded = LegoLlava.from_pretrained(tmp_path, local_files_only=True, dtype=torch.bfloat16)
    assert {weight.dtype for weight in loaded.parameters()} == {torch.bfloat16}


def test_the_paper_size_on_the_meta_device():
    config = paper_llava_config()
    with torch.device('meta'):
        model = LegoLlava(config)

    def count(module):
        return sum(weight.numel() for weight in module.parameters())

    assert model.image_tokens == 256
    assert model.model.multi_modal_projector.weight.shape == (5120, 1024)
    assert model.model.multi_modal_projector.bias.shape == (5120,)
    assert len(model.model.language_model.layers) == 40
    assert len(model.model.vision_tower.encoder.layers) == 24
    # Llama-2-13B as published has 13,015,864,320; two tokens more in and out of the model.
    llama = count(model.model.language_model) + count(model.lm_head)
    assert llama == 13_015_864_320 + 2 * 2 * 5120
    # The published ViT-L/14 vision model, without its projection to the joint space.
    assert count(model.model.vision_tower) == 303_179_776
    assert count(model) == llama + 303_179_776 + 1024 * 5120 + 5120
    assert config.image_token_id < config.text_config.vocab_size
    pixels = torch.empty(1, 3, 224, 224, device='meta')
    assert model.get_image_features(pixel_values=pixels).pooler_output[0].shape == (256, 5120)


def test_other_sizes_work():
    config = llava_config(
        CLIPVisionConfig(hidden_size=16, intermediate_size=24, num_hidden_layers=2,
                         num_attention_heads=2, image_size=28, patch_size=14),
        LlamaConfig(vocab_size=50, hidden_size=24, intermediate_size=32, num_hidden_layers=1,
                    num_attention_heads=3, num_key_value_heads=1, tie_word_embeddings=True),
        image_token_id=49,
    )
    model = LegoLlava(config).eval()
    ids = torch.tensor([[1, *[49] * model.image_tokens, 5]])
    output = model(input_ids=ids, pixel_values=torch.randn(1, 3, 28, 28))
    assert model.image_tokens == 4
    assert output.logits.shape == (1, 6, 50)
    assert model.lm_head.weight is model.get_input_embeddings().weight


def test_patches_that_do_not_tile_the_image_are_refused():
    with pytest.raises(ValueError, match='14 px patches do not tile a square of 30 px'):
        llava_config(CLIPVisionConfig(image_size=30, patch_size=14), LlamaConfig(), 3)
