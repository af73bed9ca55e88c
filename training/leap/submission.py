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
The submission file of EPIC-KITCHENS-100's challenges C1 (recognition) and C3 (anticipation).

A zip archive with ``test.json``: version 0.2, the challenge's name, the three levels of the
Supervision Levels Scale, and for each narration_id the scores of all verb and all noun classes;
beside them, if wanted, of the 100 best actions, keyed ``verb,noun``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
import io
import json
from pathlib import Path
from typing import Annotated, Literal
import zipfile

from lego_ros.errors import ErrorCode, LegoError
from lego_ros.files import write_whole
import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass as checked

VERSION = '0.2'
VERBS, NOUNS, ACTIONS = 97, 300, 100
"""Classes whose scores a submission holds; of actions the best ones only."""
CHALLENGES = {'recognition': 'action_recognition', 'anticipation': 'action_anticipation'}
Level = Annotated[int, Field(ge=0, le=5)]


@checked(frozen=True)
class Supervision:
    """
    What a network was trained with: EPIC-KITCHENS' Supervision Levels Scale, 0 the least.

    :param pt: pretraining: 0 none, 1 public images, 2 public videos too, 3 to 5 more.
    :param tl: training labels: 3 times of the segments, 4 spatial ones too, 5 knowledge from
        elsewhere too, which programs by a language model are.
    :param td: training data: 3 the training set, 4 the validation set too, 5 more.
    """

    pt: Level
    tl: Level
    td: Level


@dataclass(frozen=True)
class Scores:
    """
    What a network says of segments.

    :param narration_ids: N of them, each once.
    :param verbs: (N, 97), the higher the better.
    :param nouns: (N, 300).
    :param actions: (N, len(pairs)); None = the server multiplies verbs and nouns.
    :param pairs: verb and noun of each action.
    """

    narration_ids: Sequence[str]
    verbs: np.ndarray
    nouns: np.ndarray
    actions: np.ndarray | None = None
    pairs: Sequence[tuple[int, int]] = ()


def write_submission(path: Path, task: Literal['recognition', 'anticipation'],
                     supervision: Supervision, scores: Scores) -> None:
    """
    Write a submission; the same scores give the same bytes.

    :param path: of the zip file.
    :param task: which challenge.
    :param supervision: to be declared.
    :param scores: of all segments of the test set.
    :raises LegoError: INVALID_SETTING: the scores are not of EPIC-KITCHENS-100's classes, are not
        finite, or a segment is there twice; RECORDING_FAILED: it cannot be written.
    """
    _check(scores)
    document = {
        'version': VERSION, 'challenge': CHALLENGES[task], 'sls_pt': supervision.pt,
        'sls_tl': supervision.tl, 'sls_td': supervision.td,
        'results': {name: _entry(scores, number)
                    for number, name in enumerate(scores.narration_ids)}}
    content = io.BytesIO()
    with zipfile.ZipFile(content, 'w', zipfile.ZIP_DEFLATED) as archive:
        # Of a fixed date: the time of writing is nobody's concern.
        entry = zipfile.ZipInfo('test.json', (1980, 1, 1, 0, 0, 0))
        entry.compress_type = zipfile.ZIP_DEFLATED
        archive.writestr(entry, json.dumps(document, allow_nan=False))
    try:
        write_whole(path, content.getvalue())
    except OSError as error:
        raise LegoError(ErrorCode.RECORDING_FAILED,
                        f"the submission cannot be written to '{path}': {error}") from error


def _entry(scores: Scores, number: int) -> dict[str, dict[str, float]]:
    entry = {'verb': _numbered(scores.verbs[number]), 'noun': _numbered(scores.nouns[number])}
    if scores.actions is not None:
        best = np.argsort(-scores.actions[number], kind='stable')[:ACTIONS]
        entry['action'] = {
            f'{scores.pairs[place][0]},{scores.pairs[place][1]}':
            float(scores.actions[number, place]) for place in best}
    return entry


def _numbered(values: np.ndarray) -> dict[str, float]:
    return {str(number): float(value) for number, value in enumerate(values)}


def _check(scores: Scores) -> None:
    count = len(scores.narration_ids)
    given = [('verbs', scores.verbs, VERBS), ('nouns', scores.nouns, NOUNS)]
    if scores.actions is not None:
        given.append(('actions', scores.actions, len(scores.pairs)))
    if not count or len(set(scores.narration_ids)) != count:
        raise _bad('there is no segment, or one is there twice')
    for name, values, classes in given:
        if values.shape != (count, classes):
            raise _bad(f'scores of {name} are {values.shape}, expected {(count, classes)}')
        if not np.isfinite(values).all():
            raise _bad(f'a score of {name} is not finite')
    if scores.actions is not None and len(scores.pairs) < ACTIONS:
        raise _bad(f'{len(scores.pairs)} actions are scored; the challenge wants {ACTIONS}')


def _bad(what: str) -> LegoError:
    return LegoError(ErrorCode.INVALID_SETTING, f'EPIC-KITCHENS submission: {what}')
