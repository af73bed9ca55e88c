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

"""``lego-ros data``: prepared, killed, stopped, resumed, shown, counted."""

import csv
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time

import av
from lego_ros.cli import main
from lego_ros.training.data.epic import frame_number, LABEL_COLUMNS, TIME_COLUMNS
from lego_ros.training.data.manifest import read_manifest
import numpy as np
import pandas
from PIL import Image
import psutil
import pytest

COLUMNS = (*TIME_COLUMNS, *LABEL_COLUMNS)
SECONDS = 4
DEADLINE = 120.0


def write_video(path, seed, fps, seconds=SECONDS):
    """Write a scene that changes slowly, as a kitchen does."""
    rng = np.random.default_rng(seed)
    scene = np.kron(rng.integers(0, 255, (6, 12, 3)), np.ones((16, 16, 1))).astype(np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), 'w', format='mp4') as container:
        stream = container.add_stream('libx264', rate=fps, options={
            'preset': 'ultrafast', 'g': '250'})
        stream.width, stream.height, stream.pix_fmt = 96, 64, 'yuv420p'
        for index in range(seconds * fps):
            left = index * 24 // (seconds * fps)
            picture = np.ascontiguousarray(scene[16:80, left:left + 96])
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format='rgb24')))
        container.mux(stream.encode())


def row(video, number, start, stop, verb='take', noun='cup'):
    return {
        'narration_id': f'{video}_{number}', 'participant_id': video[:3], 'video_id': video,
        'narration_timestamp': '', 'start_timestamp': f'00:00:{start:05.2f}',
        'stop_timestamp': f'00:00:{stop:05.2f}',
        'start_frame': frame_number(float(f'{start:.2f}'), video),
        'stop_frame': frame_number(float(f'{stop:.2f}'), video), 'narration': f'{verb} {noun}',
        'verb': verb, 'verb_class': 0, 'noun': noun, 'noun_class': 13,
        'all_nouns': f"['{noun}']", 'all_noun_classes': '[13]'}


def write_csv(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, 'w', newline='') as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)


@pytest.fixture(scope='session')
def epic(tmp_path_factory):
    """
    Make a dataset as EPIC-KITCHENS' download tool leaves it, with a fault of each kind.

    Six videos of four pairs; a truncated video, a missing one, an action beyond the end, a
    malformed row, a wrong frame number.
    """
    folder = tmp_path_factory.mktemp('epic')
    rows = []
    for index in range(6):
        video = f'P{index:02d}_101'
        write_video(folder / f'P{index:02d}/videos/{video}.MP4', index, 50)
        rows += [row(video, number, 0.5 + number * 0.5, 1.5 + number * 0.5,
                     ('take', 'put')[number % 2], ('cup', 'spoon:slotted')[index % 2])
                 for number in range(4)]
    write_video(folder / 'P07/videos/P07_101.MP4', 7, 50)
    cut = folder / 'P07/videos/P07_101.MP4'
    cut.write_bytes(cut.read_bytes()[:2000])
    late = row('P00_101', 90, 40.0, 42.0)
    broken = row('P00_101', 91, 1.0, 2.0) | {'all_nouns': 'cup'}
    shifted = row('P00_101', 92, 1.0, 2.0) | {'start_frame': 51}
    write_csv(folder / 'EPIC_100_train.csv', [
        *rows[:16], late, broken, shifted, row('P07_101', 0, 1.0, 2.0),
        row('P08_101', 0, 1.0, 2.0)])
    write_csv(folder / 'EPIC_100_validation.csv', rows[16:])
    return folder


def command(folder, out, *more, form='epic'):
    return ('data', 'prepare', str(folder), '--format', form, '--out', str(out), *more)


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes()
            for path in sorted(folder.rglob('*')) if path.is_file() and path.name != '.lock'}


@pytest.fixture(scope='session')
def prepared(epic, tmp_path_factory):
    out = tmp_path_factory.mktemp('prepared') / 'out'
    assert main(command(epic, out, '--workers', '1')) == 0
    return out


