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

"""Whole runs: in the manifest's order, broken off and taken up, with bad servers, by anybody."""

import fcntl
import hashlib
import json
import os
import resource
import signal
import threading

from lego_ros.cli.text import CommandError
from lego_ros.errors import ErrorCode, LegoError
from lego_ros.training.curation.annotator import read_annotator
from lego_ros.training.curation.curate import curate_with_model
from lego_ros.training.curation.queries import Selection
from lego_ros.training.curation.results import read_descriptions
from lego_ros.training.llm.client import Server
from lego_ros.training.llm.prices import Prices
import pytest

KEY = 'sk-secret-0123456789'
OUTPUTS = ('descriptions.jsonl', 'descriptions.rejects.jsonl', 'descriptions.summary.json')


def curate(llm, manifest, out, selection=None, key=None, on_step=lambda step: None, prices=None,
           **changes):
    server = Server(llm.url, 'a-model', **{'tries': 1, 'timeout': 20, **changes})
    return curate_with_model(manifest, out, selection or Selection(), server, key,
                             prices=prices, on_step=on_step)


def contents(folder):
    return [(folder / name).read_bytes() for name in OUTPUTS]


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def prompt_of(request):
    return request.prompt.rsplit('Action: ', 1)[1]


def test_a_run(llm, manifest, tmp_path):
    steps = []
    out = tmp_path / 'deep' / 'descriptions.jsonl'
    summary = curate(llm, manifest(20), out, key=KEY, on_step=steps.append,
                     prices=Prices(2.0, 10.0))
    records = list(read_descriptions(out))
    assert [record.pair_id for record in records] == [f'kitchen/a{n}' for n in range(20)]
    assert records[1].description == (
        'The person grasps the glass on the counter with the left hand and takes it.')
    assert {(record.source, record.model) for record in records} == {('llm', 'served-model-1')}
    asked = {hashlib.sha256(json.dumps(
        request.body['messages'], sort_keys=True, ensure_ascii=False).encode()).hexdigest()
        for request in llm.requests}
    assert {record.prompt_sha256 for record in records} == asked
    tokens = sum(record.prompt_tokens for record in records)
    assert (summary['prompt_tokens'], summary['completion_tokens']) == (tokens, 400)
    assert summary['cost'] == pytest.approx((tokens * 2 + 400 * 10) / 1e6, abs=1e-6)
    assert summary['sha256'] == hashlib.sha256(out.read_bytes()).hexdigest()
    assert json.loads((out.parent / OUTPUTS[2]).read_text()) == summary
    assert [step.done for step in steps] == list(range(21))
    for path in out.parent.iterdir():
        assert KEY not in path.read_text()


def test_requests_run_at_once_but_no_more_than_allowed(llm, manifest, tmp_path, answers):
    together = threading.Barrier(5)

    def answer(request):
        if request.number < 10:
            together.wait(20)  # It breaks unless five are under way at once.
        return answers.good(request)

    llm.answer = answer
    curate(llm, manifest(30), tmp_path / 'descriptions.jsonl', concurrency=5)
    assert llm.most_at_once == 5


def test_rejects_are_kept_with_their_reasons(llm, manifest, tmp_path, answers):
    bad = {
        'take glass': answers.completion('The person takes the glass. It is lifted.'),
        'take bowl': answers.completion('The person takes the bowl and the plate away.'),
        'take plate': answers.completion('The person takes the plate with the right hand.'),
        'take knife': answers.completion(''),
        'take fork': answers.completion('The person takes', choices=[
            {'finish_reason': 'length', 'message': {'content': 'The person takes'}}]),
        'take spoon': {'choices': 'many'},
        'take lid': answers.completion('x', usage=None)}
    llm.answer = lambda request: (
        (200, {}, bad[prompt_of(request).split('\n')[0]])
        if prompt_of(request).split('\n')[0] in bad else answers.good(request))
    out = tmp_path / 'descriptions.jsonl'
    summary = curate(llm, manifest(9), out)
    assert [record.pair_id for record in read_descriptions(out)] == ['kitchen/a0', 'kitchen/a8']
    rejects = {entry['pair_id']: {reason['reason'] for reason in entry['reasons']}
               for entry in lines(tmp_path / OUTPUTS[1])}
    assert rejects == {
        'kitchen/a1': {'not_one_sentence'}, 'kitchen/a2': {'invented_object'},
        'kitchen/a3': {'unsupported_hand'}, 'kitchen/a4': {'empty'}, 'kitchen/a5': {'cut_off'},
        'kitchen/a6': {'malformed'},
        'kitchen/a7': {'length', 'not_one_sentence', 'off_topic'}}
    assert summary['reasons']['invented_object'] == 1
    assert summary['answers_without_token_counts'] == 2
    # Rejected or not, every answer has its price; none is asked for again.
    before = len(llm.requests)
    assert curate(llm, tmp_path / 'pairs.jsonl', out) == summary
    assert len(llm.requests) == before


