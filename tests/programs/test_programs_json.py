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

"""Action programs as JSON."""

from __future__ import annotations

import json

from hypothesis import given, settings
from hypothesis import strategies as st
from lego_ros.errors import ErrorCode, LegoError
from lego_ros.programs.parsing import parse
from lego_ros.programs.printing import to_text
from lego_ros.programs.serialising import from_json, schema, to_json
import pytest

some = settings(max_examples=60, deadline=None, derandomize=True)
FIND = {'kind': 'sub_action', 'verb': 'find', 'object_a': 'a'}
OPEN = {'name': 'open', 'arguments': ['a']}


def with_body(*body, **rest):
    return json.dumps({'objects': ['a'], 'body': body, **rest})


def refusal(text):
    with pytest.raises(LegoError) as error:
        from_json(text)
    assert error.value.code is ErrorCode.PROGRAM_INVALID
    return error.value.message


@some
@given(data=st.data())
def test_what_is_written_reads_as_what_it_was(any_programs, data):
    program = data.draw(any_programs)
    assert from_json(to_json(program)) == program
    assert from_json(to_json(program).encode()) == program


def test_the_form():
    program = parse('objects a, b initially open(a) routine r { find(a) } if not open(a) '
                    '{ call r } while seen(_) { repeat 2 { drop(a, b, left) post full(b) } }')
    assert json.loads(to_json(program)) == {
        'version': 'lego_ros/program/1', 'objects': ['a', 'b'],
        'initially': [{'name': 'open', 'arguments': ['a'], 'negated': False}],
        'routines': [{'name': 'r', 'body': [{
            'kind': 'sub_action', 'verb': 'find', 'object_a': 'a', 'object_b': '', 'hand': None,
            'pre': [], 'post': [{'name': 'seen', 'arguments': ['a'], 'negated': False}]}]}],
        'body': [
            {'kind': 'if', 'else': [], 'then': [{'kind': 'call', 'name': 'r'}],
             'condition': [{'name': 'open', 'arguments': ['a'], 'negated': True}]},
            {'kind': 'while', 'body': [{'kind': 'repeat', 'count': 2, 'body': [{
                'kind': 'sub_action', 'verb': 'drop', 'object_a': 'a', 'object_b': 'b',
                'hand': 'left',
                'pre': [{'name': 'in_hand', 'arguments': ['a', 'left'], 'negated': False},
                        {'name': 'near', 'arguments': ['b', 'left'], 'negated': False}],
                'post': [{'name': 'in', 'arguments': ['a', 'b'], 'negated': False},
                         {'name': 'in_hand', 'arguments': ['a', 'left'], 'negated': True},
                         {'name': 'contact', 'arguments': ['a', 'left'], 'negated': True},
                         {'name': 'full', 'arguments': ['b'], 'negated': False}]}]}],
             'condition': [{'name': 'seen', 'arguments': ['_'], 'negated': False}]}]}


def test_what_has_a_default_may_be_left_out():
    assert from_json(with_body(FIND)) == parse('objects a find(a)')


def fulfils(value, form, whole):
    """Tell whether a value is of a schema, as far as ours go."""
    if '$ref' in form:
        return fulfils(value, whole['$defs'][form['$ref'].removeprefix('#/$defs/')], whole)
    if 'oneOf' in form:
        return sum(fulfils(value, one, whole) for one in form['oneOf']) == 1
    if 'anyOf' in form:
        return any(fulfils(value, one, whole) for one in form['anyOf'])
    if 'const' in form:
        return value == form['const']
    if 'enum' in form:
        return value in form['enum']
    if form['type'] == 'object':
        assert form['additionalProperties'] is False
        return (isinstance(value, dict) and set(form['required']) <= set(value)
                and set(value) <= set(form['properties'])
                and all(fulfils(value[key], form['properties'][key], whole) for key in value))
    if form['type'] == 'array':
        return isinstance(value, list) and all(
            fulfils(one, form['items'], whole) for one in value)
    kinds = {'string': str, 'integer': int, 'boolean': bool, 'null': type(None)}
    return isinstance(value, kinds[form['type']])


@some
@given(data=st.data())
def test_what_is_written_is_of_the_schema(any_programs, data):
    written = json.loads(to_json(data.draw(any_programs)))
    form = json.loads(json.dumps(schema()))
    assert fulfils(written, form, form)
    written['body'][0]['extra'] = 1
    assert not fulfils(written, form, form)