def test_prepare(epic, tmp_path, capsys, prepared):
    assert main(command(epic, tmp_path / 'out', '--workers', '3')) == 0
    out, err = capsys.readouterr()
    assert '24 pairs of 27 actions' in out
    assert '5 problems' in out
    # The bar is for terminals.
    assert '%' not in err
    assert contents(tmp_path / 'out') == contents(prepared)
    frame = pandas.read_json(prepared / 'pairs.jsonl', lines=True)
    assert len(frame) == 24
    assert dict(frame.split.value_counts()) == {'train': 16, 'validation': 8}
    # The faults are in the list, with the file and the row.
    problems = [json.loads(line)
                for line in (prepared / 'pairs.problems.jsonl').read_text().splitlines()]
    found = {problem['reason']: (problem['file'], problem['row']) for problem in problems}
    assert found == {
        'malformed': (str(epic / 'EPIC_100_train.csv'), 'line 19'),
        'frame_rule': (str(epic / 'EPIC_100_train.csv'), 'line 20'),
        'out_of_video': ('P00/videos/P00_101.MP4', 'P00_101_90'),
        'truncated': ('P07/videos/P07_101.MP4', 'P07_101_0'),
        'missing_video': ('P08/videos/P08_101.MP4', 'P08_101_0')}
    # Nothing half-written is left, and nothing but the pictures that the manifest names.
    names = {picture.path for record in read_manifest(prepared / 'pairs.jsonl')
             for picture in (record.input, record.target)}
    assert set(contents(prepared)) == names | {
        'pairs.jsonl', 'pairs.problems.jsonl', 'pairs.summary.json'}


def parts(out):
    return [path for path in out.glob('pairs.parts/*.jsonl') if 'problems' not in path.name]


def until(condition, process):
    deadline = time.monotonic() + DEADLINE
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.001)


@pytest.mark.parametrize('after', [1, 4])
def test_killed_and_resumed_gives_the_same_bytes(epic, tmp_path, start, prepared, after):
    out = tmp_path / 'out'
    running = start(*command(epic, out, '--workers', '2')).process
    until(lambda: len(parts(out)) >= after, running)
    running.kill()
    running.communicate()
    assert not (out / 'pairs.summary.json').exists()
    status, told, err = start(*command(epic, out, '--workers', '2')).finish()
    assert status == 0
    assert int(err.split(' of 27 actions were done before')[0].split()[-1]) >= after
    assert '24 pairs of 27 actions' in told
    assert contents(out) == contents(prepared)


def test_interrupted_says_how_to_go_on(epic, tmp_path, start, prepared):
    out = tmp_path / 'out'
    running = start(*command(epic, out, '--workers', '1'))
    until(lambda: parts(out), running.process)
    running.interrupt()
    status, _, err = running.finish()
    assert status == 130
    assert 'the same command goes on' in err
    assert 'Traceback' not in err
    assert not (out / 'pairs.jsonl').exists()
    status, _, err = start(*command(epic, out, '--workers', '1')).finish()
    assert status == 0
    assert 'actions were done before' in err
    assert contents(out) == contents(prepared)


def test_no_second_process_in_the_same_folder(epic, tmp_path, start):
    out = tmp_path / 'out'
    running = start(*command(epic, out, '--workers', '1'))
    until(lambda: (out / 'pairs.parts' / 'plan.json').exists(), running.process)
    running.process.send_signal(signal.SIGSTOP)
    try:
        status, _, err = start(*command(epic, out)).finish()
    finally:
        running.process.send_signal(signal.SIGCONT)
    assert status == 2
    assert 'another process is preparing data in it' in err
    assert running.finish()[0] == 0


def test_a_worker_that_is_killed_is_named(epic, tmp_path, start):
    out = tmp_path / 'out'
    running = start(*command(epic, out, '--workers', '1'))

    def worker():
        return [child.pid for child in psutil.Process(running.process.pid).children()
                if 'spawn_main' in ' '.join(child.cmdline())]
    until(worker, running.process)
    os.kill(worker()[0], signal.SIGKILL)
    status, _, err = running.finish()
    assert status == 2
    assert 'P00_101' in err
    assert 'status -9' in err


def test_a_finished_folder_is_left_alone(epic, tmp_path, prepared, capsys):
    out = tmp_path / 'out'
    shutil.copytree(prepared, out)
    times = {path: path.stat().st_mtime_ns for path in out.rglob('*.jpg')}
    assert main(command(epic, out)) == 0
    assert {path: path.stat().st_mtime_ns for path in out.rglob('*.jpg')} == times
    assert '24 pairs' in capsys.readouterr().out


@pytest.mark.parametrize('more', [
    ('--neighbours', '2'), ('--size', '128'), ('--shape', 'native'),
    ('--similarity', '0.1', '0.9')])
def test_other_settings_need_another_folder(epic, tmp_path, prepared, capsys, more):
    out = tmp_path / 'out'
    shutil.copytree(prepared, out)
    assert main(command(epic, out, *more)) == 2
    assert 'other settings' in capsys.readouterr().err
    assert contents(out) == contents(prepared)


def test_a_video_that_came_later_needs_another_folder(epic, tmp_path, prepared, capsys):
    folder, out = tmp_path / 'epic', tmp_path / 'out'
    shutil.copytree(epic, folder)
    shutil.copytree(prepared, out)
    assert main(command(folder, out)) == 0
    write_video(folder / 'P08/videos/P08_101.MP4', 8, 50)
    assert main(command(folder, out)) == 2
    assert 'other videos' in capsys.readouterr().err


