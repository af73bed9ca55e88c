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

"""Whole runs: servers that answer well, badly and not at all; broken off and taken up."""

import json

from lego_ros.errors import ErrorCode, LegoError
from lego_ros.programs.checking import check
from lego_ros.programs.grammar import writing_grammar
from lego_ros.programs.parsing import parse
from lego_ros.programs.serialising import from_json
from lego_ros.programs.vocabulary import default_vocabulary
from lego_ros.training.llm.client import MAX_TEXT
from lego_ros.training.llm.prices import Prices
from lego_ros.training.programs.constraint import Constraint
from lego_ros.training.programs.judging import program_text
from lego_ros.training.programs.report import report_text
from lego_ros.training.programs.results import read_programs
from llguidance import LLMatcher
import pytest

OUTPUTS = ('programs.jsonl', 'rejects.jsonl', 'summary.json', 'problems.jsonl')


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def contents(folder):
    return [(folder / name).read_bytes() for name in OUTPUTS]


def test_a_server_that_answers_well(llm, run, tmp_path):
    steps = []
    summary = run(20, on_step=steps.append, key='sk-secret', prices=Prices(2.0, 10.0))
    records = list(read_programs(tmp_path / 'out' / 'programs.jsonl'))
    assert [record.clip_id for record in records] == [f'P01_01_{k}' for k in range(20)]
    for record in records:
        program = parse(record.text)
        assert check(program) == ()
        assert from_json(json.dumps(record.program)) == program
        assert record.label.split()[1] in program.objects
        assert record.descriptors.startswith('clip: 1.5 s\nnarrations:\n')
        assert record.provenance.rounds == 1
        assert record.provenance.model == 'served-1'
        assert len(record.provenance.exemplars) == 2
        assert (record.provenance.prompt_tokens, record.provenance.completion_tokens) == (1000, 50)
    assert (summary.programs, summary.asked, summary.coverage) == (20, 20, 1.0)
    assert summary.cost == pytest.approx(20 * (1000 * 2 + 50 * 10) / 1e6)
    assert len(llm.requests) == 20
    assert [step.done for step in steps] == list(range(21))
    assert set(llm.requests[0].body) == {'model', 'messages', 'n', 'temperature', 'max_tokens'}
    for path in (tmp_path / 'out').iterdir():
        assert 'sk-secret' not in path.read_text()


def test_mistakes_are_sent_back_until_they_are_mended(llm, run, texts, tmp_path):
    def answer(request):
        if request.noun == 'plate' and request.round == 1:
            return texts['unparsable'](noun='plate')
        if request.noun == 'knife' and request.round < 3:
            return texts['unsound'](noun='knife')
        if request.noun == 'spoon':
            return texts['unsound'](noun='spoon')
        if request.noun == 'pan' and request.round == 1:
            return texts['sound'](noun='mug')
        return f'Here it is:\n```\n{texts["sound"](noun=request.noun)}```\nGood luck!'

    llm.answer = answer
    summary = run(6)
    rounds = {record.label.split()[1]: record.provenance.rounds
              for record in read_programs(tmp_path / 'out' / 'programs.jsonl')}
    assert rounds == {'mug': 1, 'plate': 2, 'knife': 3, 'pan': 2, 'bowl': 1}
    reject, = lines(tmp_path / 'out' / 'rejects.jsonl')
    assert (reject['clip_id'], reject['reason']) == ('P01_01_3', 'not_sound')
    assert reject['answer'] == texts['unsound'](noun='spoon')
    assert reject['provenance']['rounds'] == 3
    assert reject['provenance']['prompt_tokens'] == 3000
    assert (summary.programs, summary.rejected) == (5, 1)
    assert summary.rounds == {1: 2, 2: 2, 3: 1}
    assert summary.mended == {'not_parsed': 1, 'not_sound': 4, 'off_topic': 1}
    assert summary.reasons == {'not_sound': 1}
    assert summary.completion_tokens == 50 * len(llm.requests) == 50 * 12
    said = {(request.noun, request.round): request.messages[-1]['content']
            for request in llm.requests}
    assert "- line 2: column 1: 'levitate' is no sub-verb" in said['plate', 2]
    assert '- line 2: ' in said['knife', 2]
    assert 'contact(knife, right)' in said['knife', 2]
    assert 'names none of: pan' in said['pan', 2]
    third = next(request for request in llm.requests
                 if (request.noun, request.round) == ('knife', 3))
    assert [message['role'] for message in third.messages] == [
        'system', 'user', 'assistant', 'user', 'assistant', 'user']
    assert 'coverage 83.3%' in report_text(summary)


