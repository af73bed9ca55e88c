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

"""``lego-ros sim generate``: the same bytes however it is run, and clear words for bad input."""

import json
import signal

import av
from lego_ros.errors import ErrorCode, LegoError
from lego_ros.training.export import generate as module
from lego_ros.training.export.settings import ExportSettings
import numpy as np
import pytest


@pytest.mark.parametrize(('form', 'pattern'), [
    # In the middle of the first video, and after the first episode.
    ('ego4d', '.*.mp4.part'), ('pairs', '.parts/1*.json')])
def test_killed_and_taken_up_again_gives_the_same_bytes(exports, command, tmp_path, form,
                                                        pattern):
    status, *_ = command.break_off(tmp_path / 'a', form, pattern, signal.SIGKILL, workers=1)
    assert status == -signal.SIGKILL
    assert not (tmp_path / 'a/generate.json').exists()
    command.run(tmp_path / 'a', form, workers=1)
    # The fixture's were made by two processes without a break.
    for path in sorted((exports / form).rglob('*.mp4')):
        again = _frames(tmp_path / 'a' / path.relative_to(exports / form))
        assert _unlike(_frames(path), again) == [], 'frames of a video differ'
    assert command.contents(tmp_path / 'a') == command.contents(exports / form)


def _frames(path):
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format='rgb24') for frame in container.decode(video=0)]


def _unlike(one, other):
    """Tell at which frames two videos differ, and by how much."""
    return [(number, int(np.abs(a.astype(int) - b).max()), int((a != b).any(-1).sum()))
            for number, (a, b) in enumerate(zip(one, other, strict=True)) if (a != b).any()]


def test_interrupted_it_ends_in_order(command, tmp_path):
    status, _, errors = command.break_off(
        tmp_path / 'a', 'epic', '.*.MP4.part', signal.SIGINT, episodes=8)
    assert status == 130
    assert 'Traceback' not in errors
    assert 'goes on' in errors
    assert not (tmp_path / 'a/generate.json').exists()
    for path in (tmp_path / 'a').rglob('*.MP4'):
        with av.open(str(path)) as container:
            assert sum(1 for _ in container.decode(video=0)) == container.streams.video[0].frames
    assert not list((tmp_path / 'a').rglob('truth.jsonl'))


def test_a_finished_export_is_left_alone(exports, command):
    before = {path: path.stat().st_mtime_ns for path in exports.joinpath('pairs').rglob('*')}
    done = command.run(exports / 'pairs', 'pairs')
    assert '2 episodes' in done.stdout
    assert before == {path: path.stat().st_mtime_ns
                      for path in exports.joinpath('pairs').rglob('*')}


@pytest.mark.parametrize('more', [{'seed': 5}, {'episodes': 3}])
def test_other_settings_are_refused(exports, command, more):
    done = command.run(exports / 'pairs', 'pairs', status=2, **more)
    assert 'other settings' in done.stderr


def test_a_changed_export_is_told(exports, command, tmp_path):
    import shutil

    shutil.copytree(exports / 'pairs', tmp_path / 'a')
    with open(tmp_path / 'a/truth.jsonl', 'ab') as file:
        file.write(b'{}\n')
    done = command.run(tmp_path / 'a', 'pairs', status=2)
    assert 'truth.jsonl' in done.stderr
    assert 'changed' in done.stderr


def test_bad_folders_are_refused(tmp_path, monkeypatch):
    def generate(folder):
        return module.generate(
            ExportSettings('pairs', 1), folder, 1, None, lambda progress: None)

    (tmp_path / 'a').mkdir()
    (tmp_path / 'a/letter.txt').write_text('mine')
    with pytest.raises(LegoError, match='holds other files') as caught:
        generate(tmp_path / 'a')
    assert caught.value.code is ErrorCode.INVALID_SETTING
    with pytest.raises(LegoError, match='is a file'):
        generate(tmp_path / 'a/letter.txt')
    monkeypatch.setattr(module.shutil, 'disk_usage',
                        lambda path: type('Usage', (), {'free': 1 << 20}))
    with pytest.raises(LegoError, match='GB are needed'):
        generate(tmp_path / 'b')
    assert not (tmp_path / 'b').exists()


def test_two_at_once_in_one_folder_are_refused(tmp_path):
    from lego_ros.training.export.parts import PartStore

    plan = ExportSettings('pairs', 1).plan()
    store = PartStore(tmp_path / 'a', plan, range(1))
    with pytest.raises(LegoError, match='being written'):
        PartStore(tmp_path / 'a', plan, range(1))
    store.close()
    PartStore(tmp_path / 'a', plan, range(1)).close()


@pytest.mark.parametrize('values', [
    {'format': 'epic', 'episodes': 10_001}, {'format': 'ego4d', 'episodes': 1, 'size': 65},
    {'format': 'ego4d', 'episodes': 1, 'media': 'frames'}, {'format': 'kitti', 'episodes': 1},
    {'format': 'pairs', 'episodes': 0}, {'format': 'pairs', 'episodes': 1, 'seed': -1},
    {'format': 'pairs', 'episodes': 1, 'size': 32}])
def test_bad_settings_are_refused(values):
    with pytest.raises(LegoError) as caught:
        ExportSettings(**values)
    assert caught.value.code is ErrorCode.INVALID_SETTING


@pytest.mark.parametrize('more', [('--episodes', '0'), ('--format', 'kitti'), ('--workers', '0'),
                                  ('--size', '63'), ('--seed', '-1')])
def test_bad_arguments_are_refused(more):
    from lego_ros.cli import main

    with pytest.raises(SystemExit) as caught:
        main(['sim', 'generate', '--episodes', '1', '--format', 'pairs', '--out', 'x', *more])
    assert caught.value.code == 2


def test_a_seed_without_a_scene_is_counted(tmp_path, monkeypatch):
    from lego_ros.training.export.parts import PartStore
    from lego_ros.training.export.truth_lines import TRUTH

    def nothing(seed):
        raise LegoError(ErrorCode.INVALID_SETTING, f'no scene came of seed {seed}')

    monkeypatch.setattr(module, 'sample_episode', nothing)
    settings = ExportSettings('pairs', 1, 7)
    made = module.make_episode(settings, tmp_path, 7)
    assert made.part.skipped.endswith('no scene came of seed 7')
    store = PartStore(tmp_path / 'a', settings.plan(), settings.seeds)
    store.add(made.part)
    store.write_joined(TRUTH, iter([]))
    summary = store.finish([TRUTH])
    store.close()
    assert summary['skipped'][0]['seed'] == 7
    assert json.loads((tmp_path / 'a/generate.json').read_text()) == summary
