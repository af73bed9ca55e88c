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

"""A bundle's programs of held-out frames, by the command: tables, examples, going on, refusals."""

from __future__ import annotations

import argparse
from dataclasses import replace
import json
import shutil

from lego_ros.bundle.integrity import hash_files
from lego_ros.bundle.making import make_tiny
from lego_ros.cli import evaluate as command
from lego_ros.errors import ErrorCode, LegoError
from lego_ros.training.evaluation.programs import evaluate_programs, SPLITS
from lego_ros.training.run.loop import Interrupted
from lego_ros.vllm.adapter import HEAD, WEIGHTS
from lego_ros.vllm.loading import load_vllm
from peft import get_peft_model, LoraConfig
from PIL import Image
import pytest
from safetensors.torch import load_file, save_file
import torch


@pytest.fixture(scope='module')
def bundle(tmp_path_factory):
    """Make the tiny bundle, with an adapter that ends a program as soon as it may."""
    folder = tmp_path_factory.mktemp('bundle') / 'tiny'
    manifest = make_tiny(folder)
    vllm, tokenizer, _ = load_vllm(folder / 'vllm', torch.float32)
    get_peft_model(vllm, LoraConfig(
        r=2, target_modules=r'.*language_model.*_proj')).save_pretrained(folder / 'program')
    weights = load_file(folder / 'program' / WEIGHTS)
    weights[f'base_model.model.{HEAD}'] = _eager(vllm, tokenizer)
    save_file(weights, folder / 'program' / WEIGHTS)
    replace(manifest, files=hash_files(folder)).save(folder)
    return folder


def _eager(vllm, tokenizer):
    """Make a head that wants the end, or else a bracket's, whatever was said."""
    ids = torch.randint(0, len(tokenizer), (1, 64), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        states = vllm.model.language_model(ids).last_hidden_state[0]
    common = states.mean(0)
    head = torch.zeros_like(vllm.lm_head.weight)
    for wish, text in ((40., ')'), (30., '}')):
        head[tokenizer.encode(text, add_special_tokens=False)[-1]] = wish * common
    head[tokenizer.eos_token_id] = 60 * common
    return head / common.square().sum()


def _arguments(*words):
    parser = argparse.ArgumentParser()
    command.add_parser(parser.add_subparsers())
    return parser.parse_args(['eval', 'programs', *map(str, words)])


@pytest.fixture(scope='module')
def out(tmp_path_factory):
    return tmp_path_factory.mktemp('out')


@pytest.fixture(scope='module')
def table(bundle, kitchen, out):
    return evaluate_programs(bundle, kitchen, out, ('train', 'validation'), 2)


def test_it_makes_figures_and_examples(table, out):
    report = json.loads((out / 'evaluation_programs.json').read_text())
    found = report['splits']['train']
    assert found['pairs'] == found['trained'] == 2
    assert found['floor']['parsed']['value'] == found['floor']['sound']['value'] == 1
    assert 0 < found['model']['parsed']['value'] <= 1
    assert 0 < found['mask_share']['value'] < 1
    assert report['settings']['model']['bundle'] == 'tiny'
    rows = [json.loads(line)
            for line in (out / 'samples_programs.jsonl').read_text().splitlines()]
    assert [row['split'] for row in rows] == ['train'] * 2 + ['validation'] * 2
    for row in rows:
        assert row['verdict']['parsed'] == (row['answer']['problem'] == '')
        assert 0 < row['answer']['mask_seconds'] < row['answer']['decode_seconds']
    shown = sum(row['verdict']['parsed'] for row in rows[:2]) / 2
    assert found['model']['parsed']['value'] == pytest.approx(shown)
    page = (out / 'evaluation_programs.md').read_text()
    assert page.startswith(table)
    pictures = sorted((out / 'examples_programs').iterdir())
    assert len(pictures) == 4
    for path in pictures:
        assert f'](examples_programs/{path.name})' in page
        with Image.open(path) as picture:
            assert min(picture.size) > 300


def test_the_command_goes_on_and_says_the_same(table, bundle, kitchen, out, capsys):
    kept = {path: path.stat().st_mtime_ns for path in (out / 'answers').rglob('*.json')}
    assert len(kept) == 4
    lost = min(kept)
    text = lost.read_text()
    lost.unlink()
    with pytest.raises(Interrupted):
        evaluate_programs(bundle, kitchen, out, ('train', 'validation'), 2, stop=lambda: True)
    args = _arguments('--bundle', bundle, '--data', kitchen, '--out', out, '--split',
                      'train,validation', '--count', 2)
    assert args.run(args) == 0
    assert '| parses |' in capsys.readouterr().out
    assert all(path.stat().st_mtime_ns == time for path, time in kept.items() if path != lost)
    one, other = (json.loads(each) for each in (text, lost.read_text()))
    for name in ('description', 'text', 'problem', 'confidence'):
        assert one[name] == other[name]


def test_a_damaged_answer_is_named(table, bundle, kitchen, out, tmp_path):
    shutil.copytree(out / 'answers', tmp_path / 'answers')
    damaged = min((tmp_path / 'answers').rglob('*.json'))
    damaged.write_bytes(damaged.read_bytes()[:-20])
    with pytest.raises(LegoError, match=damaged.name) as caught:
        evaluate_programs(bundle, kitchen, tmp_path, ('train', 'validation'), 2)
    assert caught.value.code is ErrorCode.SOURCE_UNREADABLE


def test_a_bundle_that_writes_no_programs_is_refused(bundle, kitchen, tmp_path):
    shutil.copytree(bundle, tmp_path / 'bare')
    shutil.rmtree(tmp_path / 'bare' / 'program')
    with pytest.raises(LegoError, match='not tuned to write programs') as caught:
        evaluate_programs(tmp_path / 'bare', kitchen, tmp_path / 'out', ('validation',), 2)
    assert caught.value.code is ErrorCode.BUNDLE_MISMATCH
    with pytest.raises(LegoError) as caught:
        evaluate_programs(tmp_path / 'none', kitchen, tmp_path / 'out', ('validation',), 2)
    assert caught.value.code is ErrorCode.BUNDLE_NOT_FOUND


def test_an_empty_split_is_refused(bundle, kitchen, tmp_path):
    with pytest.raises(LegoError, match='test_unseen') as caught:
        evaluate_programs(bundle, kitchen, tmp_path, ('test_unseen',))
    assert caught.value.code is ErrorCode.INVALID_SETTING


@pytest.mark.parametrize(('spoil', 'match'), [
    (lambda lines: [lines[0][:-9], *lines[1:]], 'line 1'),
    (lambda lines: [], 'is not in it'),
    (lambda lines: [line.replace('"program":"objects', '"program":"object') for line in lines],
     'cannot be read')])
def test_a_damaged_truth_is_refused(bundle, kitchen, tmp_path, spoil, match):
    data = tmp_path / 'data'
    data.mkdir()
    for path in kitchen.iterdir():
        if path.name != 'truth.jsonl':
            (data / path.name).symlink_to(path)
    lines = (kitchen / 'truth.jsonl').read_text().splitlines()
    (data / 'truth.jsonl').write_text(''.join(f'{line}\n' for line in spoil(lines)))
    with pytest.raises(LegoError, match=match) as caught:
        evaluate_programs(bundle, data, tmp_path / 'out', ('validation',), 2)
    assert caught.value.code is ErrorCode.SOURCE_UNREADABLE


def test_the_commands_splits_are_the_evaluations():
    assert SPLITS == command.SPLITS
