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

"""``lego-ros bundle``."""

import shutil

from lego_ros.bundle.manifest import MANIFEST_NAME, read_manifest
from lego_ros.cli import main
import pytest


@pytest.fixture
def copied(tmp_path, tiny_bundle):
    folder = tmp_path / 'copied'
    shutil.copytree(tiny_bundle, folder)
    return folder


def test_make(tmp_path, capsys, tiny_bundle):
    folder = tmp_path / 'new'
    assert main(['bundle', 'make', '--size', 'tiny', '--seed', '1', '--out', str(folder)]) == 0
    out, _ = capsys.readouterr()
    assert 'untrained' in out
    # Weight by weight the one that the fixture made with this seed.
    assert read_manifest(folder)[0].files == read_manifest(tiny_bundle)[0].files

    assert main(['bundle', 'make', '--out', str(folder)]) == 2
    assert capsys.readouterr().err.startswith('BUNDLE_INVALID: ')


def test_make_where_nothing_can_be_written(tmp_path, capsys):
    (tmp_path / 'file').write_text('')
    assert main(['bundle', 'make', '--out', str(tmp_path / 'file' / 'bundle')]) == 2
    assert capsys.readouterr().err.startswith('BUNDLE_INVALID: ')


def test_verify(capsys, tiny_bundle):
    assert main(['bundle', 'verify', str(tiny_bundle)]) == 0
    out, err = capsys.readouterr()
    manifest, digest = read_manifest(tiny_bundle)
    assert out.count('\n') == 1
    assert f'{len(manifest.files)} files' in out
    assert digest in out
    # The bar is for terminals.
    assert err == ''


def flip(folder):
    path = folder / 'unet' / 'diffusion_pytorch_model.safetensors'
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


def truncate(folder):
    path = folder / 'vae' / 'diffusion_pytorch_model.safetensors'
    path.write_bytes(path.read_bytes()[:-1])


def add_pickle(folder):
    (folder / 'unet' / 'weights.bin').write_bytes(b'\x80\x04.')


def another_format(folder):
    path = folder / MANIFEST_NAME
    path.write_text(path.read_text().replace('format: 1', 'format: 99'))


@pytest.mark.parametrize(('damage', 'code'), [
    (flip, 'BUNDLE_TAMPERED'),
    (truncate, 'BUNDLE_INVALID'),
    (add_pickle, 'BUNDLE_UNSAFE'),
    (another_format, 'BUNDLE_MISMATCH'),
    (shutil.rmtree, 'BUNDLE_NOT_FOUND'),
])
def test_verify_finds_the_damage(capsys, copied, damage, code):
    damage(copied)
    assert main(['bundle', 'verify', str(copied)]) == 2
    out, err = capsys.readouterr()
    assert out == ''
    assert err.startswith(f'{code}: ')


def test_info(capsys, tiny_bundle):
    assert main(['bundle', 'info', str(tiny_bundle)]) == 0
    rows = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    manifest, digest = read_manifest(tiny_bundle)
    assert rows['SHA-256'] == digest
    assert rows['licence'] == manifest.license
    assert rows['trained'].startswith('no')
    assert rows['image'] == f'tokens M      {manifest.image_tokens}'
    assert rows['text'] == f'tokens N       {manifest.text_tokens}'
    size = sum(path.stat().st_size for path in tiny_bundle.rglob('*.safetensors'))
    assert rows['parameters'] == f'{size / 1e6:.1f} MB of safetensors'


def test_info_shows_no_escape_sequences(capsys, copied):
    path = copied / MANIFEST_NAME
    path.write_text(path.read_text().replace('license: Apache-2.0', r'license: "\e[31mred"'))
    assert main(['bundle', 'info', str(copied)]) == 0
    out = capsys.readouterr().out
    assert '\x1b' not in out
    assert '[31mred' in out
