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

"""EPIC-KITCHENS-100's files as clips: classes by their numbers, splits, people, programs."""

import json

from lego_ros.errors import LegoError
from lego_ros.training.data.problems import ProblemLog, Reason
from lego_ros.training.leap.clips import ClipSet, write_clips
from lego_ros.training.leap.epic import epic_clips
import pytest

HEAD = ('narration_id,participant_id,video_id,narration_timestamp,start_timestamp,stop_timestamp,'
        'start_frame,stop_frame,narration,verb,verb_class,noun,noun_class,all_nouns,'
        'all_noun_classes\n')
PROGRAM = {'objects': ['spoon'], 'body': [
    {'kind': 'sub_action', 'verb': 'reach', 'object_a': 'spoon', 'hand': 'right'}]}

# As lego-ros programs generate writes it.
WRITTEN = {
    'clip_id': 'P01_101_0', 'video_id': 'P01_101', 'start': 2.0, 'end': 3.0, 'label': 'put spoon',
    'descriptors': '', 'text': 'objects spoon', 'program': PROGRAM, 'provenance': {
        'model': 'm', 'exemplars': [], 'rounds': 1, 'prompt_sha256': '', 'prompt_tokens': None,
        'completion_tokens': None}}


def row(number, verb=1, noun=0, video='P01_101', start=2, words='spoon:slotted'):
    person = video[:3]
    rate = 50 if len(video) == 7 else 60
    return (f"{video}_{number},{person},{video},00:00:01.500,00:00:0{start}.00,"
            f"00:00:0{start + 1}.00,{start * rate},{(start + 1) * rate},take spoon,pick-up,"
            f"{verb},{words},{noun},\"['{words}']\",[{noun}]\n")


@pytest.fixture
def epic(tmp_path):
    """Write a tiny EPIC-KITCHENS: annotations beside extracted frames and a video."""
    home = tmp_path / 'epic' / 'epic-kitchens-100-annotations'
    home.mkdir(parents=True)
    train = [row(0), row(1, verb=7), row(2, verb=0), row(0, video='P04_05'),
             row(0, video='P01_109')]
    (home / 'EPIC_100_train.csv').write_text(HEAD + ''.join(train))
    (home / 'EPIC_100_validation.csv').write_text(HEAD + row(0, video='P02_03'))
    (home / 'EPIC_100_test_timestamps.csv').write_text(
        'narration_id,participant_id,video_id,narration_timestamp,start_timestamp,stop_timestamp,'
        'start_frame,stop_frame\n'
        'P03_04_0,P03,P03_04,00:00:01.500,00:00:02.00,00:00:03.00,120,180\n')
    for kind, names in (('verb', ('take', 'put')), ('noun', ('spoon', 'mug'))):
        lines = [f"{number},{name},\"['{name}']\",things\n" for number, name in enumerate(names)]
        (home / f'EPIC_100_{kind}_classes.csv').write_text(
            'id,key,instances,category\n' + ''.join(lines))
    (home / 'EPIC_100_tail_verbs.csv').write_text('verb\n1\n')
    (home / 'EPIC_100_unseen_participant_ids_validation.csv').write_text('participant_id\nP02\n')
    (tmp_path / 'epic' / 'P01' / 'rgb_frames' / 'P01_101').mkdir(parents=True)
    (tmp_path / 'epic' / 'P01' / 'rgb_frames' / 'P01_109').mkdir()
    video = tmp_path / 'epic' / 'P02' / 'videos' / 'P02_03.MP4'
    video.parent.mkdir(parents=True)
    video.write_bytes(b'')
    return tmp_path / 'epic'


def test_epic_kitchens_becomes_clips(epic, tmp_path):
    written = tmp_path / 'programs.jsonl'
    written.write_text(json.dumps(WRITTEN) + '\n')
    log = ProblemLog()
    info, clips = epic_clips(epic, epic, log, written)
    write_clips(tmp_path / 'out', info, clips)
    found = ClipSet(tmp_path / 'out')
    assert (found.info.verbs, found.info.nouns) == (('take', 'put'), ('spoon', 'mug'))
    assert found.info.tail_verbs == {1}
    assert found.info.tail_nouns is None
    assert found.info.unseen_participants == {'P02'}
    assert found.root == epic
    train, validation, test = (found.split(name) for name in ('train', 'validation', 'test'))
    first = train[0]
    assert (first.clip_id, first.verb, first.noun) == ('P01_101_0', 'put', 'spoon')
    assert (first.start, first.stop, first.rate) == (2.0, 3.0, 50.0)
    assert (first.footage, first.fps) == ('P01/rgb_frames/P01_101', 50.0)
    assert [step.verb for step in first.tree().sub_actions()] == ['reach']
    assert validation[0].program is None
    assert (validation[0].footage, validation[0].fps, validation[0].rate) == (
        'P02/videos/P02_03.MP4', None, 60.0)
    assert (test[0].verb, test[0].noun, test[0].participant) == (None, None, 'P03')
    # The second row is of a verb class that the taxonomy does not have; the fourth's video is not
    # there, and the last one's frames are known to be wrong. Of the test set nothing is left out.
    assert [clip.clip_id for clip in train] == ['P01_101_0', 'P01_101_2']
    assert [(problem.reason, problem.row) for problem in log] == [
        (Reason.MALFORMED, 'line 3'), (Reason.MISSING_VIDEO, 'line 5'),
        (Reason.KNOWN_ERROR, 'line 6')]


def test_without_its_taxonomy_nothing_can_be_read(epic):
    (epic / 'epic-kitchens-100-annotations' / 'EPIC_100_noun_classes.csv').unlink()
    with pytest.raises(LegoError, match=r'EPIC_100_noun_classes\.csv'):
        epic_clips(epic, epic, ProblemLog())


def test_programs_of_another_form_are_refused(epic, tmp_path):
    written = tmp_path / 'programs.jsonl'
    written.write_text('{"program": {}}\n')
    with pytest.raises(LegoError, match='line 1: clip_id'):
        epic_clips(epic, epic, ProblemLog(), written)
