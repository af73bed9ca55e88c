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

"""The list of what was left out."""

import json
import random

from hypothesis import given, settings, strategies
from lego_ros.errors import LegoError
from lego_ros.training.data.problems import Problem, ProblemLog, Reason
import pandas
import pytest

PROBLEMS = strategies.builds(
    Problem, strategies.text(max_size=5), strategies.text(max_size=5),
    strategies.sampled_from(Reason), strategies.text(max_size=5))


@settings(deadline=None)
@given(problems=strategies.lists(PROBLEMS), seed=strategies.integers())
def test_the_order_of_finding_does_not_show(problems, seed):
    shuffled = list(problems)
    random.Random(seed).shuffle(shuffled)
    assert ProblemLog(problems).to_lines() == ProblemLog(shuffled).to_lines()
    assert ProblemLog(problems).counts == ProblemLog(shuffled).counts
    assert sum(ProblemLog(problems).counts.values()) == len(problems)


def test_written_read_and_opened_with_pandas(tmp_path):
    log = ProblemLog()
    log.add(Reason.MISSING_VIDEO, tmp_path / 'b.mp4', 'P01_01_3', 'there is no such file')
    log.add(Reason.MALFORMED, 'a.csv', 'line 3', 'verb "Öl\u2028\n" is empty \ud800')
    log.add(Reason.MALFORMED, 'a.csv', 'line 10', 'x')
    path = tmp_path / 'problems.jsonl'
    log.write(path)
    again = ProblemLog.read(path)
    assert again.counts == {'malformed': 2, 'missing_video': 1} == log.counts
    assert again.to_lines() == path.read_bytes()
    frame = pandas.read_json(path, lines=True)
    assert list(frame.columns) == ['file', 'row', 'reason', 'detail']
    assert frame.reason.value_counts()['malformed'] == 2
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize('line', ['{', '[]', '{"file": "a"}', json.dumps(
    {'file': 'a', 'row': '1', 'reason': 'bad mood', 'detail': ''})])
def test_damage_is_named(tmp_path, line):
    path = tmp_path / 'problems.jsonl'
    log = ProblemLog([Problem('a', '1', Reason.UNSURE, '')])
    path.write_bytes(log.to_lines() + line.encode())
    with pytest.raises(LegoError, match=r"problems\.jsonl': line 2"):
        ProblemLog.read(path)
