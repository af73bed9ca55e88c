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

"""The manifest of clips: read as it was written, and what is wrong is named."""

import json

from lego_ros.errors import ErrorCode, LegoError
from lego_ros.training.leap.clips import ClipInfo, ClipRecord, CLIPS, ClipSet, INFO, write_clips
import pytest

INFOS = ClipInfo(verbs=('open', 'take'), nouns=('mug',), tail_nouns=frozenset({0}))


def clip(number=0, **changes):
    return ClipRecord.model_validate({
        'clip_id': f'v_{number}', 'video_id': 'v', 'participant': 'P', 'split': 'train',
        'footage': 'frames/v', 'fps': 8.0, 'rate': 60.0, 'start': 1.0, 'stop': 2.0,
        'verb': 'take', 'noun': 'mug', **changes})


def refused(folder, match):
    with pytest.raises(LegoError, match=match) as caught:
        ClipSet(folder)
    assert caught.value.code is ErrorCode.SOURCE_UNREADABLE


def test_a_manifest_is_read_as_it_was_written(tmp_path):
    clips = [clip(), clip(1, split='test', verb=None, noun=None, fps=None)]
    write_clips(tmp_path, INFOS, clips)
    found = ClipSet(tmp_path)
    assert found.clips == tuple(clips)
    assert found.info == INFOS
    assert found.root == tmp_path
    assert found.split('test') == (clips[1],)
    assert found.of_video('v') == clips
    assert found.of_video('w') == []
    before = (tmp_path / CLIPS).read_bytes(), (tmp_path / INFO).read_bytes()
    write_clips(tmp_path, INFOS, clips)
    assert before == ((tmp_path / CLIPS).read_bytes(), (tmp_path / INFO).read_bytes())


def test_its_identity_is_that_of_both_files(tmp_path):
    write_clips(tmp_path, INFOS, [clip()])
    first = ClipSet(tmp_path).sha256
    write_clips(tmp_path, INFOS, [clip(stop=2.5)])
    second = ClipSet(tmp_path).sha256
    write_clips(tmp_path, INFOS.model_copy(update={'verbs': ('take', 'open')}), [clip(stop=2.5)])
    assert len({first, second, ClipSet(tmp_path).sha256}) == 3


def test_a_split_that_is_not_there(tmp_path):
    write_clips(tmp_path, INFOS, [clip()])
    with pytest.raises(LegoError, match="no clips of a split 'test'; it has train"):
        ClipSet(tmp_path).split('test')


@pytest.mark.parametrize(('changes', 'match'), [
    ({'stop': 1.0}, 'line 2: .*not after its start'),
    ({'verb': None}, 'line 2: .*neither is'),
    ({'verb': 'fly'}, r"line 2: 'fly' or 'mug' is not among the classes of clips\.json"),
    ({'footage': '../v'}, 'line 2: footage: .*does not stay'),
    ({'clip_id': 'v_0'}, 'line 2: v_0 is there twice'),
    ({'fps': 0}, 'line 2: fps'),
    ({'extra': 1}, 'line 2: extra'),
])
def test_a_bad_line_is_named(tmp_path, changes, match):
    write_clips(tmp_path, INFOS, [clip()])
    line = {**clip(1).model_dump(mode='json'), **changes}
    with (tmp_path / CLIPS).open('a') as file:
        file.write(json.dumps(line) + '\n')
    refused(tmp_path, match)


def test_a_line_that_is_cut_off(tmp_path):
    write_clips(tmp_path, INFOS, [clip()])
    path = tmp_path / CLIPS
    path.write_bytes(path.read_bytes()[:-1])
    refused(tmp_path, 'line 1 is cut off')


def test_no_clip_set_at_all(tmp_path):
    refused(tmp_path, r'clips\.json.*no clip set')
    (tmp_path / INFO).write_text('{"verbs": ["a", "a"], "nouns": ["b"]}')
    refused(tmp_path, r'clips\.json.*twice')


def test_a_program_is_parsed_or_refused():
    assert clip().tree() is None
    with pytest.raises(LegoError):
        clip(program={'objects': ['mug'], 'body': [{'kind': 'jump'}]}).tree()
