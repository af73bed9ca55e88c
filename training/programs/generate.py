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

"""The run: from clips to checked programs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from lego_ros.errors import ErrorCode, LegoError
from lego_ros.programs.grammar import writing_grammar
from lego_ros.programs.vocabulary import Vocabulary
from lego_ros.training.data.problems import ProblemLog
from lego_ros.training.descriptors.clip import Clip, Source
from lego_ros.training.descriptors.describing import describe
from lego_ros.training.descriptors.rendering import render
from lego_ros.training.llm.asking import ask_all
from lego_ros.training.llm.client import Server
from lego_ros.training.llm.journal import hash_of, Journal
from lego_ros.training.llm.prices import Prices
from lego_ros.training.programs.constraint import Constraint, request_fields
from lego_ros.training.programs.conversation import Conversation, Task
from lego_ros.training.programs.exemplars import Exemplar, load_exemplars
from lego_ros.training.programs.prompt import system_text
from lego_ros.training.programs.results import (
    ResultFiles,
    summarise,
    Summary,
    write_results,
    write_summary,
)
from lego_ros.training.programs.retrieval import Retriever


@dataclass(frozen=True)
class Plan:
    """
    Which programs are wanted, and how they are asked for.

    :param clips: all usable ones of the source.
    :param sources: of descriptors, by part; see ``describing.describe``.
    :param vocabulary: the words that programs may use.
    :param limit: only the first so many clips; None = all.
    :param exemplars: how many a prompt shows.
    :param rounds: answers at most for one clip: the first, and repairs.
    :param constraint: how the server is held to the grammar.
    :param prices: for the cost; None = it is not known.
    """

    clips: Sequence[Clip]
    sources: Mapping[str, Source]
    vocabulary: Vocabulary
    limit: int | None = None
    exemplars: int = 4
    rounds: int = 3
    constraint: Constraint = Constraint.NONE
    prices: Prices | None = None


@dataclass(frozen=True)
class Step:
    """
    How far a run has come.

    :param done: clips with nothing more to ask.
    :param total: all of them.
    :param conversation: with the newest answer; None = the state at the start.
    :param retries: how often it had to be asked again.
    """

    done: int
    total: int
    conversation: Conversation | None = None
    retries: int = 0


def generate(plan: Plan, files: ResultFiles, server: Server, key: str | None, log: ProblemLog,
             on_step: Callable[[Step], None] = lambda step: None) -> Summary:
    """
    Have a language model write programs, or go on with that.

    :param plan: which, and how.
    :param files: where the results go.
    :param server: which is asked.
    :param key: of the server.
    :param log: of what the sources leave out; written beside the results.
    :param on_step: called at the start and with every answer.
    :returns: the summary, which is written last.
    :raises LegoError: INVALID_SETTING, SOURCE_UNREADABLE or INFERENCE_FAILED.
    :raises OSError: a file cannot be written; answers so far are kept.
    """
    settings = {
        'model': server.model, 'temperature': server.temperature,
        'max_tokens': server.max_tokens, 'constraint': plan.constraint.value,
        'prompt': hash_of([system_text(plan.vocabulary), writing_grammar(plan.vocabulary)])}
    with Journal(files.journal, settings) as journal:
        conversations = [Conversation(task, plan.vocabulary, plan.rounds)
                         for task in make_tasks(plan)]
        for conversation in conversations:
            conversation.catch_up(journal.answers)
        _ask(conversations, plan, server, key, journal, on_step)
    files.summary.unlink(missing_ok=True)
    log.write(files.problems)
    write_results(files, conversations, plan.vocabulary)
    cost = None if plan.prices is None else round(plan.prices.cost(
        answer for conversation in conversations for answer in conversation.answers), 6)
    summary = summarise(conversations, len(plan.clips), settings, cost, log.counts, files)
    write_summary(files, summary)
    return summary


def make_tasks(plan: Plan) -> list[Task]:
    """
    Describe the clips and find exemplars for each.

    :param plan: which clips, and from what they are described.
    :returns: the tasks, in the clips' order.
    :raises LegoError: INVALID_SETTING: there are fewer exemplars; SOURCE_UNREADABLE.
    """
    exemplars = load_exemplars()
    if plan.exemplars > len(exemplars):
        raise LegoError(ErrorCode.INVALID_SETTING,
                        f'{plan.exemplars} exemplars are asked for; there are {len(exemplars)}')
    chosen = plan.clips[:plan.limit]
    retriever = Retriever(exemplars)
    tasks = []
    for clip, descriptors in zip(chosen, describe(chosen, plan.sources), strict=True):
        shown: tuple[Exemplar, ...] = retriever.nearest(descriptors, plan.exemplars)
        tasks.append(Task(clip, render(descriptors), shown))
    return tasks


def _ask(conversations: Sequence[Conversation], plan: Plan, server: Server, key: str | None,
         journal: Journal, on_step: Callable[[Step], None]) -> None:
    """Hold the conversations that are not done."""
    waiting = [conversation for conversation in conversations if not conversation.done]
    done = len(conversations) - len(waiting)
    on_step(Step(done, len(conversations)))

    def on_answer(conversation: Conversation, retries: int) -> None:
        nonlocal done
        done += conversation.done
        on_step(Step(done, len(conversations), conversation, retries))

    if waiting:
        asyncio.run(ask_all(waiting, 'clips', server, key, journal, on_answer,
                            request_fields(plan.constraint, plan.vocabulary)))
