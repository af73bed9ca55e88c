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

"""Datasets as they lie on disks: where files are found, splits, boxes from other files."""

import json
import pickle
import struct

from lego_ros.errors import ErrorCode, LegoError
from lego_ros.training.data.epic_boxes import boxed_actions, MASK_REACH
from lego_ros.training.data.layout import (
    ego4d_annotations,
    ego4d_media,
    epic_annotations,
    epic_footage,
    epic_hand_objects,
    visor_masks,
)
from lego_ros.training.data.problems import ProblemLog
from lego_ros.training.data.sources import Places, read_source
from lego_ros.training.data.splits import find_splits
import pytest

HEADER = (
    'narration_id,participant_id,video_id,narration_timestamp,start_timestamp,stop_timestamp,'
    'start_frame,stop_frame,narration,verb,verb_class,noun,noun_class,all_nouns,'
    'all_noun_classes\n')
# Input at 1.0 s, target at 2.0 s: frames 51 and 101 of 50 per second.
ROW = ("{video}_{number},{person},{video},,00:00:01.25,00:00:02.50,62,125,open drawer,open,3,"
       "drawer,8,['drawer'],[8]\n")


def touch(path, content=b''):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def row(video='P01_101', number=0):
    return ROW.format(video=video, number=number, person=video[:3])


@pytest.fixture
def epic(tmp_path):
    touch(tmp_path / 'epic-kitchens-100-annotations/EPIC_100_train.csv',
          (HEADER + row()).encode())
    return tmp_path


def read(folder, **more):
    return read_source(Places('epic', folder, folder, **more))


@pytest.mark.parametrize('where', ['', 'annotations', 'epic-kitchens-100-annotations'])
def test_epic_annotations_are_found(tmp_path, where):
    for name in ('validation', 'train', 'test_timestamps', 'test_unseen', 'tail_nouns', 'test'):
        touch(tmp_path / where / f'EPIC_100_{name}.csv')
    assert [(path.name, split) for path, split in epic_annotations(tmp_path)] == [
        ('EPIC_100_train.csv', 'train'), ('EPIC_100_validation.csv', 'validation'),
        ('EPIC_100_test.csv', 'test'), ('EPIC_100_test_unseen.csv', 'test_unseen')]


@pytest.mark.parametrize(('name', 'split'), [
    ('EPIC_100_uda_target_val.csv', 'validation'), ('my_training.csv', 'train'),
    ('other_test.csv', 'test')])
def test_a_files_name_tells_its_split(tmp_path, name, split):
    path = touch(tmp_path / name)
    assert epic_annotations(path) == [(path, split)]


def test_what_is_not_found_says_where_it_was_looked_for(tmp_path):
    with pytest.raises(LegoError, match='epic-kitchens-100-annotations') as caught:
        epic_annotations(tmp_path)
    assert caught.value.code is ErrorCode.SOURCE_UNREADABLE
    with pytest.raises(LegoError, match=r'v2/annotations.*1\.5 GB|1\.5 GB.*v2/annotations'):
        ego4d_annotations(tmp_path)
    with pytest.raises(LegoError, match='must hold train, val or test') as caught:
        epic_annotations(touch(tmp_path / 'rows.csv'))
    assert caught.value.code is ErrorCode.INVALID_SETTING


@pytest.mark.parametrize('name', [
    'EPIC-KITCHENS/P01/videos/P01_101.MP4', 'P01/videos/P01_101.MP4', 'videos/P01_101.mp4',
    'videos/P01/P01_101.MP4', 'P01/P01_101.mp4', 'P01_101.MP4'])
def test_epic_videos_are_found(tmp_path, name):
    touch(tmp_path / name, b'12345')
    footage = epic_footage(tmp_path, 'P01_101')
    assert (footage.name, footage.path, footage.fps, footage.size) == (
        name, tmp_path / name, None, 5)


@pytest.mark.parametrize('name', [
    'EPIC-KITCHENS/P01/rgb_frames/P01_101', 'P01/rgb_frames/P01_101', 'rgb_frames/P01/P01_101',
    'P01/P01_101', 'P01_101'])
def test_epic_frames_are_found(tmp_path, name):
    (tmp_path / name).mkdir(parents=True)
    footage = epic_footage(tmp_path, 'P01_101')
    assert (footage.name, footage.fps) == (name, 50.0)
    assert footage.open().base == 1
    # The video itself is better than its small pictures.
    touch(tmp_path / 'EPIC-KITCHENS/P01/videos/P01_101.MP4')
    assert epic_footage(tmp_path, 'P01_101').fps is None


