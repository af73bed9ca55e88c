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

"""The dataset as training sees it: what is in it, and what is refused."""

import hashlib
import json
import shutil

import cv2
from lego_ros.errors import ErrorCode, LegoError
from lego_ros.training.curation.checks import Fault, Reason
from lego_ros.training.curation.results import DescriptionRecord, ResultFiles, Results
from lego_ros.training.data.dataset import PairDataset
from lego_ros.training.data.manifest import to_line
import numpy as np
import pytest

ROWS = [
    {'action_id': 'a', 'verb': 'open', 'noun': 'drawer', 'label': 'open the left drawer'},
    {'action_id': 'b', 'verb': 'take', 'noun': 'mug', 'label': 'take the mug'},
    {'action_id': 'c', 'verb': 'take', 'noun': 'mug', 'kept': False, 'reason': 'too_similar'},
    {'action_id': 'd', 'verb': 'wash', 'noun': 'mug', 'split': 'validation'},
]


def paint(seed, height=40, width=40):
    picture = np.random.default_rng(seed).integers(0, 255, (height // 8, width // 8, 3))
    return np.kron(picture, np.ones((8, 8, 1))).astype(np.uint8)


def write_pictures(folder, row, number):
    changes = {}
    for which, seed in (('input', 2 * number), ('target', 2 * number + 1)):
        path = folder / f'pictures/{row["action_id"]}_{which}.png'
        path.parent.mkdir(exist_ok=True)
        cv2.imwrite(str(path), paint(seed)[..., ::-1])
        changes[which] = {'path': f'pictures/{path.name}',
                          'sha256': hashlib.sha256(path.read_bytes()).hexdigest()}
    return changes


def describe(folder, texts):
    (folder / 'descriptions.jsonl').write_text(''.join(DescriptionRecord(
        pair_id=f'epic-kitchens-100/{action}', description=text, source='llm', model=None,
        prompt_sha256=None, prompt_tokens=None, completion_tokens=None,
    ).model_dump_json() + '\n' for action, text in texts.items()))


@pytest.fixture
def write(record, tmp_path):
    """Write a dataset folder with these rows."""
    def make(rows=ROWS, described=True):
        folder = tmp_path / 'data'
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        lines = []
        for number, row in enumerate(rows):
            base = record().model_dump()
            pictures = write_pictures(folder, row, number)
            lines.append(to_line(record(**row, **{
                which: {**base[which], **pictures[which]} for which in pictures})))
        (folder / 'pairs.jsonl').write_bytes(b''.join(lines))
        if described:
            describe(folder, {row['action_id']: f'Description of {row["action_id"]}.'
                              for row in rows if row.get('kept', True)})
        return folder

    return make


def refused(code, match, *args, **options):
    with pytest.raises(LegoError, match=match) as caught:
        PairDataset(*args, **options)
    assert caught.value.code is code


def test_pairs_of_a_split_with_their_descriptions(write):
    folder = write()
    pairs = PairDataset(folder, 'train', check_hashes=True)
    assert [pair.action_id for pair in pairs] == ['a', 'b']
    assert len(pairs) == 2
    assert pairs[0].label == 'open the left drawer'
    assert (pairs[1].verb, pairs[1].noun) == ('take', 'mug')
    assert pairs[1].description == 'Description of b.'
    assert [pair.action_id for pair in PairDataset(folder, 'validation')] == ['d']


def test_pictures_at_a_size_and_mirrored(write):
    pairs = PairDataset(write(), 'train')
    assert np.array_equal(pairs.picture(0, 'input'), paint(0))
    assert np.array_equal(pairs.picture(1, 'target'), paint(3))
    mirrored = pairs.picture(1, 'target', mirrored=True)
    assert np.array_equal(mirrored[:, ::-1], paint(3))
    assert mirrored.flags['C_CONTIGUOUS']
    small = pairs.picture(0, 'input', side=5)
    assert small.shape == (5, 5, 3)
    # Each of the five squares is one colour.
    assert np.array_equal(small, paint(0)[4::8, 4::8])


def test_a_description_in_the_manifest_serves_too(write):
    rows = [{**row, 'description': f'From the manifest: {row["action_id"]}.'} for row in ROWS]
    folder = write(rows, described=False)
    assert PairDataset(folder, 'train')[0].description == 'From the manifest: a.'
    describe(folder, {'a': 'From curation.'})
    assert [pair.description for pair in PairDataset(folder, 'train')] == [
        'From curation.', 'From the manifest: b.']


def test_its_hash_tells_content_and_not_place(write, tmp_path):
    folder = write()
    before = PairDataset(folder, 'train').sha256
    shutil.copytree(folder, tmp_path / 'elsewhere')
    assert PairDataset(tmp_path / 'elsewhere', 'train').sha256 == before
    assert PairDataset(folder, 'validation').sha256 != before
    describe(folder, {'a': 'Another one.', 'b': 'Description of b.'})
    assert PairDataset(folder, 'train').sha256 != before


def test_rejected_descriptions_are_left_out(write):
    folder = write()
    describe(folder, {'b': 'Description of b.'})
    reject = json.dumps({'pair_id': 'epic-kitchens-100/a', 'reasons': []}) + '\n'
    (folder / 'descriptions.rejects.jsonl').write_text(reject)
    assert [pair.action_id for pair in PairDataset(folder, 'train')] == ['b']
    (folder / 'descriptions.rejects.jsonl').write_text(reject + reject.replace('/a', '/b'))
    refused(ErrorCode.INVALID_SETTING, 'none of the 2 pairs .*, 2 rejected. Run', folder, 'train')
    (folder / 'descriptions.rejects.jsonl').write_text('no JSON\n')
    refused(ErrorCode.SOURCE_UNREADABLE, 'no list of rejected', folder, 'train')


def test_no_manifest(tmp_path):
    refused(ErrorCode.SOURCE_UNREADABLE, 'cannot be read', tmp_path, 'train')


def test_an_empty_manifest(write):
    refused(ErrorCode.INVALID_SETTING, 'it is empty', write([]), 'train')


def test_no_pair_passes_the_filter(write):
    rows = [{**row, 'kept': False, 'reason': 'too_different'} for row in ROWS]
    refused(ErrorCode.INVALID_SETTING, 'none of its 4 pairs passes', write(rows), 'train')


def test_one_action_alone(write):
    rows = [{**row, 'verb': 'take', 'noun': 'mug'} for row in ROWS]
    refused(ErrorCode.INVALID_SETTING, "all 3 pairs show the same action, 'take' with 'mug'",
            write(rows), 'train')


def test_a_split_that_is_not_there(write):
    refused(ErrorCode.INVALID_SETTING, "'test'; there are: train, validation", write(), 'test')


def test_pairs_that_were_not_curated_are_left_out(write):
    folder = write()
    describe(folder, {'a': 'Description of a.'})
    assert [pair.action_id for pair in PairDataset(folder, 'train')] == ['a']
    refused(ErrorCode.INVALID_SETTING,
            r'none of the 1 pairs .*, 1 not in the file.*--split validation', folder,
            'validation')


BOX = {'role': 'object', 'picture': 'input', 'box': [0.3, 0.4, 0.4, 0.5], 'name': 'mug'}
MANY = [{'action_id': name, 'verb': verb, 'noun': 'mug', 'boxes': boxes}
        for name, verb, boxes in zip('abcde', ['take', 'wash', 'open', 'take', 'wash'],
                                     [[BOX], [BOX], [BOX], [BOX], []], strict=True)]


def curated(folder, described, rejected=(), splits=('train',), count=None, source='llm'):
    """Write the files of a finished run."""
    results = Results(source)
    for name in described:
        results.add(f'epic-kitchens-100/{name}', f'Description of {name}.', [], None)
    for name in rejected:
        results.add(f'epic-kitchens-100/{name}', 'A drawer.', [
            Fault(Reason.OFF_TOPIC, 'no mug'), Fault(Reason.LENGTH, '2 words')], None)
    results.write(ResultFiles(folder / 'descriptions.jsonl'),
                  {'selection': {'splits': splits, 'count': count, 'seed': 0}})


def test_pairs_without_a_description_are_counted_by_their_reason(write, caplog):
    folder = write(MANY, described=False)
    curated(folder, 'ab', 'c', count=3)
    pairs = PairDataset(folder, 'train')
    assert [pair.action_id for pair in pairs] == ['a', 'b']
    assert pairs.left_out == {
        'rejected (off_topic)': 1, 'not drawn by --count': 1, 'without boxes': 1}
    assert caplog.messages == [
        f"{folder / 'descriptions.jsonl'}: 2 of the 5 pairs of the split 'train' have a "
        'description, 1 not drawn by --count, 1 rejected (off_topic), 1 without boxes']
    caplog.clear()
    curated(folder, 'abcde', source='kitchen_annotator')
    assert PairDataset(folder, 'train').left_out == {}
    assert PairDataset(folder, 'train', described=False).left_out == {}
    assert not caplog.messages


def test_a_manifest_that_has_grown_since_is_refused(write):
    folder = write(MANY, described=False)
    curated(folder, 'ab', 'c')
    refused(ErrorCode.INVALID_SETTING,
            r"1 of the 5 pairs of the split 'train' were not asked about yet, 2 have a "
            r"description in '.*', 1 rejected \(off_topic\), 1 without boxes: .* Go on with "
            'lego-ros curate', folder, 'train')
    # The annotator describes what has no boxes, too.
    curated(folder, 'abc', 'd', source='kitchen_annotator')
    refused(ErrorCode.INVALID_SETTING, '1 of the 5 pairs .* were not asked', folder, 'train')
    curated(folder, 'abc', 'de', source='kitchen_annotator')
    assert len(PairDataset(folder, 'train')) == 3


def test_a_split_that_was_not_curated(write):
    folder = write([*MANY, {'action_id': 'v', 'verb': 'wash', 'noun': 'mug',
                            'split': 'validation'}], described=False)
    curated(folder, 'abcd')
    assert PairDataset(folder, 'train').left_out == {'without boxes': 1}
    refused(ErrorCode.INVALID_SETTING, '1 of a split that was not curated. Run .*validation',
            folder, 'validation')


@pytest.mark.parametrize('left', ['descriptions.journal.jsonl', 'descriptions.rejects.jsonl'])
def test_what_a_stopped_run_left_is_not_taken_for_all(write, left):
    folder = write()
    describe(folder, {'a': 'Description of a.'})
    (folder / left).write_text('')
    refused(ErrorCode.INVALID_SETTING, '1 of the 2 pairs .* were not asked about yet, 1 have',
            folder, 'train')
    # What needs no descriptions goes on, and so does what has them all.
    assert len(PairDataset(folder, 'train', described=False)) == 2
    describe(folder, {'a': 'Description of a.', 'b': 'Description of b.'})
    assert len(PairDataset(folder, 'train')) == 2


@pytest.mark.parametrize('content', ['', '[]', '{"source": "llm"}'])
def test_a_damaged_summary_is_named(write, content):
    folder = write()
    (folder / 'descriptions.summary.json').write_text(content)
    refused(ErrorCode.SOURCE_UNREADABLE, r'summary\.json.*no summary of curation', folder, 'train')


def test_without_descriptions_it_has_all_pairs(write):
    folder = write()
    pairs = PairDataset(folder, 'train', described=False)
    assert [(pair.action_id, pair.description) for pair in pairs] == [('a', ''), ('b', '')]
    (folder / 'descriptions.jsonl').unlink()
    (folder / 'descriptions.rejects.jsonl').write_text('no JSON\n')
    again = PairDataset(folder, 'train', described=False)
    # What is trained without descriptions goes on when more were curated.
    assert list(again) == list(pairs)
    assert again.sha256 == pairs.sha256
    refused(ErrorCode.SOURCE_UNREADABLE, 'no list of rejected', folder, 'train')


def test_a_missing_picture_is_named(write):
    folder = write()
    (folder / 'pictures/b_target.png').unlink()
    refused(ErrorCode.SOURCE_UNREADABLE, r'b_target\.png.*100/b is missing', folder, 'train')
    assert len(PairDataset(folder, 'validation')) == 1


def test_another_picture_than_the_manifests(write):
    folder = write()
    shutil.copy(folder / 'pictures/a_target.png', folder / 'pictures/a_input.png')
    refused(ErrorCode.SOURCE_UNREADABLE, r'a_input\.png.*SHA-256 differs', folder, 'train',
            check_hashes=True)
    assert len(PairDataset(folder, 'train')) == 2


@pytest.mark.parametrize('content', [b'', b'no picture at all'])
def test_a_damaged_picture_is_named_when_it_is_read(write, content):
    folder = write()
    (folder / 'pictures/a_input.png').write_bytes(content)
    pairs = PairDataset(folder, 'train')
    with pytest.raises(LegoError, match=r'a_input\.png') as caught:
        pairs.picture(0, 'input')
    assert caught.value.code is ErrorCode.SOURCE_UNREADABLE
