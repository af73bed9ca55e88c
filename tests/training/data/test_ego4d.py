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

"""Ego4D's fho_main.json: which actions are read, and what is said of the others."""

import copy
import json

from lego_ros.errors import ErrorCode, LegoError
from lego_ros.training.data.ego4d import clean_verb, read_ego4d
from lego_ros.training.data.problems import ProblemLog, Reason
import pytest


def box(kind, x, y, width, height, noun=None):
    return {'object_type': kind, 'structured_noun': noun, 'instance_number': 1,
            'bbox': {'x': x, 'y': y, 'width': width, 'height': height}}


def action(name='a1', **changes):
    critical = {'pre_45': 955, 'pre_30': 970, 'pre_15': 985, 'pre_frame': 1000,
                'contact_frame': 1004, 'pnr_frame': 1010, 'post_frame': 1030}
    return {
        'uid': name, 'start_sec': 31.0, 'end_sec': 39.0, 'start_frame': 930, 'end_frame': 1170,
        'clip_start_sec': 1.0, 'clip_end_sec': 9.0, 'clip_start_frame': 30,
        'clip_end_frame': 270, 'narration_text': '#C C opens the left drawer',
        'narration_timestamp_sec': 33.4, 'structured_verb': 'open', 'freeform_verb': None,
        'state_transition': 'object_state_change', 'critical_frames': critical,
        'clip_critical_frames': {name: number - 900 for name, number in critical.items()},
        'frames': [
            {'frame_number': 985, 'frame_type': 'pre_15', 'boxes': [
                box('left_hand', 0.0, 540.0, 192.0, 108.0)]},
            {'frame_number': 1000, 'frame_type': 'pre_frame', 'boxes': [
                box('tool', 1.0, 2.0, 3.0, 4.0, 'fork_(silver)')]},
            {'frame_number': 1010, 'frame_type': 'pnr_frame', 'boxes': [
                box('right_hand', 960.0, 540.0, 192.0, 108.0),
                box('object_of_change', 1824.0, 972.0, 300.0, 300.0,
                    'drawer_(cabinet,_chest)')]}],
        'is_valid_action': True, 'is_partial': False, 'is_rejected': False,
        'is_invalid_annotation': False, 'reject_reason': None, 'stage': None, 'warnings': [],
        **changes}


def video(*actions, uid='v-1', metadata=None, **interval):
    return {
        'video_uid': uid,
        'video_metadata': {
            'fps': 30.0, 'num_frames': 5000, 'width': 1920, 'height': 1080,
            'video_start_pts': 0, 'video_base_numerator': 1, 'video_base_denominator': 15360,
            'duration_sec': 166.67, 'rotation': None, **(metadata or {})},
        'annotated_intervals': [{
            'clip_id': '1', 'clip_uid': 'c-1', 'start_sec': 30.0, 'end_sec': 330.0,
            'clip_parent_start_sec': 30.0, 'clip_parent_end_sec': 330.0,
            'clip_parent_start_frame': 900, 'clip_parent_end_frame': 9900,
            'redacted': False, 'narrated_actions': list(actions), **interval}]}


@pytest.fixture
def read(tmp_path):
    def reading(*videos, media='video', text=None):
        path = tmp_path / 'fho_main.json'
        path.write_text(text or json.dumps({
            'version': 'v2.0', 'date': '230204', 'description': 'x', 'metadata': '',
            'videos': videos}))
        log = ProblemLog()
        actions = list(read_ego4d(path, lambda uid: 'train', log, media))
        assert {problem.file for problem in log} <= {str(path)}
        return actions, list(log)
    return reading


def test_a_valid_action(read):
    (found,), problems = read(video(action()))
    assert problems == []
    assert (found.dataset, found.action_id, found.video_id, found.split) == (
        'ego4d', 'a1', 'v-1', 'train')
    assert (found.narration, found.label, found.verb, found.noun) == (
        '#C C opens the left drawer', 'open the left drawer', 'open', 'drawer')
    assert (found.verb_class, found.noun_class) == (None, None)
    assert (found.before.number, found.before.time, found.before.base, found.before.fps) == (
        985, 985 / 30, 0, 30.0)
    assert (found.after.number, found.after.time) == (1010, 1010 / 30)
    assert found.after.source == 'fho_main critical_frames.pnr_frame'
    assert found.origin[1] == 'videos[0].annotated_intervals[0].narrated_actions[0]'


