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

"""bundle.yaml: what it says, and what it may not say."""

from __future__ import annotations

from lego_ros.bundle.manifest import MANIFEST_NAME, MAX_MANIFEST_BYTES, read_manifest
from lego_ros.errors import ErrorCode, LegoError
from lego_ros.files import sha256_of
import pytest
import yaml


def refused(bundle, *words, code=ErrorCode.BUNDLE_INVALID):
    with pytest.raises(LegoError) as caught:
        read_manifest(bundle)
    assert caught.value.code == code, caught.value
    assert all(word in caught.value.message for word in words), caught.value
    assert MANIFEST_NAME in caught.value.message


def change(bundle, **changes):
    content = yaml.safe_load((bundle / MANIFEST_NAME).read_text())
    (bundle / MANIFEST_NAME).write_text(yaml.safe_dump({**content, **changes}))


def test_saved_and_read_again(bundle):
    manifest, digest = read_manifest(bundle)
    assert digest == sha256_of(bundle / MANIFEST_NAME)
    manifest.save(bundle)
    assert read_manifest(bundle) == (manifest, digest)


def test_whole_numbers_are_numbers(bundle):
    change(bundle, image_scale=2)
    scale = read_manifest(bundle)[0].image_scale
    assert (scale, type(scale)) == (2., float)


@pytest.mark.parametrize('text', [
    'a: [', '\x00', '!!python/object/apply:os.system ["true"]', '[' * 5000, 'a: !!binary x'])
def test_not_yaml(bundle, text):
    (bundle / MANIFEST_NAME).write_text(text)
    refused(bundle, 'not YAML')


def test_not_utf8(bundle):
    (bundle / MANIFEST_NAME).write_bytes(b'name: \xff\xfe')
    refused(bundle, 'not YAML')


@pytest.mark.parametrize('text', ['', '- a', '42', 'just text'])
def test_not_a_mapping(bundle, text):
    (bundle / MANIFEST_NAME).write_text(text)
    refused(bundle, 'mapping')


def test_oversized(bundle):
    with (bundle / MANIFEST_NAME).open('a') as file:
        file.write('#' * MAX_MANIFEST_BYTES)
    refused(bundle, 'larger than')


@pytest.mark.parametrize('found', [0, 2, '1', None])
def test_other_format(bundle, found):
    change(bundle, format=found)
    refused(bundle, repr(found), 'format 1', code=ErrorCode.BUNDLE_MISMATCH)


def test_missing_and_unknown_keys(bundle):
    content = yaml.safe_load((bundle / MANIFEST_NAME).read_text())
    del content['view']
    content['extra'] = 1
    (bundle / MANIFEST_NAME).write_text(yaml.safe_dump(content))
    refused(bundle, "'view'", "'extra'")


def test_keys_of_several_types(bundle):
    with (bundle / MANIFEST_NAME).open('a') as file:
        file.write('1: a\nnull: b\n2.5: c\n')
    refused(bundle, 'unknown keys', "'1'")


@pytest.mark.parametrize('key', ['name', 'format', 'files', 'steps'])
def test_references_that_would_be_endless_when_written_out(bundle, key):
    change(bundle)
    lines = ['a0: &a0 [x, x, x, x, x, x, x, x, x]']
    lines += [f'a{n}: &a{n} [{", ".join([f"*a{n - 1}"] * 9)}]' for n in range(1, 12)]
    content = (bundle / MANIFEST_NAME).read_text().replace(f'{key}:', f'old_{key}:', 1)
    (bundle / MANIFEST_NAME).write_text('\n'.join(lines) + f'\n{key}: *a11\n' + content)
    code = ErrorCode.BUNDLE_MISMATCH if key == 'format' else ErrorCode.BUNDLE_INVALID
    refused(bundle, code=code)


@pytest.mark.parametrize('key', ['name', 'training_data'])
def test_references_as_a_value(bundle, key):
    """All keys are known here: the value itself is looked at."""
    content = yaml.safe_load((bundle / MANIFEST_NAME).read_text())
    value: object = 'x'
    for _ in range(12):
        value = [value] * 9
    content[key] = value
    (bundle / MANIFEST_NAME).write_text(yaml.safe_dump(content))
    assert (bundle / MANIFEST_NAME).stat().st_size < 10_000
    refused(bundle, key, 'list')


@pytest.mark.parametrize(('key', 'value'), [
    ('name', 5), ('trained', 'yes'), ('trained', 1), ('steps', '100'), ('steps', 1.5),
    ('steps', True), ('image_scale', '1.5'), ('image_scale', None), ('resolution', None)])
def test_wrong_type(bundle, key, value):
    change(bundle, **{key: value})
    refused(bundle, key, 'type', repr(value))


@pytest.mark.parametrize(('key', 'value'), [
    ('name', ''), ('name', '../up'), ('name', 'x' * 129), ('view', 'sideways'),
    ('resolution', 7), ('resolution', 4097), ('steps', 0), ('steps', 1001), ('image_tokens', 0),
    ('image_scale', -1.), ('text_scale', 50.5), ('text_scale', float('nan')),
    ('text_scale', float('inf'))])
def test_out_of_range(bundle, key, value):
    change(bundle, **{key: value})
    refused(bundle, key)


GOOD = {'size': 1, 'sha256': '0' * 64}


@pytest.mark.parametrize('files', [
    {}, [], 'all', None, {'a.json': None}, {'a.json': {'size': 1}},
    {'a.json': {**GOOD, 'more': 1}}, {'a.json': {**GOOD, 'size': -1}},
    {'a.json': {**GOOD, 'size': '1'}}, {'a.json': {**GOOD, 'size': True}},
    {'a.json': {**GOOD, 'sha256': 'short'}}, {'a.json': {**GOOD, 'sha256': 'G' * 64}}])
def test_bad_list_of_files(bundle, files):
    change(bundle, files=files)
    refused(bundle, 'file')


@pytest.mark.parametrize(('key', 'limit'), [
    ('version', 32), ('training_data', 1024)])
def test_longer_than_the_message_that_carries_it(bundle, key, limit):
    """The strings of EngineInfo are bounded."""
    change(bundle, **{key: 'x' * limit})
    assert getattr(read_manifest(bundle)[0], key) == 'x' * limit
    change(bundle, **{key: 'x' * (limit + 1)})
    refused(bundle, key, str(limit))
