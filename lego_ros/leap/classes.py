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

"""The classes of the network's outputs: which index is which word."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
import json
from pathlib import Path
import re
from typing import Annotated, Any

from lego_ros.errors import ErrorCode, LegoError
from lego_ros.files import write_whole
from lego_ros.leap.conditions import conditions_of
from lego_ros.programs.bounds import NAME
from lego_ros.programs.tree import ANYTHING, Hand, Predicate, Program
from lego_ros.programs.vocabulary import default_vocabulary, Vocabulary
from pydantic import BaseModel, ConfigDict, Field, ValidationError

NONE = 0
"""Class of a step that is none and of an object that there is none; the words begin at 1."""
OTHER = 'other'
"""Object class of all names that are in none of the others; always the last."""

MAX_SUB_VERBS = 512
MAX_OBJECTS = 4096
MAX_PREDICATES = 8192
MAX_LABELS = 4096
MAX_ACTIONS = 65536
MAX_BYTES = 16 << 20

_FACT = re.compile(rf'({NAME})\(({NAME})(?:, ({NAME}))?\)')
_Word = Annotated[str, Field(pattern=rf'^{NAME}$')]
_Label = Annotated[str, Field(min_length=1, max_length=256)]
_Index = Annotated[int, Field(ge=0, lt=MAX_LABELS)]


@dataclass(frozen=True)
class ProgramClasses:
    """
    The classes, each kind in the order of the network's outputs.

    A condition's class is its predicate with the classes of its objects; LEAP does not say what
    it predicts. Hands are left out of it, as out of LEAP's (sub-verb, object A, object B): as an
    argument each is ``either``.

    :param sub_verbs: outputs 1 to V; output 0 is ``none``.
    :param objects: outputs 1 to O, the last is ``other``; output 0 is ``none``.
    :param predicates: of pre- and post-conditions, outputs 0 to P - 1.
    :param verbs: of the action labels.
    :param nouns: of the action labels.
    :param actions: pairs of an index of ``verbs`` and one of ``nouns``.
    """

    sub_verbs: tuple[str, ...]
    objects: tuple[str, ...]
    predicates: tuple[Predicate, ...]
    verbs: tuple[str, ...]
    nouns: tuple[str, ...]
    actions: tuple[tuple[int, int], ...]

    def sub_verb_index(self, verb: str) -> int | None:
        """
        Find the class of a sub-verb.

        :param verb: a word of the vocabulary.
        :returns: 1 to V; None where the network does not know it.
        """
        return self._sub_verb_indices.get(verb)

    def object_index(self, name: str) -> int:
        """
        Find the class of an object.

        :param name: as in a program; '' for none.
        :returns: 0 for none, else 1 to O, that of ``other`` where the network does not know it.
        """
        return self._object_indices.get(name, len(self.objects)) if name else NONE

    def predicate_index(self, fact: Predicate, vocabulary: Vocabulary) -> int | None:
        """
        Find the class of a fact.

        :param fact: holds, of a program's objects and hands; without ``_``.
        :param vocabulary: of the program.
        :returns: 0 to P - 1; None where the network does not know it.
        """
        return self._predicate_indices.get(self._template(fact, vocabulary))

    def action_index(self, verb: int, noun: int) -> int | None:
        """
        Find the class of an action.

        :param verb: index of ``verbs``.
        :param noun: index of ``nouns``.
        :returns: index of ``actions``; None where the pair is none of them.
        """
        return self._action_indices.get((verb, noun))

    def action_name(self, action: int) -> str:
        """
        Name an action.

        :param action: index of ``actions``.
        :returns: verb and noun.
        """
        verb, noun = self.actions[action]
        return f'{self.verbs[verb]} {self.nouns[noun]}'

    @cached_property
    def _sub_verb_indices(self) -> Mapping[str, int]:
        return {word: index for index, word in enumerate(self.sub_verbs, start=1)}

    @cached_property
    def _object_indices(self) -> Mapping[str, int]:
        return {word: index for index, word in enumerate(self.objects, start=1)}

    @cached_property
    def _predicate_indices(self) -> Mapping[Predicate, int]:
        return {fact: index for index, fact in enumerate(self.predicates)}

    @cached_property
    def _action_indices(self) -> Mapping[tuple[int, int], int]:
        return {pair: index for index, pair in enumerate(self.actions)}

    def _template(self, fact: Predicate, vocabulary: Vocabulary) -> Predicate:
        return template(fact, self._object_indices, vocabulary)

    def to_json(self) -> dict[str, Any]:
        """
        Give the classes as JSON values.

        :returns: what :meth:`from_json` takes.
        """
        return {'sub_verbs': self.sub_verbs, 'objects': self.objects,
                'predicates': [str(fact) for fact in self.predicates], 'verbs': self.verbs,
                'nouns': self.nouns, 'actions': self.actions}

    def save(self, path: Path) -> None:
        """
        Write the classes to a file, whole or not at all.

        :param path: of the file.
        :raises OSError: it cannot be written.
        """
        write_whole(path, json.dumps(self.to_json(), indent=1).encode())

    @classmethod
    def from_json(cls, data: object, vocabulary: Vocabulary | None = None) -> ProgramClasses:
        """
        Read classes.

        :param data: as of :meth:`to_json`.
        :param vocabulary: whose words they are; those of the package by default.
        :returns: the classes.
        :raises LegoError: INVALID_SETTING, what is wrong.
        """
        try:
            form = _Form.model_validate(data)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            raise _bad(f'{".".join(map(str, first["loc"])) or "the whole"}: {first["msg"]}'
                       ) from error
        predicates = tuple(_fact(text) for text in form.predicates)
        classes = cls(form.sub_verbs, form.objects, predicates, form.verbs, form.nouns,
                      form.actions)
        _require_sound(classes, vocabulary or default_vocabulary())
        return classes

    @classmethod
    def load(cls, path: Path, vocabulary: Vocabulary | None = None) -> ProgramClasses:
        """
        Read the classes from a file.

        :param path: as of :meth:`save`.
        :param vocabulary: see :meth:`from_json`.
        :returns: the classes.
        :raises LegoError: SOURCE_UNREADABLE, the file cannot be read; INVALID_SETTING, see
            :meth:`from_json`.
        """
        try:
            if path.stat().st_size > MAX_BYTES:
                raise ValueError(f'it has more than {MAX_BYTES:,} bytes')
            data = json.loads(path.read_text(encoding='utf-8'))
        except (OSError, ValueError, RecursionError) as error:
            raise LegoError(ErrorCode.SOURCE_UNREADABLE,
                            f"the classes in '{path}' cannot be read: {error}") from error
        return cls.from_json(data, vocabulary)

    @classmethod
    def collect(cls, programs: Iterable[Program], labels: Iterable[tuple[str, str]], *,
                min_count: int = 1, verbs: Sequence[str] = (), nouns: Sequence[str] = (),
                vocabulary: Vocabulary | None = None) -> ProgramClasses:
        """
        Make the classes of a training set.

        :param programs: of the training set.
        :param labels: verb and noun of each of its actions, with or without a program.
        :param min_count: in how many programs a sub-verb, an object or a condition must occur.
        :param verbs: the verb classes of a data set in its order; empty = those of the labels.
        :param nouns: likewise.
        :param vocabulary: of the programs; that of the package by default.
        :returns: the classes; sub-verbs, objects and conditions that occur more come first.
        :raises LegoError: INVALID_SETTING, there are too many, or a label is none of ``verbs``
            and ``nouns``.
        """
        vocabulary = vocabulary or default_vocabulary()
        programs = list(programs)
        sub_verbs = Counter(verb for program in programs
                            for verb in {action.verb for action in program.sub_actions()})
        names = Counter(name for program in programs for name in set(program.objects) - {OTHER})
        objects = (*_often(names, min_count), OTHER)
        known = {name: index for index, name in enumerate(objects, start=1)}
        facts = Counter(fact for program in programs for fact in {
            template(fact, known, vocabulary)
            for facts in conditions_of(program, vocabulary) for fact in facts})
        pairs = set(labels)
        verbs = tuple(verbs) or tuple(sorted({verb for verb, _ in pairs}))
        nouns = tuple(nouns) or tuple(sorted({noun for _, noun in pairs}))
        for verb, noun in pairs:
            if verb not in verbs or noun not in nouns:
                raise _bad(f"the label '{verb} {noun}' is none of the verb and noun classes given")
        classes = cls(
            _often(sub_verbs, min_count), objects, _often(facts, min_count), verbs, nouns,
            tuple(sorted((verbs.index(verb), nouns.index(noun)) for verb, noun in pairs)))
        return cls.from_json(classes.to_json(), vocabulary)


def template(fact: Predicate, objects: Mapping[str, int], vocabulary: Vocabulary) -> Predicate:
    """
    Leave out of a fact what its class does not tell.

    :param fact: holds, without ``_``.
    :param objects: the names that are classes.
    :param vocabulary: says which arguments are objects.
    :returns: the same with ``other`` for names that are no class, and ``either`` for hands.
    """
    kinds = vocabulary.predicates[fact.name].arguments
    return Predicate(fact.name, tuple(
        (word if word in objects else OTHER) if kind == 'object' else Hand.EITHER.value
        for word, kind in zip(fact.arguments, kinds, strict=True)))


class _Form(BaseModel):
    model_config = ConfigDict(extra='forbid')

    sub_verbs: Annotated[tuple[_Word, ...], Field(min_length=1, max_length=MAX_SUB_VERBS)]
    objects: Annotated[tuple[_Word, ...], Field(min_length=1, max_length=MAX_OBJECTS)]
    predicates: Annotated[tuple[str, ...], Field(max_length=MAX_PREDICATES)]
    verbs: Annotated[tuple[_Label, ...], Field(min_length=1, max_length=MAX_LABELS)]
    nouns: Annotated[tuple[_Label, ...], Field(min_length=1, max_length=MAX_LABELS)]
    actions: Annotated[tuple[tuple[_Index, _Index], ...],
                       Field(min_length=1, max_length=MAX_ACTIONS)]


def _often(counts: Counter, least: int) -> tuple:
    """List what occurs often enough, the most frequent first, and equals by name."""
    found = [(-count, str(each), each) for each, count in counts.items() if count >= least]
    return tuple(each for _, _, each in sorted(found, key=lambda entry: entry[:2]))


def _fact(text: str) -> Predicate:
    found = _FACT.fullmatch(text)
    if found is None:
        raise _bad(f"predicates: {text[:80]!r} is none; write it as 'in_hand(knife, either)'")
    return Predicate(found[1], tuple(word for word in found.group(2, 3) if word))


def _require_sound(classes: ProgramClasses, vocabulary: Vocabulary) -> None:
    for kind in ('sub_verbs', 'objects', 'predicates', 'verbs', 'nouns', 'actions'):
        each = getattr(classes, kind)
        if len(set(each)) != len(each):
            raise _bad(f'{kind}: something is there twice')
    if classes.objects[-1] != OTHER:
        raise _bad(f"objects: the last must be '{OTHER}'")
    for verb in classes.sub_verbs:
        if verb not in vocabulary.sub_verbs:
            raise _bad(f"sub_verbs: '{verb}' is none of the vocabulary's; load the vocabulary "
                       'file with which the network was trained')
    for fact in classes.predicates:
        word = vocabulary.predicates.get(fact.name)
        if word is None or len(word.arguments) != len(fact.arguments) \
                or ANYTHING in fact.arguments \
                or classes._template(fact, vocabulary) != fact:
            raise _bad(f"predicates: '{fact}' must be a predicate of the vocabulary's, of the "
                       "objects that are classes, and 'either' for a hand")
    for pair in classes.actions:
        if pair[0] >= len(classes.verbs) or pair[1] >= len(classes.nouns):
            raise _bad(f'actions: there is no verb {pair[0]} or no noun {pair[1]}')


def _bad(what: str) -> LegoError:
    return LegoError(ErrorCode.INVALID_SETTING, f'classes of the LEAP network: {what}')
