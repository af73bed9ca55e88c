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

"""Clips, spans and their text; narrations and sound tags, which are files of words."""

from hypothesis import given, strategies
from lego_ros.errors import ErrorCode, LegoError
from lego_ros.training.data.problems import Reason
from lego_ros.training.descriptors.clip import Descriptors, Part, runs, Span, within
from lego_ros.training.descriptors.describing import describe
from lego_ros.training.descriptors.narrations import ego4d_clips, epic_clips, Narrations
from lego_ros.training.descriptors.rendering import MAX_SPANS, MAX_WORDS, render
from lego_ros.training.descriptors.sounds import NOT_TAGGED, SoundTags
import pytest

HEADER = ('annotation_id,participant_id,video_id,start_timestamp,stop_timestamp,description,'
          'class,class_id\n')
EPIC_HEADER = (
    'narration_id,participant_id,video_id,narration_timestamp,start_timestamp,stop_timestamp,'
    'start_frame,stop_frame,narration,verb,verb_class,noun,noun_class,all_nouns,'
    'all_noun_classes\n')
EPIC = EPIC_HEADER + """\
P01_101_0,P01,P01_101,,00:00:10.00,00:00:14.00,500,700,open  drawer,open,3,drawer,8,['drawer'],[8]
P01_101_1,P01,P01_101,,00:00:13.00,00:00:16.00,650,800,take spoon,take,0,spoon:wooden,1,\
['spoon:wooden'],[1]
P01_101_2,P01,P01_101,,00:00:14.00,00:00:15.00,700,749,bad frame,open,3,drawer,8,['drawer'],[8]
"""


def test_all_parts_in_their_order():
    text = render(Descriptors(
        4.0, narrations=Part((Span(0, 4, 'open drawer'),)),
        audio=Part((Span(1.24, 1.26, 'open / close'),), 'derived'),
        camera=Part((Span(0, 0, 'still'),)), objects=Part(note='no frame was looked at'),
        contact=Part((Span(0.52, 2.04, 'left hand holds a thing'),))))
    assert text == """\
clip: 4.0 s
narrations:
  0.0-4.0 open drawer
audio: (derived)
  1.2-1.3 open / close
camera:
  0.0 still
objects: none (no frame was looked at)
contact:
  0.5-2.0 left hand holds a thing
"""


def test_what_was_not_looked_for_is_left_out_and_what_was_not_found_is_said():
    assert render(Descriptors(1.0, audio=Part())) == 'clip: 1.0 s\naudio: none\n'


@given(text=strategies.text(), count=strategies.integers(0, 60))
def test_no_text_makes_lines_of_its_own_or_grows_without_bound(text, count):
    part = Part(tuple(Span(k, k + 1, text) for k in range(count)), text)
    lines = render(Descriptors(60.0, audio=part)).split('\n')
    more = count > MAX_SPANS
    assert len(lines) == 3 + min(count, MAX_SPANS) + more
    assert all(len(line) <= MAX_WORDS + 40 and line.isprintable() for line in lines)
    assert lines[-2] == f'  ... {count - MAX_SPANS} more' or not more


@pytest.mark.parametrize(('start', 'end'), [(3, 3), (3, 2), (float('nan'), 4), (0, 3601)])
def test_a_clip_has_a_length(clip, start, end):
    with pytest.raises(LegoError, match='P01_101_0') as caught:
        clip(start, end)
    assert caught.value.code == ErrorCode.INVALID_SETTING


def test_spans_are_cut_to_the_clip(clip):
    spans = [Span(13, 20, 'late'), Span(8, 11, 'early'), Span(9, 10, 'before'),
             Span(14, 15, 'after'), Span(14, 14, 'last moment'), Span(9, 9, 'no')]
    assert within(clip(), spans) == (
        Span(0, 1, 'early'), Span(3, 4, 'late'), Span(4, 4, 'last moment'))


def test_moments_become_spans():
    samples = [(0.0, ['a']), (0.1, ['a', 'b']), (0.2, []), (0.3, ['a']), (0.7, ['a']), (1.0, [])]
    assert runs(samples, 0.2) == (Span(0.0, 0.3, 'a'), Span(0.1, 0.1, 'b'), Span(0.7, 0.7, 'a'))
    assert runs(samples, 0.2, least=0.1) == (Span(0.0, 0.3, 'a'),)
    assert runs(samples, 0.5, least=0.1) == (Span(0.0, 0.7, 'a'),)


def test_epic_rows_are_clips_and_rows_left_out_are_told(tmp_path, log):
    path = tmp_path / 'EPIC_100_train.csv'
    path.write_text(EPIC)
    first, second = epic_clips(path, log)
    assert (first.clip_id, first.start, first.end, first.label, first.nouns) == (
        'P01_101_0', 10.0, 14.0, 'open drawer', ('drawer',))
    assert second.nouns == ('wooden spoon',)
    assert log.counts == {'frame_rule': 1}


