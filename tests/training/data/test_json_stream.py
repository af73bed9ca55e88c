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

"""Elements of a large array, one at a time, as json.load would give them."""

import json
import re
import tracemalloc

from hypothesis import given, HealthCheck, settings, strategies
from lego_ros.training.data import json_stream
from lego_ros.training.data.json_stream import elements_of, JsonStreamError
import pytest

VALUES = strategies.recursive(
    strategies.none() | strategies.booleans() | strategies.integers()
    | strategies.floats(allow_nan=False) | strategies.text(),
    lambda inner: strategies.lists(inner) | strategies.dictionaries(strategies.text(), inner),
    max_leaves=20)


@settings(deadline=None, max_examples=100,
          suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(elements=strategies.lists(VALUES, max_size=6), before=VALUES, after=VALUES,
       block=strategies.integers(1, 40), ascii_only=strategies.booleans(),
       indent=strategies.sampled_from([None, 2]))
def test_equal_to_json_load(tmp_path, monkeypatch, elements, before, after, block, ascii_only,
                            indent):
    monkeypatch.setattr(json_stream, '_BLOCK', block)
    path = tmp_path / 'file.json'
    path.write_text(json.dumps(
        {'version': before, 'videos': elements, 'date': after}, ensure_ascii=ascii_only,
        indent=indent), encoding='utf-8', errors='replace')
    assert list(elements_of(path, 'videos')) == json.loads(path.read_text('utf-8'))['videos']


@settings(deadline=None, max_examples=40,
          suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(elements=strategies.lists(
    strategies.dictionaries(strategies.text(max_size=3), VALUES), max_size=4),
    cut=strategies.floats(0, 1, exclude_max=True), block=strategies.integers(1, 40))
def test_a_cut_file_gives_what_is_whole_and_says_so(tmp_path, monkeypatch, elements, cut, block):
    monkeypatch.setattr(json_stream, '_BLOCK', block)
    text = json.dumps({'version': '2', 'videos': elements})
    path = tmp_path / 'file.json'
    path.write_text(text[:int(len(text) * cut)])
    found = []
    with pytest.raises(JsonStreamError) as caught:
        found.extend(elements_of(path, 'videos'))
    assert caught.value.truncated
    assert caught.value.position <= len(text)
    found = []
    try:
        for element in elements_of(path, 'videos'):
            found.append(element)
    except JsonStreamError:
        pass
    assert found == elements[:len(found)]


@pytest.mark.parametrize(('text', 'message'), [
    ('[1]', "expected '{'"),
    ('{"videos": 3}', "expected '['"),
    ('{"videos": [1] "a": 2}', "expected ',' or '}'"),
    ('{"a": 1}', "no 'videos'"),
    ('{}', "no 'videos'"),
    ('{"videos": [1], "videos": [2]}', 'twice'),
    ('{"videos": []} x', 'after the end'),
    ('{"videos": [{"a" 1}' + ' ' * 100 + ']}', 'delimiter'),
    ('{"videos": [' + '[' * 100_000 + ']}', 'deeply'),
])
def test_faults_are_told_from_cuts(tmp_path, text, message):
    path = tmp_path / 'file.json'
    path.write_text(text)
    with pytest.raises(JsonStreamError, match=re.escape(message)) as caught:
        list(elements_of(path, 'videos'))
    assert not caught.value.truncated


def test_a_fault_in_the_middle_does_not_read_the_rest(tmp_path):
    path = tmp_path / 'file.json'
    path.write_text('{"videos": [{"a": 1}, {"a": ?}' + ', {"a": 2}' * 1_000_000 + ']}')
    tracemalloc.start()
    try:
        with pytest.raises(JsonStreamError, match='Expecting value'):
            list(elements_of(path, 'videos'))
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()


def test_memory_is_that_of_one_element(tmp_path):
    path = tmp_path / 'file.json'
    element = json.dumps({'name': 'x' * 100_000, 'numbers': list(range(10_000))})
    with open(path, 'w') as file:
        file.write('{"videos": [' + element)
        for _ in range(149):
            file.write(', ' + element)
        file.write(']}')
    assert path.stat().st_size > 20 << 20
    tracemalloc.start()
    try:
        assert sum(1 for _ in elements_of(path, 'videos')) == 150
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()


def test_an_endless_element_is_refused(tmp_path):
    path = tmp_path / 'file.json'
    path.write_text('{"videos": ["' + 'x' * (8 << 20))
    with pytest.raises(JsonStreamError, match='longer than'):
        list(elements_of(path, 'videos', max_element=1 << 20))
