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

"""Whole imports: the bundle that comes out, and that nothing is left where none does."""

from __future__ import annotations

from lego_ros.bundle.architecture import check_architectures
from lego_ros.bundle.importing.importer import import_bundle, ImportRequest
from lego_ros.bundle.importing.llava_folder import read_llava
from lego_ros.bundle.integrity import verify
from lego_ros.bundle.making import save_networks
from lego_ros.cli import main
from lego_ros.errors import ErrorCode, LegoError
from lego_ros.ldm.pipeline import LegoPipeline
from lego_ros.vllm.enrichment import Enricher
from lego_ros.vllm.loading import load_vllm
import numpy as np
import pytest
from safetensors.torch import load_file
import torch

FRAME = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)


@pytest.fixture
def lego_file(tmp_path, lego_state):
    path = tmp_path / 'lego-ego4d.ckpt'
    torch.save({'epoch': 119, 'global_step': 20000, 'state_dict': lego_state}, path)
    return path


@pytest.fixture
def request_lego(lego_file, vllm_folder, clip_tokenizer):
    def make(**changes):
        return ImportRequest(**{
            'ldm': lego_file, 'vllm': vllm_folder, 'clip_tokenizer': clip_tokenizer,
            'name': 'lego-ego4d', 'resolution': 64, 'dtype': 'float32', **changes})
    return make


def draw(pipeline, enriched):
    return pipeline(
        FRAME, prompt=enriched.text, image_embeds=enriched.image_embeds[None],
        text_embeds=enriched.text_embeds[None], num_inference_steps=3,
        generator=torch.Generator().manual_seed(1)).images


def test_an_imported_lego_answers_as_the_one_it_was_made_from(
        tmp_path, request_lego, spec, pipeline, linear_llava, llava_tokenizer):
    progress = []
    out = tmp_path / 'bundle'
    manifest, origins = import_bundle(
        out, request_lego(), spec.size, lambda done, total: progress.append((done, total)))
    found, _ = verify(out)
    check_architectures(out)
    assert found == manifest
    assert (manifest.trained, manifest.view, manifest.resolution) == (True, 'released', 64)
    assert (manifest.image_tokens, manifest.vllm_hidden) == (16, 64)
    assert manifest.license == 'NOASSERTION'
    assert "the UNet's EMA" in origins['UNet']
    assert 'projection_img' in origins['sigma, mu, pi']
    card = (out / 'README.md').read_text()
    assert all(origin in card for origin in origins.values())
    assert str(tmp_path) not in card + (out / 'bundle.yaml').read_text()

    weights = sum(one.numel() * 4 for path in out.rglob('*.safetensors')
                  for one in load_file(path).values())
    assert progress[-1] == (weights, weights)
    assert [done for done, _ in progress] == sorted({done for done, _ in progress})

    model, tokenizer, processor = load_vllm(out / 'vllm', torch.float32)
    imported = LegoPipeline.from_pretrained(out)
    enriched = Enricher(model, tokenizer, processor, imported.tokenizer).enrich(
        FRAME, 'open the drawer')
    expected = Enricher(linear_llava, llava_tokenizer, processor, pipeline.tokenizer).enrich(
        FRAME, 'open the drawer')
    assert enriched.text == expected.text
    assert np.array_equal(draw(imported, enriched), draw(pipeline, expected))


def test_a_bundle_holds_the_conversation_of_its_vllm(
        tmp_path, request_lego, spec, linear_llava):
    out = tmp_path / 'bundle'
    _, origins = import_bundle(out, request_lego(conversation='llava_llama_2'), spec.size)
    assert origins['conversation'] == 'llava_llama_2, as stated'
    assert origins['conversation'] in (out / 'README.md').read_text()
    manifest, _ = verify(out)
    assert 'vllm/chat_template.jinja' in manifest.files
    model, tokenizer, processor = load_vllm(out / 'vllm', torch.float32)
    asked = []
    look_up = model.get_input_embeddings()
    look_up.register_forward_hook(lambda module, given, made: asked.append(given[0]))
    found = Enricher(model, tokenizer, processor, LegoPipeline.from_pretrained(out).tokenizer
                     ).enrich(FRAME, 'open the drawer')
    text = tokenizer.decode(asked[0].flatten().tolist())
    assert text.startswith('<s>[INST] <<SYS>>\nYou are a helpful language and vision assistant.')
    assert text.endswith(f'<</SYS>>\n\n\n{found.question} [/INST]')
    # The bundle's VLLM keeps it, wherever it is taken from there.
    again = read_llava(out / 'vllm')
    assert again.origins['conversation'] == "the folder's template"
    assert again.tokenizer.chat_template == tokenizer.chat_template