@pytest.mark.parametrize(('text', 'words'), [
    ('', 'JSON: '),
    ('{', 'JSON: '),
    ('[]', 'JSON: '),
    ('"\ud800"', 'JSON: '),
    (b'\xff', 'JSON: '),
    ('{"objects": ["a"]}', 'body: Field required'),
    (with_body(FIND, version='lego_ros/program/2'), 'version: '),
    (with_body(FIND, author='me'), 'author: Extra inputs'),
    (with_body({**FIND, 'speed': 1}), 'body.0.sub_action.speed: Extra inputs'),
    (with_body({'kind': 'sub_action', 'verb': 'find'}), 'body.0.sub_action.object_a: Field req'),
    (with_body({'kind': 'goto'}), "body.0: Input tag 'goto'"),
    (with_body({'verb': 'find'}), 'body.0: Unable to extract tag'),
    (with_body({**FIND, 'object_a': 1}), 'body.0.sub_action.object_a: '),
    (with_body({**FIND, 'verb': 'grab'}), "'grab' is no sub-verb; there are find, reach"),
    (with_body({**FIND, 'object_b': 'a'}), 'find takes 1 object'),
    (with_body({**FIND, 'verb': 'cut', 'hand': 'left'}), 'cut takes 2 objects'),
    (with_body({**FIND, 'hand': 'left'}), 'find has no hand'),
    (with_body({**FIND, 'verb': 'reach'}), 'reach needs a hand'),
    (with_body({**FIND, 'verb': 'reach', 'hand': 'third'}), 'body.0.sub_action.hand: '),
    (with_body({**FIND, 'object_a': '_'}), "'_' cannot be a name"),
    (with_body({**FIND, 'object_a': 'a b'}), "'a b' cannot be a name"),
    (with_body({**FIND, 'object_a': 'a\n'}), 'cannot be a name'),
    (with_body({**FIND, 'object_a': 'x' * 65}), 'cannot be a name'),
    (with_body({**FIND, 'object_a': 'left'}), "'left' cannot be a name"),
    (with_body({'kind': 'call', 'name': 'if'}), "'if' cannot be a name"),
    (with_body(FIND, objects=[]), 'one object and one statement at least'),
    (with_body(FIND, objects=['A']), "'A' cannot be a name"),
    (with_body(), 'one object and one statement at least'),
    (with_body(FIND, routines=[{'name': 'r', 'body': []}]), 'a block has one statement at least'),
    (with_body({'kind': 'repeat', 'count': 0, 'body': [FIND]}), 'repeat counts from 1 to 9999'),
    (with_body({'kind': 'repeat', 'count': 10000, 'body': [FIND]}), 'repeat counts from 1'),
    (with_body({'kind': 'repeat', 'count': 2, 'body': []}), 'a block has one statement at least'),
    (with_body({'kind': 'while', 'condition': [OPEN], 'body': []}), 'a block has one statement'),
    (with_body({'kind': 'if', 'condition': [OPEN], 'then': []}), 'a block has one statement'),
    (with_body({'kind': 'if', 'condition': [], 'then': [FIND]}), 'one condition at least'),
    (with_body({**FIND, 'pre': [{'name': 'ajar', 'arguments': ['a']}]}), "'ajar' is no predicate"),
    (with_body({**FIND, 'pre': [{'name': 'open', 'arguments': []}]}), 'open is of 1 arguments'),
    (with_body({**FIND, 'pre': [{'name': 'near', 'arguments': ['a', 'both']}]}),
     "'near(a, both)': 'both' is no hand; there are _, either, left, right"),
    (with_body({**FIND, 'pre': [{'name': 'near', 'arguments': ['left', 'left']}]}),
     "'left' cannot be a name"),
    # What the text form cannot say either.
    (with_body(FIND, initially=[{**OPEN, 'negated': True}]), 'not open(a)'),
    (with_body(FIND, initially=[{'name': 'open', 'arguments': ['_']}]), 'open(_)'),
    (with_body({**FIND, 'post': [{'name': 'open', 'arguments': ['_']}]}), 'open(_)'),
    (with_body(*[FIND] * 4095), 'statements and routines, at most 4,095 may be'),
    (with_body(FIND, objects=[f'o{number}' for number in range(65)]), 'at most 64 may be'),
    (' ' * ((1 << 25) + 1), 'the JSON is longer than 33,554,432 bytes'),
    (with_body(FIND, objects=['é' * 100_000]), 'cannot be a name'),
])
def test_wrong_json_is_explained(text, words):
    message = refusal(text)
    assert words in message
    # What was sent is not sent back whole.
    assert len(message) < 1000


@pytest.mark.parametrize('depth', [32, 100, 1000, 20_000])
def test_deep_nesting_is_refused(depth):
    inner = '{"kind": "repeat", "count": 1, "body": ['
    text = ('{"objects": ["a"], "body": [' + inner * depth + json.dumps(FIND) + ']}' * depth
            + ']}')
    assert refusal(text)


def test_the_largest_program_can_be_read_back():
    program = parse('objects a\n' + 'lift(a,both)\n' * 4094)
    assert from_json(to_json(program)) == program
    # Indented 62 steps in the text and as deep in JSON.
    deep = parse('objects a\n' + 'repeat 1{' * 31 + 'lift(a,both)\n' * 800 + '}' * 31)
    assert from_json(to_json(deep)) == deep


def test_what_json_may_hold_can_be_printed_and_read():
    # Statements of long names: the text that the message and the parser take is the bound.
    action, name = {**FIND, 'object_a': 'x' * 64}, ['x' * 64]
    most = (65536 - len(f'objects {name[0]}\n')) // len(f'find({name[0]})\n')
    program = from_json(with_body(*[action] * most, objects=name))
    assert parse(to_text(program)) == program
    assert 'bytes of text, at most 65,536 may be' in refusal(
        with_body(*[action] * (most + 1), objects=name))
