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

"""Action programs as JSON, for those who do not want to parse their text."""

from __future__ import annotations

from typing import Annotated, Literal

from lego_ros.programs.bounds import invalid, require_bounded, require_known
from lego_ros.programs.tree import (
    Block,
    Call,
    Conditions,
    Hand,
    If,
    Predicate,
    Program,
    Repeat,
    Routine,
    SubAction,
    While,
)
from lego_ros.programs.vocabulary import default_vocabulary, Vocabulary
from pydantic import BaseModel, ConfigDict, Field, ValidationError

MAX_JSON = 1 << 25
"""Of the largest programs 23 MB were seen: conditions are written out, and indented."""


def to_json(program: Program, vocabulary: Vocabulary | None = None) -> str:
    """
    Write a program as JSON.

    :param program: the tree.
    :param vocabulary: its words; those of the package by default.
    :returns: JSON of the schema of :func:`schema`; sub-actions bring all their conditions, those
        of their verbs' contracts too, so that a reader needs no vocabulary.
    """
    vocabulary = vocabulary or default_vocabulary()
    return _Program(
        objects=program.objects, initially=_facts(program.initial),
        routines=tuple(_Routine(name=routine.name, body=_block(routine.body, vocabulary))
                       for routine in program.routines),
        body=_block(program.body, vocabulary)).model_dump_json(indent=1, by_alias=True) + '\n'


def from_json(text: str | bytes, vocabulary: Vocabulary | None = None) -> Program:
    """
    Read a program from JSON.

    :param text: as :func:`to_json` writes it, at most 32 MiB.
    :param vocabulary: its words; those of the package by default.
    :returns: the tree; its statements know no lines.
    :raises LegoError: PROGRAM_INVALID, what is not of the schema or of the vocabulary.
    """
    vocabulary = vocabulary or default_vocabulary()
    if len(text if isinstance(text, bytes) else text.encode('utf-8', 'replace')) > MAX_JSON:
        raise invalid(0, f'the JSON is longer than {MAX_JSON:,} bytes')
    try:
        read = _Program.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise invalid(0, f'{".".join(map(str, first["loc"])) or "JSON"}: {first["msg"]}'
                      ) from error
    program = Program(
        read.objects, tuple(statement.node(vocabulary) for statement in read.body),
        tuple(fact.node() for fact in read.initially),
        tuple(Routine(routine.name, tuple(statement.node(vocabulary)
                                          for statement in routine.body))
              for routine in read.routines))
    require_known(program, vocabulary)
    require_bounded(program, vocabulary)
    return program


def schema() -> dict:
    """
    Return the JSON schema of a program.

    :returns: of draft 2020-12.
    """
    return _Program.model_json_schema(by_alias=True)


class _Model(BaseModel):
    model_config = ConfigDict(extra='forbid', populate_by_name=True)


class _Fact(_Model):
    name: str
    arguments: tuple[str, ...]
    negated: bool = False

    def node(self) -> Predicate:
        return Predicate(self.name, self.arguments, self.negated)


class _SubAction(_Model):
    kind: Literal['sub_action'] = 'sub_action'
    verb: str
    object_a: str
    object_b: str = ''
    hand: Hand | None = None
    pre: tuple[_Fact, ...] = ()
    post: tuple[_Fact, ...] = ()

    def node(self, vocabulary: Vocabulary) -> SubAction:
        action = SubAction(self.verb, self.object_a, self.object_b, self.hand)
        pre, post = (tuple(fact.node() for fact in facts) for facts in (self.pre, self.post))
        if self.verb not in vocabulary.sub_verbs:
            # That it is no sub-verb is told with the rest of what is not known.
            return action
        return vocabulary.beyond(action, pre, post)


class _If(_Model):
    kind: Literal['if'] = 'if'
    condition: tuple[_Fact, ...]
    then: tuple[_Statement, ...]
    otherwise: tuple[_Statement, ...] = Field((), alias='else')

    def node(self, vocabulary: Vocabulary) -> If:
        return If(tuple(fact.node() for fact in self.condition),
                  tuple(statement.node(vocabulary) for statement in self.then),
                  tuple(statement.node(vocabulary) for statement in self.otherwise))


class _While(_Model):
    kind: Literal['while'] = 'while'
    condition: tuple[_Fact, ...]
    body: tuple[_Statement, ...]

    def node(self, vocabulary: Vocabulary) -> While:
        return While(tuple(fact.node() for fact in self.condition),
                     tuple(statement.node(vocabulary) for statement in self.body))


class _Repeat(_Model):
    kind: Literal['repeat'] = 'repeat'
    count: int
    body: tuple[_Statement, ...]

    def node(self, vocabulary: Vocabulary) -> Repeat:
        return Repeat(self.count, tuple(statement.node(vocabulary) for statement in self.body))


class _Call(_Model):
    kind: Literal['call'] = 'call'
    name: str

    def node(self, _: Vocabulary) -> Call:
        return Call(self.name)


_Statement = Annotated[_SubAction | _If | _While | _Repeat | _Call,
                       Field(discriminator='kind')]


class _Routine(_Model):
    name: str
    body: tuple[_Statement, ...]


class _Program(_Model):
    version: Literal['lego_ros/program/1'] = 'lego_ros/program/1'
    objects: tuple[str, ...]
    initially: tuple[_Fact, ...] = ()
    routines: tuple[_Routine, ...] = ()
    body: tuple[_Statement, ...]


for _model in (_If, _While, _Repeat):
    _model.model_rebuild()


def _facts(conditions: Conditions) -> tuple[_Fact, ...]:
    return tuple(_Fact(name=fact.name, arguments=fact.arguments, negated=fact.negated)
                 for fact in conditions)


def _block(block: Block, vocabulary: Vocabulary) -> tuple[_Statement, ...]:
    """Make the JSON of a block."""
    found: list[_Statement] = []
    for statement in block:
        if isinstance(statement, SubAction):
            found.append(_SubAction(
                verb=statement.verb, object_a=statement.object_a, object_b=statement.object_b,
                hand=statement.hand, pre=_facts(vocabulary.pre(statement)),
                post=_facts(vocabulary.post(statement))))
        elif isinstance(statement, If):
            found.append(_If.model_validate({
                'condition': _facts(statement.condition),
                'then': _block(statement.then, vocabulary),
                'else': _block(statement.otherwise, vocabulary)}))
        elif isinstance(statement, While):
            found.append(_While(condition=_facts(statement.condition),
                                body=_block(statement.body, vocabulary)))
        elif isinstance(statement, Repeat):
            found.append(_Repeat(count=statement.count, body=_block(statement.body, vocabulary)))
        else:
            found.append(_Call(name=statement.name))
    return tuple(found)
