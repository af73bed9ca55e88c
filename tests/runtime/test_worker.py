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

"""The worker: one thread, the newest job, and an end for every job."""

from __future__ import annotations

import gc
import threading
import weakref

from lego_ros.errors import ErrorCode, LegoError
from lego_ros.runtime.cancel import CancelToken
from lego_ros.runtime.worker import Worker
import pytest

DEADLINE = 20


class Held:
    """Work that waits until it is let go, checking its token once a step."""

    def __init__(self):
        self.begun, self.step = threading.Event(), threading.Semaphore(0)
        self.steps = 0
        self.token: CancelToken | None = None

    def __call__(self, token):
        self.token = token
        while True:
            token.check()
            self.steps += 1
            self.begun.set()
            assert self.step.acquire(timeout=DEADLINE)


@pytest.fixture
def worker():
    worker = Worker('under test')
    yield worker
    worker.close()


@pytest.fixture
def held(worker):
    work = Held()
    job = worker.submit(work)
    assert work.begun.wait(DEADLINE)
    yield work, job
    job.token.cancel(ErrorCode.CANCELED, 'the test is over')
    work.step.release()


def code_of(job):
    error = job.done.exception(DEADLINE)
    assert isinstance(error, LegoError)
    return error.code


def test_result(worker):
    assert worker.submit(lambda token: 42).done.result(DEADLINE) == 42


def test_runs_in_its_own_thread(worker):
    assert worker.call(lambda: threading.current_thread().name) == 'under test'
    assert worker.call(threading.get_ident) != threading.get_ident()
    assert worker.call(threading.get_ident) == worker.call(threading.get_ident)


@pytest.mark.parametrize('error', [ValueError('x'), MemoryError(), SystemExit(3)])
def test_exceptions_come_back_and_the_thread_lives(worker, error):
    def fail():
        raise error
    with pytest.raises(type(error)) as caught:
        worker.call(fail)
    assert caught.value is error
    assert worker.call(lambda: 1) == 1


def test_newest_takes_the_place_of_the_running(worker, held):
    work, job = held
    newer = worker.submit(lambda token: 'newer')
    assert not job.done.done()
    assert not newer.done.done()
    work.step.release()
    assert code_of(job) == ErrorCode.PREEMPTED
    assert work.steps == 1
    assert newer.done.result(DEADLINE) == 'newer'


def test_newest_takes_the_place_of_the_waiting(worker, held):
    work, _job = held
    ran = []
    middle = worker.submit(ran.append)
    newest = worker.submit(lambda token: 'newest')
    # At once, though the running job has not ended yet.
    assert middle.done.done()
    assert code_of(middle) == ErrorCode.PREEMPTED
    work.step.release()
    assert newest.done.result(DEADLINE) == 'newest'
    assert ran == []


def test_cancel_the_running(worker, held):
    work, job = held
    worker.cancel(job, ErrorCode.CANCELED, 'enough')
    assert not job.done.done()
    work.step.release()
    assert code_of(job) == ErrorCode.CANCELED
    assert work.steps == 1
    assert str(job.done.exception()) == 'CANCELED: enough'


def test_cancel_the_waiting(worker, held):
    _work, _job = held
    waiting = worker.submit(lambda token: None)
    worker.cancel(waiting, ErrorCode.CANCELED, 'enough')
    assert waiting.done.done()
    assert code_of(waiting) == ErrorCode.CANCELED


def test_first_reason_stays(worker, held):
    work, job = held
    worker.submit(lambda token: None)
    worker.cancel(job, ErrorCode.CANCELED, 'too late')
    work.step.release()
    assert code_of(job) == ErrorCode.PREEMPTED


def test_cancel_of_an_ended_job_does_nothing(worker):
    job = worker.submit(lambda token: 1)
    assert job.done.result(DEADLINE) == 1
    worker.cancel(job, ErrorCode.CANCELED, 'too late')
    assert job.done.result(DEADLINE) == 1
    assert worker.call(lambda: 2) == 2


def test_cancel_all_waits_for_the_end(worker, held):
    work, job = held
    waiting = worker.submit(lambda token: None)
    returned = threading.Event()

    def cancel_all():
        worker.cancel_all(ErrorCode.NOT_ACTIVE, 'deactivated')
        returned.set()
    thread = threading.Thread(target=cancel_all)
    thread.start()
    assert code_of(waiting) == ErrorCode.NOT_ACTIVE
    assert not returned.is_set()
    assert not worker.idle
    work.step.release()
    assert returned.wait(DEADLINE)
    thread.join()
    assert job.done.done()
    assert worker.idle