def test_the_own_narration_comes_first_and_others_while_they_last(tmp_path, log):
    path = tmp_path / 'EPIC_100_train.csv'
    path.write_text(EPIC)
    clips = epic_clips(path, log)
    parts = Narrations(clips).parts('P01_101', clips)
    assert parts[1].spans == (Span(0, 3, 'take spoon'), Span(0, 1, 'open drawer'))
    assert parts[0].spans == (Span(0, 4, 'open drawer'), Span(3, 4, 'take spoon'))


@pytest.mark.parametrize(('content', 'message'), [
    ('a,b\n1,2\n', 'lacks the columns'), (EPIC_HEADER, 'no action that can be used'),
    (EPIC_HEADER.split(',narration,')[0].replace('narration_timestamp,', '') + '\n'
     + 'P01_101_0,P01,P01_101,00:00:01.00,00:00:02.00,50,100\n', 'times only')])
def test_files_without_usable_narrations(tmp_path, log, content, message):
    path = tmp_path / 'EPIC_100_train.csv'
    path.write_text(content)
    with pytest.raises(LegoError, match=message) as caught:
        epic_clips(path, log)
    assert caught.value.code == ErrorCode.SOURCE_UNREADABLE


def test_ego4d_actions_are_clips(tmp_path, log):
    frames = {'pre_15': 285, 'pnr_frame': 330}
    action = {
        'uid': 'a1', 'is_valid_action': True, 'is_rejected': False,
        'is_invalid_annotation': False, 'narration_text': '#C C opens the drawer',
        'structured_verb': 'open', 'critical_frames': frames}
    import json
    path = tmp_path / 'fho_main.json'
    path.write_text(json.dumps({'videos': [{
        'video_uid': 'v1', 'video_metadata': {
            'fps': 30.0, 'num_frames': 900, 'width': 640, 'height': 480},
        'annotated_intervals': [{'clip_uid': None, 'narrated_actions': [
            action, {**action, 'uid': 'a2', 'is_rejected': True}]}]}]}))
    found, = ego4d_clips(path, log)
    assert (found.clip_id, found.video_id, found.start, found.end, found.label) == (
        'a1', 'v1', 9.5, 12.0, 'open the drawer')
    assert log.counts == {'rejected': 1}


def test_sound_tags(tmp_path, clip, log):
    path = tmp_path / 'EPIC_Sounds_train.csv'
    path.write_text(
        HEADER + 'a,P01,P01_101,00:00:09.500,00:00:11.250,tap running,water,5\n'
        'b,P01,P01_101,00:00:12.000,00:00:11.000,x,water,5\n'
        'c,P01,P01_101,00:00:1x,00:00:11.000,x,water,5\nd,P01\n'
        'e,P01,P01_101,00:00:13.000,00:00:19.000,clang,metal-only collision,0\n')
    tags = SoundTags(path, log)
    there, silent = tags.parts('P01_101', [clip(), clip(11.5, 12.5)])
    assert there.spans == (Span(0.0, 1.25, 'water'), Span(3.0, 4.0, 'metal-only collision'))
    assert silent == Part()
    assert tags.parts('P02_102', [clip()]) == [Part(note=NOT_TAGGED)]
    assert [(problem.row, problem.reason) for problem in log] == [
        ('line 3', Reason.MALFORMED), ('line 4', Reason.MALFORMED), ('line 5', Reason.MALFORMED)]


@pytest.mark.parametrize('content', [
    b'', b'annotation_id,video_id\n', b'\xff\xfe\x00', HEADER.encode() + b'"a,b\n'])
def test_what_is_no_file_of_sound_tags(tmp_path, log, content):
    path = tmp_path / 'sounds.csv'
    path.write_bytes(content)
    with pytest.raises(LegoError, match=r'sounds\.csv') as caught:
        SoundTags(path, log)
    assert caught.value.code == ErrorCode.SOURCE_UNREADABLE
    with pytest.raises(LegoError, match=r'missing\.csv'):
        SoundTags(tmp_path / 'missing.csv', log)


def test_each_video_is_asked_about_once(clip):
    asked = []

    class Echo:
        def parts(self, video_id, clips):
            asked.append((video_id, [each.clip_id for each in clips]))
            return [Part(note=each.clip_id) for each in clips]

    clips = [clip(clip_id=f'{video}_{k}', video_id=video) for k in range(2) for video in 'ab']
    found = describe(clips, {'audio': Echo()})
    assert [each.audio.note for each in found] == ['a_0', 'b_0', 'a_1', 'b_1']
    assert asked == [('a', ['a_0', 'a_1']), ('b', ['b_0', 'b_1'])]
    assert all(each.camera is None for each in found)
    with pytest.raises(ValueError, match='smell'):
        describe(clips, {'smell': Echo()})