def test_a_video_that_is_not_there_is_named_by_its_usual_place(tmp_path):
    footage = epic_footage(tmp_path, 'P01_101')
    assert (footage.name, footage.size) == ('P01/videos/P01_101.MP4', 0)


def test_ego4d_media(tmp_path):
    assert ego4d_media(tmp_path) == ('video', tmp_path)
    (tmp_path / 'v2/clips').mkdir(parents=True)
    assert ego4d_media(tmp_path) == ('clip', tmp_path / 'v2/clips')
    assert ego4d_media(tmp_path / 'v2/clips') == ('clip', tmp_path / 'v2/clips')
    (tmp_path / 'v2/full_scale').mkdir()
    assert ego4d_media(tmp_path) == ('video', tmp_path / 'v2/full_scale')
    with pytest.raises(LegoError, match='no such folder'):
        ego4d_media(tmp_path / 'nowhere')


def test_splits(tmp_path):
    main = touch(tmp_path / 'v2/annotations/fho_main.json')
    by_hash = find_splits(main, None)
    found = [by_hash.of(f'video {index}') for index in range(2000)]
    assert 0.87 < found.count('train') / 2000 < 0.93
    assert 0.03 < found.count('validation') / 2000 < 0.07
    assert by_hash.source == 'hash of video_uid'
    touch(tmp_path / 'ego4d.json', json.dumps({'videos': [
        {'video_uid': 'a', 'split_fho': 'val'}, {'video_uid': 'b', 'split_fho': 'test'},
        {'video_uid': 'video 0', 'split_fho': None},
        {'video_uid': 'video 1', 'split_fho': 'multi'}]}).encode())
    published = find_splits(main, None)
    assert [published.of(uid) for uid in ('a', 'b')] == ['validation', 'test']
    assert [published.of(f'video {index}') for index in range(2)] == found[:2]
    listed = find_splits(main, touch(tmp_path / 'mine.json', b'{"a": "held_out"}'))
    assert listed.of('a') == 'held_out'
    assert len({by_hash.source, published.source, listed.source}) == 3


@pytest.mark.parametrize('text', ['[]', '{"a": 1}', '{"a": "Train Set"}', '{', '[' * 100_000])
def test_lists_that_are_none(tmp_path, text):
    with pytest.raises(LegoError) as caught:
        find_splits(tmp_path / 'fho_main.json', touch(tmp_path / 'mine.json', text.encode()))
    assert caught.value.code is ErrorCode.SOURCE_UNREADABLE


@pytest.mark.parametrize('text', ['{}', '{"videos": [1]}', '{"videos": [{}]}', '{"videos": ['])
def test_an_ego4d_json_that_is_none(tmp_path, text):
    touch(tmp_path / 'ego4d.json', text.encode())
    with pytest.raises(LegoError, match='split_fho'):
        find_splits(tmp_path / 'fho_main.json', None)


def test_an_id_in_two_files_is_used_once(epic):
    touch(epic / 'epic-kitchens-100-annotations/EPIC_100_validation.csv',
          (HEADER + row() + row(number=1)).encode())
    source = read(epic)
    (job,) = source.jobs
    assert [(action.action_id, action.split) for action in job.actions] == [
        ('P01_101_0', 'train'), ('P01_101_1', 'validation')]
    assert source.reading.counts == {'duplicate': 1}


def test_the_identity_changes_with_what_is_there(epic):
    first = read(epic).identity
    assert read(epic).identity == first
    touch(epic / 'P01/videos/P01_101.MP4', b'1')
    second = read(epic).identity
    touch(epic / 'P01/videos/P01_101.MP4', b'12')
    third = read(epic).identity
    touch(epic / 'P01/hand-objects/P01_101.pkl')
    fourth = read(epic).identity
    touch(epic / 'epic-kitchens-100-annotations/EPIC_100_train.csv',
          (HEADER + row() + row(number=1)).encode())
    fifth = read(epic).identity
    kinds = [json.dumps(each, sort_keys=True) for each in (first, second, third, fourth, fifth)]
    assert len(set(kinds)) == 5


@pytest.mark.parametrize(('form', 'more'), [
    ('ego4d', 'visor'), ('ego4d', 'hand_objects'), ('epic', 'splits')])
def test_options_of_the_other_dataset(tmp_path, form, more):
    with pytest.raises(LegoError) as caught:
        Places(form, tmp_path, tmp_path, **{more: tmp_path})
    assert caught.value.code is ErrorCode.INVALID_SETTING


def field(number, content):
    return bytes([number << 3 | 2, len(content)]) + content


def corners(*values):
    return b''.join(bytes([number << 3 | 5]) + struct.pack('<f', value)
                    for number, value in enumerate(values, start=1))


