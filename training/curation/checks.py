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

"""What a description must be to be kept; each way of not being it has a name."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
import re
import unicodedata

from lego_ros.training.curation.queries import Entry, UNNAMED
from lego_ros.training.curation.spatial import unsupported
from lego_ros.training.curation.words import phrase_of, singular, split_words, Vocabulary
from lego_ros.training.data.verbs import base_form

LEAST_WORDS, MOST_WORDS = 5, 60
MOST_CHARACTERS = 400
_TYPOGRAPHY = str.maketrans({
    '\N{LEFT SINGLE QUOTATION MARK}': "'", '\N{RIGHT SINGLE QUOTATION MARK}': "'",
    '\N{LEFT DOUBLE QUOTATION MARK}': '"', '\N{RIGHT DOUBLE QUOTATION MARK}': '"',
    '\N{EN DASH}': '-', '\N{EM DASH}': '-', '\N{NON-BREAKING HYPHEN}': '-',
    '\N{NO-BREAK SPACE}': ' '})
_END = re.compile(r'[.!?\N{HORIZONTAL ELLIPSIS}]["\')]*\s+\S')
_LIST = re.compile(r'\s*(?:[-+\N{BULLET}]|\d+[.)])\s')
_MARKUP = re.compile(r'[*_`#~|<>{}\[\]\\:]|https?|www\.')
_COORDINATE = re.compile(r'\d[.,]\d')
_SIGNS = set(' .,;\'"()-/%&!')


class Reason(str, Enum):
    """Why an answer is not kept; the keys of the counts."""

    REFUSED = 'refused'
    """The server or the model declined to answer."""
    MALFORMED = 'malformed'
    """The server's answer is not of the chat completions interface."""
    CUT_OFF = 'cut_off'
    """It ran into the limit of tokens."""
    MISSING = 'missing'
    """There is no description for this action."""
    EMPTY = 'empty'
    """No text."""
    LENGTH = 'length'
    """Too few or too many words."""
    CHARACTERS = 'characters'
    """Other letters or signs than an English sentence has."""
    MARKUP = 'markup'
    """A heading, list, code, link or label."""
    COORDINATES = 'coordinates'
    """Numbers of boxes."""
    NOT_ONE_SENTENCE = 'not_one_sentence'
    """Several sentences, a question, or none that ends."""
    OFF_TOPIC = 'off_topic'
    """Neither the action's verb nor its noun."""
    INVENTED_OBJECT = 'invented_object'
    """A thing that is neither in the label nor among the boxes."""
    UNSUPPORTED_HAND = 'unsupported_hand'
    """A hand that has no box."""
    UNSUPPORTED_PLACE = 'unsupported_place'
    """A relation in space that the boxes do not show."""


@dataclass(frozen=True)
class Fault:
    """
    One thing wrong with an answer.

    :param reason: of :class:`Reason`.
    :param detail: what was found, in words.
    """

    reason: Reason
    detail: str


def tidy(answer: str) -> str:
    """
    Write an answer as a plain line where that changes nothing in it.

    :param answer: of the language model.
    :returns: without space and one pair of quotation marks around it, in composed Unicode, with
        typewriter's quotation marks and dashes.
    """
    text = unicodedata.normalize('NFC', answer).translate(_TYPOGRAPHY).strip()
    if len(text) > 1 and text[0] == text[-1] == '"' and '"' not in text[1:-1]:
        text = text[1:-1].strip()
    return text


def judge_text(text: str, entry: Entry, vocabulary: Vocabulary | None = None) -> list[Fault]:
    """
    Judge a description.

    :param text: of :func:`tidy`.
    :param entry: the action it is for.
    :param vocabulary: the known names of things; only they can be found invented. None = the
        writer knows more than the boxes: only form and topic are judged.
    :returns: all that is wrong; none = it can be kept.
    """
    if not text:
        return [Fault(Reason.EMPTY, 'no text')]
    faults = _faults_of_form(text) + _faults_of_topic(text, entry)
    return faults if vocabulary is None else faults + _faults_of_content(text, entry, vocabulary)


def _faults_of_form(text: str) -> list[Fault]:
    """Find what keeps a text from being one plain English sentence of a sensible length."""
    faults = []
    count = sum(word not in ',;' for word in split_words(text))
    if not LEAST_WORDS <= count <= MOST_WORDS:
        faults.append(Fault(Reason.LENGTH,
                            f'{count} words, not {LEAST_WORDS} to {MOST_WORDS}'))
    elif len(text) > MOST_CHARACTERS:
        faults.append(Fault(Reason.LENGTH,
                            f'{len(text)} characters, more than {MOST_CHARACTERS}'))
    markup = _MARKUP.search(text) or _LIST.match(text)
    if markup:
        faults.append(Fault(Reason.MARKUP, f'{markup[0].strip()!r}'))
    # Which of its signs are markup is said above; here the rest.
    strange = sorted({sign for sign in text if not (
        _is_plain(sign) or sign in '\n?\N{HORIZONTAL ELLIPSIS}' or _MARKUP.match(sign))})
    if strange:
        faults.append(Fault(Reason.CHARACTERS,
                            ', '.join(f'U+{ord(sign):04X}' for sign in strange[:8])))
    if _COORDINATE.search(text):
        faults.append(Fault(Reason.COORDINATES, _COORDINATE.findall(text)[0]))
    if '\n' in text or _END.search(text):
        faults.append(Fault(Reason.NOT_ONE_SENTENCE, 'there is more than one'))
    elif not text.endswith('.'):
        faults.append(Fault(Reason.NOT_ONE_SENTENCE, 'it does not end with a full stop'))
    return faults


def _is_plain(sign: str) -> bool:
    if sign.isalpha():
        return unicodedata.name(sign, '').startswith('LATIN ')
    return sign in _SIGNS or (sign.isascii() and sign.isdigit())


def _faults_of_topic(text: str, entry: Entry) -> list[Fault]:
    """Find out whether a text is about its action: its verb or noun is there in some form."""
    words = split_words(text)
    single = {singular(word) for word in words}
    verbs = {base_form(word) for word in words}
    noun = phrase_of(entry.noun or '')
    if any(base_form(word) in verbs for word in split_words(entry.verb)[:1]):
        return []
    if noun and noun[-1] in single:
        return []
    return [Fault(Reason.OFF_TOPIC, f'neither {entry.verb!r} nor {entry.noun!r}')]


def _faults_of_content(text: str, entry: Entry, vocabulary: Vocabulary) -> list[Fault]:
    """Find what neither label nor boxes bear out."""
    label = split_words(entry.query.label)
    known = [phrase_of(box.name) for box in entry.query.boxes if box.name not in UNNAMED]
    known += [mention.phrase for mention in vocabulary.mentions(label)]
    known += [(singular(word),) for word in label]
    known += [phrase_of(entry.noun)] if entry.noun else []
    invented = {' '.join(mention.phrase): None for mention in vocabulary.mentions(
        split_words(text)) if not any(
            vocabulary.same(mention.phrase, phrase) for phrase in known)}
    faults = [Fault(Reason.INVENTED_OBJECT, name) for name in invented]
    faults += [Fault(Reason.UNSUPPORTED_HAND if what.about_hand else Reason.UNSUPPORTED_PLACE,
                     what.words) for what in unsupported(text, entry.query)]
    return faults
