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

"""LLaVA in transformers' layout, old and new, and in LLaVA's own."""

from __future__ import annotations

import json
import re

from lego_ros.bundle.importing.llava_config import original_config
from lego_ros.bundle.importing.llava_folder import read_llava
from lego_ros.bundle.writing import write_network
from lego_ros.errors import ErrorCode, LegoError
from lego_ros.vllm.llava import LegoLlava, paper_llava_config, tiny_llava_config
from lego_ros.vllm.loading import load_vllm
from lego_ros.vllm.prompt import chat_prompt, IMAGE_PLACEHOLDER
import pytest
from safetensors.torch import load_file, save_file
import torch
from transformers import (
    CLIPConfig,
    CLIPImageProcessorPil,
    CLIPModel,
    PreTrainedTokenizerFast,
)

WORDS = 300


def features(model):
    pixels = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(4))
    with torch.no_grad():
        return model.get_image_features(pixel_values=pixels).pooler_output[0]


def logits(model):
    with torch.no_grad():
        return model(input_ids=torch.tensor([[1, 7, 9, 40]])).logits


def loaded(parts, folder, dtype=torch.float32, **options):
    """Write what was read, as a bundle holds it, and load it as the node does."""
    write_network(parts.model, folder, dtype, lambda more: None, **options)
    parts.tokenizer.save_pretrained(folder)
    parts.processor.save_pretrained(folder)
    return load_vllm(folder, dtype)


@pytest.mark.parametrize('shard', ['5GB', '100KB'])
def test_transformers_llava_keeps_its_two_layers(
        tmp_path, mlp_llava, llava_tokenizer, shard):
    mlp_llava.save_pretrained(tmp_path / 'in', max_shard_size=shard)
    llava_tokenizer.save_pretrained(tmp_path / 'in')
    parts = read_llava(tmp_path / 'in')
    assert 'two layers' in parts.origins['projector']
    model, tokenizer, _ = loaded(parts, tmp_path / 'out')
    assert model.config.projector == 'mlp'
    assert torch.equal(features(model), features(mlp_llava))
    assert torch.equal(logits(model), logits(mlp_llava))
    assert tokenizer.get_vocab() == llava_tokenizer.get_vocab()


RENAMINGS = {
    'before 4.52': [(r'^model\.language_model\.', 'language_model.model.'),
                    (r'^lm_head', 'language_model.lm_head'),
                    (r'^model\.vision_tower\.', 'vision_tower.vision_model.'),
                    (r'^model\.multi_modal', 'multi_modal')],
    'since 4.52': [(r'^model\.vision_tower\.', 'model.vision_tower.vision_model.')],
}


@pytest.mark.parametrize('version', RENAMINGS)
def test_the_names_of_older_transformers(
        tmp_path, mlp_llava, llava_tokenizer, change_config, version):
    mlp_llava.save_pretrained(tmp_path / 'in')
    llava_tokenizer.save_pretrained(tmp_path / 'in')
    state = {}
    for name, one in mlp_llava.state_dict().items():
        for pattern, new in RENAMINGS[version]:
            name = re.sub(pattern, new, name)
        state[name] = one
    rotary = 'language_model.model.layers.0.self_attn.rotary_emb.inv_freq'
    save_file({**state, rotary: torch.ones(8)}, tmp_path / 'in' / 'model.safetensors')
    # Old configurations did not say how many image tokens there are.
    change_config(tmp_path / 'in', image_seq_length=None, auto_map={'AutoModel': 'evil.py'})
    model, _, _ = loaded(read_llava(tmp_path / 'in'), tmp_path / 'out')
    assert model.image_tokens == 16
    assert 'evil' not in (tmp_path / 'out' / 'config.json').read_text()
    assert torch.equal(features(model), features(mlp_llava))
    assert torch.equal(logits(model), logits(mlp_llava))


def test_the_vllm_of_a_bundle_can_be_imported_again(tmp_path, vllm_folder, linear_llava):
    parts = read_llava(vllm_folder)
    assert 'one linear layer' in parts.origins['projector']
    model, _, _ = loaded(parts, tmp_path / 'out', shard_bytes=100_000)
    assert (tmp_path / 'out' / 'model.safetensors.index.json').is_file()
    assert len(list((tmp_path / 'out').glob('model-*.safetensors'))) > 3
    assert torch.equal(features(model), features(linear_llava))
    assert torch.equal(logits(model), logits(linear_llava))


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_the_type_of_the_weights(tmp_path, vllm_folder, linear_llava, dtype):
    parts = read_llava(vllm_folder)
    model, _, _ = loaded(parts, tmp_path / 'out', dtype)
    state = linear_llava.state_dict()
    assert all(torch.equal(one, state[name].to(dtype)) for name, one in model.state_dict().items())
    saved = load_file(tmp_path / 'out' / 'model.safetensors')
    assert {one.dtype for one in saved.values()} == {dtype}
    assert json.loads((tmp_path / 'out' / 'config.json').read_text())['dtype'] in str(dtype)


