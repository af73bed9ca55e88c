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

"""The README.md of a bundle."""

import json

from lego_ros.errors import ErrorCode, LegoError
from lego_ros.training.evaluation.report import make_report
from lego_ros.training.model_card import read_evaluation
import pytest

RECORD = {'variant': 'joint', 'seed': 0, 'steps': 7}


@pytest.fixture
def evaluation(tmp_path):
    path = tmp_path / 'evaluation.json'
    path.write_text(json.dumps(make_report({}, {'joint-0': RECORD}, {})), encoding='utf-8')
    return path


def test_figures_of_the_very_networks(evaluation):
    assert read_evaluation(evaluation, RECORD)['networks'] == {'joint-0': RECORD}


@pytest.mark.parametrize('record', [{**RECORD, 'steps': 8}, None])
def test_figures_of_other_networks_are_not_shown(evaluation, record):
    assert read_evaluation(evaluation, record) is None


def test_without_an_evaluation(tmp_path):
    assert read_evaluation(tmp_path / 'evaluation.json', RECORD) is None


@pytest.mark.parametrize('content', ['', '[]', '{}', '{"schema": "other/1"}',
                                     '{"schema": "lego_ros/evaluation/1", "networks": 1}'])
def test_what_is_no_evaluation_is_refused(tmp_path, content):
    path = tmp_path / 'evaluation.json'
    path.write_text(content, encoding='utf-8')
    with pytest.raises(LegoError, match='run lego-ros eval again') as caught:
        read_evaluation(path, RECORD)
    assert caught.value.code == ErrorCode.SOURCE_UNREADABLE
