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

"""The files that a run makes: programs, rejects and a summary, in the order of the clips."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
import json
from pathlib import Path
from typing import Any, Literal

from lego_ros.files import commit, sha256_of, write_whole
from lego_ros.programs.parsing import parse
from lego_ros.programs.serialising import to_json
from lego_ros.programs.vocabulary import Vocabulary
from lego_ros.training.data.files import unusable
from lego_ros.training.data.records import first_fault, parse_line, read_lines
from lego_ros.training.programs.conversation import Conversation
from lego_ros.training.programs.judging import Reason
from pydantic import BaseModel, ConfigDict, Field, ValidationError

SCHEMA: Literal['lego_ros/clip_program/1'] = 'lego_ros/clip_program/1'
MAX_LINE = 1 << 25
"""Longest line in bytes; the largest program has 23 MB of JSON."""
_MAX_SUMMARY = 1 << 20


class _Record(BaseModel):
    model_config = ConfigDict(extra='forbid', frozen=True)


class Provenance(_Record):
    """Where a program comes from."""

    model: str
    """As the server names it."""
    exemplars: tuple[str, ...]
    """Names, in the order of the prompt."""
    rounds: int = Field(ge=1)
    """Answers that it took."""
    prompt_sha256: str
    """Of the last question."""
    prompt_tokens: int | None
    """Of all rounds; null = the server did not count them all."""
    completion_tokens: int | None


class ClipRecord(_Record):
    """What the lines of both files have."""

    schema_version: Literal['lego_ros/clip_program/1'] = SCHEMA
    clip_id: str = Field(min_length=1)
    video_id: str
    start: float
    """Seconds from the video's beginning."""
    end: float
    label: str
    descriptors: str
    """All that the model was told of the clip."""
    provenance: Provenance


class ProgramRecord(ClipRecord):
    """A line of ``programs.jsonl``."""

    text: str = Field(min_length=1)
    program: dict[str, Any]
    """As ``lego_ros.programs.serialising`` writes it."""


class RejectRecord(ClipRecord):
    """A line of ``rejects.jsonl``."""

    reason: Reason
    complaints: tuple[str, ...]
    """What is wrong with the last answer."""
    answer: str
    """The last one, as it came."""


class Summary(_Record):
    """``summary.json``: what came of a run."""

    settings: dict[str, Any]
    """On which the answers depend."""
    clips: int
    """Usable ones in the source."""
    asked: int
    """Of which programs were asked for."""
    programs: int
    rejected: int
    coverage: float
    """Programs per clip asked about."""
    rounds: dict[int, int]
    """How many programs took so many answers."""
    mended: dict[str, int]
    """What was wrong with answers that were asked for again, by reason."""
    reasons: dict[str, int]
    """Why clips have no program, by reason."""
    models: tuple[str, ...]
    prompt_tokens: int
    completion_tokens: int
    answers_without_token_counts: int
    cost: float | None
    left_out: dict[str, int]
    """Rows of the sources that could not be used, by reason; see problems.jsonl."""
    sha256: str
    """Of ``programs.jsonl``."""