def test_answers_that_are_no_text(llm, run, completed, tmp_path):
    cut = completed('objects mug', choices=[
        {'finish_reason': 'length', 'message': {'content': 'objects mug'}}])
    bad = {'mug': '', 'plate': (200, {}, cut), 'knife': 'x' * (MAX_TEXT + 1),
           'spoon': (200, {}, {'choices': 'many'}), 'pan': (400, {}, {'error': {'message': 'no'}})}
    good = llm.answer
    llm.answer = lambda request: bad.get(request.noun) if request.noun in bad else good(request)
    summary = run(7, rounds=2)
    rejects = {reject['label'].split()[1]: (reject['reason'], reject['provenance']['rounds'])
               for reject in lines(tmp_path / 'out' / 'rejects.jsonl')}
    assert rejects == {
        'mug': ('empty', 2), 'plate': ('cut_off', 2), 'knife': ('cut_off', 2),
        'spoon': ('malformed', 1), 'pan': ('refused', 1)}
    assert summary.programs == 2
    assert summary.answers_without_token_counts == 2
    # Nothing is asked about again.
    before = len(llm.requests)
    assert run(7, rounds=2) == summary
    assert len(llm.requests) == before


@pytest.mark.parametrize(('constraint', 'field'), [
    (Constraint.NONE, None), (Constraint.LLAMA_CPP, 'grammar'),
    (Constraint.VLLM, 'structured_outputs'), (Constraint.VLLM_GUIDED, 'guided_grammar')])
def test_the_grammar_goes_out_as_each_server_wants_it(llm, run, constraint, field):
    run(1, constraint=constraint)
    grammar = writing_grammar(default_vocabulary())
    body = llm.requests[0].body
    sent = {name: body[name] for name in ('grammar', 'structured_outputs', 'guided_grammar')
            if name in body}
    assert sent == {
        None: {}, 'grammar': {'grammar': grammar},
        'structured_outputs': {'structured_outputs': {'grammar': grammar}},
        'guided_grammar': {'guided_grammar': grammar}}[field]


def test_the_grammar_is_one_that_servers_understand():
    grammar = writing_grammar(default_vocabulary())
    assert grammar.startswith('%llguidance')
    assert LLMatcher.validate_grammar(LLMatcher.grammar_from_lark(grammar)) == ''


def test_a_run_that_was_broken_off_goes_on(llm, run, texts, tmp_path):
    def answer(request):
        if request.noun == 'knife' and request.round == 1:
            return texts['unsound'](noun='knife')
        return texts['sound'](noun=request.noun)

    llm.answer = answer
    whole = run(16, 'whole')
    asked = len(llm.requests)
    llm.requests.clear()

    def stop(step):
        if step.conversation is not None and len(llm.requests) >= 7:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(16, on_step=stop, concurrency=1)
    journal = tmp_path / 'out' / 'journal.jsonl'
    kept = len(lines(journal)) - 1
    assert kept >= 7
    assert not (tmp_path / 'out' / 'programs.jsonl').exists()
    with open(journal, 'ab') as file:
        # What a kill in the middle of a line leaves.
        file.write(b'{"pair_id": "P01_01_9#1')
    before = len(llm.requests)
    assert run(16) == whole
    assert len(llm.requests) - before == asked - kept
    assert contents(tmp_path / 'out') == contents(tmp_path / 'whole')


