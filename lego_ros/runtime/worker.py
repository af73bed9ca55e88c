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

"""
One thread that owns the models.

Inference never runs in a callback of the executor, a TensorRT context is not thread-safe, and two
answers at once would only make both late. So everything that touches a model runs here, one piece
of work at a time. Each camera has a lane, in which the newest query takes the place of an older
one; between lanes, who came first is served first.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from concurrent.futures import Future
from dataclasses import dataclass, field
import threading
import traceback
from typing import Any

from lego_ros.errors import ErrorCode, LegoError
from lego_ros.runtime.cancel import CancelToken

_CLOSED = 'the models are being freed'


@dataclass(eq=False)
class Job:
    """
    One piece of work.

    :param work: runs in the worker's thread; checks the token it is given.
    :param lane: that it belongs to.
    :param token: cancels the work, before or while it runs.
    :param done: its result, or the exception that ended it.
    """

    work: Callable[[CancelToken], Any]
    lane: Hashable = None
    token: CancelToken = field(default_factory=CancelToken)
    done: Future = field(default_factory=Future)


class Worker:
    """
    Runs the newest job of each lane; the one before it is preempted.

    :param name: of the thread.
    """

    def __init__(self, name: str = 'models') -> None:
        self._wake = threading.Condition()
        # By lane, in the order in which they are to run.
        self._waiting: dict[Hashable, Job] = {}
        self._running: Job | None = None
        self._closed = False
        self._thread = threading.Thread(target=self._loop, name=name, daemon=True)
        self._thread.start()

    def submit(self, work: Callable[[CancelToken], Any], lane: Hashable = None) -> Job:
        """
        Run this next, instead of what waits or runs in its lane.

        :param work: what to run.
        :param lane: whose work it is.
        :returns: the job; its ``done`` ends with PREEMPTED if a newer one is submitted first.
        :raises LegoError: NOT_ACTIVE, the worker is closed.
        """
        job = Job(work, lane)
        with self._wake:
            if self._closed:
                raise LegoError(ErrorCode.NOT_ACTIVE, _CLOSED)
            # In the place of the one before: who asks often does not wait longer for it.
            replaced, self._waiting[lane] = self._waiting.get(lane), job
            if self._running is not None and self._running.lane == lane:
                self._running.token.cancel(ErrorCode.PREEMPTED, 'a newer query took its place')
            self._wake.notify_all()
        if replaced is not None:
            replaced.token.cancel(ErrorCode.PREEMPTED, 'a newer query took its place')
            _end_unrun(replaced)
        return job

    def cancel(self, job: Job, code: ErrorCode, message: str) -> None:
        """
        End a job early. One that waits ends at once, one that runs at its next check.

        :param job: which.
        :param code: CANCELED or NOT_ACTIVE.
        :param message: the reason, for the caller.
        """
        job.token.cancel(code, message)
        with self._wake:
            unrun = self._waiting.get(job.lane) is job
            if unrun:
                del self._waiting[job.lane]
        if unrun:
            _end_unrun(job)

    def cancel_all(self, code: ErrorCode, message: str, lane: Hashable = None) -> None:
        """
        End all of a lane early and wait until that has happened.

        :param code: as in :meth:`cancel`.
        :param message: the reason, for the callers.
        :param lane: whose work.
        """
        with self._wake:
            jobs = self._jobs(lane)
        for job in jobs:
            self.cancel(job, code, message)
        with self._wake:
            self._wake.wait_for(lambda: not self._jobs(lane))

    def call(self, work: Callable[[], Any]) -> Any:
        """
        Run something in the worker's thread and wait for it; for loading and freeing models.

        :param work: what to run.
        :returns: what it returns.
        :raises BaseException: what it raises.
        """
        return self.submit(lambda _: work()).done.result()

    @property
    def idle(self) -> bool:
        """Whether nothing waits or runs."""
        with self._wake:
            return self._running is None and not self._waiting

    def close(self) -> None:
        """End everything early and end the thread."""
        with self._wake:
            self._closed = True
            self._wake.notify_all()
            lanes = {*self._waiting, *([self._running.lane] if self._running else [])}
        for lane in lanes:
            self.cancel_all(ErrorCode.NOT_ACTIVE, _CLOSED, lane)
        self._thread.join()

    def _jobs(self, lane: Hashable) -> list[Job]:
        return [job for job in (self._waiting.get(lane), self._running)
                if job is not None and job.lane == lane]

    def _loop(self) -> None:
        while True:
            with self._wake:
                self._wake.wait_for(lambda: self._waiting or self._closed)
                if not self._waiting:
                    return
                job = self._running = self._waiting.pop(next(iter(self._waiting)))
            _run(job)
            with self._wake:
                self._running = None
                self._wake.notify_all()
            # The loop's variable would keep the job's frame and result until the next query.
            del job


def _run(job: Job) -> None:
    try:
        job.token.check()
        result = job.work(job.token)
    except BaseException as error:  # noqa: BLE001 - it is handed on to whoever waits for it
        _drop_locals(error)
        job.done.set_exception(error)
    else:
        job.done.set_result(result)


def _end_unrun(job: Job) -> None:
    try:
        job.token.check()
    except LegoError as error:
        job.done.set_exception(error)


def _drop_locals(error: BaseException | None) -> None:
    """
    Keep the lines of a traceback but not its variables.

    An answer that ran out of memory must not hold that memory for as long as someone remembers
    why it failed.
    """
    while error is not None:
        traceback.clear_frames(error.__traceback__)
        error = error.__cause__ or error.__context__
