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

"""A bundle on every backend that runs here: built, loaded, refused, and by the command line."""

from dataclasses import replace
import re
import shutil

from lego_ros.bundle.integrity import hash_files
from lego_ros.bundle.making import make_tiny
from lego_ros.bundle.manifest import read_manifest
from lego_ros.cli import main
from lego_ros.engines.builder import BACKENDS
from lego_ros.engines.cache import EngineCache
from lego_ros.errors import ErrorCode, LegoError
from lego_ros.ldm.fast import FastSettings
from lego_ros.runtime.lego_model import LegoModel
from lego_ros.runtime.model import AnswerSettings, ENGINE_BACKENDS, FAST_STEPS
from lego_ros.runtime.networks import build_bundle, network_names, NETWORKS, runner_for
from lego_ros.runtime.weights import count_weights
from lego_ros.vllm.loading import load_vllm
import numpy as np
from peft import get_peft_model, LoraConfig
import pytest
import torch

# Engines take minutes to build where the machine is busy.
pytestmark = pytest.mark.timeout(900)

SETTINGS = AnswerSettings(seed=3, steps=6, image_scale=1.5, text_scale=7.5, temperature=0.2)
FRAME = np.random.default_rng(0).integers(0, 256, (120, 160, 3), np.uint8)


@pytest.fixture(scope='module')
def bundle(tmp_path_factory):
    """Make the tiny bundle, with an adapter that writes programs."""
    folder = tmp_path_factory.mktemp('bundle') / 'tiny'
    manifest = make_tiny(folder)
    vllm, _, _ = load_vllm(folder / 'vllm', torch.float32)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        tuned = get_peft_model(vllm, LoraConfig(
            r=2, target_modules=r'.*language_model.*_proj', init_lora_weights=False))
    tuned.save_pretrained(folder / 'program')
    replace(manifest, files=hash_files(folder)).save(folder)
    return folder


@pytest.fixture(scope='module')
def cache(bundle, tmp_path_factory):
    cache = EngineCache(tmp_path_factory.mktemp('cache'))
    told = []
    entries = build_bundle(bundle, 'onnxruntime', 'float32', cache, (), told.append)
    assert [entry.key.description.name for entry in entries] == list(network_names(bundle))
    assert [each.network for each in told if each.phase == 'done'] == list(
        network_names(bundle))
    return cache


@pytest.fixture
def damaged(cache, tmp_path):
    """Copy the cache, to be damaged."""
    shutil.copytree(cache.folder, tmp_path / 'cache')
    return EngineCache(tmp_path / 'cache')


def no(*_):
    """Take no part: neither stop it nor look at how it comes along."""


def answer(model):
    description = model.describe(FRAME, 'open the drawer', SETTINGS, no, no)
    return description.text, model.depict(FRAME, description, SETTINGS, no, no)


def write(model, tokens=40):
    """Let it begin a program; random weights would go on for ever."""
    seen = []

    def stop(count, text):
        seen.append(text)
        if count == tokens:
            raise LegoError(ErrorCode.CANCELED, 'enough')

    with pytest.raises(LegoError, match='enough'):
        model.write_program(FRAME, 'open the drawer', 'So.', SETTINGS, no, stop)
    return seen[-1]


@pytest.fixture(scope='module')
def reference(bundle):
    model = LegoModel(bundle, 'cpu')
    model.warm_up()
    return *answer(model), write(model)


@pytest.mark.parametrize(('backend', 'precision', 'most'), [
    ('torch', 'bfloat16', 40), ('onnxruntime', 'float32', 1), ('openvino', 'float32', 1),
    ('openvino', 'bfloat16', 40)])
def test_every_backend_gives_the_same_answer(bundle, cache, reference, backend, precision, most):
    model = LegoModel(bundle, 'cpu', precision, backend=backend, cache=cache.folder)
    model.warm_up()
    text, picture = answer(model)
    again = answer(model)
    assert (model.info.backend, model.info.precision) == (backend, precision)
    assert again[0] == text
    assert np.array_equal(again[1], picture)
    if precision == 'float32':
        assert (text, write(model)) == (reference[0], reference[2])
    if text == reference[0]:
        assert np.abs(picture.astype(int) - reference[1]).max() <= most
    model.close()
    with pytest.raises((LegoError, AttributeError)):
        answer(model)


