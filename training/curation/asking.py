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
Asking a language model about many actions at once, so that no answer is lost or paid for twice.

An answer goes into the journal as it comes. What looks like a fault of the server rather than of
the action (it refuses, or sends something else than an answer) is put in only when a good answer
has shown that the server works; else the run stops and these actions are asked about again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from lego_ros.errors import ErrorCode, LegoError
from lego_ros.training.curation.client import Client, Reply, Server, Unanswered
from lego_ros.training.curation.examples import Example
from lego_ros.training.curation.journal import Answer, Journal
from lego_ros.training.curation.prompt import hash_of, make_messages
from lego_ros.training.curation.queries import Query

MOST_IN_A_ROW = 10
"""So many failures in a row, and at least one for each request at once, stop the run."""


@dataclass(frozen=True)
class Question:
    """
    One action to ask about.

    :param pair_id: of the manifest.
    :param examples: shown to the model.
    :param query: what is known of the action.
    """

    pair_id: str
    examples: tuple[Example, ...]
    query: Query

    @property
    def messages(self) -> list[dict[str, str]]:
        """Make the whole prompt; when it is needed, as all together are large."""
        return make_messages(self.examples, self.query)

    @property
    def sha256(self) -> str:
        """Of the whole prompt."""
        return hash_of(self.messages)


class _Keeper:
    """Decides what goes into the journal, and when to give up."""

    def __init__(self, journal: Journal, model: str, limit: int,
                 on_answer: Callable[[Answer, int], None]) -> None:
        self._journal = journal
        self._model = model
        self._limit = limit
        self._on_answer = on_answer
        self._row = 0
        self._doubtful: list[tuple[Answer, int]] = []
        # A run that is gone on with has good answers already.
        self._works = any(answer.trouble in (None, 'cut_off')
                          for answer in journal.answers.values())
        self.unanswered = 0
        self.last_trouble = ''

    def keep(self, question: Question, reply: Reply) -> None:
        answer = Answer(
            pair_id=question.pair_id, prompt_sha256=question.sha256, text=reply.text,
            trouble=reply.trouble, detail=reply.detail, model=reply.model or self._model,
            prompt_tokens=reply.prompt_tokens, completion_tokens=reply.completion_tokens)
        if reply.trouble in ('refused', 'malformed'):
            self._doubtful.append((answer, reply.retries))
            self._fail(f'{reply.trouble}: {reply.detail}')
            return
        self._works, self._row = True, 0
        self.settle()
        self._add(answer, reply.retries)

    def miss(self, why: str) -> None:
        self.unanswered += 1
        self._fail(why)

    def settle(self) -> None:
        """Take what is in doubt for what it says, provided the server has shown that it works."""
        if self._works:
            for answer, retries in self._doubtful:
                self._add(answer, retries)
            self._doubtful.clear()

    @property
    def open(self) -> int:
        """How many actions still have no answer."""
        return self.unanswered + len(self._doubtful)

    def _add(self, answer: Answer, retries: int) -> None:
        self._journal.add(answer)
        self._on_answer(answer, retries)

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


async def ask_all(questions: Sequence[Question], server: Server, key: str | None,
                  journal: Journal, on_answer: Callable[[Answer, int], None]) -> None:
    """
    Ask about actions and put every answer into the journal.

    :param questions: in any order.
    :param server: which.
    :param key: of the server.
    :param journal: where the answers go.
    :param on_answer: called with each answer put in, and how often it had to be asked again.
    :raises LegoError: INFERENCE_FAILED: actions are left without an answer; INVALID_SETTING: the
        server knows neither the key nor the model. What was answered is in the journal.
    :raises OSError: the journal cannot be written.
    """
    keeper = _Keeper(journal, server.model, max(MOST_IN_A_ROW, server.concurrency), on_answer)
    waiting = iter(questions)
    async with Client(server, key) as client:
        workers = [asyncio.create_task(_work(client, waiting, keeper))
                   for _ in range(min(server.concurrency, len(questions)))]
        try:
            await asyncio.gather(*workers)
        finally:
            # After an error or Ctrl-C nobody waits for the others' answers.
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)
    keeper.settle()
    if keeper.open:
        raise _gave_up(f'{keeper.open} of {len(questions)} actions have no answer',
                       keeper.last_trouble)


async def _work(client: Client, waiting: Iterator[Question], keeper: _Keeper) -> None:
    for question in waiting:
        try:
            reply = await client.ask(question.messages)
        except Unanswered as error:
            keeper.miss(str(error))
        else:
            keeper.keep(question, reply)
