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
What a language model was asked about a clip, what it answered, and what comes next.

A conversation is a function of its task and of the answers in the journal: whoever has these can
take it up where it was broken off.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lego_ros.programs.vocabulary import Vocabulary
from lego_ros.training.descriptors.clip import Clip
from lego_ros.training.llm.journal import Answer, hash_of
from lego_ros.training.programs.exemplars import Exemplar
from lego_ros.training.programs.judging import FINAL, judge, Verdict
from lego_ros.training.programs.prompt import first_messages, Message, repair_messages


@dataclass(frozen=True)
class Task:
    """
    A clip whose program is wanted.

    :param clip: which.
    :param descriptors: what is known of it, see ``rendering.render``.
    :param exemplars: shown to the model.
    """

    clip: Clip
    descriptors: str
    exemplars: tuple[Exemplar, ...]


class Conversation:
    """
    Asks until there is a sound program, or enough was asked.

    :param task: what about.
    :param vocabulary: the words that programs may use.
    :param rounds: answers at most, from 1.
    """

    def __init__(self, task: Task, vocabulary: Vocabulary, rounds: int) -> None:
        self.task = task
        self.answers: list[Answer] = []
        self.verdicts: list[Verdict] = []
        """Of the answers, one each."""
        self._vocabulary = vocabulary
        self._rounds = rounds

    @property
    def done(self) -> bool:
        """Whether there is nothing more to ask."""
        if not self.verdicts:
            return False
        last = self.verdicts[-1].reason
        return last is None or last in FINAL or len(self.verdicts) >= self._rounds

    @property
    def key(self) -> str:
        """Name the next answer in the journal."""
        return f'{self.task.clip.clip_id}#{len(self.answers) + 1}'

    @property
    def messages(self) -> list[Message]:
        """Make what is to be asked next; when it is needed, as all together are large."""
        messages = first_messages(self._vocabulary, self.task.exemplars, self.task.descriptors)
        for answer, verdict in zip(self.answers, self.verdicts, strict=True):
            messages += repair_messages(answer.text, verdict.complaints)
        return messages

    def hear(self, answer: Answer) -> Verdict:
        """
        Take the next answer.

        :param answer: to :attr:`messages`.
        :returns: what it is worth.
        """
        verdict = judge(answer, self.task.clip, self._vocabulary)
        self.answers.append(answer)
        self.verdicts.append(verdict)
        return verdict

    def catch_up(self, known: Mapping[str, Answer]) -> None:
        """
        Take the answers that were given before to the same questions.

        :param known: answers by key.
        """
        while not self.done:
            answer = known.get(self.key)
            if answer is None or answer.prompt_sha256 != hash_of(self.messages):
                return
            self.hear(answer)
