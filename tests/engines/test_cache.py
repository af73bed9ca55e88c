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

"""The store of built engines: what is put in comes out unharmed, or not at all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
import errno
import json
import multiprocessing
from multiprocessing.synchronize import Barrier, Event
import os
from pathlib import Path
import signal

from lego_ros.engines import cache as cache_module
from lego_ros.engines.cache import default_folder, EngineCache
from lego_ros.engines.cache_record import Entry, Key, read_entry
from lego_ros.engines.description import Description
from lego_ros.engines.engine import Range, TensorSpec
from lego_ros.errors import ErrorCode, LegoError
import pytest
import torch

DESCRIPTION = Description(
    'unet', 'bfloat16', '1.0.0', (TensorSpec('sample', torch.float32, ('batch', 8, 4, 4)),),
    (TensorSpec('noise', torch.float32, ('batch', 4, 4, 4)),), {'batch': Range(1, 2, 3)})
KEY = Key(DESCRIPTION, 'ab' * 32, 'tensorrt_rtx', '1.7.1', ('12.0', '8.6'))
CONTENT = bytes(range(256)) * 40


def fill(key: Key = KEY, content: bytes = CONTENT) -> Callable[[Path], Key]:
    def make(folder: Path) -> Key:
        (folder / 'unet.engine').write_bytes(content)
        return key
    return make


def leftovers(cache: EngineCache) -> list[Path]:
    """List all in the cache's folder but its entries and its one lock."""
    return [path for path in cache.folder.rglob('*')
            if path.is_file() and path.parts[-2] not in ('index',)
            and path.parent.parent != cache.folder / 'entries'
            and path != cache.folder / 'parts' / 'lock']


@pytest.fixture
def cache(tmp_path: Path) -> EngineCache:
    return EngineCache(tmp_path / 'engines')


@pytest.fixture
def entry(cache: EngineCache) -> Entry:
    return cache.put(fill())


def code_of(call: Callable[[], object]) -> ErrorCode:
    with pytest.raises(LegoError) as caught:
        call()
    # Whatever is wrong, the message says what to do about it.
    assert 'lego-ros engine' in caught.value.message
    return caught.value.code


def test_what_is_put_in_comes_out(cache: EngineCache, entry: Entry) -> None:
    found = cache.get(KEY)
    assert found == replace(entry, build_seconds=found.build_seconds)
    assert found.key == KEY
    assert found.file('.engine') == 'unet.engine'
    assert cache.read(found, 'unet.engine') == CONTENT
    assert found.size == len(CONTENT)
    assert found.build_seconds >= 0
    assert found.created.endswith('+00:00')
    assert leftovers(cache) == []


def test_a_miss_says_what_to_do(cache: EngineCache) -> None:
    assert code_of(lambda: cache.get(KEY)) == ErrorCode.BUNDLE_NOT_FOUND
    cache.put(fill(replace(KEY, onnx_sha256='cd' * 32)))
    # Other weights: of another bundle, which may well be in use.
    assert code_of(lambda: cache.get(KEY)) == ErrorCode.BUNDLE_NOT_FOUND


@pytest.mark.usefixtures('entry')
def test_one_of_the_architectures_that_it_was_built_for_is_enough(cache: EngineCache) -> None:
    for architectures in [('8.6',), ('12.0',), ('12.0', '8.6')]:
        assert cache.get(replace(KEY, architectures=architectures)).key == KEY


@pytest.mark.parametrize(('change', 'named'), [
    ({'version': '1.8.0'}, r'1\.8\.0.*1\.7\.1'),
    ({'architectures': ('8.9',)}, r'on 8\.9.*on 12\.0, 8\.6'),
    ({'architectures': ('8.6', '8.9')}, 'does not run here'),
])
@pytest.mark.usefixtures('entry')
def test_a_foreign_entry_is_named_and_not_given(
    cache: EngineCache, change: dict, named: str,
) -> None:
    with pytest.raises(LegoError, match=named) as caught:
        cache.get(replace(KEY, **change))
    assert caught.value.code == ErrorCode.BUNDLE_MISMATCH


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize('damage', [
    flip,
    lambda path: os.truncate(path, path.stat().st_size - 1),
    lambda path: os.truncate(path, path.stat().st_size + 1),
    lambda path: path.unlink(),
    lambda path: path.with_name('more').write_bytes(b''),
    lambda path: path.rename(path.with_name('other.engine')),
    lambda path: (path.rename(path.parents[3] / 'moved'),
                  path.symlink_to(path.parents[3] / 'moved')),
], ids=['flipped', 'cut', 'longer', 'gone', 'more', 'renamed', 'link'])
def test_damage_is_found_before_anything_is_given(
    cache: EngineCache, entry: Entry, damage: Callable[[Path], object],
) -> None:
    damage(entry.folder / 'unet.engine')
    assert code_of(lambda: cache.get(KEY)) == ErrorCode.BUNDLE_TAMPERED
    if not (entry.folder / 'more').exists():
        assert code_of(lambda: cache.read(entry, 'unet.engine')) == ErrorCode.BUNDLE_TAMPERED
    # And building it again repairs it.
    cache.put(fill())
    assert cache.read(cache.get(KEY), 'unet.engine') == CONTENT
    assert leftovers(cache) == []


