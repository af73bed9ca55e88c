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

"""What answers cost."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from lego_ros.training.llm.journal import Answer


@dataclass(frozen=True)
class Prices:
    """
    What a server takes, in any currency.

    :param prompt: for a million tokens of prompt.
    :param completion: for a million tokens of answer.
    """

    prompt: float
    completion: float

    def cost(self, answers: Iterable[Answer]) -> float:
        """
        Add up what answers cost.

        :param answers: those without a count of tokens add nothing.
        :returns: the sum, in that currency.
        """
        return sum((answer.prompt_tokens or 0) * self.prompt
                   + (answer.completion_tokens or 0) * self.completion
                   for answer in answers) / 1e6