def detection(frame, score, left):
    """One right hand in one frame."""
    hand = field(1, corners(left, 0.1, left + 0.2, 0.3)) + b'\x15' + struct.pack('<f', score)
    return field(1, b'P01_101') + b'\x10' + bytes([frame]) + field(3, hand + b'\x28\x01')


def test_detections_of_exactly_the_two_frames(epic):
    touch(epic / 'P01/hand-objects/P01_101.pkl', pickle.dumps([
        detection(50, 0.9, 0.5), detection(51, 0.9, 0.25), detection(101, 0.9, 0.125)],
        protocol=3))
    (job,) = read(epic).jobs
    log = ProblemLog()
    (action,) = boxed_actions(job, log)
    assert [(box.role, box.picture, box.corners[0]) for box in action.boxes] == [
        ('right_hand', 'input', 0.25), ('right_hand', 'target', 0.125)]
    assert len(log) == 0


def test_detections_below_the_threshold_are_left_out(epic):
    touch(epic / 'P01/hand-objects/P01_101.pkl',
          pickle.dumps([detection(51, 0.49, 0.25), detection(101, 0.5, 0.25)], protocol=3))
    (action,) = boxed_actions(read(epic).jobs[0], ProblemLog())
    assert [box.picture for box in action.boxes] == ['target']


def write_visor(folder, number):
    """One mask of a left hand in the frame that VISOR calls 7 and EPIC-KITCHENS ``number``."""
    name = 'P01_101_frame_0000000007.jpg'
    touch(folder / 'frame_mapping.json', json.dumps(
        {'P01_101': {name: f'frame_{number:010d}.jpg'}}).encode())
    touch(folder / 'GroundTruth-SparseAnnotations/annotations/train/P01_101.json', json.dumps({
        'video_annotations': [{
            'image': {'name': name, 'video': 'P01_101'}, 'annotations': [{
                'id': 'h', 'name': 'left hand', 'class_id': 300,
                'segments': [[[0.0, 0.0], [192.0, 0.0], [192.0, 108.0]]]}]}]}).encode())


@pytest.mark.parametrize(('number', 'found'), [
    (51, True), (51 - MASK_REACH, True), (51 + MASK_REACH, True), (51 + MASK_REACH + 1, False),
    (51 - MASK_REACH - 1, False)])
def test_a_mask_near_enough_comes_before_a_detection(epic, number, found):
    write_visor(epic / 'VISOR', number)
    touch(epic / 'P01/hand-objects/P01_101.pkl',
          pickle.dumps([detection(51, 0.9, 0.25), detection(101, 0.9, 0.25)], protocol=3))
    (job,) = read(epic).jobs
    assert job.visor == visor_masks(epic / 'VISOR', 'P01_101')
    log = ProblemLog()
    (action,) = boxed_actions(job, log)
    assert [(box.role, box.picture) for box in action.boxes] == [
        ('left_hand' if found else 'right_hand', 'input'), ('right_hand', 'target')]
    assert len(log) == 0
    if found:
        assert action.boxes[0].corners == pytest.approx((0.0, 0.0, 0.1, 0.1))


def test_unusable_files_of_boxes_cost_only_the_boxes(epic):
    write_visor(epic / 'VISOR', 51)
    visor_masks(epic / 'VISOR', 'P01_101').write_text('{')
    path = touch(epic / 'P01/hand-objects/P01_101.pkl', b'cos\nsystem\n(S"true"\ntR.')
    log = ProblemLog()
    (action,) = boxed_actions(read(epic).jobs[0], log)
    assert action.boxes == ()
    assert log.counts == {'missing_boxes': 2}
    assert str(path) in {problem.file for problem in log}


def test_a_frame_that_the_mapping_lacks_is_reported(epic):
    write_visor(epic / 'VISOR', 51)
    (epic / 'VISOR/frame_mapping.json').write_text('{"P01_101": {}}')
    log = ProblemLog()
    boxed_actions(read(epic).jobs[0], log)
    assert log.counts == {'malformed': 1}


def test_detections_asked_for_and_not_there_are_reported(epic, tmp_path):
    (tmp_path / 'boxes').mkdir()
    source = read(epic, hand_objects=tmp_path / 'boxes')
    assert source.reading.counts == {'missing_boxes': 1}
    assert read(epic).reading.counts == {}
    touch(tmp_path / 'boxes/P01_101.pkl')
    assert epic_hand_objects(tmp_path / 'boxes', 'P01_101') is not None
    assert read(epic, hand_objects=tmp_path / 'boxes').reading.counts == {}
