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

"""The manifest: its schema, its lines, and that a kill costs nothing but time."""

import contextlib
import json
import os
from pathlib import Path
import signal
import subprocess
import sys

from lego_ros.errors import ErrorCode, LegoError
from lego_ros.training.data import manifest_writer
from lego_ros.training.data.manifest import MAX_LINE, PairRecord, read_manifest, SCHEMA, to_line
from lego_ros.training.data.manifest_writer import ManifestWriter
from lego_ros.training.data.problems import Problem, ProblemLog, Reason
import pandas
from pydantic import ValidationError
import pytest

VIDEOS = ['P03_102', 'P03_101', 'P03_103']
SETTINGS = {'size': 256, 'quality_by': 'sharpness'}


def test_a_record_survives_its_line(record, tmp_path):
    original = record(label='take Öl "now"\u2028\n', description='With the left hand.')
    path = tmp_path / 'pairs.jsonl'
    path.write_bytes(to_line(original))
    assert to_line(original).count(b'\n') == 1
    assert list(read_manifest(path)) == [original]
    assert json.loads(path.read_bytes())['schema_version'] == SCHEMA


def test_pandas_reads_it_in_one_line(record, tmp_path):
    path = tmp_path / 'pairs.jsonl'
    path.write_bytes(to_line(record()) + to_line(record(
        action_id='P03_101_1', similarity=0.99, kept=False, reason='too_similar',
        label='a\u2028b')))
    frame = pandas.read_json(path, lines=True)
    assert len(frame) == 2
    assert frame.kept.tolist() == [True, False]
    assert frame.reason.value_counts()['too_similar'] == 1
    assert frame.target.str['time'].tolist() == [3.356, 3.356]
    assert pandas.json_normalize(frame.to_dict('records'))['input.frame'].tolist() == [117, 117]


def picture(record, **changes):
    return {**record().input.model_dump(), **changes}


@pytest.mark.parametrize('changes', [
    {'similarity': float('nan')}, {'similarity': 2.0}, {'label': ''}, {'split': 'Train!'},
    {'reason': 'too_similar'}, {'kept': False}, {'reason': 'ugly'}, {'verb_class': -1},
    {'hand': 'third'}, {'surprise': 1}, {'pair_id': 'other/1'}, {'schema_version': 'x/2'},
    {'boxes': [{'role': 'object', 'picture': 'input', 'box': [0.5, 0.1, 0.4, 0.2]}]},
    {'boxes': [{'role': 'object', 'picture': 'input', 'box': [0.1, 0.1, 1.4, 0.2]}]},
    {'boxes': [{'role': 'foot', 'picture': 'input', 'box': [0.1, 0.1, 0.4, 0.2]}]},
])
def test_what_is_no_record(record, changes):
    with pytest.raises(ValidationError):
        record(**changes)


@pytest.mark.parametrize('changes', [
    {'sha256': 'A' * 64}, {'base': 2}, {'fps': 0}, {'path': '/etc/passwd'}, {'path': '../x.jpg'},
    {'path': 'a/../../x.jpg'}, {'path': 'c:\\x.jpg'}, {'path': ''}, {'frame': 118},
    {'candidates': []}, {'time': 9.0}, {'time': -1.0},
])
def test_what_is_no_picture(record, changes):
    record(input=picture(record))
    with pytest.raises(ValidationError):
        record(input=picture(record, **changes))


@pytest.mark.parametrize(('line', 'message'), [
    (b'{}\n', 'Field required'), (b'\xff\n', 'Invalid JSON'), (b'\n', 'Invalid JSON'),
    (b'{"schema_version": "lego_ros/pair/0"}\n', 'another version'),
    (b'x' * (MAX_LINE + 5), 'longer than'), (None, 'cut off'), ('again', 'there twice'),
])
def test_errors_name_file_and_line(record, tmp_path, line, message):
    path = tmp_path / 'pairs.jsonl'
    good = to_line(record())
    if line is None:
        line = to_line(record(action_id='P03_101_7'))[:-1]
    elif line == 'again':
        line = good
    path.write_bytes(good + line)
    found = []
    with pytest.raises(LegoError, match=rf"pairs\.jsonl': line 2.*{message}") as caught:
        found.extend(read_manifest(path))
    assert caught.value.code is ErrorCode.SOURCE_UNREADABLE


