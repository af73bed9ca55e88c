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

"""Recipes: those that ship, and what is wrong with others."""

from diffusers import AutoencoderKL, UNet2DConditionModel
from lego_ros.cli import main
from lego_ros.errors import ErrorCode, LegoError
from lego_ros.ldm.conditioning import LegoConditioning
from lego_ros.training.foundations.sizes import size_of
from lego_ros.training.recipe import read_recipe
from lego_ros.vllm.llava import LegoLlava
import pytest
import torch
from transformers import CLIPTextConfig, CLIPTextModel

START = 'bundle: {name: a, training_data: b}\nldm: {flip: false}\n'


def refused(code, match, name):
    with pytest.raises(LegoError, match=match) as caught:
        read_recipe(str(name))
    assert caught.value.code is code


def test_the_kitchens_recipe_makes_everything_itself():
    recipe = read_recipe('kitchen')
    assert recipe.kitchen is not None
    assert recipe.foundations is not None
    assert recipe.ldm.resolution == 128
    assert recipe.bundle.training_data.endswith(f'seeds 0 to {recipe.kitchen.episodes - 1}')


def test_the_papers_recipe_has_the_papers_numbers():
    recipe = read_recipe('paper')
    assert (recipe.kitchen, recipe.foundations) == (None, None)
    tune, loop = recipe.tune, recipe.ldm.loop
    assert (tune.epochs, tune.lr, tune.batch_size, tune.schedule) == (3, 2e-5, 128, 'cosine')
    assert (loop.steps, loop.batch_size, loop.lr, loop.ema) == (20_000, 256, 1e-4, 0.9999)
    assert recipe.ldm.drop == 0.05
    assert recipe.ldm.variant == 'joint'


def test_the_kitchens_bundle_is_below_64_mb():
    recipe = read_recipe('kitchen')
    size = size_of(recipe.foundations.size)
    assert recipe.ldm.size == recipe.foundations.size == 'kitchen'
    assert recipe.bundle.dtype == 'float16'
    with torch.device('meta'):
        networks = [
            UNet2DConditionModel(**size.ldm.unet), AutoencoderKL(**size.ldm.vae),
            CLIPTextModel(CLIPTextConfig(**size.ldm.text, vocab_size=size.vocabulary)),
            LegoConditioning(**size.ldm.conditioning), LegoLlava(size.llava(size.vocabulary))]
    weights = sum(weight.numel() for network in networks for weight in network.parameters())
    # The rest: tokenizers, configurations, card and curves.
    assert 40e6 < 2 * weights < 63.5e6


@pytest.mark.parametrize(('content', 'match'), [
    ('kitchen: {episodes: 0}', r'kitchen\.episodes: .*greater than 0'),
    ('kitchen: {episodes: 3, sise: 64}', r'kitchen\.sise: Extra'),
    ('tunes: {epochs: 3}', 'tunes: Extra'),
    ('tune: {lr: .nan}', r'tune\.lr: .*finite'),
    ('tune: {lr: fast}', r'tune\.lr: .*valid number'),
    ('tune: {steps: 4, epochs: 2}', 'tune: .*either steps or epochs'),
    ('foundations: {size: huge}', r"foundations\.size: .*'kitchen'"),
    ('foundations: {vae: {scales: 6}}', r'foundations\.vae\.scales: .*equal to 5'),
    ('enrichment: {view: centre}', "no view 'centre'"),
    ('enrichment: {view: center_crop}', r'tune\.view, enrichment\.view, ldm\.view'),
])
def test_a_wrong_value_is_named(tmp_path, content, match):
    path = tmp_path / 'my.yaml'
    path.write_text(START + content)
    refused(ErrorCode.INVALID_SETTING, rf'my\.yaml.*({match})', path)


@pytest.mark.parametrize(('ldm', 'match'), [
    ('{variant: best}', r'ldm\.variant: .*joint'),
    ('{flip: true}', 'enrichment.flipped to true'),
    ('{flip: false, start: somewhere}', '--ldm names'),
])
def test_what_a_late_stage_would_refuse_is_refused_first(tmp_path, ldm, match):
    path = tmp_path / 'my.yaml'
    path.write_text(START.replace('{flip: false}', ldm))
    refused(ErrorCode.INVALID_SETTING, match, path)


def test_labels_need_no_mirrored_descriptions(tmp_path):
    path = tmp_path / 'my.yaml'
    path.write_text(START.replace('{flip: false}', '{variant: labels}'))
    assert read_recipe(str(path)).ldm.flip


@pytest.mark.parametrize(('content', 'code', 'match'), [
    ('', 'invalid', 'the whole: .*dictionary'),
    ('- kitchen\n', 'invalid', 'the whole: .*dictionary'),
    ('kitchen: {episodes: [', 'unreadable', 'cannot be read as YAML'),
    ('kitchen: !!python/object/apply:os.getcwd []', 'unreadable', 'cannot be read as YAML'),
    ('[' * 1500, 'unreadable', 'cannot be read as YAML'),
    (b'\xff\xfe\xff', 'unreadable', 'cannot be read as YAML'),
    ('#' * (2 << 20), 'unreadable', 'at most 1048576 bytes'),
], ids=['empty', 'list', 'broken', 'code', 'deep', 'binary', 'large'])
def test_no_recipe_at_all(tmp_path, content, code, match):
    path = tmp_path / 'my.yaml'
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    refused(ErrorCode.INVALID_SETTING if code == 'invalid' else ErrorCode.SOURCE_UNREADABLE,
            rf'my\.yaml.*{match}', path)


@pytest.mark.parametrize('name', ['best', 'there/is/none.yaml', '..'])
def test_a_recipe_that_is_not_there(name):
    refused(ErrorCode.SOURCE_UNREADABLE, 'no such recipe; there are kitchen, leap_epic', name)


@pytest.mark.parametrize('missing', ['--data', '--vllm', '--ldm'])
def test_the_papers_recipe_is_given_what_it_does_not_make(tmp_path, capsys, missing):
    given = {'--data', '--vllm', '--ldm'} - {missing}
    options = [word for name in given for word in (name, str(tmp_path))]
    assert main(['train', 'paper', '--out', str(tmp_path / 'run'), *options]) == 2
    assert f'give {missing}' in capsys.readouterr().err
    assert not (tmp_path / 'run').exists()


@pytest.mark.parametrize('extra', ['--data', '--vllm', '--ldm'])
def test_the_kitchens_recipe_takes_nothing(tmp_path, capsys, extra):
    assert main(['train', 'kitchen', '--out', str(tmp_path / 'run'), extra, str(tmp_path)]) == 2
    assert f'leave {extra} out' in capsys.readouterr().err
    assert not (tmp_path / 'run').exists()


def test_given_data_that_is_not_there(tmp_path, capsys):
    none = str(tmp_path / 'none')
    assert main(['train', 'paper', '--out', str(tmp_path / 'run'), '--data', none, '--vllm',
                 none, '--ldm', none]) == 2
    assert none in capsys.readouterr().err
