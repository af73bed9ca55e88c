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

"""Whether a description is right: verb, noun, hand and places, each by itself."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from lego_ros.training.evaluation.relations import holds
from lego_ros.training.evaluation.sentences import read_sentence, Said
from lego_ros.training.export.truth import TruthRecord
from lego_ros.training.export.truth_lines import read_truth, TRUTH
from pydantic import BaseModel, ConfigDict


class Verdict(BaseModel):
    """
    Of one description.

    ``relation`` is None where neither it nor the annotator's says anything of places that can be
    judged.
    """

    model_config = ConfigDict(extra='forbid', frozen=True)

    verb: bool
    noun: bool
    hand: bool
    relation: bool | None

    @property
    def all_right(self) -> bool:
        """Whether nothing is wrong."""
        return self.verb and self.noun and self.hand and self.relation is not False


def judge(description: str, truth: TruthRecord) -> Verdict:
    """
    Judge a description.

    Of several statements about places all must be true. One that says nothing of places is wrong
    where the annotator's does.

    :param description: a sentence, whoever wrote it.
    :param truth: of the action.
    :returns: what is right.
    """
    said = read_sentence(description)
    judged = _judged(said, truth)
    expected = bool(judged) or bool(_judged(read_sentence(truth.description), truth))
    side = truth.noun_phrase.rpartition(' ')[0]
    return Verdict(
        verb=said.verb == truth.verb,
        noun=said.noun == truth.noun and (not side or said.side in ('', side)),
        hand=said.hand == truth.hand,
        relation=bool(judged) and all(judged) if expected else None)


def read_truth_records(folder: Path, action_ids: Iterable[str]) -> dict[str, TruthRecord]:
    """
    Read what is true of actions.

    :param folder: of the dataset.
    :param action_ids: of those that are wanted.
    :returns: by action id.
    :raises LegoError: SOURCE_UNREADABLE: the file is missing or damaged, or lacks one.
    """
    return read_truth(folder / TRUTH, TruthRecord, set(action_ids))


def _judged(said: Said, truth: TruthRecord) -> list[bool]:
    verdicts = (holds(claim, truth) for claim in said.claims)
    return [verdict for verdict in verdicts if verdict is not None]