def test_a_renamed_folder_is_foreign(cache: EngineCache, entry: Entry) -> None:
    other = replace(KEY, version='1.8.0')
    entry.folder.rename(entry.folder.with_name(other.folder_name))
    assert code_of(lambda: cache.get(other)) == ErrorCode.BUNDLE_MISMATCH


def change_record(entry: Entry, change: Callable[[dict], object]) -> None:
    path = entry.folder / 'record.json'
    data = json.loads(path.read_text())
    change(data)
    path.write_text(json.dumps(data))


@pytest.mark.parametrize('name', [
    '../secret', '/etc/hostname', '..', '.', '', '.hidden', 'a/b', 'a\\b', 'record.json',
    'x' * 200, 'line\nbreak'])
def test_a_record_cannot_name_files_outside_its_folder(
    cache: EngineCache, entry: Entry, name: str,
) -> None:
    (entry.folder.parent / 'secret').write_bytes(CONTENT)
    change_record(entry, lambda data: data['files'].update({name: data['files']['unet.engine']}))
    assert code_of(lambda: cache.get(KEY)) == ErrorCode.BUNDLE_INVALID


@pytest.mark.parametrize('change', [
    lambda data: data.clear(),
    lambda data: data.pop('key'),
    lambda data: data.update(files=[]),
    lambda data: data.update(files={}),
    lambda data: data.update(files={f'f{i}': data['files']['unet.engine'] for i in range(65)}),
    lambda data: data['files'].update(other={'size': -1, 'sha256': '0' * 64}),
    lambda data: data['files'].update(other={'size': True, 'sha256': '0' * 64}),
    lambda data: data['files'].update(other={'size': 1, 'sha256': '0'}),
    lambda data: data['files'].update(other=3),
    lambda data: data.update(build_seconds=float('nan')),
    lambda data: data.update(created=3),
    lambda data: data['key'].update(architectures=['8.6', '12.0']),
    lambda data: data['key'].update(architectures=[3]),
    lambda data: data['key'].update(backend='../x'),
    lambda data: data['key'].update(onnx_sha256='ab'),
    lambda data: data['key'].update(description=None),
    lambda data: data['key']['description']['inputs'][0].update(dtype='complex'),
])
def test_a_record_that_makes_no_sense_is_refused(
    cache: EngineCache, entry: Entry, change: Callable[[dict], object],
) -> None:
    change_record(entry, change)
    assert code_of(lambda: cache.get(KEY)) == ErrorCode.BUNDLE_INVALID
    assert cache.entries()[0] == []
    assert len(cache.entries()[1]) == 1


@pytest.mark.parametrize('text', [
    '', 'no json', '[]', 'null', '[' * 100_000, '"\\ud800"', ' ' * (1 << 20) + '{}'])
def test_a_record_of_any_bytes_is_refused(cache: EngineCache, entry: Entry, text: str) -> None:
    (entry.folder / 'record.json').write_text(text)
    assert code_of(lambda: cache.get(KEY)) == ErrorCode.BUNDLE_INVALID


@pytest.mark.parametrize('change', [
    lambda data: data.update(format=2),
    lambda data: data['key'].update(version='1.8.0'),
    lambda data: data['key']['description']['sizes'].update(batch=[1, 1, 3]),
])
def test_a_record_of_something_else_is_foreign(
    cache: EngineCache, entry: Entry, change: Callable[[dict], object],
) -> None:
    change_record(entry, change)
    assert code_of(lambda: cache.get(KEY)) == ErrorCode.BUNDLE_MISMATCH


def test_every_part_of_the_key_counts() -> None:
    changed = [
        replace(KEY, description=replace(DESCRIPTION, name='vae')),
        replace(KEY, description=replace(DESCRIPTION, number_format='float16')),
        replace(KEY, description=replace(DESCRIPTION, version='1.0.1')),
        replace(KEY, description=replace(DESCRIPTION, inputs=DESCRIPTION.outputs)),
        replace(KEY, description=replace(DESCRIPTION, outputs=DESCRIPTION.inputs)),
        replace(KEY, description=replace(DESCRIPTION, sizes={'batch': Range(1, 2, 4)})),
        replace(KEY, onnx_sha256='cd' * 32), replace(KEY, backend='tensorrt'),
        replace(KEY, version='1.7.2'), replace(KEY, architectures=('8.6',))]
    assert len({key.folder_name for key in [KEY, *changed]}) == len(changed) + 1
    assert all(len(key.folder_name) < 255 for key in changed)