def test_which_actions_are_chosen(llm, manifest, tmp_path, record):
    more = [record(100, split='test'), record(101, boxes=[]),
            record(102, kept=False, reason='too_similar')]
    path = manifest(12, *more)

    def chosen(name, count, seed):
        out = tmp_path / name / 'descriptions.jsonl'
        curate(llm, path, out, Selection(('train',), count, seed))
        return [record.pair_id for record in read_descriptions(out)]

    everything = chosen('all', None, 0)
    assert everything == [f'kitchen/a{n}' for n in range(12)]
    few, more, other = chosen('a', 3, 1), chosen('b', 6, 1), chosen('c', 6, 2)
    assert (len(few), len(more), len(other)) == (3, 6, 6)
    assert set(few) < set(more) < set(everything)
    assert more != other
    assert more == [pair_id for pair_id in everything if pair_id in more]
    with pytest.raises(LegoError, match=r'13 actions .* has 12 of split train with boxes'):
        chosen('d', 13, 0)
    with pytest.raises(LegoError, match='no kept action'):
        curate(llm, path, tmp_path / 'e.jsonl', Selection(('validation',)))


def test_a_larger_count_pays_only_for_what_is_new(llm, manifest, tmp_path):
    path, out = manifest(12), tmp_path / 'descriptions.jsonl'
    curate(llm, path, out, Selection(count=5))
    curate(llm, path, out, Selection(count=12))
    assert len(llm.requests) == 12
    assert len(list(read_descriptions(out))) == 12


def test_an_action_that_changed_is_asked_about_again(llm, manifest, tmp_path, record):
    out = tmp_path / 'descriptions.jsonl'
    curate(llm, manifest(4, record(9)), out)
    curate(llm, manifest(4, record(9, label='take the mug')), out)
    assert len(llm.requests) == 6


class Interrupted:
    """A run of 24 actions that stands still with nine answers, four more being waited for."""

    def __init__(self, llm, path, folder, good):
        self.llm = llm
        self.folder = folder
        self.whole = folder / 'whole'
        curate(llm, path, self.whole / 'descriptions.jsonl', prices=Prices(1.0, 2.0))
        llm.requests.clear()
        self.released = threading.Event()
        self.on_stop = lambda: None
        self.good = good
        llm.answer = self.answer
        self.words = (
            path, '--out', folder / 'descriptions.jsonl', '--server', llm.url, '--model',
            'a-model', '--concurrency', '4', '--tries', '1', '--prices', '1', '2')

    def answer(self, request):
        if request.number < 9 or self.released.is_set():
            return self.good(request)
        if request.number == 12:
            self.on_stop()
        self.released.wait(60)
        return None

    def check_and_release(self):
        """Check what the end left, and damage it as a kill in the middle of a line would."""
        self.released.set()
        assert len(self.llm.requests) == 13
        assert not (self.folder / OUTPUTS[0]).exists()
        journal = self.folder / 'descriptions.journal.jsonl'
        assert len(lines(journal)) == 1 + 9
        with open(journal, 'ab') as file:
            file.write(b'{"pair_id": "kitchen/a2')

    def check_taken_up(self):
        assert len(self.llm.requests) == 13 + 15
        assert contents(self.folder) == contents(self.whole)
        for path in self.folder.glob('*.json*'):
            assert KEY not in path.read_text()


def test_killed_and_taken_up_gives_the_same_files(llm, manifest, tmp_path, command, call, answers,
                                                  monkeypatch):
    run = Interrupted(llm, manifest(24), tmp_path, answers.good)
    process = command(*run.words, LEGO_LLM_API_KEY=KEY)
    llm.wait_for(lambda: len(llm.requests) == 13 or process.poll() is not None, 120)
    process.kill()
    text = ''.join(process.communicate(timeout=30))
    assert process.returncode == -signal.SIGKILL, text
    assert KEY not in text
    run.check_and_release()
    monkeypatch.setenv('LEGO_LLM_API_KEY', KEY)
    assert call(*run.words) == 0
    run.check_taken_up()