def make_original(folder, source, projector, with_tower, llava_tokenizer):
    """Write a LLaVA as its own code does: no image token, shards of pickles."""
    names = {'model.multi_modal_projector.linear_1.': 'model.mm_projector.0.',
             'model.multi_modal_projector.linear_2.': 'model.mm_projector.2.',
             'model.multi_modal_projector.': 'model.mm_projector.',
             'model.vision_tower.': 'model.vision_tower.vision_tower.vision_model.',
             'model.language_model.': 'model.', 'lm_head.': 'lm_head.'}
    state = {}
    for name, one in source.state_dict().items():
        old = next(old for old in names if name.startswith(old))
        if 'vision_tower' in old and not with_tower:
            continue
        if one.shape[0] == source.config.text_config.vocab_size:
            one = one[:WORDS]
        state[name.replace(old, names[old], 1)] = one.detach().to(torch.float16)
    assert 'model.mm_projector.0.weight' in state or 'model.mm_projector.weight' in state
    folder.mkdir()
    places = {}
    for number, part in enumerate((list(state)[::2], list(state)[1::2]), start=1):
        file = f'pytorch_model-{number:05}-of-00002.bin'
        torch.save({name: state[name].clone() for name in part}, folder / file)
        places.update(dict.fromkeys(part, file))
    (folder / 'pytorch_model.bin.index.json').write_text(json.dumps({'weight_map': places}))
    text = source.config.text_config
    (folder / 'config.json').write_text(json.dumps({
        'architectures': ['LlavaLlamaForCausalLM'], 'model_type': 'llava',
        '_name_or_path': 'checkpoints/llava-llama-2-13b-chat-lightning-preview',
        'hidden_size': text.hidden_size, 'intermediate_size': text.intermediate_size,
        'num_hidden_layers': 2, 'num_attention_heads': 4, 'num_key_value_heads': 4,
        'max_position_embeddings': 2048, 'rms_norm_eps': text.rms_norm_eps, 'vocab_size': WORDS,
        'bos_token_id': 1, 'eos_token_id': 2, 'pad_token_id': 0, 'rope_scaling': None,
        'hidden_act': 'silu', 'mm_hidden_size': 32, 'mm_vision_select_layer': -2,
        'mm_vision_select_feature': 'patch', 'mm_vision_tower': 'someone/a-clip',
        'mm_use_im_start_end': False, 'mm_use_im_patch_token': False, 'use_mm_proj': True,
        **projector}))
    backend = json.loads(llava_tokenizer.backend_tokenizer.to_str())
    vocab = backend['model']['vocab']
    kept = {token: number for token, number in vocab.items() if number < WORDS}
    kept['<unk>'] = kept.pop(IMAGE_PLACEHOLDER)
    backend['model']['vocab'] = kept
    backend['model']['merges'] = [
        pair for pair in backend['model']['merges'] if ''.join(pair) in kept]
    backend['added_tokens'] = [one for one in backend['added_tokens'] if one['id'] != 3]
    (folder / 'tokenizer.json').write_text(json.dumps(backend))
    (folder / 'tokenizer_config.json').write_text(json.dumps({
        'tokenizer_class': 'PreTrainedTokenizerFast', 'bos_token': '<s>', 'eos_token': '</s>',
        'unk_token': '<unk>', 'model_max_length': 2048}))


@pytest.fixture
def tower(tmp_path, linear_llava):
    """Save a whole CLIP whose vision part is that of the linear LLaVA."""
    vision = linear_llava.config.vision_config.to_dict()
    clip = CLIPModel(CLIPConfig(
        vision_config=vision, projection_dim=32,
        text_config={'hidden_size': 32, 'intermediate_size': 32, 'num_hidden_layers': 1,
                     'num_attention_heads': 2, 'vocab_size': 64}))
    clip.vision_model.load_state_dict(linear_llava.model.vision_tower.state_dict())
    clip.save_pretrained(tmp_path / 'clip')
    (tmp_path / 'clip' / 'preprocessor_config.json').write_text(json.dumps(
        {'image_mean': [0.1, 0.2, 0.3], 'image_std': [0.4, 0.5, 0.6], 'crop_size': 224}))
    return tmp_path / 'clip'