def test_the_files_are_those_that_the_libraries_write(
        tmp_path, request_lego, spec, pipeline, linear_llava, llava_tokenizer):
    import_bundle(tmp_path / 'bundle', request_lego(), spec.size)
    save_networks(tmp_path / 'saved', linear_llava, llava_tokenizer, pipeline)

    def names(folder):
        return {path.relative_to(folder).as_posix() for path in folder.rglob('*')}

    extra = {'bundle.yaml', 'README.md'}
    assert names(tmp_path / 'bundle') - extra == names(tmp_path / 'saved') - {
        'vllm/generation_config.json'}
    for name in ('unet', 'vae', 'text_encoder', 'conditioning'):
        file = next(path.name for path in (tmp_path / 'saved' / name).glob('*.safetensors'))
        found, expected = (load_file(tmp_path / place / name / file)
                           for place in ('bundle', 'saved'))
        assert found.keys() == expected.keys()
        assert all(torch.equal(found[key], expected[key]) for key in expected), name


def test_fresh_wires_depend_on_the_seed_alone(tmp_path, request_lego, spec, lego_state):
    for name in list(lego_state):
        if name.startswith(('projection_', 'self_attn_mix')):
            del lego_state[name]
    torch.save({'state_dict': lego_state}, tmp_path / 'ip2p.ckpt')
    found = []
    for number, seed in enumerate((4, 4, 5)):
        torch.rand(3)
        manifest, origins = import_bundle(
            tmp_path / str(number), request_lego(ldm=tmp_path / 'ip2p.ckpt', seed=seed),
            spec.size)
        assert not manifest.trained
        assert manifest.view == 'whole'
        assert f'seed {seed}: untrained' in origins['sigma, mu, pi']
        found.append(load_file(
            tmp_path / str(number) / 'conditioning' / 'diffusion_pytorch_model.safetensors'))
    same = [all(torch.equal(found[0][key], other[key]) for key in other) for other in found]
    assert same == [True, True, False]


@pytest.mark.parametrize('dtype', ['float16', 'bfloat16'])
def test_every_network_has_the_type_asked_for(tmp_path, request_lego, spec, pipeline, dtype):
    out = tmp_path / 'bundle'
    import_bundle(out, request_lego(dtype=dtype), spec.size)
    kind = getattr(torch, dtype)
    files = list(out.rglob('*.safetensors'))
    assert len(files) == 5
    assert all(one.dtype is kind for path in files for one in load_file(path).values())
    unet = LegoPipeline.from_pretrained(out, torch_dtype=kind).unet
    expected = pipeline.unet.state_dict()
    assert all(torch.equal(one, expected[key].to(kind)) for key, one in unet.state_dict().items())


@pytest.mark.parametrize(('value', 'dtype', 'told'), [
    (1e5, 'float16', 'choose bfloat16 or float32'), (float('nan'), 'float32', 'damaged')])
def test_weights_that_cannot_be_written_leave_nothing(
        tmp_path, request_lego, spec, lego_state, value, dtype, told):
    lego_state['first_stage_model.quant_conv.bias'][3] = value
    torch.save({'state_dict': lego_state}, tmp_path / 'bad.ckpt')
    with pytest.raises(LegoError, match='quant_conv') as caught:
        import_bundle(tmp_path / 'out' / 'bundle', request_lego(
            ldm=tmp_path / 'bad.ckpt', dtype=dtype), spec.size)
    assert caught.value.code is ErrorCode.BUNDLE_INVALID
    assert told in caught.value.message
    assert list((tmp_path / 'out').iterdir()) == []


