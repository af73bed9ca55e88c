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

"""Holding a server to the grammar of programs, where it can be held."""

from __future__ import annotations

from enum import Enum
from typing import Any

from lego_ros.programs.grammar import writing_grammar
from lego_ros.programs.vocabulary import Vocabulary


class Constraint(str, Enum):
    """
    How a request brings the grammar; each server has a field of its own.

    The grammar is Lark's notation in llguidance's dialect, so the server needs llguidance.
    """

    NONE = 'none'
    """The request has no grammar; the prompt alone says what a program is."""
    LLAMA_CPP = 'llama.cpp'
    """``grammar``, of a llama.cpp server built with LLAMA_LLGUIDANCE (docs/llguidance.md)."""
    VLLM = 'vllm'
    """``structured_outputs``, of vLLM from 0.12 with the guidance backend."""
    VLLM_GUIDED = 'vllm-guided'
    """``guided_grammar``, of vLLM before 0.12 with the guidance backend."""


def request_fields(constraint: Constraint, vocabulary: Vocabulary) -> dict[str, Any]:
    """
    Make what a request says of the grammar.

    :param constraint: whose way.
    :param vocabulary: the words of programs.
    :returns: fields for the body of a chat completion, JSON values.
    """
    if constraint is Constraint.NONE:
        return {}
    grammar = writing_grammar(vocabulary)
    if constraint is Constraint.LLAMA_CPP:
        # By its first line the server knows that it is not its own notation.
        return {'grammar': grammar}
    if constraint is Constraint.VLLM:
        return {'structured_outputs': {'grammar': grammar}}
    return {'guided_grammar': grammar}
