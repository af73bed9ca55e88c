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

"""EPIC-KITCHENS-100's CSV files; with the real ones where LEGO_EPIC_ANNOTATIONS names them."""

import csv
import math
import os
from pathlib import Path

from lego_ros.errors import ErrorCode, LegoError
from lego_ros.training.data.actions import Box
from lego_ros.training.data.epic import (
    frame_number,
    frame_rate,
    literal_list,
    parse_timestamp,
    read_epic,
    read_rows,
    shown_frame,
    with_boxes,
)
from lego_ros.training.data.epic_classes import (
    read_classes,
    read_tail,
    read_unseen_participants,
    read_video_info,
    spoken,
)
from lego_ros.training.data.problems import ProblemLog, Reason
import pytest

HEADER = (
    'narration_id,participant_id,video_id,narration_timestamp,start_timestamp,stop_timestamp,'
    'start_frame,stop_frame,narration,verb,verb_class,noun,noun_class,all_nouns,all_noun_classes')
ROW = {
    'narration_id': 'P90_101_0', 'participant_id': 'P90', 'video_id': 'P90_101',
    'narration_timestamp': '00:00:01.089', 'start_timestamp': '00:00:01.00',
    'stop_timestamp': '00:00:03.00', 'start_frame': '50', 'stop_frame': '150',
    'narration': 'take green cup and lid', 'verb': 'take', 'verb_class': '0',
    'noun': 'cup:green', 'noun_class': '13', 'all_nouns': "['cup:green', 'lid']",
    'all_noun_classes': '[13, 9]'}


def write(path, *rows, header=HEADER):
    with open(path, 'w', newline='') as file:
        writer = csv.DictWriter(file, header.split(','), extrasaction='ignore')
        writer.writeheader()
        writer.writerows(rows)
    return path


def row(number=0, **changes):
    return {**ROW, 'narration_id': f'P90_101_{number}', **changes}


def test_a_row_and_its_action(tmp_path):
    path = write(tmp_path / 'a.csv', row())
    log = ProblemLog()
    (found,) = read_rows(path, log)
    assert (found.line, found.start, found.stop, found.start_frame, found.stop_frame) == (
        2, 1.0, 3.0, 50, 150)
    assert found.label.narration_time == 1.089
    assert found.label.all_nouns == ('cup:green', 'lid')
    assert found.label.all_noun_classes == (13, 9)
    (action,) = read_epic(path, 'validation', log)
    assert len(log) == 0
    assert (action.label, action.narration) == ('take green cup and lid',) * 2
    assert (action.verb, action.verb_class, action.noun, action.noun_class) == (
        'take', 0, 'cup:green', 13)
    assert (action.before.time, action.after.time) == (0.75, 1.0 + 0.6 * 2.0)
    assert (action.before.base, action.before.fps, action.before.number) == (1, 50, None)
    assert (action.split, action.origin) == ('validation', (str(path), 'line 2'))


def test_an_empty_narration_time(tmp_path):
    (found,) = read_rows(write(tmp_path / 'a.csv', row(narration_timestamp='')), ProblemLog())
    assert found.label.narration_time is None


def test_a_file_of_times_only(tmp_path):
    columns = ('narration_id,participant_id,video_id,start_timestamp,stop_timestamp,start_frame,'
               'stop_frame')
    for header in (columns, columns.replace('video_id', 'video_id,narration_timestamp')):
        path = write(tmp_path / 'EPIC_100_test_timestamps.csv', row(), row(1), header=header)
        log = ProblemLog()
        assert [found.label for found in read_rows(path, log)] == [None, None]
        assert len(log) == 0
        with pytest.raises(LegoError, match='times only'):
            list(read_epic(path, 'test', log))


BAD = [
    {'stop_frame': 'x'}, {'start_frame': '-1'},
    {'start_timestamp': '1.0'}, {'stop_timestamp': '00:00:61.00'}, {'stop_timestamp': ''},
    {'start_timestamp': '00:00:03.00', 'start_frame': '150'},
    {'video_id': 'P90_201'}, {'video_id': 'P90'}, {'participant_id': 'P91'},
    {'narration_id': 'P91_101_0'}, {'narration_id': ''},
    {'narration': ' '}, {'verb': ''}, {'verb_class': '1.0'}, {'noun_class': ''},
    {'all_nouns': "__import__('os').getcwd()"}, {'all_nouns': '[' * 5000},
    {'all_nouns': "['cup:green'"}, {'all_nouns': "['cup:green']"}, {'all_nouns': "('a', 'b')"},
    {'all_noun_classes': "['13', '9']"}, {'all_noun_classes': '[True, 9]'},
    {'noun': 'mug'}, {'noun_class': '9'}, {'narration': 'x' * 20_000},
    {'narration_timestamp': 'soon'},
]