def decibels(one, other):
    return 10 * np.log10(255**2 / np.square(one.astype(float) - other).mean())


@pytest.mark.parametrize('backend', ['torch', 'onnxruntime'])
def test_fast_mode_draws_nearly_the_exact_picture(bundle, backend, request):
    cache = None if backend == 'torch' else request.getfixturevalue('cache').folder
    model = LegoModel(bundle, 'cpu', backend=backend, cache=cache)
    description = model.describe(FRAME, 'open the drawer', SETTINGS, no, no)

    def depict(**changes):
        told = []
        picture = model.depict(
            FRAME, description, replace(SETTINGS, **changes), no, lambda *step: told.append(step))
        return picture, told

    exact, exact_told = depict(steps=40)
    fast, fast_told = depict(steps=40, mode='fast')
    assert exact_told == [(step, 40) for step in range(1, 41)]
    assert fast_told == [(step, FAST_STEPS) for step in range(1, FAST_STEPS + 1)]
    assert np.array_equal(fast, depict(steps=40, mode='fast')[0])
    assert not np.array_equal(fast, exact)
    # 36 dB, and 34 dB of 100 steps; pictures of other seeds are 16 dB away.
    assert decibels(fast, exact) > 32
    assert decibels(depict(steps=40, seed=4)[0], exact) < 20
    assert decibels(depict(steps=40, seed=4, mode='fast')[0], fast) < 20
    # Where there are no steps to leave out, only the guidance of the later half is.
    few, told = depict(mode='fast')
    assert told == [(step, 6) for step in range(1, 7)]
    assert 45 < decibels(few, depict()[0]) < np.inf
    assert np.array_equal(depict(steps=1, mode='fast')[0], depict(steps=1)[0])
    model.close()


def test_fast_mode_is_the_ldms():
    settings = replace(SETTINGS, steps=100, mode='fast')
    assert settings.steps_taken == FAST_STEPS == FastSettings().steps
    assert replace(SETTINGS, steps=7, mode='fast').steps_taken == 7
    assert replace(SETTINGS, steps=100).steps_taken == 100


@pytest.mark.parametrize('mode', ['', 'Fast', 'turbo'])
def test_a_mode_that_there_is_not(mode):
    with pytest.raises(LegoError, match='exact, fast') as caught:
        replace(SETTINGS, mode=mode)
    assert caught.value.code is ErrorCode.INVALID_SETTING


def test_each_backend_and_precision_has_its_own_fingerprint(bundle, cache):
    prints = set()
    for backend, precision in (('torch', 'float32'), ('torch', 'bfloat16'),
                               ('openvino', 'float32'), ('openvino', 'bfloat16')):
        model = LegoModel(bundle, 'cpu', precision, backend=backend, cache=cache.folder)
        prints.add(model.info.fingerprint)
        model.close()
    assert len(prints) == 4


def test_the_adapter_writes_programs(bundle, reference, tmp_path):
    """And nothing but programs; without it the VLLM itself writes."""
    shutil.copytree(bundle, tmp_path / 'bare')
    shutil.rmtree(tmp_path / 'bare' / 'program')
    manifest, _ = read_manifest(tmp_path / 'bare')
    replace(manifest, files=hash_files(tmp_path / 'bare')).save(tmp_path / 'bare')
    model = LegoModel(tmp_path / 'bare', 'cpu')
    assert network_names(tmp_path / 'bare') == NETWORKS
    text, picture = answer(model)
    assert text == reference[0]
    assert np.array_equal(picture, reference[1])
    assert write(model) != reference[2]
    model.close()


def test_weights_are_counted_without_loading(bundle):
    model = LegoModel(bundle, 'cpu')
    assert count_weights(bundle) == model.info.parameters > 100_000