def test_no_manifest(tmp_path):
    with pytest.raises(LegoError, match=r'none\.jsonl'):
        list(read_manifest(tmp_path / 'none.jsonl'))


def part(record, video):
    records = [record(video_id=video, action_id=f'{video}_{index}') for index in (1, 0, 2)]
    records[1] = record(video_id=video, action_id=f'{video}_0', kept=False, reason='too_similar')
    return records, ProblemLog([Problem(f'{video}.MP4', video, Reason.OUT_OF_VIDEO, 'late')])


def contents(folder):
    return {path.relative_to(folder): path.read_bytes()
            for path in sorted(folder.rglob('*')) if path.is_file()}


def make(record, path, order=VIDEOS):
    writer = ManifestWriter(path, VIDEOS, SETTINGS)
    for video in order:
        if not writer.is_done(video):
            writer.add(video, *part(record, video))
    return writer.finish(ProblemLog([Problem('a.csv', 'line 2', Reason.MALFORMED, 'x')]))


def test_joined_in_the_order_of_the_videos(record, tmp_path):
    summary = make(record, tmp_path / 'a' / 'pairs.jsonl')
    again = make(record, tmp_path / 'b' / 'pairs.jsonl', order=VIDEOS[::-1])
    assert contents(tmp_path / 'a') == contents(tmp_path / 'b')
    assert summary == again
    assert sorted(map(str, contents(tmp_path / 'a'))) == [
        'pairs.jsonl', 'pairs.problems.jsonl', 'pairs.summary.json']
    records = list(read_manifest(tmp_path / 'a' / 'pairs.jsonl'))
    assert [entry.action_id for entry in records] == [
        f'{video}_{index}' for video in VIDEOS for index in (1, 0, 2)]
    assert (summary['pairs'], summary['verdicts'], summary['problems']) == (
        9, {'kept': 6, 'too_similar': 3}, {'malformed': 1, 'out_of_video': 3})


def test_a_finished_manifest_is_left_alone(record, tmp_path):
    path = tmp_path / 'pairs.jsonl'
    summary = make(record, path)
    before = contents(tmp_path)
    writer = ManifestWriter(path, VIDEOS, SETTINGS)
    assert writer.complete
    assert writer.is_done('P03_101')
    assert writer.finish() == summary
    assert contents(tmp_path) == before


def test_other_settings_are_refused(record, tmp_path):
    path = tmp_path / 'pairs.jsonl'
    ManifestWriter(path, VIDEOS, SETTINGS)
    for videos, settings in ((VIDEOS, {'size': 128}), (VIDEOS[:2], SETTINGS)):
        with pytest.raises(LegoError, match='other settings') as caught:
            ManifestWriter(path, videos, settings)
        assert caught.value.code is ErrorCode.INVALID_SETTING
    make(record, path)
    with pytest.raises(LegoError, match='other settings'):
        ManifestWriter(path, VIDEOS, {'size': 128})
    with pytest.raises(LegoError, match='twice'):
        ManifestWriter(tmp_path / 'x.jsonl', ['a', 'a'], {})


def test_damage_and_gaps_are_named(record, tmp_path):
    path = tmp_path / 'pairs.jsonl'
    writer = ManifestWriter(path, VIDEOS, SETTINGS)
    writer.add('P03_101', *part(record, 'P03_101'))
    with pytest.raises(LegoError, match='2 videos are not prepared yet: P03_102, P03_103'):
        writer.finish()
    with pytest.raises(ValueError, match='not of P03_103'):
        writer.add('P03_103', *part(record, 'P03_101'))
    make(record, path)
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(LegoError, match='changed or cut off'):
        ManifestWriter(path, VIDEOS, SETTINGS)