def test_ctrl_c_and_taken_up_gives_the_same_files(llm, manifest, tmp_path, call, answers, capsys,
                                                  monkeypatch):
    monkeypatch.setenv('LEGO_LLM_API_KEY', KEY)
    run = Interrupted(llm, manifest(24), tmp_path, answers.good)
    run.on_stop = lambda: os.kill(os.getpid(), signal.SIGINT)
    # pytest-xdist makes its workers deaf to Ctrl-C.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(CommandError, match='broken off') as caught:
            call(*run.words)
    finally:
        signal.signal(signal.SIGINT, before)
    assert caught.value.status == 130
    run.check_and_release()
    assert call(*run.words) == 0
    run.check_taken_up()
    shown = ''.join(capsys.readouterr())
    assert '24 descriptions by llm, 0 rejected' in shown
    assert KEY not in shown


def test_a_server_that_fails_stops_the_run_and_costs_nothing(llm, manifest, tmp_path, answers):
    path, out = manifest(40), tmp_path / 'descriptions.jsonl'
    llm.answer = lambda request: (
        answers.good(request) if request.number < 7 else (503, {}, {'error': {'message': 'off'}}))
    with pytest.raises(LegoError, match=r'failed 10 times in a row.*HTTP 503') as caught:
        curate(llm, path, out, concurrency=2)
    assert caught.value.code == ErrorCode.INFERENCE_FAILED
    assert len(llm.requests) <= 7 + 10 + 2
    assert not out.exists()
    llm.requests.clear()
    llm.answer = answers.good
    curate(llm, path, out, concurrency=2)
    assert len(llm.requests) == 33


def test_a_few_that_failed_are_asked_about_the_next_time(llm, manifest, tmp_path, answers):
    path, out = manifest(12), tmp_path / 'descriptions.jsonl'
    llm.answer = lambda request: (
        (429, {}, {'error': {'message': 'later'}}) if request.number in (3, 4)
        else answers.good(request))
    with pytest.raises(LegoError, match=r'2 of 12 actions have no answer.*HTTP 429'):
        curate(llm, path, out)
    llm.answer = answers.good
    assert curate(llm, path, out)['descriptions'] == 12
    assert len(llm.requests) == 14


@pytest.mark.parametrize('answer', [
    (400, {}, {'error': {'message': 'max_tokens is not known'}}),
    (200, {}, b'<html>Please log in</html>'),
])
def test_a_server_that_never_gave_a_good_answer_is_not_believed(llm, manifest, tmp_path, answers,
                                                                answer):
    path, out = manifest(15), tmp_path / 'descriptions.jsonl'
    llm.answer = lambda request: answer
    with pytest.raises(LegoError, match='failed 10 times in a row'):
        curate(llm, path, out)
    with pytest.raises(LegoError, match='3 of 3 actions have no answer'):
        curate(llm, path, out, Selection(count=3))
    llm.answer = answers.good
    # Nothing was held against the actions.
    assert curate(llm, path, out)['descriptions'] == 15


def test_other_settings_need_another_file(llm, manifest, tmp_path):
    path, out = manifest(2), tmp_path / 'descriptions.jsonl'
    curate(llm, path, out)
    before = contents(tmp_path)
    with pytest.raises(LegoError, match=r'begun with another temperature, max_tokens') as caught:
        curate(llm, path, out, temperature=1.0, max_tokens=50)
    assert caught.value.code == ErrorCode.INVALID_SETTING
    assert contents(tmp_path) == before


def test_two_runs_do_not_write_at_once(llm, manifest, tmp_path):
    path, out = manifest(2), tmp_path / 'descriptions.jsonl'
    curate(llm, path, out)
    with open(tmp_path / 'descriptions.journal.jsonl', 'rb') as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(LegoError, match='another run'):
            curate(llm, path, out)


@pytest.mark.parametrize('damage', [
    lambda data: data.replace(b'"pair_id"', b'"pear_id"', 1),
    lambda data: data.replace(b'{"pair_id"', b'{"pair_id', 1),
    lambda data: b'{}\n' + data,
    lambda data: b'[]\n' + data,
    lambda data: b'\xff\n' + data,
])
def test_a_damaged_journal_is_named(llm, manifest, tmp_path, damage):
    path, out = manifest(2), tmp_path / 'descriptions.jsonl'
    curate(llm, path, out)
    journal = tmp_path / 'descriptions.journal.jsonl'
    damaged = damage(journal.read_bytes())
    journal.write_bytes(damaged)
    with pytest.raises(LegoError, match=r'descriptions\.journal\.jsonl') as caught:
        curate(llm, path, out)
    assert caught.value.code == ErrorCode.SOURCE_UNREADABLE
    assert journal.read_bytes() == damaged


