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
Answers kept as they come: what a kill at any moment leaves is all but the last one.

An answer costs money, so it is on the disk before the next step. It is kept as it came; what it is
worth is judged later, so that a change of the checks needs no new answers.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from pathlib import Path
from typing import Any, Literal

from lego_ros.errors import ErrorCode, LegoError
from lego_ros.training.data.files import unusable
from pydantic import BaseModel, ConfigDict, ValidationError

SCHEMA = 'lego_ros/curation_journal/1'
Trouble = Literal['refused', 'malformed', 'cut_off']


def hash_of(value: object) -> str:
    """
    Hash a prompt or the settings of a run.

    :param value: made of JSON's types.
    :returns: SHA-256 in hexadecimal.
    """
    return hashlib.sha256(
        json.dumps(value, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


class Answer(BaseModel):
    """What came of asking about one matter, once."""

    model_config = ConfigDict(extra='forbid', frozen=True)

    pair_id: str
    """Its key: of an action of the manifest, or of a clip with the number of the answer."""
    prompt_sha256: str
    """Of the whole prompt; another one makes the answer void."""
    text: str
    """As the model wrote it."""
    trouble: Trouble | None = None
    """What was wrong before anybody looked at the text."""
    detail: str = ''
    model: str
    """As the server names it."""
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


class Journal:
    """
    The answers of a run, and of the runs before that it goes on with.

    :param path: of the file; it is made if it is not there.
    :param settings: everything that the answers depend on besides the matter; JSON values.
    :raises LegoError: INVALID_SETTING: it is of other settings, or another process writes to it;
        SOURCE_UNREADABLE: it is damaged.
    :raises OSError: it cannot be written.
    """

    def __init__(self, path: Path, settings: dict[str, Any]) -> None:
        self._path = path
        self.answers: dict[str, Answer] = {}
        """By key."""
        path.parent.mkdir(parents=True, exist_ok=True)
        # A plain descriptor: no buffer whose rest is written again when it is closed.
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        try:
            self._lock()
            self._read(json.loads(json.dumps(settings)))
        except BaseException:
            os.close(self._file)
            raise

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._file)

    def add(self, answer: Answer) -> None:
        """
        Keep an answer; when this returns, neither a kill nor a power cut loses it.

        :param answer: one of its key takes the place of an earlier one.
        :raises OSError: it cannot be written.
        """
        self._write(answer.model_dump(mode='json'))
        self.answers[answer.pair_id] = answer

    def _lock(self) -> None:
        try:
            # The kernel lets go of it when the process ends, however it ends.
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise LegoError(ErrorCode.INVALID_SETTING,
                            f"'{self._path}': another run is writing to it") from error

    def _read(self, settings: dict[str, Any]) -> None:
        # What a kill or a full disk cut off, after the last line's end, never was an answer.
        *lines, rest = self._path.read_bytes().split(b'\n')
        for number, line in enumerate(lines, start=1):
            try:
                value = json.loads(line)
                if number == 1:
                    self._compare(value, settings)
                else:
                    answer = Answer.model_validate(value)
                    self.answers[answer.pair_id] = answer
            except (ValueError, ValidationError) as error:
                raise unusable(self._path, f'line {number} is no answer: {error}') from error
        if rest:
            os.ftruncate(self._file, sum(len(line) + 1 for line in lines))
        if not lines:
            self._write({'schema': SCHEMA, 'settings': settings})
            folder = os.open(self._path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)

    def _compare(self, value: Any, settings: dict[str, Any]) -> None:
        if not isinstance(value, dict) or value.get('schema') != SCHEMA:
            raise unusable(self._path, f'it is no journal of the form {SCHEMA}')
        found = value.get('settings')
        if found != settings:
            named = found if isinstance(found, dict) else {}
            different = [key for key in settings if named.get(key) != settings[key]]
            raise LegoError(
                ErrorCode.INVALID_SETTING,
                f"'{self._path}' was begun with another {', '.join(different)}; go on with the "
                'same, or choose another --out')

    def _write(self, value: dict[str, Any]) -> None:
        line = memoryview(json.dumps(value, ensure_ascii=True).encode() + b'\n')
        while line:
            line = line[os.write(self._file, line):]
        os.fsync(self._file)
