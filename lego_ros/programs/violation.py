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

"""What the checker finds."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Violation:
    """
    One thing that is wrong with a program.

    :param line: of the statement, from 1; 0 = of the whole program, or it has no text.
    :param message: what is wrong and what would mend it.
    """

    line: int
    message: str

    def __str__(self) -> str:
        return f'line {self.line}: {self.message}' if self.line else self.message