def test_done_callbacks_have_run_when_cancel_all_returns(worker, held):
    """Outcomes are published from them, and the publishers are switched off next."""
    work, job = held
    told = []
    job.done.add_done_callback(told.append)
    work.step.release()
    worker.cancel_all(ErrorCode.NOT_ACTIVE, 'deactivated')
    assert told == [job.done]


def test_cancel_all_of_nothing(worker):
    worker.cancel_all(ErrorCode.NOT_ACTIVE, 'deactivated')
    assert worker.idle


def test_close_ends_everything():
    worker = Worker('to be closed')
    work = Held()
    job = worker.submit(work)
    assert work.begun.wait(DEADLINE)
    waiting = worker.submit(lambda token: None)
    thread = threading.Thread(target=worker.close)
    thread.start()
    assert code_of(waiting) == ErrorCode.NOT_ACTIVE
    # What comes while it closes is refused, not lost.
    with pytest.raises(LegoError) as caught:
        worker.submit(lambda token: None)
    assert caught.value.code == ErrorCode.NOT_ACTIVE
    work.step.release()
    thread.join(DEADLINE)
    assert not thread.is_alive()
    assert code_of(job) in (ErrorCode.PREEMPTED, ErrorCode.NOT_ACTIVE)
    assert 'to be closed' not in {thread.name for thread in threading.enumerate()}
    worker.close()


def test_ended_jobs_are_not_kept(worker):
    class Result:
        pass

    job = worker.submit(lambda token: Result())
    kept = weakref.ref(job.done.result(DEADLINE))
    worker.call(lambda: None)
    del job
    gc.collect()
    assert kept() is None


def test_a_failed_job_keeps_no_variables(worker):
    class Tensor:
        pass

    born = []

    def fail(token):
        tensor = Tensor()
        born.append(weakref.ref(tensor))
        try:
            raise KeyError('first')
        except KeyError as error:
            raise RuntimeError('second') from error
    job = worker.submit(fail)
    assert str(job.done.exception(DEADLINE)) == 'second'
    assert born[0]() is None


def test_many_threads_submit(worker):
    """Every job ends, each exactly once, whoever submits."""
    jobs = []
    lock = threading.Lock()

    def submit():
        for number in range(50):
            job = worker.submit(lambda token, number=number: number)
            with lock:
                jobs.append((number, job))
    threads = [threading.Thread(target=submit) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    worker.call(lambda: None)
    for number, job in jobs:
        error = job.done.exception(DEADLINE)
        if error is None:
            assert job.done.result() == number
        else:
            assert error.code == ErrorCode.PREEMPTED
    assert len(jobs) == 200


def test_lanes_do_not_preempt_each_other(worker, held):
    work, job = held
    order = []
    other = worker.submit(lambda token: order.append('other'), 'other')
    newer = worker.submit(lambda token: order.append('newer'))
    newest = worker.submit(lambda token: order.append('newest'))
    assert code_of(newer) == ErrorCode.PREEMPTED
    work.step.release()
    assert code_of(job) == ErrorCode.PREEMPTED
    newest.done.result(DEADLINE)
    # The other lane was first, and what replaces a job of one's own does not change that.
    assert order == ['other', 'newest']
    assert other.done.done()


def test_a_replaced_job_keeps_its_turn(worker, held):
    work, _job = held
    order = []
    worker.submit(lambda token: order.append('first'), 'a')
    last = worker.submit(lambda token: order.append('b'), 'b')
    worker.submit(lambda token: order.append('second'), 'a')
    worker.cancel_all(ErrorCode.NOT_ACTIVE, 'nothing of this lane', 'c')
    work.step.release()
    worker.submit(lambda token: None)
    last.done.result(DEADLINE)
    assert order == ['second', 'b']


def test_cancel_all_ends_one_lane(worker, held):
    work, job = held
    waiting = worker.submit(lambda token: 'there', 'other')
    mine = worker.submit(lambda token: None, 'mine')
    worker.cancel_all(ErrorCode.NOT_ACTIVE, 'deactivated', 'mine')
    assert code_of(mine) == ErrorCode.NOT_ACTIVE
    assert not job.done.done()
    worker.cancel(job, ErrorCode.CANCELED, 'enough')
    work.step.release()
    assert waiting.done.result(DEADLINE) == 'there'
