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
Holding many conversations with a language model at once, so that no answer is lost or paid twice.

As in ``curation.asking``: an answer goes into the journal as it comes. What looks like a fault of
the server rather than of the clip goes in only when a good answer has shown that the server works;
else the run stops and these clips are asked about again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence

from lego_ros.errors import ErrorCode, LegoError
from lego_ros.training.curation.asking import MOST_IN_A_ROW
from lego_ros.training.curation.client import Client, Reply, Server, Unanswered
from lego_ros.training.curation.journal import Answer, Journal
from lego_ros.training.curation.prompt import hash_of
from lego_ros.training.programs.conversation import Conversation

Hear = Callable[[Conversation, int], None]
"""Called with a conversation that has a new answer, and how often it had to be asked again."""


async def converse(conversations: Sequence[Conversation], client: Client, server: Server,
                   journal: Journal, on_answer: Hear) -> None:
    """
    Hold conversations to their ends.

    :param conversations: that are not done.
    :param client: connected.
    :param server: that the client asks: how many requests at once.
    :param journal: where the answers go.
    :param on_answer: see :data:`Hear`.
    :raises LegoError: INFERENCE_FAILED: clips are left without an answer; INVALID_SETTING: the
        server knows neither the key nor the model. What was answered is in the journal.
    :raises OSError: the journal cannot be written.
    """
    keeper = _Keeper(journal, server, on_answer)
    waiting = iter(conversations)
    workers = [asyncio.create_task(_work(client, waiting, keeper))
               for _ in range(min(server.concurrency, len(conversations)))]
    try:
        await asyncio.gather(*workers)
    finally:
        # After an error or Ctrl-C nobody waits for the others' answers.
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
    keeper.finish(len(conversations))


async def _work(client: Client, waiting: Iterator[Conversation], keeper: _Keeper) -> None:
    for conversation in waiting:
        heard = True
        while heard and not conversation.done:
            try:
                reply = await client.ask(conversation.messages)
            except Unanswered as error:
                keeper.miss(str(error))
                heard = False
            else:
                heard = keeper.keep(conversation, reply)


class _Keeper:
    """Decides what goes into the journal, and when to give up."""

    def __init__(self, journal: Journal, server: Server, on_answer: Hear) -> None:
        self._journal = journal
        self._model = server.model
        self._limit = max(MOST_IN_A_ROW, server.concurrency)
        self._on_answer = on_answer
        self._row = 0
        self._unanswered = 0
        self._last_trouble = ''
        self._doubtful: list[tuple[Conversation, Answer, int]] = []
        # A run that is gone on with has good answers already.
        self._works = any(answer.trouble in (None, 'cut_off')
                          for answer in journal.answers.values())

    def keep(self, conversation: Conversation, reply: Reply) -> bool:
        """Take a reply; False where the conversation cannot go on for now."""
        answer = Answer(
            pair_id=conversation.key, prompt_sha256=hash_of(conversation.messages),
            text=reply.text, trouble=reply.trouble, detail=reply.detail,
            model=reply.model or self._model, prompt_tokens=reply.prompt_tokens,
            completion_tokens=reply.completion_tokens)
        if reply.trouble in ('refused', 'malformed'):
            self._doubtful.append((conversation, answer, reply.retries))
            self._fail(f'{reply.trouble}: {reply.detail}')
            return False
        self._works, self._row = True, 0
        self._settle()
        self._add(conversation, answer, reply.retries)
        return True

    def miss(self, why: str) -> None:
        """Note that there was no reply."""
        self._unanswered += 1
        self._fail(why)

    def finish(self, total: int) -> None:
        """Settle what is in doubt; raise an error where clips have no answer."""
        self._settle()
        left = self._unanswered + len(self._doubtful)
        if left:
            raise _gave_up(f'{left} of {total} clips have no answer', self._last_trouble)

    def _settle(self) -> None:
        """Take what is in doubt for what it says, provided the server has shown that it works."""
        if self._works:
            for doubtful in self._doubtful:
                self._add(*doubtful)
            self._doubtful.clear()

    def _add(self, conversation: Conversation, answer: Answer, retries: int) -> None:
        self._journal.add(answer)
        conversation.hear(answer)
        self._on_answer(conversation, retries)

    def _fail(self, why: str) -> None:
        self._last_trouble = why
        self._row += 1
        if self._row >= self._limit:
            raise _gave_up(f'the server failed {self._row} times in a row', why)


def _gave_up(what: str, why: str) -> LegoError:
    return LegoError(
        ErrorCode.INFERENCE_FAILED,
        f'{what}; the last time: {why}. All answers so far are kept; the same command goes on '
        'from there')