def test_nothing_can_be_prepared(epic, tmp_path, capsys):
    out = tmp_path / 'out'
    (tmp_path / 'empty').mkdir()
    arguments = ('--annotations', str(epic), '--videos', str(tmp_path / 'empty'))
    assert main(('data', 'prepare', '--format', 'epic', '--out', str(out), *arguments)) == 2
    told, err = capsys.readouterr()
    assert 'nothing could be prepared of 8 videos with 27 actions' in err
    assert 'missing video                 27' in told
    assert set(contents(out)) == {'pairs.problems.jsonl'}
    # The folder is free for a second try with the right one.
    assert main(command(epic, out)) == 0


@pytest.mark.parametrize(('arguments', 'complaint'), [
    (('--annotations', 'here'), 'both --annotations and --videos'),
    (('{epic}', '--aesthetic-model', 'x.pth'), 'CLIP model'),
    (('{epic}', '--clip-model', 'nowhere'), 'no CLIP model'),
    (('{epic}', '--splits', 'x.json'), 'no list of splits'),
    (('{epic}', '--similarity', '0.9', '0.1'), 'lowest <= highest'),
    (('{epic}', '--visor', 'nowhere'), 'frame_mapping.json'),
    (('nowhere',), 'no EPIC_100_train.csv'),
    (('--annotations', '{epic}', '--videos', 'nowhere'), 'no such folder of videos'),
])
def test_bad_settings_are_named(epic, tmp_path, capsys, monkeypatch, arguments, complaint):
    monkeypatch.chdir(tmp_path)
    given = [text.format(epic=epic) for text in arguments]
    assert main(('data', 'prepare', '--format', 'epic', '--out', str(tmp_path / 'out'),
                 *given)) == 2
    assert complaint in capsys.readouterr().err
    assert not (tmp_path / 'out').exists()


def test_a_full_disk(epic, tmp_path, prepared):
    out = tmp_path / 'small'
    out.mkdir()
    script = (
        'mount -t tmpfs -o size=96k none "$1" || exit 77; shift; "$@"; status=$?; '
        'ls "$OUT"; exit $status')
    told = subprocess.run(
        ['unshare', '-Urm', 'sh', '-c', script, 'sh', str(out), sys.executable, '-m',
         'lego_ros.cli', *command(epic, out, '--workers', '1')],
        capture_output=True, text=True, env={**os.environ, 'OUT': str(out)}, timeout=DEADLINE)
    if told.returncode == 77 or 'unshare failed' in told.stderr:
        pytest.skip('this user may not mount a small file system')
    assert told.returncode == 2, told.stderr
    assert 'cannot be written: No space left on device' in told.stderr
    assert 'goes on where this one stopped' in told.stderr
    assert 'Traceback' not in told.stderr
    assert 'pairs.jsonl' not in told.stdout.split()


def test_files_may_not_grow(epic, tmp_path, prepared):
    """A quota that ends writing half-way; taken away, the same command goes on."""
    out = tmp_path / 'out'
    limit = 4000
    told = subprocess.run(
        [sys.executable, '-m', 'lego_ros.cli', *command(epic, out, '--workers', '1')],
        capture_output=True, text=True, timeout=DEADLINE,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)))
    assert told.returncode == 2
    assert 'cannot be written: File too large' in told.stderr
    assert main(command(epic, out)) == 0
    assert contents(out) == contents(prepared)


def test_ego4d(tmp_path, capsys):
    folder, out = tmp_path / 'ego4d', tmp_path / 'out'
    videos = []
    for index in range(3):
        write_video(folder / f'v2/full_scale/video-{index}.mp4', index, 30)
        videos.append({
            'video_uid': f'video-{index}',
            'video_metadata': {'fps': 30.0, 'num_frames': 120, 'width': 96, 'height': 64},
            'annotated_intervals': [
                {'clip_uid': None, 'redacted': index == 2, 'narrated_actions': [{
                    'uid': f'a-{index}', 'narration_text': '#C C opens the drawer',
                    'structured_verb': 'open', 'critical_frames': {
                        'pre_15': 20, 'pnr_frame': 60}, 'frames': None, 'is_valid_action': True,
                    'is_rejected': False, 'is_invalid_annotation': False}]}]})
    (folder / 'v2/annotations').mkdir()
    (folder / 'v2/annotations/fho_main.json').write_text(json.dumps({'videos': videos}))
    (folder / 'ego4d.json').write_text(json.dumps({'videos': [
        {'video_uid': 'video-0', 'split_fho': 'train'},
        {'video_uid': 'video-1', 'split_fho': 'val'}]}))
    assert main(command(folder, out, form='ego4d')) == 0
    assert '2 pairs of 2 actions' in capsys.readouterr().out
    records = list(read_manifest(out / 'pairs.jsonl'))
    assert [(record.split, record.input.asked_frame, record.video) for record in records] == [
        ('train', 20, 'v2/full_scale/video-0.mp4'),
        ('validation', 20, 'v2/full_scale/video-1.mp4')]
    summary = json.loads((out / 'pairs.summary.json').read_text())
    assert summary['problems'] == {'redacted': 1}
    assert main(('data', 'check', '--format', 'ego4d', '--annotations', str(folder))) == 0
    told = capsys.readouterr().out
    assert 'fho_main.json: sound' in told
    assert 'left out: redacted' in told


