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

"""What a run that is stopped halfway leaves, as training reads it."""

from lego_ros.errors import LegoError
from lego_ros.training.curation.curate import curate_with_model
from lego_ros.training.curation.queries import Selection
from lego_ros.training.curation.results import read_outcome, ResultFiles
from lego_ros.training.llm.client import Server
import pytest


def test_a_larger_run_that_is_stopped_makes_the_smaller_ones_files_unfinished(
        llm, manifest, tmp_path, answers):
    path, files = manifest(12), ResultFiles(tmp_path / 'descriptions.jsonl')

    def curate(count):
        return curate_with_model(path, files.descriptions, Selection(count=count), Server(
            llm.url, 'a-model', tries=1, timeout=20, concurrency=1), None)

    def why(pair_id):
        return read_outcome(files).why_missing(pair_id, 'train', boxes=True)

    curate(3)
    done = set(read_outcome(files).texts)
    other = next(f'kitchen/a{n}' for n in range(12) if f'kitchen/a{n}' not in done)
    assert (len(done), why(other)) == (3, 'not drawn by --count')

    # Before the first new answer nothing has changed.
    llm.answer = lambda request: (401, {}, {'error': {'message': 'no key'}})
    with pytest.raises(LegoError, match='401'):
        curate(12)
    assert why(other) == 'not drawn by --count'

    first = len(llm.requests)
    llm.answer = lambda request: (answers.good(request) if request.number < first + 4
                                  else (401, {}, {'error': {'message': 'no key'}}))
    with pytest.raises(LegoError, match='401'):
        curate(12)
    # The three are still there, but they are not what the newest run was to make.
    outcome = read_outcome(files)
    assert set(outcome.texts) == done
    assert (outcome.summary, outcome.begun) == (None, True)
    assert why(other) is None

    # Either run brings it to an end: the smaller one asks about nothing.
    asked = len(llm.requests)
    curate(3)
    assert (len(llm.requests), why(other)) == (asked, 'not drawn by --count')
    llm.answer = answers.good
    curate(12)
    assert len(read_outcome(files).texts) == 12
