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
Models that several nodes of one process use together.

A person with two cameras has two nodes, but one GPU: weights are loaded once, and one worker runs
both nodes' queries in turn.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
import threading
from typing import Generic, TypeVar

from lego_ros.runtime.worker import Worker

Loaded = TypeVar('Loaded')


@dataclass(eq=False)
class _Held(Generic[Loaded]):
    worker: Worker
    loaded: Loaded
    free: Callable[[Loaded], None]
    users: int = 1


class SharedModels:
    """What is loaded; any thread may call."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: dict[Hashable, _Held] = {}

    def take(self, key: Hashable, load: Callable[[], Loaded], free: Callable[[Loaded], None]
             ) -> tuple[Worker, Loaded]:
        """
        Use a model, which is loaded where nobody uses it yet.

        :param key: the same for the same model.
        :param load: gives it; runs in the worker's thread.
        :param free: frees it; runs there too, when the last user has given it back.
        :returns: the worker, whose thread alone may touch it; and the model.
        :raises BaseException: what ``load`` raises; nothing is held then.
        """
        with self._lock:
            held = self._held.get(key)
            if held is not None:
                held.users += 1
                return held.worker, held.loaded
            worker = Worker()
            try:
                loaded = worker.call(load)
            # Whatever it is, the thread must not outlive it.
            except BaseException:
                worker.close()
                raise
            self._held[key] = _Held(worker, loaded, free)
            return worker, loaded

    def give_back(self, key: Hashable) -> None:
        """
        Use a model no longer. The last user's call returns when it is freed.

        :param key: as in :meth:`take`.
        :raises BaseException: what freeing raises; the model is forgotten all the same.
        """
        with self._lock:
            held = self._held[key]
            held.users -= 1
            if held.users:
                return
            del self._held[key]
            try:
                held.worker.call(lambda: held.free(held.loaded))
            finally:
                held.worker.close()


PROCESS_MODELS = SharedModels()
"""Of this process's nodes."""