@pytest.mark.parametrize('changes', BAD)
def test_malformed_rows_are_reported_with_their_line(tmp_path, changes):
    path = write(tmp_path / 'a.csv', row(0), row(1, **changes), row(2))
    log = ProblemLog()
    found = list(read_rows(path, log))
    assert [entry.narration_id for entry in found] == ['P90_101_0', 'P90_101_2']
    (problem,) = log
    assert (problem.file, problem.row, problem.reason) == (
        str(path), 'line 3', Reason.MALFORMED)
    assert problem.detail


def test_the_frame_that_is_wrong_is_named(tmp_path):
    log = ProblemLog()
    list(read_rows(write(tmp_path / 'a.csv', row(start_frame='51')), log))
    assert next(iter(log)).detail == 'start_frame is 51, but 1.0 s are frame 50'
    list(read_rows(write(tmp_path / 'a.csv', row(stop_frame='149')), log))
    assert log.counts == {'frame_rule': 2}


def test_duplicates_are_reported(tmp_path):
    log = ProblemLog()
    assert len(list(read_rows(write(tmp_path / 'a.csv', row(), row(1), row()), log))) == 2
    assert log.counts == {'duplicate': 1}


def test_lines_that_are_no_csv(tmp_path):
    path = write(tmp_path / 'a.csv', row(0), row(1))
    text = path.read_text()
    path.write_text(text + 'P90_101_2,P90\n' + '"P90"x,1\n' + text.splitlines()[1].replace(
        'P90_101_0', 'P90_101_3') + '\n' + 'P90_101_4,"unclosed')
    log = ProblemLog()
    assert [found.narration_id for found in read_rows(path, log)] == [
        'P90_101_0', 'P90_101_1', 'P90_101_3']
    assert [(problem.row, problem.reason) for problem in log] == [
        ('line 4', Reason.MALFORMED), ('line 5', Reason.MALFORMED),
        ('line 7', Reason.TRUNCATED)]


def test_a_row_may_span_lines(tmp_path):
    path = write(tmp_path / 'a.csv', row(0, narration='take\ncup'), row(1, verb=''))
    log = ProblemLog()
    assert [found.label.narration for found in read_rows(path, log)] == ['take\ncup']
    assert [problem.row for problem in log] == ['line 4']


def test_files_that_are_no_annotations(tmp_path):
    for name, content in (
            ('a.csv', b'id,key\n1,x\n'), ('b.csv', b''), ('c.csv', b'\xff\xfe\x00')):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(LegoError, match=name) as caught:
            list(read_rows(tmp_path / name, ProblemLog()))
        assert caught.value.code is ErrorCode.SOURCE_UNREADABLE
    with pytest.raises(LegoError, match=r'none\.csv'):
        list(read_rows(tmp_path / 'none.csv', ProblemLog()))


def test_no_picture_before_the_video(tmp_path):
    path = write(tmp_path / 'a.csv', row(start_timestamp='00:00:00.24', start_frame='12'))
    log = ProblemLog()
    assert list(read_epic(path, 'train', log)) == []
    assert log.counts == {'out_of_video': 1}


def test_the_frame_rule_is_that_of_doubles():
    assert (frame_rate('P01_01'), frame_rate('P01_101')) == (60, 50)
    assert frame_number(0.0, 'P01_01') == 1
    # In exact arithmetic 9.2 * 50 and 0.58 * 50 are 460 and 29; times 60 likewise.
    assert frame_number(parse_timestamp('00:00:00.58'), 'P01_101') == math.floor(0.58 * 50) == 28
    assert frame_number(parse_timestamp('00:01:09.97'), 'P01_01') == math.floor(69.97 * 60)
    assert parse_timestamp('01:02:03.45') == 3600 + 120 + 3.45
    for name in ('P1_01', 'P01_1', 'P01_201', 'P01_01x'):
        with pytest.raises(ValueError, match='video_id'):
            frame_rate(name)


def test_the_frame_that_shows_a_moment():
    assert [shown_frame(n / 60, 60) for n in range(1000)] == list(range(1, 1001))
    assert shown_frame(0.0199, 50) == 1


def test_boxes_from_other_files(tmp_path):
    (action,) = read_epic(write(tmp_path / 'a.csv', row()), 'train', ProblemLog())
    asked = []

    def boxes_at(frame, picture):
        asked.append((frame, picture))
        return (Box('object', picture, (0.1, 0.1, 0.2, 0.2)),)

    # 0.75 s and 2.2 s at 50 frames per second; frame 1 is at 0 s.
    assert [box.picture for box in with_boxes(action, boxes_at).boxes] == ['input', 'target']
    assert asked == [(38, 'input'), (111, 'target')]


