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

"""What an answer of a language model is worth: a sound program of the clip, or why it is none."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
import re

from lego_ros.errors import LegoError
from lego_ros.programs.checking import check
from lego_ros.programs.parsing import parse
from lego_ros.programs.printing import to_text
from lego_ros.programs.vocabulary import Vocabulary
from lego_ros.training.curation.words import BODY, phrase_of
from lego_ros.training.descriptors.clip import Clip
from lego_ros.training.llm.journal import Answer

_FENCED = re.compile(r'```[a-z]*\n(.*?)```', re.DOTALL)


class Reason(str, Enum):
    """Why an answer is not kept; the keys of the counts."""

    REFUSED = 'refused'
    """The server or the model declined to answer."""
    MALFORMED = 'malformed'
    """The server's answer is not of the chat completions interface."""
    CUT_OFF = 'cut_off'
    """It ran into the limit of tokens or of characters."""
    EMPTY = 'empty'
    """No text."""
    NOT_PARSED = 'not_parsed'
    """It is not of the language."""
    NOT_SOUND = 'not_sound'
    """The checker found something."""
    OFF_TOPIC = 'off_topic'
    """It is about none of the things that the clip is about."""


FINAL = frozenset({Reason.REFUSED, Reason.MALFORMED})
"""Nothing that could be said to the model would mend these."""


@dataclass(frozen=True)
class Verdict:
    """
    What an answer is worth.

    :param text: the program as ``printing.to_text`` writes it; '' = there is none to keep.
    :param reason: why there is none; None = there is.
    :param complaints: what is wrong, for the model and for people: each with its line.
    """

    text: str = ''
    reason: Reason | None = None
    complaints: tuple[str, ...] = ()


def judge(answer: Answer, clip: Clip, vocabulary: Vocabulary) -> Verdict:
    """
    Judge an answer.

    :param answer: of a language model.
    :param clip: that it was asked about.
    :param vocabulary: the words that programs may use.
    :returns: the verdict.
    """
    if answer.trouble is not None:
        said = answer.detail
        if answer.trouble == 'cut_off':
            said = f'it was cut off ({said}); write a shorter program, with repeat or while'
        return Verdict('', Reason(answer.trouble), (said,))
    text = program_text(answer.text)
    if not text.strip():
        return Verdict('', Reason.EMPTY, ('there is no program',))
    try:
        program = parse(text, vocabulary)
    except LegoError as error:
        return Verdict('', Reason.NOT_PARSED, (error.message,))
    violations = check(program, vocabulary)
    if violations:
        return Verdict('', Reason.NOT_SOUND, tuple(map(str, violations)))
    if not _is_about(program.objects, clip):
        return Verdict('', Reason.OFF_TOPIC, (
            f'the program names none of: {", ".join(clip.nouns)}; it must be about '
            f"'{clip.label}'",))
    return Verdict(to_text(program))


def program_text(answer: str) -> str:
    """
    Take the program out of an answer.

    :param answer: as it came.
    :returns: what stands in its first block of Markdown code; all of it where it has none.
    """
    fenced = _FENCED.search(answer)
    return fenced[1] if fenced else answer


def _is_about(objects: Iterable[str], clip: Clip) -> bool:
    """Tell whether a program names a thing of the clip's action; "wash hands" has none."""
    phrases = [phrase for phrase in map(phrase_of, clip.nouns)
               if phrase and phrase[-1] not in BODY]
    named = {word for name in objects for word in phrase_of(name.replace('_', ' '))}
    return not phrases or any(named.intersection(phrase) for phrase in phrases)