def test_what_is_there_is_not_built_again(bundle, cache):
    told = []
    before = {path: path.stat().st_mtime_ns for path in cache.folder.rglob('*.onnx')}
    assert before
    build_bundle(bundle, 'openvino', 'bfloat16', cache, (), told.append)
    assert {path: path.stat().st_mtime_ns for path in cache.folder.rglob('*.onnx')} == before


def test_engines_that_were_not_built(bundle, tmp_path):
    with pytest.raises(LegoError, match='lego-ros engine build') as caught:
        LegoModel(bundle, 'cpu', backend='onnxruntime', cache=tmp_path)
    assert caught.value.code is ErrorCode.BUNDLE_NOT_FOUND


def test_a_damaged_engine_is_not_loaded(bundle, damaged):
    victim = next(damaged.folder.rglob('unet.onnx'))
    data = bytearray(victim.read_bytes())
    data[len(data) // 2] ^= 1
    victim.chmod(0o644)
    victim.write_bytes(data)
    with pytest.raises(LegoError, match='unet') as caught:
        LegoModel(bundle, 'cpu', backend='openvino', cache=damaged.folder)
    assert caught.value.code is ErrorCode.BUNDLE_TAMPERED
    # Building mends it.
    build_bundle(bundle, 'openvino', 'float32', damaged)
    LegoModel(bundle, 'cpu', backend='openvino', cache=damaged.folder).close()


@pytest.mark.parametrize(('backend', 'precision', 'match'), [
    ('openvino', 'float16', 'float32 or bfloat16'),
    ('tpu', 'float32', 'choose one of')])
def test_what_a_backend_cannot_do(bundle, cache, backend, precision, match):
    with pytest.raises(LegoError, match=match) as caught:
        LegoModel(bundle, 'cpu', precision, backend=backend, cache=cache.folder)
    assert caught.value.code is ErrorCode.INVALID_SETTING


def test_openvino_computes_in_bfloat16_from_float32_networks():
    runner = runner_for('openvino', torch.device('cpu'), 'bfloat16')
    assert (runner.number_format, runner.computing) == ('float32', 'bfloat16')
    runner = runner_for('tensorrt', torch.device('cuda'), 'bfloat16')
    assert (runner.number_format, runner.computing) == ('bfloat16', 'float32')


def test_the_command_line(bundle, damaged, capsys):
    command = ['engine', '--cache', str(damaged.folder)]
    assert main([*command, 'build', '--bundle', str(bundle), '--backend', 'openvino']) == 0
    assert '14 networks for openvino' in capsys.readouterr().out
    assert main([*command, 'list']) == 0
    listed = capsys.readouterr().out
    assert all(re.search(rf'^onnx .* {name} +float32', listed, re.MULTILINE)
               for name in network_names(bundle))
    assert main([*command, 'verify']) == 0
    assert '14 of 14' in capsys.readouterr().out
    victim = next(damaged.folder.rglob('vision.onnx'))
    victim.chmod(0o644)
    victim.write_bytes(victim.read_bytes()[:-1])
    assert main([*command, 'verify']) == 1
    shown = capsys.readouterr().out
    assert '13 of 14' in shown
    assert 'vision.onnx' in shown
    assert main([*command, 'prune', '--keep', str(bundle)]) == 0
    assert main([*command, 'prune', '--all']) == 0
    capsys.readouterr()
    assert main([*command, 'list']) == 0
    assert capsys.readouterr().out.startswith('0 entries')


def test_the_command_line_refuses(bundle, tmp_path, capsys):
    command = ['engine', '--cache', str(tmp_path / 'cache'), 'build', '--bundle']
    assert main([*command, str(tmp_path), '--backend', 'openvino']) == 2
    assert 'BUNDLE' in capsys.readouterr().err
    assert main([*command, str(bundle), '--backend', 'openvino', '--target', '8.6']) == 2
    assert 'tensorrt_rtx only' in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main([*command, str(bundle), '--backend', 'torch'])


def test_the_names_of_backends_are_those_of_the_engines():
    # Named where nothing heavy is imported, too.
    assert ('torch', *ENGINE_BACKENDS) == BACKENDS