def test_taxonomies(tmp_path):
    path = tmp_path / 'noun_classes.csv'
    path.write_text('id,key,instances,category\n0,tap,"[\'tap\', \'tap:water\']",appliances\n'
                    '1,hand:left,"[\'hand:left\']",hand\n')
    classes = read_classes(path)
    assert classes[0].instances == ('tap', 'tap:water')
    assert (classes[1].words, classes[1].category) == ('left hand', 'hand')
    assert spoken('spoon') == 'spoon'
    assert literal_list('[]', str) == []
    for content, message in (
            ('id,key,instances,category\n0,tap,[],a\n2,x,[],a\n', 'gaps'),
            ('id,key,instances,category\n0,tap,[],a\n0,x,[],a\n', 'line 3: class 0'),
            ('id,key,instances,category\n0,tap,oops,a\n', 'line 2'),
            ('id,key,instances,category\n0,tap\n', 'line 2'), ('id,key\n', 'instances')):
        path.write_text(content)
        with pytest.raises(LegoError, match=message):
            read_classes(path)
    (tmp_path / 'tail.csv').write_text('verb\n10\n12\n')
    assert read_tail(tmp_path / 'tail.csv', 'verb') == {10, 12}
    (tmp_path / 'unseen.csv').write_text('participant_id\nP18\nP32\n')
    assert read_unseen_participants(tmp_path / 'unseen.csv') == {'P18', 'P32'}
    (tmp_path / 'info.csv').write_text('video_id,duration,fps,resolution\nP01_01,2.5,59.94,4x3\n')
    info = read_video_info(tmp_path / 'info.csv')['P01_01']
    assert (info.duration, info.fps, info.width, info.height) == (2.5, 59.94, 4, 3)


@pytest.fixture
def real():
    folder = os.environ.get('LEGO_EPIC_ANNOTATIONS')
    if not folder:
        pytest.skip('LEGO_EPIC_ANNOTATIONS names no folder of EPIC-KITCHENS-100 annotations')
    return Path(folder)


def annotation_files(folder):
    return [path for path in sorted(folder.glob('EPIC_100_*.csv'))
            if 'start_frame' in path.open().readline()]


def test_every_real_row_is_read_and_its_frames_recomputed(real):
    files = annotation_files(real)
    assert files, f'no annotation file in {real}'
    for path in files:
        with open(path, newline='') as file:
            raw = list(csv.DictReader(file))
        log = ProblemLog()
        rows = list(read_rows(path, log))
        assert list(log) == []
        assert len(rows) == len(raw)
        # Recomputed here from the text, so that a wrong check in the reader cannot hide.
        differing = 0
        for found, fields in zip(rows, raw, strict=True):
            rate = 50 if len(fields['video_id'].split('_')[1]) == 3 else 60
            for name in ('start', 'stop'):
                hours, minutes, seconds = fields[f'{name}_timestamp'].split(':')
                time = int(hours) * 3600 + int(minutes) * 60 + float(seconds)
                differing += max(1, math.floor(time * rate)) != int(fields[f'{name}_frame'])
                differing += int(fields[f'{name}_frame']) != getattr(found, f'{name}_frame')
            assert found.narration_id == fields['narration_id']
        assert differing == 0
        print(f'{path.name}: {len(rows)} rows, {2 * len(rows)} frames recomputed, '
              f'{differing} differ')


def test_every_real_action_is_read_or_reported(real):
    for path in annotation_files(real):
        if 'verb_class' not in path.open().readline():
            continue
        log = ProblemLog()
        actions = list(read_epic(path, 'validation', log))
        assert len(actions) + len(log) == sum(1 for _ in read_rows(path, ProblemLog()))
        assert set(log.counts) <= {'out_of_video'}
        assert all(0 <= action.before.time < action.after.time for action in actions)
        nouns = read_classes(real / 'EPIC_100_noun_classes.csv')
        verbs = read_classes(real / 'EPIC_100_verb_classes.csv')
        # Known of the release: one noun that its class does not list.
        unlisted = [action for action in actions
                    if action.noun not in nouns[action.noun_class].instances
                    or action.verb not in verbs[action.verb_class].instances]
        assert len(unlisted) <= 1
        print(f'{path.name}: {len(actions)} actions, {log.counts}')


def test_real_taxonomies(real):
    assert len(read_classes(real / 'EPIC_100_verb_classes.csv')) == 97
    assert len(read_classes(real / 'EPIC_100_noun_classes.csv')) == 300
    visor = read_classes(real / 'EPIC_100_noun_classes_v2.csv')
    assert [visor[number].words for number in range(300, 305)] == [
        'left hand', 'right hand', 'foot', 'left glove', 'right glove']
    assert len(read_tail(real / 'EPIC_100_tail_verbs.csv', 'verb')) == 86
    assert len(read_tail(real / 'EPIC_100_tail_nouns.csv', 'noun')) == 228
    videos = read_video_info(real / 'EPIC_100_video_info.csv')
    assert len(videos) == 700
    assert (videos['P01_01'].width, videos['P01_01'].height) == (1920, 1080)