@pytest.mark.parametrize('with_tower', [True, False])
@pytest.mark.parametrize('projector', ['linear', 'mlp2x_gelu'])
def test_llavas_own_layout(
        tmp_path, linear_llava, mlp_llava, llava_tokenizer, tower, projector, with_tower):
    source = linear_llava if projector == 'linear' else mlp_llava
    if projector != 'linear':
        source.model.vision_tower.load_state_dict(linear_llava.model.vision_tower.state_dict())
    make_original(tmp_path / 'in', source,
                  {} if projector == 'linear' else {'mm_projector_type': projector},
                  with_tower, llava_tokenizer)
    parts = read_llava(tmp_path / 'in', tower)
    assert ('vision tower' in parts.origins) == (not with_tower)
    model, tokenizer, processor = loaded(parts, tmp_path / 'out')
    assert model.config.projector == ('linear' if projector == 'linear' else 'mlp')
    assert model.image_tokens == 16
    half = type(source)(source.config).eval()
    half.load_state_dict(source.state_dict())
    half.half().float()
    torch.testing.assert_close(features(model), features(half), atol=1e-3, rtol=1e-3)
    # One row more, for the image placeholder: never the likeliest token.
    found = logits(model)
    assert tokenizer.convert_tokens_to_ids(IMAGE_PLACEHOLDER) == WORDS == found.shape[-1] - 1
    torch.testing.assert_close(found[..., :WORDS], logits(half)[..., :WORDS])
    assert bool((found[..., WORDS] < found[..., :WORDS].amax(-1)).all())
    assert model.config.image_token_id == WORDS
    assert tokenizer.pad_token == '<unk>'
    assert parts.origins['conversation'] == 'llava_llama_2, by the name'
    assert chat_prompt('How?', tokenizer)[0].startswith('[INST] <<SYS>>')
    assert chat_prompt('How?', tokenizer)[1] == '\nHow? [/INST]'
    assert tuple(processor.image_mean) == (0.1, 0.2, 0.3)


@pytest.mark.parametrize(('changes', 'code', 'told'), [
    ({'mm_projector_type': 'qformer'}, ErrorCode.BUNDLE_MISMATCH, 'qformer'),
    ({'mm_use_im_start_end': True}, ErrorCode.BUNDLE_MISMATCH, 'mm_use_im_start_end'),
    ({'mm_vision_select_feature': 'cls'}, ErrorCode.BUNDLE_MISMATCH, "'cls'"),
    ({'hidden_size': 32}, ErrorCode.BUNDLE_MISMATCH, 'instead of'),
    ({'num_hidden_layers': 3}, ErrorCode.BUNDLE_MISMATCH, 'layers.2.'),
    ({'hidden_size': 'x'}, ErrorCode.SOURCE_UNREADABLE, 'config.json'),
    ({'model_type': 'llava_next'}, ErrorCode.BUNDLE_MISMATCH, 'llava_next'),
    ({'mm_vision_tower': None}, ErrorCode.BUNDLE_MISMATCH, "'llava'"),
    ({'tie_word_embeddings': True}, ErrorCode.BUNDLE_MISMATCH, 'ties'),
])
def test_llavas_own_layout_of_something_else(
        tmp_path, linear_llava, llava_tokenizer, tower, change_config, changes, code, told):
    make_original(tmp_path / 'in', linear_llava, {}, False, llava_tokenizer)
    change_config(tmp_path / 'in', **changes)
    with pytest.raises(LegoError) as caught:
        read_llava(tmp_path / 'in', tower)
    assert caught.value.code is code
    assert told in caught.value.message


def test_what_must_be_given_is_asked_for(tmp_path, linear_llava, llava_tokenizer):
    make_original(tmp_path / 'in', linear_llava, {}, False, llava_tokenizer)
    with pytest.raises(LegoError, match='--vision-tower') as caught:
        read_llava(tmp_path / 'in')
    assert caught.value.code is ErrorCode.INVALID_SETTING
    make_original(tmp_path / 'whole', linear_llava, {}, True, llava_tokenizer)
    with pytest.raises(LegoError, match="'someone/a-clip'; give its folder"):
        read_llava(tmp_path / 'whole')
    for name in ('tokenizer.json', 'tokenizer_config.json'):
        (tmp_path / 'in' / name).rename(tmp_path / name)
    with pytest.raises(LegoError, match='--vllm-tokenizer') as caught:
        read_llava(tmp_path / 'in')
    assert caught.value.code is ErrorCode.SOURCE_UNREADABLE
    (tmp_path / 'in' / 'tokenizer.model').write_bytes(b'not a model')
    with pytest.raises(LegoError, match='sentencepiece'):
        read_llava(tmp_path / 'in')
    with pytest.raises(LegoError, match='--vision-tower'):
        read_llava(tmp_path / 'in', tokenizer_folder=tmp_path)


