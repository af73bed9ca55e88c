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

"""One action that a language model is asked about."""

from __future__ import annotations

from dataclasses import dataclass

from lego_ros.training.curation.examples import Example
from lego_ros.training.curation.prompt import make_messages
from lego_ros.training.curation.queries import Query
from lego_ros.training.llm.journal import Answer, hash_of


@dataclass(eq=False)
class Question:
    """
    One action to ask about, once.

    :param key: the pair's id in the manifest.
    :param examples: shown to the model.
    :param query: what is known of the action.
    :param answer: None until there is one.
    """

    key: str
    examples: tuple[Example, ...]
    query: Query
    answer: Answer | None = None

    @property
    def messages(self) -> list[dict[str, str]]:
        """Make what is to be asked, see ``llm.asking.Matter``."""
        return make_messages(self.examples, self.query)

    @property
    def sha256(self) -> str:
        """Of the whole prompt."""
        return hash_of(self.messages)

    @property
    def done(self) -> bool:
        """Whether it has an answer."""
        return self.answer is not None

    def hear(self, answer: Answer) -> None:
        """Take the answer."""
        self.answer = answer
