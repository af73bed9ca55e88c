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
of work at a time, and the newest query takes the place of an older one.
"""

from __future__ import annotations

from collections.abc import Callable
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
    :param token: cancels the work, before or while it runs.
    :param done: its result, or the exception that ended it.
    """

    work: Callable[[CancelToken], Any]
    token: CancelToken = field(default_factory=CancelToken)
    done: Future = field(default_factory=Future)


class Worker:
    """
    Runs the newest job; the one before it is preempted.

    :param name: of the thread.
    """

    def __init__(self, name: str = 'models') -> None:
        self._wake = threading.Condition()
        self._waiting: Job | None = None
        self._running: Job | None = None
        self._closed = False
        self._thread = threading.Thread(target=self._loop, name=name, daemon=True)
        self._thread.start()

    def submit(self, work: Callable[[CancelToken], Any]) -> Job:
        """
        Run this next, instead of what waits or runs.

        :param work: what to run.
        :returns: the job; its ``done`` ends with PREEMPTED if a newer one is submitted first.
        :raises LegoError: NOT_ACTIVE, the worker is closed.
        """
        job = Job(work)
        with self._wake:
            if self._closed:
                raise LegoError(ErrorCode.NOT_ACTIVE, _CLOSED)
            replaced, self._waiting = self._waiting, job
            if self._running is not None:
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
            unrun = self._waiting is job
            if unrun:
                self._waiting = None
        if unrun:
            _end_unrun(job)

    def cancel_all(self, code: ErrorCode, message: str) -> None:
        """
        End everything early and wait until the thread is idle.

        :param code: as in :meth:`cancel`.
        :param message: the reason, for the callers.
        """
        with self._wake:
            jobs = [job for job in (self._waiting, self._running) if job is not None]
        for job in jobs:
            self.cancel(job, code, message)
        with self._wake:
            self._wake.wait_for(lambda: self._running is None and self._waiting is None)

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
            return self._running is None and self._waiting is None

    def close(self) -> None:
        """End everything early and end the thread."""
        with self._wake:
            self._closed = True
            self._wake.notify_all()
        self.cancel_all(ErrorCode.NOT_ACTIVE, _CLOSED)
        self._thread.join()

    def _loop(self) -> None:
        while True:
            with self._wake:
                self._wake.wait_for(lambda: self._waiting is not None or self._closed)
                if self._waiting is None:
                    return
                self._running, self._waiting = self._waiting, None
                job = self._running
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