@pytest.mark.parametrize(('changes', 'code', 'told'), [
    ({'name': 'a b'}, ErrorCode.BUNDLE_INVALID, 'name must be'),
    ({'training_data': 'x' * 2000}, ErrorCode.BUNDLE_INVALID, 'training_data'),
    ({'view': 'all'}, ErrorCode.INVALID_SETTING, "'all'"),
    ({'resolution': 60}, ErrorCode.INVALID_SETTING, 'multiple of 8'),
    ({'clip_tokenizer': None}, ErrorCode.INVALID_SETTING, '--clip-tokenizer'),
])
def test_settings_are_refused_before_anything_is_written(
        tmp_path, request_lego, spec, monkeypatch, changes, code, told):
    monkeypatch.setattr(
        'lego_ros.bundle.writing.write_network', lambda *_: pytest.fail('written'))
    with pytest.raises(LegoError) as caught:
        import_bundle(tmp_path / 'out' / 'bundle', request_lego(**changes), spec.size)
    assert caught.value.code is code
    assert told in caught.value.message
    assert not (tmp_path / 'out').exists() or list((tmp_path / 'out').iterdir()) == []


def test_a_vllm_of_another_size_than_the_checkpoint_was_wired_to(
        tmp_path, request_lego, spec, lego_state):
    for name in ('projection_img.weight', 'projection_txt.weight'):
        lego_state[name] = torch.zeros(32, 5120)
    torch.save({'state_dict': lego_state}, tmp_path / 'lego13b.ckpt')
    with pytest.raises(LegoError) as caught:
        import_bundle(tmp_path / 'b', request_lego(ldm=tmp_path / 'lego13b.ckpt'), spec.size)
    assert caught.value.code is ErrorCode.BUNDLE_MISMATCH
    assert 'sigma.weight (32, 5120) instead of (32, 64)' in caught.value.message
    assert "for the VLLM in '" in caught.value.message


def test_sources_that_are_not_there(tmp_path, request_lego, spec):
    for part in ('ldm', 'vllm'):
        with pytest.raises(LegoError, match='there is nothing') as caught:
            import_bundle(tmp_path / 'b', request_lego(**{part: tmp_path / 'none'}), spec.size)
        assert caught.value.code is ErrorCode.SOURCE_UNREADABLE


def test_the_command(tmp_path, capsys, pipeline, vllm_folder, unet4):
    sd = tmp_path / 'sd15'
    pipeline.save_pretrained(sd)
    unet4.save_pretrained(sd / 'unet')
    out = tmp_path / 'bundle'
    command = ['bundle', 'import', '--ldm', str(sd), '--vllm', str(vllm_folder), '--out', str(out),
               '--resolution', '64', '--license', 'CreativeML-OpenRAIL-M', '--view', 'center_crop']
    assert main(command) == 0
    printed, err = capsys.readouterr()
    assert err == ''
    rows = dict(line.split('  ', 1) for line in printed.splitlines() if '  ' in line)
    assert rows['UNet'].strip() == 'sd15/unet, 4 new input channels of zeros'
    assert 'not trained as a whole' in printed
    assert 'float16' in printed
    manifest, _ = verify(out)
    assert manifest.license == 'CreativeML-OpenRAIL-M'
    assert manifest.view == 'center_crop'
    assert manifest.name == 'bundle'
    assert 'sd15 and llava-linear' in manifest.training_data

    assert main(command) == 2
    assert capsys.readouterr().err.startswith('BUNDLE_INVALID: ')
    assert main([*command[:-2], '--name', 'x', '--clip-tokenizer', str(tmp_path)]) == 2
    assert capsys.readouterr().err.startswith('SOURCE_UNREADABLE: ')
    assert main([*command, '--conversation', 'klingon']) == 2
    assert "INVALID_SETTING: There is no conversation 'klingon'" in capsys.readouterr().err
    (tmp_path / 'file').write_text('')
    blocked = [str(tmp_path / 'file' / 'b') if part == str(out) else part for part in command]
    assert main(blocked) == 2
    assert capsys.readouterr().err.startswith('BUNDLE_INVALID: ')


def test_an_imported_vllm_is_mapped_until_it_is_written(vllm_folder):
    parts = read_llava(vllm_folder)
    state = parts.model.state_dict()
    path = vllm_folder / 'model.safetensors'
    with open('/proc/self/maps') as maps:
        places = [line.split()[0].split('-') for line in maps if str(path) in line]
    ranges = [(int(low, 16), int(high, 16)) for low, high in places]
    for name, one in state.items():
        assert any(low <= one.data_ptr() < high for low, high in ranges), name