def test_a_larger_limit_and_more_rounds_pay_only_for_what_is_new(llm, run, texts):
    llm.answer = lambda request: texts['sound' if request.round == 3 else 'unsound'](
        noun=request.noun)
    assert run(6, limit=2, rounds=2).programs == 0
    assert len(llm.requests) == 4
    summary = run(6, limit=4, rounds=3)
    assert (summary.programs, summary.asked, summary.clips) == (4, 4, 6)
    assert len(llm.requests) == 4 + 2 + 6


def test_other_settings_need_another_folder(run):
    run(1)
    with pytest.raises(LegoError, match='begun with another temperature, constraint') as caught:
        run(1, temperature=1.0, constraint=Constraint.VLLM)
    assert caught.value.code == ErrorCode.INVALID_SETTING


@pytest.mark.parametrize('status', [429, 500, 503])
def test_a_server_that_fails_stops_the_run_and_costs_nothing(llm, run, tmp_path, status):
    good = llm.answer
    llm.answer = lambda request: (
        good(request) if request.number < 5
        else (status, {'Retry-After-Ms': '1'}, {'error': {'message': 'off'}}))
    with pytest.raises(LegoError, match=rf'failed 10 times in a row.*HTTP {status}') as caught:
        run(40, concurrency=2)
    assert caught.value.code == ErrorCode.INFERENCE_FAILED
    assert not (tmp_path / 'out' / 'programs.jsonl').exists()
    llm.requests.clear()
    llm.answer = good
    assert run(40).programs == 40
    assert len(llm.requests) == 35


def test_a_busy_server_is_asked_again(llm, run):
    good, failed = llm.answer, set()

    def answer(request):
        if request.noun not in failed:
            failed.add(request.noun)
            return 429, {'Retry-After-Ms': '1'}, {'error': {'message': 'later'}}
        return good(request)

    llm.answer = answer
    steps = []
    assert run(4, tries=3, on_step=steps.append).programs == 4
    assert sum(step.retries for step in steps) == 4


def test_a_server_that_does_not_answer(llm, run):
    good = llm.answer
    llm.answer = lambda request: None if request.noun == 'plate' else good(request)
    with pytest.raises(LegoError, match=r'1 of 4 clips have no answer.*[Tt]ime'):
        # Not shorter: a busy machine is slow to answer, too.
        run(4, timeout=6.0)
    llm.answer = good
    assert run(4).programs == 4
    assert len(llm.requests) == 5


@pytest.mark.parametrize('answer', [
    (400, {}, {'error': {'message': 'structured_outputs is not known'}}),
    (200, {}, b'<html>Please log in</html>')])
def test_a_server_that_never_gave_a_good_answer_is_not_believed(llm, run, answer):
    good = llm.answer
    llm.answer = lambda request: answer
    with pytest.raises(LegoError, match='failed 10 times in a row'):
        run(15)
    llm.answer = good
    assert run(15).programs == 15


def test_a_wrong_model_ends_the_run(llm, run):
    llm.answer = lambda request: (404, {}, {'error': {'message': 'no such model'}})
    with pytest.raises(LegoError, match='HTTP 404') as caught:
        run(8)
    assert caught.value.code == ErrorCode.INVALID_SETTING
    assert len(llm.requests) <= 4


def test_clips_whose_only_thing_is_a_hand_may_name_any(llm, run, texts, tmp_path):
    from lego_ros.training.descriptors.clip import Clip
    from lego_ros.training.llm.journal import Answer
    from lego_ros.training.programs.judging import judge

    answer = Answer(pair_id='a', prompt_sha256='', text=texts['sound'](noun='soap'), model='m')
    for nouns, kept in ((('left hand',), True), ((), True), (('spoon',), False)):
        verdict = judge(answer, Clip('a', 'v', 0, 1, 'wash hands', nouns), default_vocabulary())
        assert (verdict.reason is None) == kept


@pytest.mark.parametrize(('answer', 'program'), [
    ('objects a\n', 'objects a\n'), ('```\nobjects a\n```', 'objects a\n'),
    ('Sure:\n```text\nobjects a\n```\nDone.\n```\nb\n```', 'objects a\n')])
def test_a_program_is_taken_out_of_markdown(answer, program):
    assert program_text(answer) == program
