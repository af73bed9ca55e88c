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

"""The words of action programs: what each predicate and each sub-verb means, needs and gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
import re
from types import MappingProxyType
from typing import Literal

from lego_ros.errors import ErrorCode, LegoError
from lego_ros.programs.tree import ANYTHING, Conditions, Hand, Predicate, SubAction
from pydantic import BaseModel, ConfigDict, Field, ValidationError
import yaml

DEFAULT = Path(__file__).with_name('vocabulary.yaml')
MAX_BYTES = 1 << 20
WORD = r'[a-z][a-z0-9_]{0,31}'
"""Of a predicate or a sub-verb; the messages bound both to 32 bytes."""
KEYWORDS = frozenset({
    'objects', 'initially', 'routine', 'call', 'if', 'else', 'while', 'repeat', 'pre', 'post',
    'not', *(hand.value for hand in Hand)})
_FACT = re.compile(rf'(not )?({WORD})\((\w+)(?:, (\w+))?\)')

Kind = Literal['object', 'hand']


@dataclass(frozen=True)
class PredicateWord:
    """
    What a predicate is of.

    :param arguments: the kind of each.
    :param meaning: in a few words.
    :param opposite: the predicate that cannot hold of the same arguments, or ''.
    :param latest_per: the argument, from 1, of which a new fact ends the old one; 0 = none.
    :param only_per: the argument, from 1, of which a second fact is a mistake; 0 = none.
    :param group: predicates of one group share latest_per.
    """

    arguments: tuple[Kind, ...]
    meaning: str
    opposite: str = ''
    latest_per: int = 0
    only_per: int = 0
    group: str = ''


@dataclass(frozen=True)
class SubVerb:
    """
    What a sub-verb takes and what its contract is.

    :param objects: ``('a',)``, ``('a', 'b')``, or ``('a', 'b?')`` where B may be left out.
    :param hand: whether a hand acts.
    :param meaning: in a few words.
    :param pre: what must hold before; its arguments are ``a``, ``b``, ``hand`` and ``_``.
    :param post: what holds after.
    :param by_itself: what is true of A alone may change meanwhile.
    """

    objects: tuple[str, ...]
    hand: bool
    meaning: str
    pre: Conditions = ()
    post: Conditions = ()
    by_itself: bool = False


# Compared by identity, so that a parser can be kept for each.
@dataclass(frozen=True, eq=False)
class Vocabulary:
    """
    The words that programs may use.

    :param predicates: name -> word.
    :param sub_verbs: name -> word.
    """

    predicates: Mapping[str, PredicateWord]
    sub_verbs: Mapping[str, SubVerb]

    def pre(self, action: SubAction) -> Conditions:
        """
        Say what must hold before a sub-action.

        :param action: its verb is one of the vocabulary's.
        :returns: the contract of its verb, and what is written beyond it; each once.
        """
        return _all(self.sub_verbs[action.verb].pre, action.pre, action)

    def post(self, action: SubAction) -> Conditions:
        """
        Say what holds after a sub-action.

        :param action: its verb is one of the vocabulary's.
        :returns: the contract of its verb, and what is written beyond it; each once.
        """
        return _all(self.sub_verbs[action.verb].post, action.post, action)

    def beyond(self, action: SubAction, pre: Conditions, post: Conditions) -> SubAction:
        """
        Give a sub-action conditions, less those that its verb's contract says already.

        :param action: without conditions of its own.
        :param pre: what must hold before.
        :param post: what holds after.
        :returns: the sub-action with what is beyond the contract.
        """
        known, given = self.pre(action), self.post(action)
        return SubAction(
            action.verb, action.object_a, action.object_b, action.hand,
            tuple(dict.fromkeys(fact for fact in pre if fact not in known)),
            tuple(dict.fromkeys(fact for fact in post if fact not in given)), action.line)


def hands_of(hand: Hand) -> tuple[str, ...]:
    """
    List the hands of which facts are stated.

    :param hand: who acts.
    :returns: both hands for both. ``either`` is a hand of its own: it is one and the same hand
        all through a program, and which one is left open.
    """
    return (Hand.LEFT.value, Hand.RIGHT.value) if hand is Hand.BOTH else (hand.value,)


def _all(contract: Conditions, written: Conditions, action: SubAction) -> Conditions:
    found = []
    for fact in contract:
        # An object B that may be left out and is.
        if 'b' in fact.arguments and not action.object_b:
            continue
        names = {'a': action.object_a, 'b': action.object_b}
        for hand in hands_of(action.hand) if action.hand and 'hand' in fact.arguments else ('',):
            found.append(Predicate(fact.name, tuple(
                {**names, 'hand': hand}.get(word, word) for word in fact.arguments),
                fact.negated))
    return tuple(dict.fromkeys((*found, *written)))


class _PredicateEntry(BaseModel):
    model_config = ConfigDict(extra='forbid')

    arguments: tuple[Kind, ...] = Field(min_length=1, max_length=2)
    meaning: str
    opposite: str = ''
    latest_per: int = Field(0, ge=0, le=2)
    only_per: int = Field(0, ge=0, le=2)
    group: str = ''


class _SubVerbEntry(BaseModel):
    model_config = ConfigDict(extra='forbid')

    objects: tuple[Literal['a']] | tuple[Literal['a'], Literal['b', 'b?']]
    hand: Literal['needed', 'none']
    meaning: str
    pre: tuple[str, ...] = ()
    post: tuple[str, ...] = ()
    by_itself: bool = False


class _File(BaseModel):
    model_config = ConfigDict(extra='forbid')

    predicates: dict[str, _PredicateEntry] = {}
    sub_verbs: dict[str, _SubVerbEntry] = {}


@lru_cache(maxsize=1)
def default_vocabulary() -> Vocabulary:
    """
    Return the words that the package comes with.

    :returns: see ``vocabulary.yaml``.
    """
    return _add(Vocabulary({}, {}), DEFAULT)


def read_vocabulary(path: Path) -> Vocabulary:
    """
    Add the words of a file to those that the package comes with.

    :param path: YAML of the form of ``vocabulary.yaml``.
    :returns: all words.
    :raises LegoError: INVALID_SETTING, the file cannot be read, is not of that form, or gives a
        word that there is already another meaning.
    """
    return _add(default_vocabulary(), path)


def _add(known: Vocabulary, path: Path) -> Vocabulary:
    try:
        with path.open('rb') as file:
            data = file.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise _bad(path, f'is larger than {MAX_BYTES:,} bytes')
        twice = _twice(yaml.compose(data, yaml.BaseLoader))
        if twice:
            raise _bad(path, f'{twice!r} is there twice')
        # All values as text: YAML would read the predicate 'on' as a truth value.
        entries = _File.model_validate(yaml.load(data, yaml.BaseLoader) or {})
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise _bad(path, f'cannot be read: {error}') from error
    except RecursionError as error:
        raise _bad(path, 'is nested too deep') from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise _bad(path, f'{".".join(map(str, first["loc"]))}: {first["msg"]}') from error
    predicates = {**known.predicates, **{
        name: PredicateWord(**entry.model_dump()) for name, entry in entries.predicates.items()}}
    for name in (*entries.predicates, *entries.sub_verbs):
        if not re.fullmatch(WORD, name) or name in KEYWORDS:
            raise _bad(path, f'{name!r} cannot be a word: use small letters, digits and _, 32 at '
                             f'most, and none of the keywords {", ".join(sorted(KEYWORDS))}')
    for name in (*(set(entries.predicates) & set(known.predicates)),
                 *(set(entries.sub_verbs) & set(known.sub_verbs))):
        raise _bad(path, f'{name!r} is a word already; choose another name')
    for name, word in entries.predicates.items():
        _require_sound(path, name, word, predicates)
    sub_verbs = {}
    for name, entry in entries.sub_verbs.items():
        pre, post = (tuple(_fact(path, name, entry, text, predicates) for text in texts)
                     for texts in (entry.pre, entry.post))
        sub_verbs[name] = SubVerb(entry.objects, entry.hand == 'needed', entry.meaning, pre, post,
                                  entry.by_itself)
    return Vocabulary(MappingProxyType(predicates),
                      MappingProxyType({**known.sub_verbs, **sub_verbs}))


def _twice(node: yaml.Node | None) -> str:
    """Find a key that a mapping has twice, of which YAML would silently take the last."""
    waiting = [node] if node is not None else []
    while waiting:
        each = waiting.pop()
        if isinstance(each, yaml.MappingNode):
            keys = [key.value for key, _ in each.value if isinstance(key, yaml.ScalarNode)]
            for key in keys:
                if keys.count(key) > 1:
                    return key
            waiting += [value for _, value in each.value]
    return ''


def _require_sound(path: Path, name: str, entry: _PredicateEntry,
                   predicates: Mapping[str, PredicateWord]) -> None:
    """Check what a predicate says of others and of its arguments."""
    if entry.opposite:
        other = predicates.get(entry.opposite)
        if entry.opposite == name or other is None or other.opposite != name \
                or other.arguments != entry.arguments:
            raise _bad(path, f'predicates.{name}: its opposite {entry.opposite!r} must be a '
                             'predicate of the same arguments whose opposite it is')
    if max(entry.latest_per, entry.only_per) > len(entry.arguments):
        raise _bad(path, f'predicates.{name}: latest_per and only_per count its arguments from 1')


def _fact(path: Path, verb: str, entry: _SubVerbEntry, text: str,
          predicates: Mapping[str, PredicateWord]) -> Predicate:
    """Read one condition of a contract."""
    found = _FACT.fullmatch(text)
    where = f'sub_verbs.{verb}: {text!r}'
    if found is None or found[2] not in predicates:
        raise _bad(path, f"{where} is no condition; write it as 'not in_hand(a, hand)', with a "
                         'predicate of the vocabulary')
    arguments = tuple(word for word in found.group(3, 4) if word)
    kinds = predicates[found[2]].arguments
    names = {'object': {ANYTHING, *(word[0] for word in entry.objects)},
             'hand': {ANYTHING, 'hand'} if entry.hand == 'needed' else set()}
    if len(arguments) != len(kinds) or any(
            word not in names[kind] for word, kind in zip(arguments, kinds, strict=True)):
        own = sorted((names['object'] | names['hand']) - {ANYTHING})
        raise _bad(path, f'{where} does not fit: {found[2]} is of ({", ".join(kinds)}), and '
                         f'{verb} has {", ".join(own)}')
    if ANYTHING in arguments and text in entry.post and not found[1]:
        raise _bad(path, f"{where}: nothing can be made true of '_'")
    return Predicate(found[2], arguments, bool(found[1]))


def _bad(path: Path, what: str) -> LegoError:
    return LegoError(ErrorCode.INVALID_SETTING, f'vocabulary {path}: {what}')