def test_a_full_disk_costs_at_most_one_answer(llm, manifest, tmp_path, call):
    words = (manifest(12), '--out', tmp_path / 'descriptions.jsonl', '--server', llm.url,
             '--model', 'a-model', '--concurrency', '1')
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, before[1]))
    try:
        with pytest.raises(LegoError, match='same command') as caught:
            call(*words)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert caught.value.code == ErrorCode.RECORDING_FAILED
    assert 2 < len(llm.requests) < 12
    assert call(*words) == 0
    assert len(llm.requests) == 12 + 1


def test_bad_words_on_the_command_line(llm, manifest, tmp_path, call):
    path = manifest(2)
    for words, named in (
            ((path, '--server', llm.url), '--model'),
            ((path, '--server', 'nowhere', '--model', 'm'), 'http://'),
            ((tmp_path / 'none.jsonl', '--server', llm.url, '--model', 'm'), 'none.jsonl'),
            ((path, '--server', llm.url, '--model', 'm', '--examples', 'x'), "for 'x'"),
            ((path, '--server', llm.url, '--model', 'm', '--nouns', tmp_path / 'n.csv'), 'n.csv'),
            ((path, '--annotator', tmp_path / 'truth.jsonl'), 'truth.jsonl')):
        with pytest.raises(LegoError, match=named):
            call(*words, '--out', tmp_path / 'descriptions.jsonl')
    assert llm.requests == []


def test_a_taxonomy_finds_more_inventions(llm, manifest, tmp_path, call, answers):
    nouns = tmp_path / 'nouns.csv'
    nouns.write_text('id,key,instances,category\n'
                     """0,cup,"['cup', 'mug']",crockery\n1,tap,"['tap', 'faucet']",x\n""")
    texts = ['The person takes the cup with the left hand.',
             'The person takes the glass from the faucet.']
    llm.answer = lambda request: (200, {}, answers.completion(
        texts['take glass' in prompt_of(request)]))
    assert call(manifest(2), '--server', llm.url, '--model', 'm', '--nouns', nouns,
                '--out', tmp_path / 'descriptions.jsonl') == 0
    assert [entry['reasons'] for entry in lines(tmp_path / OUTPUTS[1])] == [
        [{'reason': 'invented_object', 'detail': 'faucet'}]]


def write_truth(path, count, **changes):
    entries = [{'schema_version': 'lego_ros/truth/2', 'action_id': f'a{n}', 'verb': 'take',
                'description': 'The person takes the thing behind the sink with the right hand.',
                **changes} for n in range(count)]
    path.write_text(''.join(json.dumps(entry) + '\n' for entry in entries))
    return path


def test_the_kitchens_annotator_stands_in(manifest, tmp_path, record, call, capsys):
    path, out = manifest(3, record(3, boxes=[])), tmp_path / 'descriptions.jsonl'
    truth = write_truth(tmp_path / 'truth.jsonl', 3)
    assert call(path, '--annotator', truth, '--out', out) == 0
    assert ('3 descriptions by kitchen_annotator, 1 rejected (missing 1)'
            in capsys.readouterr().out)
    records = list(read_descriptions(out))
    assert [record.pair_id for record in records] == ['kitchen/a0', 'kitchen/a1', 'kitchen/a2']
    assert {(record.source, record.model, record.prompt_sha256, record.prompt_tokens)
            for record in records} == {('kitchen_annotator', None, None, None)}
    assert json.loads((tmp_path / OUTPUTS[2]).read_text())['source'] == 'kitchen_annotator'


def test_nothing_that_passes_is_a_failure(manifest, tmp_path, call):
    truth = write_truth(tmp_path / 'truth.jsonl', 2, description='no sentence')
    assert call(manifest(2), '--annotator', truth, '--out', tmp_path / 'd.jsonl') == 1


@pytest.mark.parametrize(('content', 'named'), [
    (b'', 'empty'), (b'{"action_id": "a0"}\n', 'line 1'), (b'\xff\n', 'line 1'),
    (b'[1]\n', 'line 1')])
def test_truth_that_is_none(tmp_path, content, named):
    path = tmp_path / 'truth.jsonl'
    path.write_bytes(content)
    with pytest.raises(LegoError, match=named) as caught:
        read_annotator(path)
    assert caught.value.code == ErrorCode.SOURCE_UNREADABLE
    with pytest.raises(LegoError, match='cannot be read'):
        read_annotator(tmp_path / 'none.jsonl')


def test_an_annotated_action_twice(tmp_path):
    path = write_truth(tmp_path / 'truth.jsonl', 1)
    path.write_bytes(path.read_bytes() * 2)
    with pytest.raises(LegoError, match='a0 is there twice'):
        read_annotator(path)
