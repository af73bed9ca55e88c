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

"""Reading files of weights: mapped, complete, and without running anything."""

from __future__ import annotations

import json
import os
from pathlib import Path
import sys
from types import ModuleType

from lego_ros.bundle.importing.weights import read_folder, read_weights
from lego_ros.errors import ErrorCode, LegoError
import pytest
from safetensors.torch import save_file
import torch

WEIGHTS = {'a.weight': torch.arange(6.).reshape(2, 3), 'b': torch.ones(4, dtype=torch.float16)}


def same(found, expected):
    return found.keys() == expected.keys() and all(
        torch.equal(found[name], tensor) for name, tensor in expected.items())


def code_of(function, *args):
    with pytest.raises(LegoError) as caught:
        function(*args)
    return caught.value.code, caught.value.message


@pytest.mark.parametrize('name', ['w.safetensors', 'w.ckpt', 'w.bin'])
def test_a_file_is_mapped_into_memory_and_not_read(tmp_path, name):
    path = tmp_path / name
    big = {'w': torch.zeros(1 << 20), **WEIGHTS}
    save_file(big, path) if path.suffix == '.safetensors' else torch.save(big, path)
    found = read_weights(path)
    assert same(found, big)
    assert str(path) in Path('/proc/self/maps').read_text()


def test_of_a_lightning_file_only_the_state_dict_is_taken(tmp_path):
    torch.save({'epoch': 3, 'global_step': 20000, 'pytorch-lightning_version': '1.4.2',
                'state_dict': WEIGHTS}, tmp_path / 'x.ckpt')
    assert same(read_weights(tmp_path / 'x.ckpt'), WEIGHTS)


def test_a_lightning_file_with_its_checkpoint_callback(tmp_path, monkeypatch):
    """Lightning before 1.5 wrote the class itself as the key of the callback's settings."""
    names = ['pytorch_lightning', 'pytorch_lightning.callbacks',
             'pytorch_lightning.callbacks.model_checkpoint']
    for name in names:
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    kind = type('ModelCheckpoint', (), {'__module__': names[-1]})
    sys.modules[names[-1]].ModelCheckpoint = kind
    torch.save({'state_dict': WEIGHTS, 'callbacks': {kind: {'best_model_path': 'x'}}},
               tmp_path / 'x.ckpt')
    for name in names:
        monkeypatch.delitem(sys.modules, name)
    assert same(read_weights(tmp_path / 'x.ckpt'), WEIGHTS)


class Evil:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize('place', ['state_dict', 'hyper_parameters'])
def test_a_pickle_that_would_run_code_is_refused_by_name(tmp_path, place):
    content = {'state_dict': dict(WEIGHTS), 'hyper_parameters': {}}
    content[place]['x'] = Evil(tmp_path / 'ran')
    torch.save(content, tmp_path / 'x.ckpt')
    code, message = code_of(read_weights, tmp_path / 'x.ckpt')
    assert code is ErrorCode.BUNDLE_UNSAFE
    assert f'{os.mkdir.__module__}.mkdir' in message
    assert 'docs/import.md' in message
    assert not (tmp_path / 'ran').exists()


def test_a_file_of_something_else(tmp_path):
    for name, content in (('text.ckpt', b'hello'), ('empty.ckpt', b''), ('x.safetensors', b'no'),
                          ('x.onnx', b'')):
        (tmp_path / name).write_bytes(content)
        code, message = code_of(read_weights, tmp_path / name)
        assert code in (ErrorCode.SOURCE_UNREADABLE, ErrorCode.BUNDLE_UNSAFE), name
        assert name in message
    for content in ([1, 2], {'state_dict': {'a': 1.5}}, {'state_dict': {'a': torch.zeros(0)}},
                    {}, {'state_dict': {3: torch.ones(2)}}):
        torch.save(content, tmp_path / 'list.pt')
        assert code_of(read_weights, tmp_path / 'list.pt')[0] is ErrorCode.SOURCE_UNREADABLE
    assert code_of(read_weights, tmp_path / 'none.ckpt')[0] is ErrorCode.SOURCE_UNREADABLE


@pytest.mark.parametrize('cut', [0.5, 0.99])
@pytest.mark.parametrize('name', ['w.safetensors', 'w.ckpt'])
def test_a_truncated_file(tmp_path, name, cut):
    path = tmp_path / name
    save_file(WEIGHTS, path) if path.suffix == '.safetensors' else torch.save(WEIGHTS, path)
    content = path.read_bytes()
    path.write_bytes(content[:int(len(content) * cut)])
    code, message = code_of(read_weights, path)
    assert code is ErrorCode.SOURCE_UNREADABLE
    assert name in message


def write_shards(folder, suffix, **changes):
    shards = {'1' + suffix: {'a.weight': WEIGHTS['a.weight']}, '2' + suffix: {'b': WEIGHTS['b']}}
    for name, part in shards.items():
        save_file(part, folder / name) if suffix == '.safetensors' else torch.save(
            part, folder / name)
    stem = 'model.safetensors' if suffix == '.safetensors' else 'pytorch_model.bin'
    places = {'a.weight': '1' + suffix, 'b': '2' + suffix, **changes}
    (folder / f'{stem}.index.json').write_text(json.dumps({'weight_map': places}))


@pytest.mark.parametrize('suffix', ['.safetensors', '.bin'])
def test_shards(tmp_path, suffix):
    write_shards(tmp_path, suffix)
    assert same(read_folder(tmp_path), WEIGHTS)
    (tmp_path / f'2{suffix}').unlink()
    code, message = code_of(read_folder, tmp_path)
    assert code is ErrorCode.SOURCE_UNREADABLE
    assert f'2{suffix}' in message


def test_an_index_that_is_wrong(tmp_path):
    write_shards(tmp_path, '.bin', b='../2.bin')
    assert code_of(read_folder, tmp_path)[0] is ErrorCode.BUNDLE_UNSAFE
    write_shards(tmp_path, '.bin', lost='1.bin')
    code, message = code_of(read_folder, tmp_path)
    assert code is ErrorCode.SOURCE_UNREADABLE
    assert 'no shard holds lost' in message
    torch.save(WEIGHTS, tmp_path / '3.bin')
    write_shards(tmp_path, '.bin', c='3.bin')
    assert 'another shard holds' in code_of(read_folder, tmp_path)[1]


def test_a_folder_without_weights(tmp_path):
    assert 'holds no weights' in code_of(read_folder, tmp_path)[1]
    (tmp_path / 'adapter_config.json').write_text('{}')
    assert 'merge it' in code_of(read_folder, tmp_path)[1]
