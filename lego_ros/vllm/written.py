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

"""What a language model wrote; apart from the writing, which needs torch."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class WrittenProgram:
    """
    The text of an action program.

    :param text: under the grammar of programs; cut where ``ended`` is false.
    :param ended: whether the model ended it; False = it was cut at the most tokens.
    :param confidence: geometric mean of the probabilities that the model gave its tokens, of all
        tokens and not only of those that the grammar allowed; 0 to 1.
    :param decode_seconds: what its tokens took, one after the other; the reading of the question
        is not counted.
    :param mask_seconds: how much of it the grammar took.
    """

    text: str
    ended: bool
    confidence: float
    decode_seconds: float = 0.
    mask_seconds: float = 0.
