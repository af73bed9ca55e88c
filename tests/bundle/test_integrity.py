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

"""Whether anything that does not belong into a bundle gets past its check."""

from __future__ import annotations

import os
import pickle
import shutil

from lego_ros.bundle.integrity import MAX_FILES, PICKLE_SUFFIXES, verify
from lego_ros.bundle.manifest import MANIFEST_NAME
from lego_ros.errors import ErrorCode, LegoError
from lego_ros.files import sha256_of
import pytest
import yaml


def refused(bundle, code, *words):
    with pytest.raises(LegoError) as caught:
        verify(bundle)
    assert caught.value.code == code, caught.value
    assert all(word in caught.value.message for word in words), caught.value
    assert 'bundle' in caught.value.message


def edit(bundle, change):
    content = yaml.safe_load((bundle / MANIFEST_NAME).read_text())
    change(content)
    (bundle / MANIFEST_NAME).write_text(yaml.safe_dump(content))


def test_good_bundle(bundle):
    seen = []
    manifest, digest = verify(bundle, lambda done, total: seen.append((done, total)))
    assert manifest.name == 'small'
    assert digest == sha256_of(bundle / MANIFEST_NAME)
    total = sum(entry.size for entry in manifest.files.values())
    assert seen[-1] == (total, total)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)


def test_progress_can_stop_it(bundle):
    """Hashing gigabytes ends when the node shuts down."""
    def stop(done, total):
        raise LegoError(ErrorCode.NOT_ACTIVE, 'the node shuts down')
    with pytest.raises(LegoError, match='shuts down'):
        verify(bundle, stop)


def test_no_folder(tmp_path):
    refused(tmp_path / 'bundle', ErrorCode.BUNDLE_NOT_FOUND, 'no folder')


def test_file_instead_of_a_folder(tmp_path):
    (tmp_path / 'bundle').write_text('')
    refused(tmp_path / 'bundle', ErrorCode.BUNDLE_NOT_FOUND)


def test_no_manifest(bundle):
    (bundle / MANIFEST_NAME).unlink()
    refused(bundle, ErrorCode.BUNDLE_NOT_FOUND, MANIFEST_NAME)


@pytest.mark.parametrize('position', [0, 1000, 2047])
def test_one_changed_bit(bundle, position):
    path = bundle / 'unet' / 'weights.safetensors'
    data = bytearray(path.read_bytes())
    data[position] ^= 1
    path.write_bytes(data)
    refused(bundle, ErrorCode.BUNDLE_TAMPERED, 'weights.safetensors', 'SHA-256')


@pytest.mark.parametrize(('size', 'word'), [(2047, 'truncated'), (0, 'truncated'),
                                            (2049, 'another file')])
def test_other_length(bundle, size, word):
    os.truncate(bundle / 'unet' / 'weights.safetensors', size)
    refused(bundle, ErrorCode.BUNDLE_INVALID, 'weights.safetensors', str(size), '2048', word)


def test_missing_file(bundle):
    (bundle / 'unet' / 'config.json').unlink()
    refused(bundle, ErrorCode.BUNDLE_INVALID, 'unet/config.json', 'missing')


def test_folder_instead_of_a_file(bundle):
    (bundle / 'unet' / 'config.json').unlink()
    (bundle / 'unet' / 'config.json').mkdir()
    refused(bundle, ErrorCode.BUNDLE_INVALID, 'unet/config.json', 'missing')


def test_unlisted_file(bundle):
    (bundle / 'unet' / 'extra.json').write_text('{}')
    refused(bundle, ErrorCode.BUNDLE_INVALID, 'unet/extra.json', 'does not list')


@pytest.mark.parametrize('suffix', [*sorted(PICKLE_SUFFIXES), '.PT'])
def test_pickle(bundle, suffix):
    (bundle / 'unet' / f'weights{suffix}').write_bytes(pickle.dumps({'a': 1}))
    refused(bundle, ErrorCode.BUNDLE_UNSAFE, f'weights{suffix}', 'pickle', 'safetensors')


def test_listed_pickle(bundle):
    """That the manifest vouches for it does not help."""
    path = bundle / 'unet' / 'weights.bin'
    path.write_bytes(b'x')
    edit(bundle, lambda content: content['files'].update(
        {'unet/weights.bin': {'size': 1, 'sha256': sha256_of(path)}}))
    refused(bundle, ErrorCode.BUNDLE_UNSAFE, 'unet/weights.bin', 'pickle')


@pytest.mark.parametrize('name', ['model.py', 'lib.so', 'run.sh', 'noname'])
def test_what_has_no_place(bundle, name):
    (bundle / name).write_text('')
    refused(bundle, ErrorCode.BUNDLE_UNSAFE, name, 'no place')


@pytest.mark.parametrize('target', ['file', 'folder', 'nothing'])
def test_link(bundle, tmp_path, target):
    outside = tmp_path / 'outside'
    if target == 'file':
        outside.write_text('{}')
    elif target == 'folder':
        outside.mkdir()
    (bundle / 'link.json').symlink_to(outside)
    refused(bundle, ErrorCode.BUNDLE_UNSAFE, 'link.json', 'link')


def test_link_in_place_of_a_listed_file(bundle, tmp_path):
    path = bundle / 'unet' / 'config.json'
    shutil.move(path, tmp_path / 'config.json')
    path.symlink_to(tmp_path / 'config.json')
    refused(bundle, ErrorCode.BUNDLE_UNSAFE, 'unet/config.json', 'link')


@pytest.mark.parametrize('name', ['../secret.json', '/etc/hosts.txt', 'unet/../../secret.json',
                                  '..\\secret.json', ''])
def test_path_that_leads_out(bundle, name):
    (bundle.parent / 'secret.json').write_text('{}')
    entry = {'size': 2, 'sha256': sha256_of(bundle.parent / 'secret.json')}
    edit(bundle, lambda content: content['files'].update({name: entry}))
    refused(bundle, ErrorCode.BUNDLE_UNSAFE, 'leads out')


def test_too_many_files(bundle):
    for number in range(MAX_FILES + 1):
        (bundle / f'{number}.json').touch()
    refused(bundle, ErrorCode.BUNDLE_INVALID, str(MAX_FILES))