def test_the_authors_vllm_has_the_paper_size(tmp_path):
    """Its configuration names OpenAI's tower, which needs no folder for its size."""
    paper = paper_llava_config()
    raw = {'model_type': 'llava', 'mm_vision_tower': 'openai/clip-vit-large-patch14',
           'hidden_size': 5120, 'intermediate_size': 13824, 'num_hidden_layers': 40,
           'num_attention_heads': 40, 'num_key_value_heads': 40, 'rms_norm_eps': 1e-5,
           'max_position_embeddings': 4096, 'vocab_size': 32000}
    config = original_config(raw, None, 32001, 32000, 0, tmp_path)
    with torch.device('meta'):
        found, expected = LegoLlava(config).state_dict(), LegoLlava(paper).state_dict()
    assert found.keys() == expected.keys()
    rows = {name for name in found if found[name].shape != expected[name].shape}
    assert rows == {'model.language_model.embed_tokens.weight', 'lm_head.weight'}
    assert found['lm_head.weight'].shape == (32001, 5120)
    assert config.image_seq_length == 256
    larger = {**raw, 'mm_vision_tower': 'openai/clip-vit-large-patch14-336'}
    assert original_config(larger, None, 32001, 32000, 0, tmp_path).image_seq_length == 576


def test_a_transformers_folder_of_something_else(
        tmp_path, mlp_llava, llava_tokenizer, change_config):
    folder = tmp_path / 'in'
    mlp_llava.save_pretrained(folder)
    llava_tokenizer.save_pretrained(folder)
    good = (folder / 'config.json').read_text()
    vision = mlp_llava.config.vision_config.to_dict()
    for changes, told in (
            ({'image_token_index': 5}, "'<image>' at 3"),
            ({'vision_config': {**vision, 'model_type': 'siglip_vision_model'}}, 'siglip'),
            ({'vision_config': {**vision, 'patch_size': 15}}, '15 px'),
            ({'vision_feature_layer': [-2, -3]}, 'several'),
            ({'quantization_config': {'quant_method': 'bitsandbytes'}}, 'quantised'),
            ({'text_config': {'model_type': 'mistral'}}, "'mistral'")):
        change_config(folder, **changes)
        with pytest.raises(LegoError) as caught:
            read_llava(folder)
        assert told in caught.value.message
        (folder / 'config.json').write_text(good)
    state = load_file(folder / 'model.safetensors')
    state['model.multi_modal_projector.linear_3.weight'] = torch.ones(2)
    save_file(state, folder / 'model.safetensors')
    with pytest.raises(LegoError, match=r'1 unknown: model\.multi_modal_projector\.linear_3'):
        read_llava(folder)


def test_the_runtime_refuses_a_projector_of_the_other_kind(tmp_path, vllm_folder, mlp_llava):
    """A configuration that says mlp over linear weights, and an unknown weight."""
    config = tiny_llava_config(400)
    config.projector = 'conv'
    with pytest.raises(ValueError, match="not 'conv'"):
        LegoLlava(config)
    folder = tmp_path / 'vllm'
    folder.mkdir()
    for file in vllm_folder.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    CLIPImageProcessorPil(size={'height': 64, 'width': 64}).save_pretrained(folder)
    config = json.loads((folder / 'config.json').read_text())
    (folder / 'config.json').write_text(json.dumps({**config, 'projector': 'mlp'}))
    with pytest.raises(LegoError, match='linear_1'):
        load_vllm(folder, torch.float32)
    (folder / 'config.json').write_text(json.dumps(config))
    load_vllm(folder, torch.float32)
    state = load_file(folder / 'model.safetensors')
    save_file({**state, 'model.surplus.weight': torch.ones(2)}, folder / 'model.safetensors',
              metadata={'format': 'pt'})
    with pytest.raises(LegoError, match='surplus'):
        load_vllm(folder, torch.float32)


def test_tokenizers_without_an_end(tmp_path, mlp_llava, llava_tokenizer):
    mlp_llava.save_pretrained(tmp_path)
    PreTrainedTokenizerFast(
        tokenizer_object=llava_tokenizer.backend_tokenizer).save_pretrained(tmp_path)
    with pytest.raises(LegoError, match='end-of-sequence'):
        read_llava(tmp_path)
