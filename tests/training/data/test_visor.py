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

"""VISOR's sparse masks: boxes, contacts, and the errors of the release."""

import json

from lego_ros.errors import LegoError
from lego_ros.training.data.problems import ProblemLog, Reason
from lego_ros.training.data.visor import Contact, read_frame_mapping, read_visor
import pytest

SQUARE = [[[192.0, 108.0], [384.0, 108.0], [384.0, 216.0]], [[960.0, 540.0], [970.0, 530.0]]]


def entity(entity_id, name, class_id, segments=SQUARE, **extra):
    return {'id': entity_id, 'name': name, 'class_id': class_id, 'exhaustive': 'y',
            'segments': segments, **extra}


def left(contact, **extra):
    return entity('L', 'left hand', 300, in_contact_object=contact, **extra)


def frame(*annotations, name='P01_01_frame_0000000140.jpg'):
    return {'image': {'image_path': f'P01_01/{name}', 'name': name,
                      'subsequence': 'P01_01_seq_00001', 'video': 'P01_01'},
            'annotations': list(annotations)}


@pytest.fixture
def read(tmp_path):
    def reading(*frames):
        path = tmp_path / 'P01_01.json'
        path.write_text(json.dumps({'video_annotations': frames}))
        log = ProblemLog()
        return list(read_visor(path, log)), list(log)
    return reading


def test_boxes_span_all_polygons_in_fractions_of_1920_by_1080(read):
    (found,), problems = read(frame(left('T'), entity('T', 'tap', 0)))
    assert problems == []
    assert (found.video_id, found.number, found.name) == (
        'P01_01', 140, 'P01_01_frame_0000000140.jpg')
    assert found.entities['T'].corners == pytest.approx((0.1, 0.1, 970 / 1920, 0.5))
    assert found.entities['L'].hands == ('left_hand',)
    assert found.touched_by(found.entities['L']) == (Contact.OBJECT, found.entities['T'])
    assert [(box.role, box.name, box.picture) for box in found.boxes('input')] == [
        ('left_hand', 'left hand', 'input'), ('object', 'tap', 'input')]


@pytest.mark.parametrize(('value', 'contact'), [
    ('hand-not-in-contact', Contact.NONE), ('none-of-the-above', Contact.UNMASKED),
    ('inconclusive', Contact.INCONCLUSIVE), (None, Contact.MISSING), ('', Contact.MISSING)])
def test_contacts_without_an_object(read, value, contact):
    (found,), problems = read(frame(left(value), entity('T', 'tap', 0)))
    assert problems == []
    assert found.touched_by(found.entities['L']) == (contact, None)
    assert [box.role for box in found.boxes('input')] == ['left_hand']


def test_a_missing_contact_key(read):
    (found,), problems = read(frame(entity('R', 'right hand', 301)))
    assert problems == []
    assert found.touched_by(found.entities['R']) == (Contact.MISSING, None)


def test_a_contact_that_is_not_there_is_reported(read):
    (found,), (problem,) = read(frame(left('X')))
    assert found.touched_by(found.entities['L']) == (Contact.MISSING, None)
    assert (problem.reason, problem.row) == (
        Reason.UNKNOWN_CONTACT, 'video_annotations[0] P01_01_frame_0000000140.jpg')


def test_a_worn_glove_is_seen_through(read):
    glove = {'on_which_hand': ['left hand'], 'in_contact_object': 'T'}
    (found,), problems = read(frame(
        left('G'), entity('G', 'left glove', 303, **glove), entity('T', 'tap', 0)))
    assert problems == []
    assert found.touched_by(found.entities['L']) == (Contact.OBJECT, found.entities['T'])
    assert [(box.role, box.name) for box in found.boxes('target')] == [
        ('left_hand', 'left hand'), ('left_hand', 'left glove'), ('object', 'tap')]
    glove['in_contact_object'] = 'glove-not-in-contact'
    (found,), _ = read(frame(left('G'), entity('G', 'left glove', 303, **glove)))
    assert found.touched_by(found.entities['L']) == (Contact.NONE, None)


def test_a_glove_on_the_other_hand_is_an_object(read):
    glove = {'on_which_hand': ['right hand'], 'in_contact_object': 'glove-not-in-contact'}
    (found,), _ = read(frame(left('G'), entity('G', 'right glove', 304, **glove)))
    assert found.touched_by(found.entities['L']) == (Contact.OBJECT, found.entities['G'])


def test_the_known_errors_are_mended_and_counted(read):
    typo = {'on_which_hand': ['left hand', 'rigth hand'], 'in_contact_object': None}
    (found,), problems = read(frame(
        entity('A', 'glove', 60, **typo), entity('B', 'left glove', 303),
        entity('C', 'right glove', 304, on_which_hand=None)))
    assert found.entities['A'].hands == ('left_hand', 'right_hand')
    assert found.entities['B'].hands == found.entities['C'].hands == ()
    assert [problem.reason for problem in problems] == [Reason.KNOWN_ERROR] * 2
    assert 'rigth hand' in problems[0].detail
    assert 'without on_which_hand' in problems[1].detail


@pytest.mark.parametrize('segments', [[], [[]], [[[1.0, 2.0]]], [[[5.0, 5.0], [5.0, 9.0]]],
                                      [[[2000.0, 5.0], [2100.0, 9.0]]]])
def test_empty_masks_are_reported(read, segments):
    (found,), (problem,) = read(frame(
        left('T', segments=segments), entity('T', 'tap', 0)))
    assert found.entities['L'].corners is None
    assert problem.reason is Reason.BAD_BOX
    assert [box.role for box in found.boxes('input')] == ['object']


def test_malformed_frames_are_reported(read):
    bad = frame(entity('T', 'tap', 'zero'))
    nameless = frame(name='image.jpg')
    twice = frame(entity('T', 'tap', 0), entity('T', 'tap', 0))
    found, problems = read(bad, nameless, 'no frame', twice, frame())
    assert [len(each.entities) for each in found] == [1, 0]
    assert [(problem.row.split()[0], problem.reason) for problem in problems] == [
        ('video_annotations[0]', Reason.MALFORMED), ('video_annotations[1]', Reason.MALFORMED),
        ('video_annotations[2]', Reason.MALFORMED), ('video_annotations[3]', Reason.DUPLICATE)]
    assert 'annotations.0.class_id' in problems[0].detail


@pytest.mark.parametrize('text', ['', '[]', '{"video_annotations": {}}', '{"video_annot',
                                  '[' * 100_000])
def test_files_that_are_none(tmp_path, text):
    (tmp_path / 'v.json').write_text(text)
    with pytest.raises(LegoError, match=r'v\.json'):
        list(read_visor(tmp_path / 'v.json', ProblemLog()))


def test_frame_mapping(tmp_path):
    path = tmp_path / 'frame_mapping.json'
    path.write_text(json.dumps(
        {'P01_01': {'P01_01_frame_0000000140.jpg': 'frame_0000000141.jpg'}}))
    assert read_frame_mapping(path) == {('P01_01', 'P01_01_frame_0000000140.jpg'): 141}
    for content in ({'P01_01': 3}, {'P01_01': {'a': 'b'}}, {'P01_01': {'a': 3}}, []):
        path.write_text(json.dumps(content))
        with pytest.raises(LegoError, match='frame_mapping'):
            read_frame_mapping(path)
