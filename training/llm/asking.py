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
Asking a language model about many things at once, so that no answer is lost or paid for twice.

An answer goes into the journal as it comes. What looks like a fault of the server rather than of
the matter (it refuses, or sends something else than an answer) is put in only when a good answer
has shown that the server works; else the run stops and these matters are asked about again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Generic, Protocol, TypeVar

from lego_ros.errors import ErrorCode, LegoError
from lego_ros.training.llm.client import Client, Reply, Server, Unanswered
from lego_ros.training.llm.journal import Answer, hash_of, Journal

MOST_IN_A_ROW = 10
"""So many failures in a row, and at least one for each request at once, stop the run."""


class Matter(Protocol):
    """What a language model is asked about, once or until the answer is good enough."""

    @property
    def key(self) -> str:
        """Name the next answer in the journal."""

    @property
    def messages(self) -> list[dict[str, str]]:
        """Make what is to be asked next; when it is needed, as all together are large."""

    @property
    def done(self) -> bool:
        """Tell whether there is nothing more to ask."""

    def hear(self, answer: Answer) -> Any:
        """
        Take the next answer.

        :param answer: to :attr:`messages`.
        """


Asked = TypeVar('Asked', bound=Matter)
Hear = Callable[[Asked, int], None]
"""Called with a matter that has a new answer, and how often it had to be asked again."""


async def ask_all(matters: Sequence[Asked], what: str, server: Server, key: str | None,
                  journal: Journal, on_answer: Hear[Asked],
                  fields: dict[str, Any] | None = None) -> None:
    """
    Ask until there is nothing more to ask, and put every answer into the journal.

    :param matters: that are not done, in any order.
    :param what: they are, in the plural, for messages.
    :param server: which.
    :param key: of the server.
    :param journal: where the answers go.
    :param on_answer: see :data:`Hear`.
    :param fields: see :class:`lego_ros.training.llm.client.Client`.
    :raises LegoError: INFERENCE_FAILED: matters are left without an answer; INVALID_SETTING: the
        server knows neither the key nor the model. What was answered is in the journal.
    :raises OSError: the journal cannot be written.
    """
    keeper = _Keeper(journal, server, on_answer)
    waiting = iter(matters)
    async with Client(server, key, fields) as client:
        workers = [asyncio.create_task(_work(client, waiting, keeper))
                   for _ in range(min(server.concurrency, len(matters)))]
        try:
            await asyncio.gather(*workers)
        finally:
            # After an error or Ctrl-C nobody waits for the others' answers.
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)
    keeper.settle()
    if keeper.open:
        raise _gave_up(f'{keeper.open} of {len(matters)} {what} have no answer',
                       keeper.last_trouble)


async def _work(client: Client, waiting: Iterator[Asked], keeper: _Keeper[Asked]) -> None:
    for matter in waiting:
        heard = True
        while heard and not matter.done:
            try:
                reply = await client.ask(matter.messages)
            except Unanswered as error:
                keeper.miss(str(error))
                heard = False
            else:
                heard = keeper.keep(matter, reply)


class _Keeper(Generic[Asked]):
    """Decides what goes into the journal, and when to give up."""

    def __init__(self, journal: Journal, server: Server, on_answer: Hear[Asked]) -> None:
        self._journal = journal
        self._model = server.model
        self._limit = max(MOST_IN_A_ROW, server.concurrency)
        self._on_answer = on_answer
        self._row = 0
        self._doubtful: list[tuple[Asked, Answer, int]] = []
        # A run that is gone on with has good answers already.
        self._works = any(answer.trouble in (None, 'cut_off')
                          for answer in journal.answers.values())
        self._unanswered = 0
        self.last_trouble = ''

    def keep(self, matter: Asked, reply: Reply) -> bool:
        """Take a reply; False where the matter cannot be gone on with for now."""
        answer = Answer(
            pair_id=matter.key, prompt_sha256=hash_of(matter.messages), text=reply.text,
            trouble=reply.trouble, detail=reply.detail, model=reply.model or self._model,
            prompt_tokens=reply.prompt_tokens, completion_tokens=reply.completion_tokens)
        if reply.trouble in ('refused', 'malformed'):
            self._doubtful.append((matter, answer, reply.retries))
            self._fail(f'{reply.trouble}: {reply.detail}')
            return False
        self._works, self._row = True, 0
        self.settle()
        self._add(matter, answer, reply.retries)
        return True

    def miss(self, why: str) -> None:
        """Note that there was no reply."""
        self._unanswered += 1
        self._fail(why)

    def settle(self) -> None:
        """Take what is in doubt for what it says, provided the server has shown that it works."""
        if self._works:
            for doubtful in self._doubtful:
                self._add(*doubtful)
            self._doubtful.clear()

    @property
    def open(self) -> int:
        """How many matters still have no answer."""
        return self._unanswered + len(self._doubtful)

    def _add(self, matter: Asked, answer: Answer, retries: int) -> None:
        self._journal.add(answer)
        matter.hear(answer)
        self._on_answer(matter, retries)

    def _fail(self, why: str) -> None:
        self.last_trouble = why
        self._row += 1
        if self._row >= self._limit:
            raise _gave_up(f'the server failed {self._row} times in a row', why)


def _gave_up(what: str, why: str) -> LegoError:
    return LegoError(
        ErrorCode.INFERENCE_FAILED,
        f'{what}; the last time: {why or "no answer"}. All answers so far are kept; the same '
        'command goes on from there')