class KilledError(Exception):
    pass


def test_killed_at_any_step_and_resumed_gives_the_same_bytes(record, tmp_path, monkeypatch):
    make(record, tmp_path / 'whole' / 'pairs.jsonl')
    expected = contents(tmp_path / 'whole')
    # Every call that changes the disk, before and after it.
    changing = [(manifest_writer.os, 'replace'), (manifest_writer.shutil, 'rmtree'),
                (manifest_writer.shutil, 'copyfileobj'), (Path, 'write_bytes'),
                (Path, 'mkdir'), (manifest_writer.os, 'fsync')]
    stop_at, stopped = 0, True
    while stopped:
        stop_at += 1
        count, stopped = 0, False
        folder = tmp_path / str(stop_at)

        def interrupting(original, limit=stop_at):
            def call(*args, **kwargs):
                nonlocal count, stopped
                for step in ('before', 'after'):
                    count += 1
                    if count == limit:
                        stopped = True
                        if original.__name__ == 'write_bytes':
                            original(args[0], args[1][:len(args[1]) // 2])
                        raise KilledError
                    if step == 'before':
                        result = original(*args, **kwargs)
                return result
            return call

        with monkeypatch.context() as patch:
            for owner, name in changing:
                patch.setattr(owner, name, interrupting(getattr(owner, name)))
            with contextlib.suppress(KilledError):
                make(record, folder / 'pairs.jsonl')
        make(record, folder / 'pairs.jsonl')
        assert contents(folder) == expected, f'killed at step {stop_at}'
    assert stop_at > 60


WORKER = """
import json, sys
from pathlib import Path
from lego_ros.training.data.manifest import PairRecord
from lego_ros.training.data.manifest_writer import ManifestWriter
from lego_ros.training.data.problems import ProblemLog
lines = Path(sys.argv[2]).read_bytes().splitlines()
records = [PairRecord.model_validate_json(line) for line in lines]
videos = sorted({record.video_id for record in records})
print('ready', flush=True)
writer = ManifestWriter(Path(sys.argv[1]), videos, {})
for video in videos:
    if not writer.is_done(video):
        writer.add(video, [r for r in records if r.video_id == video], ProblemLog())
writer.finish()
"""


def test_a_real_kill(record, tmp_path):
    source = tmp_path / 'source.jsonl'
    source.write_bytes(b''.join(
        to_line(record(video_id=f'P01_{video:02d}', action_id=f'P01_{video:02d}_{index}'))
        for video in range(60) for index in range(5)))

    def command(folder):
        return [sys.executable, '-c', WORKER, str(folder / 'pairs.jsonl'), str(source)]

    subprocess.run(command(tmp_path / 'whole'), check=True, timeout=60)
    expected = contents(tmp_path / 'whole')
    folder = tmp_path / 'killed'
    parts = folder / 'pairs.parts'
    killed = 0
    for stop_after in (1, 20, 45):
        process = subprocess.Popen(command(folder), stdout=subprocess.PIPE)
        assert process.stdout.readline() == b'ready\n'
        # 121 files make all parts; the kill comes while they are being written.
        while process.poll() is None and (
                not parts.is_dir() or len(list(parts.glob('*.jsonl'))) < 2 * stop_after):
            pass
        process.send_signal(signal.SIGKILL)
        killed += process.wait() == -signal.SIGKILL
        process.stdout.close()
    assert killed, 'every run was over before its kill'
    subprocess.run(command(folder), check=True, timeout=60)
    assert contents(folder) == expected
    assert len(list(read_manifest(folder / 'pairs.jsonl'))) == 300


def test_records_are_frozen(record):
    entry = record()
    with pytest.raises(ValidationError):
        entry.label = 'x'
    assert isinstance(entry, PairRecord)
    assert os.path.isabs(entry.input.path) is False
