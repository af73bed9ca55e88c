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

"""The challenge's submission file, read back by a reader of its own that accepts no slip."""

import json
import zipfile

from lego_ros.errors import ErrorCode, LegoError
from lego_ros.training.leap.submission import Scores, Supervision, write_submission
import numpy as np
from pydantic import ValidationError
import pytest

LEVELS = Supervision(pt=2, tl=5, td=3)
PAIRS = [(number % 97, number % 300) for number in range(150)]


def scores(count=3, **changes):
    rng = np.random.default_rng(0)
    values = {'narration_ids': [f'P01_11_{number}' for number in range(count)],
              'verbs': rng.normal(size=(count, 97)), 'nouns': rng.normal(size=(count, 300)),
              'actions': rng.normal(size=(count, len(PAIRS))), 'pairs': PAIRS}
    return Scores(**{**values, **changes})


def read(path, expected_ids, challenge):
    """Read as the server would."""
    with zipfile.ZipFile(path) as archive:
        assert archive.namelist() == ['test.json']
        document = json.loads(archive.read('test.json'))
    assert set(document) == {'version', 'challenge', 'sls_pt', 'sls_tl', 'sls_td', 'results'}
    assert (document['version'], document['challenge']) == ('0.2', challenge)
    assert [document[name] for name in ('sls_pt', 'sls_tl', 'sls_td')] == [2, 5, 3]
    assert sorted(document['results']) == sorted(expected_ids)
    for entry in document['results'].values():
        for kind, classes in (('verb', 97), ('noun', 300)):
            assert sorted(map(int, entry[kind])) == list(range(classes))
            assert all(type(value) is float for value in entry[kind].values())
        if 'action' in entry:
            assert len(entry['action']) == 100
            for key, value in entry['action'].items():
                verb, noun = map(int, key.split(','))
                assert 0 <= verb < 97
                assert 0 <= noun < 300
                assert type(value) is float
    assert len({'action' in entry for entry in document['results'].values()}) == 1
    return document['results']


@pytest.mark.parametrize('task', ['recognition', 'anticipation'])
def test_what_is_written_is_read_back(tmp_path, task):
    given = scores()
    write_submission(tmp_path / 's.zip', task, LEVELS, given)
    results = read(tmp_path / 's.zip', given.narration_ids, f'action_{task}')
    for number, name in enumerate(given.narration_ids):
        entry = results[name]
        assert [entry['verb'][str(place)] for place in range(97)] == given.verbs[number].tolist()
        assert [entry['noun'][str(place)] for place in range(300)] == given.nouns[number].tolist()
        best = np.sort(given.actions[number])[::-1][:100]
        assert sorted(entry['action'].values(), reverse=True) == best.tolist()
        key = '{},{}'.format(*PAIRS[int(given.actions[number].argmax())])
        assert entry['action'][key] == given.actions[number].max()


def test_actions_may_be_left_to_the_server_and_bytes_repeat(tmp_path):
    given = scores(actions=None)
    for name in ('a.zip', 'b.zip'):
        write_submission(tmp_path / name, 'recognition', LEVELS, given)
    results = read(tmp_path / 'a.zip', given.narration_ids, 'action_recognition')
    assert all(set(entry) == {'verb', 'noun'} for entry in results.values())
    assert (tmp_path / 'a.zip').read_bytes() == (tmp_path / 'b.zip').read_bytes()


@pytest.mark.parametrize(('changes', 'match'), [
    ({'verbs': np.zeros((3, 14))}, r'verbs are \(3, 14\), expected \(3, 97\)'),
    ({'nouns': np.full((3, 300), np.nan)}, 'a score of nouns is not finite'),
    ({'narration_ids': ['a', 'b', 'a']}, 'there twice'),
    ({'narration_ids': [], 'verbs': np.zeros((0, 97))}, 'there is no segment'),
    ({'actions': np.zeros((3, 20)), 'pairs': PAIRS[:20]}, '20 actions are scored; .* wants 100'),
    ({'actions': np.zeros((3, 149))}, r'actions are \(3, 149\)'),
])
def test_what_the_server_would_refuse_is_refused(tmp_path, changes, match):
    with pytest.raises(LegoError, match=match) as caught:
        write_submission(tmp_path / 's.zip', 'recognition', LEVELS, scores(**changes))
    assert caught.value.code is ErrorCode.INVALID_SETTING
    assert not (tmp_path / 's.zip').exists()


def test_levels_go_from_0_to_5():
    with pytest.raises(ValidationError):
        Supervision(pt=6, tl=0, td=0)


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(LegoError, match='cannot be written'):
        write_submission(tmp_path / 'no' / 's.zip', 'recognition', LEVELS, scores())