def test_boxes_of_the_two_pictures_in_fractions_and_within_the_picture(read):
    (found,), _ = read(video(action()))
    assert [(entry.role, entry.picture, entry.name) for entry in found.boxes] == [
        ('left_hand', 'input', None), ('right_hand', 'target', None),
        ('object', 'target', 'drawer')]
    assert found.boxes[0].corners == pytest.approx((0.0, 0.5, 0.1, 0.6))
    assert found.boxes[1].corners == pytest.approx((0.5, 0.5, 0.6, 0.6))
    # It reaches beyond the lower right corner.
    assert found.boxes[2].corners == pytest.approx((0.95, 0.9, 1.0, 1.0))


def test_clips_have_their_own_numbers_and_names(read):
    (found,), problems = read(video(action()), media='clip')
    assert problems == []
    assert found.video_id == 'c-1'
    assert (found.before.number, found.after.number) == (85, 110)
    assert found.after.source == 'fho_main clip_critical_frames.pnr_frame'


def test_the_verb_comes_from_the_narration_where_none_is_structured(read):
    found, problems = read(video(
        action('a', structured_verb=None), action('b', structured_verb='[other]'),
        action('c', structured_verb='take_(pick,_grab,_get)'),
        action('d', structured_verb='turn_on_(switch_on)'), action('e', frames=None)))
    assert problems == []
    assert [entry.verb for entry in found] == ['open', 'open', 'take', 'turn on', 'open']
    assert (found[4].boxes, found[4].noun) == ((), None)


CRITICAL = action()['critical_frames']
UNUSED = [
    ({'is_valid_action': False}, Reason.INVALID_ACTION),
    ({'is_rejected': True, 'reject_reason': 'blurred'}, Reason.REJECTED),
    ({'is_invalid_annotation': True}, Reason.INVALID_ANNOTATION),
    ({'critical_frames': None}, Reason.NO_CRITICAL_FRAMES),
    ({'critical_frames': {**CRITICAL, 'pre_15': None}}, Reason.NO_CRITICAL_FRAMES),
    ({'critical_frames': {'pre_15': 3}}, Reason.NO_CRITICAL_FRAMES),
    ({'narration_text': '#O man X opens the drawer'}, Reason.OTHER_PERSON),
    ({'narration_text': '#C C opens #unsure'}, Reason.UNSURE),
    ({'narration_text': 'opens the drawer'}, Reason.MALFORMED),
    ({'narration_text': '#C C', 'structured_verb': None}, Reason.MALFORMED),
    ({'narration_text': None}, Reason.MALFORMED),
    ({'narration_text': '#C C ' + 'x' * 20_000}, Reason.MALFORMED),
    ({'is_rejected': 'no'}, Reason.MALFORMED),
    ({'uid': 7}, Reason.MALFORMED),
    ({'critical_frames': {**CRITICAL, 'pnr_frame': '1010'}}, Reason.MALFORMED),
    ({'critical_frames': {**CRITICAL, 'pre_15': -1}}, Reason.MALFORMED),
    ({'critical_frames': {**CRITICAL, 'pnr_frame': 985}}, Reason.WRONG_ORDER),
    ({'critical_frames': {**CRITICAL, 'pnr_frame': 5000}}, Reason.OUT_OF_VIDEO),
    ({'frames': [{'boxes': []}]}, Reason.MALFORMED),
]


@pytest.mark.parametrize(('changes', 'reason'), UNUSED)
def test_actions_that_are_not_used_are_reported(read, changes, reason):
    found, problems = read(video(action('good'), action('bad', **changes), action('last')))
    assert [entry.action_id for entry in found] == ['good', 'last']
    (problem,) = problems
    assert problem.reason is reason
    assert problem.row == 'videos[0].annotated_intervals[0].narrated_actions[1]'
    assert problem.detail