def test_a_build_that_fails_leaves_nothing(cache: EngineCache) -> None:
    def stop(folder: Path) -> Key:
        (folder / 'unet.engine').write_bytes(CONTENT)
        raise KeyboardInterrupt
    with pytest.raises(KeyboardInterrupt):
        cache.put(stop)
    assert cache.entries() == ([], [])
    assert leftovers(cache) == []


@pytest.mark.parametrize('step', ['write', 'fsync', 'rename'])
def test_a_full_disk_is_said_and_leaves_nothing(
    cache: EngineCache, monkeypatch: pytest.MonkeyPatch, step: str,
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def make(folder: Path) -> Key:
        if step == 'write':
            full()
        return fill()(folder)
    if step != 'write':
        monkeypatch.setattr(cache_module.os, step, full)
    with pytest.raises(LegoError, match=r'No space left on device.*Make room') as caught:
        cache.put(make)
    assert caught.value.code == ErrorCode.RECORDING_FAILED
    assert cache.entries() == ([], [])
    assert leftovers(cache) == []


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / 'engines').write_text('a file')
    with pytest.raises(LegoError, match='cannot be written') as caught:
        EngineCache(tmp_path / 'engines').put(fill())
    assert caught.value.code == ErrorCode.RECORDING_FAILED


def put_many(folder: str, barrier: Barrier, number: int) -> None:
    barrier.wait(60)
    cache = EngineCache(Path(folder))
    for index in range(20):
        # Different bytes under one key, as builds give: one of them wins, whole.
        content = bytes([number]) * 100_000
        key = replace(KEY, version=str(index))
        entry = cache.put(fill(key, content))
        assert len(set(cache.read(entry, 'unet.engine'))) == 1
        cache.verify(entry)


def test_two_processes_at_once_are_safe(cache: EngineCache) -> None:
    context = multiprocessing.get_context('spawn')
    barrier = context.Barrier(2)
    workers = [context.Process(target=put_many, args=(str(cache.folder), barrier, number))
               for number in (1, 2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(120)
        assert worker.exitcode == 0
    found, problems = cache.entries()
    assert (len(found), problems) == (20, [])
    for entry in found:
        cache.verify(entry)
    assert leftovers(cache) == []


def put_and_hang(folder: str, started: Event) -> None:
    def make(part: Path) -> Key:
        (part / 'unet.engine').write_bytes(CONTENT)
        started.set()
        signal.pause()
        return KEY
    EngineCache(Path(folder)).put(make)


def test_what_a_killed_process_left_is_removed_but_not_that_of_a_living_one(
    cache: EngineCache,
) -> None:
    context = multiprocessing.get_context('spawn')
    started = context.Event()
    worker = context.Process(target=put_and_hang, args=(str(cache.folder), started))
    worker.start()
    assert started.wait(60)
    cache.put(fill(replace(KEY, version='other')))
    assert len([path for path in leftovers(cache) if path.name == 'unet.engine']) == 1
    worker.kill()
    worker.join(60)
    cache.prune(lambda entry: True)
    assert leftovers(cache) == []
    assert [entry.key.version for entry in cache.entries()[0]] == ['other']


def test_prune_removes_what_is_not_kept_and_what_is_broken(
    cache: EngineCache, entry: Entry,
) -> None:
    broken = cache.put(fill(replace(KEY, version='2')))
    (broken.folder / 'record.json').unlink()
    kept = cache.put(fill(replace(KEY, version='3')))
    gone = cache.prune(lambda each: each.key.version == '3')
    assert sorted(gone) == sorted([entry.folder, broken.folder])
    assert cache.entries() == ([read_entry(kept.folder)], [])
    cache.get(kept.key)
    assert leftovers(cache) == []


def test_an_empty_cache_has_nothing_to_list_or_prune(tmp_path: Path) -> None:
    cache = EngineCache(tmp_path / 'none')
    assert cache.entries() == ([], [])
    assert cache.prune(lambda entry: False) == []
    assert not cache.folder.exists()


def test_the_folder_is_where_the_desktop_keeps_its_caches(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path,
) -> None:
    monkeypatch.setenv('HOME', str(tmp_path))
    monkeypatch.setenv('XDG_CACHE_HOME', '/some/where')
    assert default_folder() == Path('/some/where/lego_ros/engines')
    for value in ('', 'not/absolute'):
        monkeypatch.setenv('XDG_CACHE_HOME', value)
        assert default_folder() == tmp_path / '.cache/lego_ros/engines'
