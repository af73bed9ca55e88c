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

"""The files that curation makes: descriptions, rejects and a summary, in the manifest's order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
import json
from pathlib import Path
from typing import Any, Literal

from lego_ros.files import sha256_of, write_whole
from lego_ros.training.curation.checks import Fault
from lego_ros.training.data.files import unusable
from lego_ros.training.data.records import parse_line, read_lines
from lego_ros.training.llm.journal import Answer
from pydantic import BaseModel, ConfigDict, Field, ValidationError

SCHEMA: Literal['lego_ros/description/1'] = 'lego_ros/description/1'
MAX_LINE = 1 << 20
"""Longest line in bytes."""
Source = Literal['llm', 'kitchen_annotator']


class DescriptionRecord(BaseModel):
    """A line of the file of descriptions."""

    model_config = ConfigDict(extra='forbid', frozen=True)

    schema_version: Literal['lego_ros/description/1'] = SCHEMA
    pair_id: str = Field(min_length=1)
    """Of the manifest."""
    description: str = Field(min_length=1)
    source: Source
    """Who wrote it: a language model, or the simulated kitchen's annotator."""
    model: str | None
    """As the server names it; null = no model wrote it."""
    prompt_sha256: str | None
    prompt_tokens: int | None
    completion_tokens: int | None


class ResultFiles:
    """
    Where a run's results go.

    :param out: of the descriptions, for example ``descriptions.jsonl``; the others stand beside
        it: ``descriptions.rejects.jsonl``, ``.summary.json`` and ``.journal.jsonl``.
    """

    def __init__(self, out: Path) -> None:
        self.descriptions = out
        self.rejects = out.with_suffix('.rejects.jsonl')
        self.summary = out.with_suffix('.summary.json')
        self.journal = out.with_suffix('.journal.jsonl')


class Results:
    """
    Collects what becomes of each action.

    :param source: of the descriptions.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self._kept: list[str] = []
        self._rejected: list[dict[str, Any]] = []
        self._counts: Counter[str] = Counter()

    @property
    def kept(self) -> int:
        """How many descriptions are kept."""
        return len(self._kept)

    def add(self, pair_id: str, text: str, faults: list[Fault], answer: Answer | None) -> None:
        """
        Add an action, in the manifest's order.

        :param pair_id: of the manifest.
        :param text: its description.
        :param faults: what is wrong with it; none = it is kept.
        :param answer: of the language model that it is from; None = from none.
        """
        origin = {
            'model': answer.model if answer else None,
            'prompt_sha256': answer.prompt_sha256 if answer else None,
            'prompt_tokens': answer.prompt_tokens if answer else None,
            'completion_tokens': answer.completion_tokens if answer else None}
        if not faults:
            self._kept.append(DescriptionRecord.model_validate({
                'pair_id': pair_id, 'description': text, 'source': self._source, **origin,
            }).model_dump_json())
            return
        self._counts.update({fault.reason.value for fault in faults})
        self._rejected.append({
            'pair_id': pair_id, 'text': text, 'source': self._source, **origin,
            'reasons': [{'reason': fault.reason.value, 'detail': fault.detail}
                        for fault in faults]})

    def write(self, files: ResultFiles, facts: dict[str, Any]) -> dict[str, Any]:
        """
        Write the three files, each whole, the summary last: where it is, the others are.

        :param files: where.
        :param facts: of the run, for the summary; JSON values.
        :returns: the summary.
        :raises OSError: they cannot be written.
        """
        files.summary.unlink(missing_ok=True)
        write_whole(files.rejects, b''.join(
            json.dumps(entry, ensure_ascii=False).encode() + b'\n' for entry in self._rejected))
        write_whole(files.descriptions, b''.join(
            line.encode() + b'\n' for line in self._kept))
        summary = {
            'source': self._source, **facts,
            'actions': len(self._kept) + len(self._rejected),
            'descriptions': len(self._kept), 'rejected': len(self._rejected),
            'reasons': dict(sorted(self._counts.items())),
            'sha256': sha256_of(files.descriptions)}
        write_whole(files.summary, json.dumps(summary, indent=1).encode() + b'\n')
        return summary


def read_descriptions(path: Path) -> Iterator[DescriptionRecord]:
    """
    Read a file of descriptions.

    :param path: of the file.
    :returns: an iterator over its records.
    :raises LegoError: SOURCE_UNREADABLE, naming file and line.
    """
    try:
        for number, line in read_lines(path, MAX_LINE):
            yield parse_line(path, number, line, DescriptionRecord)
    except OSError as error:
        raise unusable(path, f'the descriptions cannot be read: {error}') from error


class _Chosen(BaseModel):
    splits: tuple[str, ...]
    count: int | None


class _Summary(BaseModel):
    """What of a summary tells which actions were to be asked about."""

    source: Source
    selection: _Chosen


@dataclass(frozen=True)
class Outcome:
    """
    What became of a manifest's pairs in curation.

    :param texts: descriptions by pair.
    :param rejected: the reason by pair, the first of several; empty where none was noted.
    :param summary: of the run that made the files; None = they are not whole, or not by curation.
    :param begun: whether a run has left files that it finishes when it is called again.
    """

    texts: dict[str, str]
    rejected: dict[str, str]
    summary: _Summary | None
    begun: bool

    def why_missing(self, pair_id: str, split: str, boxes: bool) -> str | None:
        """
        Tell why a pair has no description.

        :param pair_id: of one that has none, or whose description was rejected.
        :param split: of the pair.
        :param boxes: whether it has any.
        :returns: a few words; None = the run should have asked about it and has not.
        """
        if pair_id in self.rejected:
            reason = self.rejected[pair_id]
            return f'rejected ({reason})' if reason else 'rejected'
        if self.summary is None:
            return None if self.begun else 'not in the file'
        if split not in self.summary.selection.splits:
            return 'of a split that was not curated'
        if self.summary.source == 'llm' and not boxes:
            return 'without boxes'
        return None if self.summary.selection.count is None else 'not drawn by --count'


def read_outcome(files: ResultFiles) -> Outcome:
    """
    Read what curation made so far.

    :param files: of it; each may be missing.
    :returns: the outcome.
    :raises LegoError: SOURCE_UNREADABLE, naming the file.
    """
    texts = ({record.pair_id: record.description
              for record in read_descriptions(files.descriptions)}
             if files.descriptions.is_file() else {})
    return Outcome(texts, _read_rejects(files.rejects), _read_summary(files.summary),
                   files.journal.is_file() or files.rejects.is_file())


def _read_rejects(path: Path) -> dict[str, str]:
    if not path.is_file():
        return {}
    try:
        entries = [json.loads(line) for line in path.read_text(encoding='utf-8').splitlines()]
        return {str(entry['pair_id']): str(entry['reasons'][0]['reason'])
                if entry['reasons'] else '' for entry in entries}
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise unusable(path, f'this is no list of rejected descriptions: {error}') from error


def _read_summary(path: Path) -> _Summary | None:
    if not path.is_file():
        return None
    try:
        return _Summary.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise unusable(path, f'this is no summary of curation: {error}') from error
