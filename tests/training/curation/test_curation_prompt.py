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

"""The examples, and the prompt that is made with them."""

from lego_ros.errors import ErrorCode, LegoError
from lego_ros.training.curation.checks import judge_text, tidy
from lego_ros.training.curation.examples import load_examples, shipped_datasets
from lego_ros.training.curation.prompt import format_query, make_messages
from lego_ros.training.curation.queries import Entry, HANDS, make_entry
from lego_ros.training.curation.words import Vocabulary
from lego_ros.training.data.verbs import base_form
from lego_ros.training.llm.journal import hash_of
import pytest
import yaml

DATASETS = ['ego4d', 'epic-kitchens-100', 'kitchen']


def test_there_are_examples_for_each_dataset():
    assert shipped_datasets() == DATASETS


def test_a_prompt_has_all_parts_in_their_order(record):
    entry = make_entry(record(noun='board:chopping', label='take chopping board'))
    examples = load_examples('kitchen')
    system, user = make_messages(examples, entry.query)
    assert (system['role'], user['role']) == ('system', 'user')
    for wanted in ('[x1, y1, x2, y2]', 'from 0 to 1', 'One sentence', 'left hand', 'on the right',
                   'neither in the action nor among the boxes'):
        assert wanted in system['content']
    text = user['content']
    places = [text.index(f'({number}) Action: {example.label}\n')
              for number, example in enumerate(examples, start=1)]
    assert places == sorted(places)
    assert all(f'Description: {example.description}' in text for example in examples)
    assert text.endswith(
        'Now describe this one:\n\n'
        'Action: take chopping board\n'
        'Before: chopping board [0.30, 0.40, 0.40, 0.50]; counter [0.00, 0.30, 1.00, 0.90]\n'
        'During: left hand [0.25, 0.40, 0.40, 0.70]\n'
        'Description:')
    # What comes before the query is the same for all, for the server's prefix cache.
    other = make_messages(examples, make_entry(record(1)).query)[1]['content']
    assert text.split('Now describe')[0] == other.split('Now describe')[0]


def test_boxes_without_names_and_worn_gloves(record):
    entry = make_entry(record(boxes=[
        {'role': 'right_hand', 'picture': 'input', 'box': [0, 0, 0.5, 0.5], 'name': 'glove'},
        {'role': 'object', 'picture': 'input', 'box': [0, 0, 0.5, 0.5]},
        {'role': 'tool', 'picture': 'input', 'box': [0, 0, 0.5, 0.504]}]))
    assert format_query(entry.query) == (
        'Action: take mug\nBefore: right hand [0.00, 0.00, 0.50, 0.50]; '
        'object [0.00, 0.00, 0.50, 0.50]; tool [0.00, 0.00, 0.50, 0.50]')


def test_the_hash_follows_the_prompt(record):
    examples = load_examples('kitchen')
    messages = [make_messages(examples, make_entry(record(label=label)).query)
                for label in ('take mug', 'take mug', 'take the mug')]
    hashes = [hash_of(message) for message in messages]
    assert hashes[0] == hashes[1] != hashes[2]


@pytest.mark.parametrize('dataset', DATASETS)
def test_examples_are_diverse_and_hold_to_the_rules(dataset):
    examples = load_examples(dataset)
    assert len(examples) == 12
    nouns = {box.name for example in examples for box in example.query.boxes} - set(HANDS)
    vocabulary = Vocabulary(nouns)
    for example in examples:
        entry = Entry('d/a', dataset, 'a', example.label.split()[0], example.label.split()[-1],
                      example.query)
        assert tidy(example.description) == example.description
        assert judge_text(example.description, entry, vocabulary) == [], example.description
    text = ' '.join(example.description for example in examples)
    for wanted in ('left hand', 'right hand', 'both hands', 'on the left', 'right', 'to '):
        assert wanted in text
    assert len({base_form(example.label.split()[0]) for example in examples}) >= 10
    assert len(nouns) >= 15


def change(content, where, value):
    *path, last = where
    for step in path:
        content = content[step]
    content[last] = value


@pytest.mark.parametrize(('where', 'value', 'named'), [
    (('examples', 3, 'after', 0, 'box'), [0.1, 0.2, 0.3, 1.2], 'examples.3.after.0.box'),
    (('examples', 3, 'after', 0, 'box'), [0.5, 0.2, 0.3, 0.9], 'examples.3.after.0.box'),
    (('examples', 3, 'after', 0, 'box'), [0.5, 0.2, 0.9], 'examples.3.after.0.box'),
    (('examples', 5, 'label'), '', 'examples.5.label'),
    (('examples', 5, 'hint'), 'x', 'examples.5.hint'),
    (('examples',), [], 'examples'),
])
def test_a_wrong_file_of_examples_is_named(tmp_path, where, value, named):
    shipped = [example.model_dump(mode='json') for example in load_examples('ego4d')]
    path = tmp_path / 'own.yaml'
    content = {'dataset': 'own', 'examples': shipped}
    path.write_text(yaml.safe_dump(content))
    assert len(load_examples(str(path))) == 12
    change(content, where, value)
    path.write_text(yaml.safe_dump(content))
    with pytest.raises(LegoError, match=named) as caught:
        load_examples(str(path))
    assert caught.value.code == ErrorCode.SOURCE_UNREADABLE


@pytest.mark.parametrize('content', [
    b'{', b'\xff\xfe\x00', b'', b'!!python/object/apply:os.system [ls]',
    b'a: ' + b'x' * (1 << 20)])
def test_files_that_are_no_examples(tmp_path, content):
    path = tmp_path / 'own.yaml'
    path.write_bytes(content)
    with pytest.raises(LegoError) as caught:
        load_examples(str(path))
    assert caught.value.code == ErrorCode.SOURCE_UNREADABLE


def test_examples_that_are_not_there(tmp_path):
    with pytest.raises(LegoError, match='epic-kitchens-100, kitchen'):
        load_examples('charades')
    with pytest.raises(LegoError, match='cannot be read'):
        load_examples(str(tmp_path / 'none.yaml'))