def test_every_action_is_either_read_or_reported(read):
    actions = [action(str(index), **changes) for index, (changes, _) in enumerate(UNUSED)]
    actions += [action('good'), action('good'), 17]
    found, problems = read(video(*actions))
    assert len(found) == 1
    assert len(found) + len(problems) == len(actions)
    assert [problem.reason for problem in problems[-2:]] == [Reason.DUPLICATE, Reason.MALFORMED]


def test_clips_that_are_not_there_are_reported(read):
    found, problems = read(
        video(action(), clip_uid=None), video(action('b', clip_critical_frames=None), uid='v-2'),
        media='clip')
    assert found == []
    assert [problem.reason for problem in problems] == [
        Reason.MISSING_VIDEO, Reason.NO_CRITICAL_FRAMES]


def test_whole_videos_and_intervals_that_are_not_used(read):
    found, problems = read(
        video(action('a'), redacted=True), video(action('b'), metadata={'fps': 29.97}),
        video(action('c'), metadata={'width': 0}), video(action('d'), uid='../secret'),
        video(action('e'), narrated_actions=None), 'no video', video(action('f'), uid='v-9'))
    assert [entry.action_id for entry in found] == ['f']
    assert [(problem.row.split('.')[0], problem.reason) for problem in problems] == [
        ('videos[0]', Reason.REDACTED), ('videos[1]', Reason.FRAME_RATE),
        ('videos[2]', Reason.MALFORMED), ('videos[3]', Reason.MALFORMED),
        ('videos[4]', Reason.MALFORMED), ('videos[5]', Reason.MALFORMED)]
    assert 'video_metadata.width' in problems[2].detail


def test_a_box_without_area_is_left_out_alone(read):
    entry = action()
    entry['frames'] = copy.deepcopy(entry['frames'])
    entry['frames'][2]['boxes'][0]['bbox']['width'] = -5.0
    entry['frames'][2]['boxes'].append(box('foot', 1.0, 1.0, 5.0, 5.0))
    entry['frames'][2]['boxes'].append({'object_type': 'tool', 'bbox': None})
    entry['frames'].append({'frame_type': 'pre_15', 'boxes': None})
    (found,), problems = read(video(entry))
    assert [picked.role for picked in found.boxes] == ['left_hand', 'object']
    assert [problem.reason for problem in problems] == [Reason.BAD_BOX] * 3


def test_an_action_without_uid_gets_one_from_its_place(read):
    found, problems = read(video(action('a')), video(action(), action(None), uid='v-2'))
    assert problems == []
    assert [entry.action_id for entry in found] == ['a', 'a1', 'v-2-0-1']


@pytest.mark.parametrize('share', [0.2, 0.5, 0.8, 0.99])
def test_a_truncated_file_gives_what_is_whole(read, share):
    text = json.dumps({'version': 'v2', 'videos': [
        video(action(f'a{index}'), uid=f'v{index}') for index in range(40)]})
    found, problems = read(text=text[:int(len(text) * share)])
    assert 0 < len(found) < 40 or share == 0.99
    assert [problem.reason for problem in problems] == [Reason.TRUNCATED]
    assert f'after {len(found)} videos' == problems[0].row


def test_another_shape_and_no_file(read, tmp_path):
    found, problems = read(text='{"clips": []}')
    assert (found, [problem.reason for problem in problems]) == ([], [Reason.MALFORMED])
    assert "no 'videos'" in problems[0].detail
    with pytest.raises(LegoError, match=r'absent\.json') as caught:
        list(read_ego4d(tmp_path / 'absent.json', str, ProblemLog()))
    assert caught.value.code is ErrorCode.SOURCE_UNREADABLE


@pytest.mark.parametrize(('structured', 'verb'), [
    ('take_(pick,_grab,_get)', 'take'), ('turn_on_(switch_on,_start,_light)', 'turn on'),
    ('open', 'open'), ('[other]', ''), (None, ''), ('', '')])
def test_clean_verb(structured, verb):
    assert clean_verb(structured) == verb
