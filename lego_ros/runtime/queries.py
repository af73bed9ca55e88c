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

"""Admission of queries: what a person asked becomes an action with settings, or a clear no."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
import math
import secrets
import time
import uuid

from lego_ros.errors import ErrorCode, LegoError
from lego_ros.runtime.model import AnswerSettings, ModelInfo
from lego_ros.vllm.action_phrase import action_phrase
from lego_ros.vllm.query import check_query

MAX_ID_BYTES = 64
REMEMBERED_IDS = 4096
# White space that is folded does not count, but nobody reads through megabytes of it.
_MAX_RAW_LENGTH = 16384


@dataclass(frozen=True)
class Query:
    """
    One question.

    :param query_id: unique.
    :param text: as it was asked.
    :param action: the action read from it; empty until it is admitted.
    :param arrived: on the monotonic clock, in seconds.
    """

    query_id: str
    text: str
    action: str = ''
    arrived: float = field(default_factory=time.monotonic)


class QueryIds:
    """Remembers the last ids, so that an answer can be told from another's."""

    def __init__(self) -> None:
        self._seen: OrderedDict[str, None] = OrderedDict()

    def admit(self, query_id: str) -> str:
        """
        Take an id.

        :param query_id: the asker's; empty = choose one.
        :returns: the id to use.
        :raises LegoError: DUPLICATE_QUERY_ID, or INVALID_QUERY for one that is too long.
        """
        if len(query_id.encode('utf-8', 'replace')) > MAX_ID_BYTES:
            raise LegoError(
                ErrorCode.INVALID_QUERY, f'query_id is longer than {MAX_ID_BYTES} bytes')
        query_id = query_id or uuid.uuid4().hex
        if query_id in self._seen:
            raise LegoError(
                ErrorCode.DUPLICATE_QUERY_ID,
                f"query_id '{query_id}' was used before; choose another, or leave it empty")
        self._seen[query_id] = None
        if len(self._seen) > REMEMBERED_IDS:
            self._seen.popitem(last=False)
        return query_id


def admit(query: Query, max_length: int) -> Query:
    """
    Read the action from a question.

    :param query: as it came.
    :param max_length: characters at most.
    :returns: the query with its action.
    :raises LegoError: INVALID_QUERY or QUERY_TOO_LONG.
    """
    if len(query.text) > _MAX_RAW_LENGTH:
        raise LegoError(
            ErrorCode.QUERY_TOO_LONG,
            f'the query has {len(query.text)} characters, more than the {max_length} that are '
            'allowed; shorten it')
    action = action_phrase(check_query(query.text, max_length))
    return Query(query.query_id, query.text, action, query.arrived)


@dataclass(frozen=True)
class Wishes:
    """
    What a goal or a parameter file asks for; 0, and NaN for a scale, leave it to the next level.

    :param seed: 0 to 2**64 - 1.
    :param steps: 1 to 1000.
    :param image_scale: s_x, up to 50; ``text_scale`` s_c likewise.
    """

    seed: int = 0
    steps: int = 0
    image_scale: float = 0.
    text_scale: float = 0.

    def settle(self, defaults: Wishes, temperature: float, mode: str, info: ModelInfo
               ) -> AnswerSettings:
        """
        Decide how a query is answered: the goal's wish, else the node's, else the bundle's.

        :param defaults: the node's parameters.
        :param temperature: the node's parameter, as is ``mode``.
        :param info: the model with the bundle's own settings.
        :returns: the settings; a seed that nobody chose is drawn at random.
        :raises LegoError: INVALID_SETTING.
        """
        return AnswerSettings(
            # 32 bits: a seed that someone may want to type again.
            seed=self.seed or defaults.seed or 1 + secrets.randbelow(2**32 - 1),
            steps=self.steps or defaults.steps or info.steps,
            image_scale=_first(self.image_scale, defaults.image_scale, info.image_scale),
            text_scale=_first(self.text_scale, defaults.text_scale, info.text_scale),
            temperature=temperature,
            mode=mode)


def _first(*values: float) -> float:
    return next((value for value in values if value and not math.isnan(value)), 0.)
