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

"""Writing bundles: whole or not at all, and the same from the same seed."""

from __future__ import annotations

import json
from pathlib import Path

from lego_ros import __version__
from lego_ros.bundle.architecture import ARCHITECTURES, check_architectures
from lego_ros.bundle.integrity import verify
from lego_ros.bundle.making import (
    default_bundle,
    make_tiny,
    new_bundle,
    shipped_bundle,
    tiny_bundle,
)
from lego_ros.errors import ErrorCode, LegoError
import pytest


@pytest.fixture(scope='module')
def tiny(tmp_path_factory):
    folder = tmp_path_factory.mktemp('tiny') / 'bundle'
    make_tiny(folder, seed=3)
    return folder


def contents(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes()
            for path in folder.rglob('*') if path.is_file()}


def test_new_bundle_is_there_when_the_block_ends(tmp_path):
    folder = tmp_path / 'below' / 'bundle'
    with new_bundle(folder) as part:
        assert not folder.exists()
        (part / 'README.md').write_text('x')
    assert contents(folder) == {'README.md': b'x'}
    assert folder.stat().st_mode & 0o777 == 0o755
    assert list(folder.parent.iterdir()) == [folder]


def test_an_exception_leaves_nothing(tmp_path):
    def stop_in_between():
        with new_bundle(tmp_path / 'bundle') as part:
            (part / 'README.md').write_text('x')
            raise KeyboardInterrupt
    with pytest.raises(KeyboardInterrupt):
        stop_in_between()
    assert list(tmp_path.iterdir()) == []


def test_what_is_there_is_not_overwritten(tmp_path):
    folder = tmp_path / 'bundle'
    folder.mkdir()
    (folder / 'mine.txt').write_text('x')
    with pytest.raises(LegoError, match='exists already') as caught, new_bundle(folder):
        raise AssertionError('the block must not run')
    assert caught.value.code == ErrorCode.BUNDLE_INVALID
    assert contents(folder) == {'mine.txt': b'x'}


def test_tiny_bundle_is_a_good_one(tiny):
    manifest, _ = verify(tiny)
    assert (manifest.name, manifest.version, manifest.trained) == ('tiny', __version__, False)
    assert 'seed 3' in manifest.training_data
    assert {name.partition('/')[0] for name in manifest.files} == {
        'README.md', 'model_index.json', 'conditioning', 'scheduler', 'text_encoder',
        'tokenizer', 'unet', 'vae', 'vllm'}
    check_architectures(tiny)


def test_same_seed_same_bytes(tiny, tmp_path):
    make_tiny(tmp_path / 'same', seed=3)
    assert contents(tmp_path / 'same') == contents(tiny)


def test_other_seed_other_weights(tiny, tmp_path):
    make_tiny(tmp_path / 'other', seed=4)
    ours, other = contents(tiny), contents(tmp_path / 'other')
    assert set(ours) == set(other)
    different = {name for name in ours if ours[name] != other[name]}
    networks = {name for name in ours if name.endswith('.safetensors')}
    assert different == networks | {'README.md', 'bundle.yaml'}


def test_making_leaves_the_random_numbers_alone(tmp_path):
    import torch

    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    make_tiny(tmp_path / 'bundle')
    assert torch.equal(torch.rand(3), expected)


def test_the_tiny_bundle_is_made_once(tmp_path, monkeypatch):
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
    folder = tiny_bundle()
    assert folder.parent == tmp_path / 'lego_ros'
    verify(folder)
    made = (folder / 'bundle.yaml').stat().st_mtime_ns
    assert tiny_bundle() == folder
    assert (folder / 'bundle.yaml').stat().st_mtime_ns == made


def test_the_shipped_bundle_is_the_default():
    folder = shipped_bundle()
    assert folder == default_bundle()
    manifest, _ = verify(folder)
    assert manifest.trained
    assert 'kitchen' in manifest.training_data
    size = sum(path.stat().st_size for path in folder.rglob('*'))
    assert size < 64_000_000
    assert {'README.md', 'curves.png'} <= {path.name for path in folder.iterdir()}


def test_where_there_is_none_it_is_the_tiny_one(tmp_path, monkeypatch):
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
    monkeypatch.setattr('lego_ros.bundle.making.SHIPPED', Path('models', 'nothing'))
    assert shipped_bundle() is None
    assert default_bundle() == tiny_bundle()


@pytest.mark.parametrize('name', ARCHITECTURES)
@pytest.mark.parametrize(('content', 'code'), [
    ('{"model_type": "gpt2", "_class_name": "Other"}', ErrorCode.BUNDLE_MISMATCH),
    ('{}', ErrorCode.BUNDLE_MISMATCH), ('[]', ErrorCode.BUNDLE_MISMATCH),
    ('{', ErrorCode.BUNDLE_INVALID), (None, ErrorCode.BUNDLE_INVALID)])
def test_network_of_another_kind(tmp_path, name, content, code):
    for other, (key, kind) in ARCHITECTURES.items():
        (tmp_path / other).mkdir()
        (tmp_path / other / 'config.json').write_text(json.dumps({key: kind}))
    check_architectures(tmp_path)
    path = tmp_path / name / 'config.json'
    path.unlink()
    if content is not None:
        path.write_text(content)
    with pytest.raises(LegoError, match=name) as caught:
        check_architectures(tmp_path)
    assert caught.value.code == code
