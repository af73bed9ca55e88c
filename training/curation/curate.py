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

"""The run: from a manifest to checked descriptions."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TYPE_CHECKING

from lego_ros.files import sha256_of
from lego_ros.training.curation.checks import Fault, judge_text, Reason, tidy
from lego_ros.training.curation.examples import load_examples
from lego_ros.training.curation.prompt import SYSTEM
from lego_ros.training.curation.queries import choose, Entry, read_entries, Selection
from lego_ros.training.curation.results import ResultFiles, Results
from lego_ros.training.curation.words import Vocabulary
from lego_ros.training.llm.journal import Answer, hash_of, Journal
from lego_ros.training.llm.prices import Prices

if TYPE_CHECKING:
    from lego_ros.training.llm.client import Server


@dataclass(frozen=True)
class Step:
    """
    How far a run has come.

    :param done: actions that have an answer.
    :param total: all of them.
    :param answer: the newest; None = the state at the start.
    :param rejected: whether that one does not pass the checks.
    :param retries: how often it had to be asked again.
    """

    done: int
    total: int
    answer: Answer | None = None
    rejected: bool = False
    retries: int = 0


def curate_with_model(
        manifest: Path, out: Path, selection: Selection, server: Server, key: str | None,
        examples: str | None = None, synonyms: Iterable[Sequence[str]] = (),
        prices: Prices | None = None, on_step: Callable[[Step], None] = lambda step: None
        ) -> dict[str, Any]:
    """
    Have a language model describe actions, or go on with that.

    :param manifest: of the prepared data.
    :param out: of the descriptions; see :class:`ResultFiles`.
    :param selection: which actions; only those with boxes are eligible.
    :param server: which is asked, and how.
    :param key: of the server.
    :param examples: a dataset's name or a file for all actions; None = by each action's dataset.
    :param synonyms: groups of names of things, such as a taxonomy's classes.
    :param prices: for the cost; None = it is not known.
    :param on_step: called at the start and with every answer.
    :returns: the summary.
    :raises LegoError: INVALID_SETTING, SOURCE_UNREADABLE or INFERENCE_FAILED.
    :raises OSError: a file cannot be written.
    """
    # The client library takes a second to load, which the annotator does not need.
    from lego_ros.training.curation.questions import Question
    from lego_ros.training.llm.asking import ask_all

    everything, nouns = read_entries(manifest, selection.splits)
    entries = choose(everything, selection, boxes=True)
    vocabulary = Vocabulary(nouns, synonyms)
    shown = {dataset: load_examples(examples or dataset)
             for dataset in sorted({entry.dataset for entry in everything if entry.query.boxes})}
    questions = [Question(entry.pair_id, shown[entry.dataset], entry.query) for entry in entries]
    files = ResultFiles(out)
    settings = {
        'model': server.model, 'temperature': server.temperature,
        'max_tokens': server.max_tokens,
        'prompt': hash_of([SYSTEM, {dataset: [example.model_dump(mode='json') for example in use]
                                    for dataset, use in shown.items()}])}
    with Journal(files.journal, settings) as journal:
        by_id = {entry.pair_id: entry for entry in entries}
        todo = [question for question in questions
                if not _is_answer(journal.answers.get(question.key), question.sha256)]
        done = len(entries) - len(todo)
        on_step(Step(done, len(entries)))

        def on_answer(question: Question, retries: int) -> None:
            nonlocal done
            done += 1
            # Until the end the results are fewer than the answers: see Outcome.begun.
            files.summary.unlink(missing_ok=True)
            assert question.answer is not None
            faults = judge(by_id[question.key], question.answer, vocabulary)[1]
            on_step(Step(done, len(entries), question.answer, bool(faults), retries))

        if todo:
            asyncio.run(ask_all(todo, 'actions', server, key, journal, on_answer))
        answers = [journal.answers[entry.pair_id] for entry in entries]
    results = Results('llm')
    for entry, answer in zip(entries, answers, strict=True):
        results.add(entry.pair_id, *judge(entry, answer, vocabulary), answer)
    return results.write(files, {
        'settings': settings, **_selected(manifest, selection), **_used(answers, prices)})


def curate_with_annotator(manifest: Path, out: Path, selection: Selection,
                          descriptions: Mapping[str, str]) -> dict[str, Any]:
    """
    Take the simulated kitchen's own descriptions in a language model's place.

    They are true by construction, so only their form and topic are checked: they may name things
    that have no box.

    :param manifest: of the prepared data.
    :param out: of the descriptions; see :class:`ResultFiles`.
    :param selection: which actions, with boxes or without.
    :param descriptions: by action id.
    :returns: the summary.
    :raises LegoError: INVALID_SETTING or SOURCE_UNREADABLE.
    :raises OSError: a file cannot be written.
    """
    everything, _ = read_entries(manifest, selection.splits)
    results = Results('kitchen_annotator')
    for entry in choose(everything, selection, boxes=False):
        text = tidy(descriptions.get(entry.action_id, ''))
        faults = judge_text(text, entry)
        if entry.action_id not in descriptions:
            faults = [Fault(Reason.MISSING, f'no action {entry.action_id}')]
        results.add(entry.pair_id, text, faults, None)
    return results.write(ResultFiles(out), _selected(manifest, selection))


def judge(entry: Entry, answer: Answer, vocabulary: Vocabulary) -> tuple[str, list[Fault]]:
    """
    Judge an answer.

    :param entry: the action it is about.
    :param answer: of the language model.
    :param vocabulary: the known names of things.
    :returns: the description, and all that is wrong with it.
    """
    text = tidy(answer.text)
    if answer.trouble is not None:
        return text, [Fault(Reason(answer.trouble), answer.detail)]
    return text, judge_text(text, entry, vocabulary)


def _is_answer(answer: Answer | None, sha256: str) -> bool:
    return answer is not None and answer.prompt_sha256 == sha256


def _selected(manifest: Path, selection: Selection) -> dict[str, Any]:
    return {'manifest_sha256': sha256_of(manifest),
            'selection': {**asdict(selection), 'splits': list(selection.splits)}}


def _used(answers: Sequence[Answer], prices: Prices | None) -> dict[str, Any]:
    counted = [answer for answer in answers if answer.prompt_tokens is not None]
    return {
        'models': sorted({answer.model for answer in answers}),
        'prompt_tokens': sum(answer.prompt_tokens or 0 for answer in counted),
        'completion_tokens': sum(answer.completion_tokens or 0 for answer in counted),
        'answers_without_token_counts': len(answers) - len(counted),
        'cost': None if prices is None else round(prices.cost(answers), 6),
        'prices_per_million_tokens': None if prices is None else asdict(prices)}