class ResultFiles:
    """
    Where a run's results go.

    :param folder: of them all.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.programs = folder / 'programs.jsonl'
        self.rejects = folder / 'rejects.jsonl'
        self.problems = folder / 'problems.jsonl'
        self.summary = folder / 'summary.json'
        self.journal = folder / 'journal.jsonl'
        self.picture = folder / 'report.png'


def write_results(files: ResultFiles, conversations: Iterable[Conversation],
                  vocabulary: Vocabulary) -> None:
    """
    Write programs and rejects, each file whole.

    :param files: where.
    :param conversations: all done, in the clips' order.
    :param vocabulary: the words of the programs.
    :raises OSError: they cannot be written.
    """
    parts = [path.with_name(f'.{path.name}.part') for path in (files.programs, files.rejects)]
    with open(parts[0], 'wb') as programs, open(parts[1], 'wb') as rejects:
        for conversation in conversations:
            record = record_of(conversation, vocabulary)
            file = programs if isinstance(record, ProgramRecord) else rejects
            file.write(record.model_dump_json().encode() + b'\n')
    commit(parts[1], files.rejects)
    commit(parts[0], files.programs)


def record_of(conversation: Conversation, vocabulary: Vocabulary) -> ProgramRecord | RejectRecord:
    """
    Write down what came of a clip.

    :param conversation: about it; done.
    :param vocabulary: the words of its program.
    :returns: the record of its program, or why it has none.
    """
    task, answers, verdict = (conversation.task, conversation.answers, conversation.verdicts[-1])
    counts = [[getattr(answer, name) for answer in answers]
              for name in ('prompt_tokens', 'completion_tokens')]
    tokens = [None if None in values else sum(values) for values in counts]
    shared: dict[str, Any] = {
        'clip_id': task.clip.clip_id, 'video_id': task.clip.video_id, 'start': task.clip.start,
        'end': task.clip.end, 'label': task.clip.label, 'descriptors': task.descriptors,
        'provenance': Provenance(
            model=answers[-1].model,
            exemplars=tuple(exemplar.name for exemplar in task.exemplars), rounds=len(answers),
            prompt_sha256=answers[-1].prompt_sha256, prompt_tokens=tokens[0],
            completion_tokens=tokens[1])}
    if verdict.reason is not None:
        return RejectRecord(**shared, reason=verdict.reason, complaints=verdict.complaints,
                            answer=answers[-1].text)
    program = json.loads(to_json(parse(verdict.text, vocabulary), vocabulary))
    return ProgramRecord(**shared, text=verdict.text, program=program)


def summarise(conversations: Iterable[Conversation], clips: int, settings: dict[str, Any],
              cost: float | None, left_out: dict[str, int], files: ResultFiles) -> Summary:
    """
    Count what came of a run.

    :param conversations: all done.
    :param clips: usable ones in the source.
    :param settings: on which the answers depend; JSON values.
    :param cost: of all answers; None = not known.
    :param left_out: rows of the sources by reason.
    :param files: with the programs.
    :returns: the summary.
    """
    rounds: Counter[int] = Counter()
    mended: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    answers = []
    for conversation in conversations:
        answers += conversation.answers
        *earlier, last = conversation.verdicts
        mended.update(verdict.reason.value for verdict in earlier if verdict.reason)
        if last.reason is None:
            rounds[len(conversation.verdicts)] += 1
        else:
            reasons[last.reason.value] += 1
    programs, rejected = sum(rounds.values()), sum(reasons.values())
    return Summary(
        settings=settings, clips=clips, asked=programs + rejected, programs=programs,
        rejected=rejected, coverage=programs / max(programs + rejected, 1),
        rounds=dict(sorted(rounds.items())), mended=dict(sorted(mended.items())),
        reasons=dict(sorted(reasons.items())),
        models=tuple(sorted({answer.model for answer in answers})),
        prompt_tokens=sum(answer.prompt_tokens or 0 for answer in answers),
        completion_tokens=sum(answer.completion_tokens or 0 for answer in answers),
        answers_without_token_counts=sum(answer.prompt_tokens is None for answer in answers),
        cost=cost, left_out=left_out, sha256=sha256_of(files.programs))


def write_summary(files: ResultFiles, summary: Summary) -> None:
    """
    Write the summary; where it is, the other files are whole.

    :param files: where.
    :param summary: of the run.
    :raises OSError: it cannot be written.
    """
    write_whole(files.summary, summary.model_dump_json(indent=1).encode() + b'\n')


def read_summary(files: ResultFiles) -> Summary:
    """
    Read a run's summary.

    :param files: of the run.
    :returns: the summary.
    :raises LegoError: SOURCE_UNREADABLE: there is none, or it is none.
    """
    try:
        with open(files.summary, 'rb') as file:
            return Summary.model_validate_json(file.read(_MAX_SUMMARY))
    except OSError as error:
        raise unusable(files.summary, f'no summary of a finished run: {error}') from error
    except ValidationError as error:
        raise unusable(files.summary, first_fault(error)) from error


def read_programs(path: Path) -> Iterator[ProgramRecord]:
    """
    Read a file of programs.

    :param path: of ``programs.jsonl``.
    :returns: an iterator over its records.
    :raises LegoError: SOURCE_UNREADABLE, naming file and line.
    """
    try:
        for number, line in read_lines(path, MAX_LINE):
            yield parse_line(path, number, line, ProgramRecord)
    except OSError as error:
        raise unusable(path, f'the programs cannot be read: {error}') from error
