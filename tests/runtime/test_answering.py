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

"""The way of a query: cancellation, stage times, admission, settings, and names for failures."""

from __future__ import annotations

import math
import threading

from hypothesis import given, strategies
from lego_ros.errors import ErrorCode, LegoError
from lego_ros.runtime.answering import answer, classify, Frame, Progress
from lego_ros.runtime.cancel import CancelToken
from lego_ros.runtime.instant_model import InstantModel
from lego_ros.runtime.model import AnswerSettings, FAST_STEPS
from lego_ros.runtime.queries import admit, Query, QueryIds, REMEMBERED_IDS, Wishes
from lego_ros.runtime.timings import percentile, StageHistory, StageTimer
import numpy as np
import pytest
import torch

INFO = InstantModel.info


# --- CancelToken

def test_token_lets_pass_until_it_is_cancelled():
    token = CancelToken()
    token.check()
    assert not token.canceled
    token.cancel(ErrorCode.PREEMPTED, 'a newer one')
    token.cancel(ErrorCode.CANCELED, 'later')
    assert token.canceled
    for _ in range(2):
        with pytest.raises(LegoError, match='a newer one') as caught:
            token.check()
        assert caught.value.code == ErrorCode.PREEMPTED


def test_token_cancelled_by_many_has_one_reason():
    token = CancelToken()
    threads = [threading.Thread(target=token.cancel, args=(ErrorCode.CANCELED, str(number)))
               for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    reasons = set()
    for _ in range(3):
        with pytest.raises(LegoError) as caught:
            token.check()
        reasons.add(caught.value.message)
    assert len(reasons) == 1


# --- Timings

def test_stage_timer_adds_up_and_keeps_the_order(monkeypatch):
    clock = iter([0., 1., 10., 12., 20., 23., 30., 34.])
    monkeypatch.setattr('time.monotonic', lambda: next(clock))
    timer = StageTimer()
    for name in ('decode', 'describe', 'decode'):
        with timer.stage(name):
            pass
    with pytest.raises(ValueError, match='broken'), timer.stage('depict'):
        raise ValueError('broken')
    assert timer.durations == {'decode': 1. + 3., 'describe': 2., 'depict': 4.}
    assert list(timer.durations) == ['decode', 'describe', 'depict']


@given(strategies.lists(strategies.floats(0, 1e6), min_size=1), strategies.integers(0, 100))
def test_percentile_is_the_smallest_value_not_below(values, percent):
    found = percentile(values, percent)
    assert found in values
    at_most = sum(value <= found for value in values)
    assert at_most * 100 >= percent * len(values)
    below = sum(value < found for value in values)
    assert below * 100 < max(percent, 1e-9) * len(values) or below == 0


@pytest.mark.parametrize(('percent', 'expected'), [
    (0, 1), (1, 1), (50, 50), (50.5, 51), (99, 99), (100, 100)])
def test_percentile_of_a_hundred(percent, expected):
    assert percentile(range(100, 0, -1), percent) == expected


def test_history_forgets_the_oldest():
    history = StageHistory(size=3)
    for seconds in (100., 1., 3., 2.):
        history.add({'depict': seconds})
    assert history.summary() == {'depict': (2., 2., 3.)}


# --- Queries

def test_ids_are_made_where_none_is_given():
    ids = QueryIds()
    made = {ids.admit('') for _ in range(100)}
    assert len(made) == 100
    assert all(len(query_id) == 32 for query_id in made)


def test_repeated_id():
    ids = QueryIds()
    assert ids.admit('a') == 'a'
    with pytest.raises(LegoError, match="'a' was used before") as caught:
        ids.admit('a')
    assert caught.value.code == ErrorCode.DUPLICATE_QUERY_ID


def test_ids_are_forgotten_one_day():
    """Memory is bounded: the oldest goes first."""
    ids = QueryIds()
    for number in range(REMEMBERED_IDS + 1):
        ids.admit(str(number))
    assert ids.admit('0') == '0'
    with pytest.raises(LegoError):
        ids.admit(str(REMEMBERED_IDS))


@pytest.mark.parametrize('query_id', ['x' * 65, 'ü' * 33, '\ud800' * 65])
def test_over_long_id(query_id):
    with pytest.raises(LegoError, match='64 bytes') as caught:
        QueryIds().admit(query_id)
    assert caught.value.code == ErrorCode.INVALID_QUERY


def test_admission_reads_the_action_and_keeps_the_rest():
    asked = Query('id', 'How do I open the drawer?', arrived=5.)
    assert admit(asked, 512) == Query('id', 'How do I open the drawer?', 'open the drawer', 5.)


@pytest.mark.parametrize(('text', 'code'), [
    ('', ErrorCode.INVALID_QUERY), ('open\x00', ErrorCode.INVALID_QUERY),
    ('x' * 11, ErrorCode.QUERY_TOO_LONG), (' ' * 10**7 + 'x', ErrorCode.QUERY_TOO_LONG)])
def test_what_is_not_admitted(text, code):
    with pytest.raises(LegoError) as caught:
        admit(Query('id', text), 10)
    assert caught.value.code == code


def test_folded_white_space_does_not_count():
    assert admit(Query('id', 'open' + ' ' * 1000 + 'it'), 7).action == 'open it'


# --- Settings

def test_wishes_go_before_defaults_before_the_bundle():
    defaults = Wishes(seed=5, steps=20, image_scale=2.)
    settings = Wishes(steps=30).settle(defaults, 0.3, 'fast', INFO)
    assert settings == AnswerSettings(
        seed=5, steps=30, image_scale=2., text_scale=INFO.text_scale, temperature=0.3,
        mode='fast')


def test_a_seed_that_nobody_chose_is_drawn():
    seeds = {Wishes().settle(Wishes(), 0., 'exact', INFO).seed for _ in range(50)}
    assert len(seeds) > 45
    assert all(0 < seed < 2**32 for seed in seeds)


SCALES = strategies.one_of(
    strategies.just(0.), strategies.just(math.nan), strategies.floats(0.01, 50.))


@given(SCALES, SCALES, strategies.integers(0, 1000), strategies.integers(0, 1000),
       strategies.integers(0, 2**64 - 1))
def test_zero_and_nan_leave_it_to_the_next_level(wished, default, steps, default_steps, seed):
    settings = Wishes(seed, steps, wished, wished).settle(
        Wishes(3, default_steps, default, default), 0.2, 'exact', INFO)
    chosen = [value for value in (wished, default) if value > 0]
    assert settings.image_scale == (chosen or [INFO.image_scale])[0]
    assert settings.text_scale == (chosen or [INFO.text_scale])[0]
    assert settings.steps == (steps or default_steps or INFO.steps)
    assert settings.seed == (seed or 3)


@pytest.mark.parametrize('wishes', [
    Wishes(steps=1001), Wishes(steps=-1), Wishes(seed=2**64), Wishes(seed=-1),
    Wishes(image_scale=50.1), Wishes(text_scale=-1.), Wishes(text_scale=math.inf)])
def test_out_of_range(wishes):
    with pytest.raises(LegoError, match='must be from') as caught:
        wishes.settle(Wishes(), 0.2, 'exact', INFO)
    assert caught.value.code == ErrorCode.INVALID_SETTING


# --- Answering

FRAME = Frame(np.full((10, 10, 3), 7, np.uint8), 'source', 5)


def test_answer_goes_through_its_stages():
    stages, described = [], []
    found = answer(
        InstantModel(), 'open it', lambda: FRAME, AnswerSettings(seed=1, steps=2), CancelToken(),
        Progress(lambda *stage: stages.append(stage), lambda *given: described.append(given)))
    assert stages == [
        ('decode', 0, 1), ('describe', 0, 0), ('describe', 1, 1),
        ('depict', 0, 2), ('depict', 1, 2), ('depict', 2, 2)]
    assert [(frame, text.text) for frame, text, _ in described] == [
        (FRAME, 'The person does this: open it.')]
    assert found.frame is FRAME
    assert (found.picture == 7).all()
    assert list(found.timer.durations) == ['decode', 'describe', 'depict']


def test_fast_mode_counts_the_steps_that_are_taken():
    stages = []
    answer(InstantModel(), 'open it', lambda: FRAME, AnswerSettings(seed=1, mode='fast'),
           CancelToken(), Progress(lambda *stage: stages.append(stage)))
    assert [stage for stage in stages if stage[0] == 'depict'] == [
        ('depict', step, FAST_STEPS) for step in range(FAST_STEPS + 1)]


@pytest.mark.parametrize('stop', ['decode', 'describe', 'described', 'depict'])
def test_answer_stops_where_it_is_cancelled(stop):
    token, seen = CancelToken(), []

    def stage(name, *_):
        seen.append(name)
        if name == stop:
            token.cancel(ErrorCode.CANCELED, 'enough')

    def described(*_):
        stage('described')
    with pytest.raises(LegoError, match='enough') as caught:
        answer(InstantModel(), 'open it', lambda: FRAME, AnswerSettings(seed=1, steps=50), token,
               Progress(stage, described))
    assert caught.value.code == ErrorCode.CANCELED
    # A stage is announced before its first check; after that nothing more happens.
    following = {'decode': [], 'describe': [], 'described': ['depict'], 'depict': []}[stop]
    assert seen[seen.index(stop) + 1:] == following
    assert seen.count(stop) == 1


def test_answer_passes_on_what_the_camera_says():
    def no_frame():
        raise LegoError(ErrorCode.NO_FRAME, 'nothing')
    with pytest.raises(LegoError) as caught:
        answer(InstantModel(), 'x', no_frame, AnswerSettings(seed=1), CancelToken())
    assert caught.value.code == ErrorCode.NO_FRAME


@pytest.mark.parametrize(('error', 'code'), [
    (MemoryError(), ErrorCode.OUT_OF_MEMORY),
    (RuntimeError('CUDA out of memory. Tried to allocate'), ErrorCode.OUT_OF_MEMORY),
    (torch.OutOfMemoryError('x'), ErrorCode.OUT_OF_MEMORY),
    (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"),
     ErrorCode.OUT_OF_MEMORY),
    (RuntimeError('shapes'), ErrorCode.INFERENCE_FAILED),
    (ValueError('x' * 5000), ErrorCode.INFERENCE_FAILED),
    (KeyError('x'), ErrorCode.INFERENCE_FAILED),
])
def test_classify(error, code):
    problem = classify(error)
    assert problem.code == code
    assert type(error).__name__ in problem.message
    assert len(problem.message) < 1024


def test_classify_the_real_cpu_allocator():
    """What PyTorch really raises, should its words change."""
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**50, dtype=torch.uint8)
    assert classify(caught.value).code == ErrorCode.OUT_OF_MEMORY


def test_classify_keeps_what_has_a_name():
    error = LegoError(ErrorCode.STALE_FRAME, 'old')
    assert classify(error) is error