def test_check(epic, tmp_path, capsys):
    annotations = tmp_path / 'annotations'
    annotations.mkdir()
    shutil.copy(epic / 'EPIC_100_validation.csv', annotations)
    check = ('data', 'check', '--format', 'epic', '--annotations', str(annotations))
    assert main(check) == 0
    told = capsys.readouterr().out
    assert 'EPIC_100_validation.csv: sound' in told
    assert counted(told, 'rows read') == '8'
    assert counted(told, 'start and stop frames recomputed') == '16'
    assert counted(told, 'of these differ') == '0'
    shutil.copy(epic / 'EPIC_100_train.csv', annotations)
    assert main(check) == 1
    told = capsys.readouterr().out
    assert 'EPIC_100_train.csv: NOT SOUND' in told
    assert counted(told, 'of these differ') == '1'
    assert 'line 20: frame_rule: start_frame is 51, but 1.0 s are frame 50' in told
    assert main((*check[:-1], str(tmp_path / 'nowhere'))) == 2


def counted(told, name):
    return next(line for line in told.splitlines() if name in line).split()[-1]


def test_show(prepared, tmp_path, capsys):
    path = tmp_path / 'new' / 'pairs.png'
    assert main(('data', 'show', str(prepared), '--n', '5', '--out', str(path))) == 0
    told = capsys.readouterr().out.splitlines()
    assert len(told) == 6
    with Image.open(path) as image:
        image.load()
        assert image.width > 2 * 2 * 256
    first = next(read_manifest(prepared / 'pairs.jsonl'))
    assert main(('data', 'show', str(prepared / 'pairs.jsonl'), '--pair', first.pair_id,
                 '--out', str(path))) == 0
    fields = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert json.loads(fields['label']) == first.label
    assert json.loads(fields['input'])['sha256'] == first.input.sha256
    with Image.open(path) as image, Image.open(prepared / first.target.path) as target:
        # The stored pictures themselves, side by side.
        shown = np.asarray(image)[10:266, 268:524]
        assert np.abs(shown.astype(int) - np.asarray(target)).mean() < 1
    kept = sum(record.kept for record in read_manifest(prepared / 'pairs.jsonl'))
    assert main(('data', 'show', str(prepared), '--kept', '--n', '200', '--out', str(path))) == 0
    assert len(capsys.readouterr().out.splitlines()) == kept + 1


def test_show_refuses(prepared, tmp_path, capsys):
    path = tmp_path / 'x.png'
    assert main(('data', 'show', str(prepared), '--pair', 'no/such', '--out', str(path))) == 2
    assert 'no such pair' in capsys.readouterr().err
    copied = tmp_path / 'copied'
    shutil.copytree(prepared, copied)
    first = next(read_manifest(copied / 'pairs.jsonl'))
    (copied / first.input.path).write_bytes((copied / first.target.path).read_bytes())
    assert main(('data', 'show', str(copied), '--out', str(path))) == 2
    assert 'was changed' in capsys.readouterr().err
    assert not path.exists()


def test_stats(prepared, tmp_path, capsys):
    out = tmp_path / 'new' / 'stats'
    assert main(('data', 'stats', str(prepared), '--out', str(out))) == 0
    assert '24 pairs' in capsys.readouterr().out
    # One file that needs nothing beside it.
    assert [path.name for path in out.iterdir()] == ['index.html']
    text = (out / 'index.html').read_text()
    assert '<dt>pairs prepared</dt><dd>24</dd>' in text
    assert '<dt>problems reported</dt><dd>5</dd>' in text
    assert main(('data', 'stats', str(tmp_path), '--out', str(out))) == 2
    assert 'no finished manifest' in capsys.readouterr().err


def test_stats_where_nothing_can_be_written(prepared, tmp_path, capsys):
    (tmp_path / 'file').write_text('')
    assert main(('data', 'stats', str(prepared), '--out', str(tmp_path / 'file/stats'))) == 2
    assert 'cannot be written' in capsys.readouterr().err
