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

"""What counts as a query: the checks and the clean-up that every query passes before use."""

from __future__ import annotations

import re
import unicodedata

from lego_ros.errors import ErrorCode, LegoError

# The control characters of Unicode's White_Space property; the others have no place in a query.
_WHITESPACE_CONTROLS = frozenset('\t\n\v\f\r\x85')

# Pictographs with what may follow them in one emoji (variation selectors, joiners, skin tones,
# tag characters), then stray selectors and keycaps. The joiner alone is kept: Persian and the
# scripts of India need it.
_PICTOGRAPH = '\u2300-\u23ff\u2600-\u27bf\u2b00-\u2bff\u3030\u303d\U0001f000-\U0001faff'
_EMOJI = re.compile(
    f'[{_PICTOGRAPH}][\ufe0e\ufe0f\u200d\u20e3\U000e0020-\U000e007f]*'
    '|[\ufe0e\ufe0f\u20e3\U000e0020-\U000e007f]'
)


def fold_whitespace(text: str) -> str:
    """
    Make each run of white space one space, and drop it at both ends.

    :param text: any text.
    :returns: the same words on one line.
    """
    return ' '.join(text.split())


def drop_emoji(text: str) -> str:
    """
    Replace each emoji by a space.

    :param text: any text.
    :returns: the text without emoji, with folded white space.
    """
    return fold_whitespace(_EMOJI.sub(' ', text))


def has_word(text: str) -> bool:
    """
    Tell whether a text says anything.

    :param text: any text.
    :returns: whether a letter or digit of any script is left when emoji are dropped.
    """
    return any(character.isalnum() for character in drop_emoji(text))


def check_query(text: str, max_length: int) -> str:
    """
    Check a query as it came from a person, and normalise it.

    :param text: what was typed or heard.
    :param max_length: the most characters (Unicode code points) of a normalised query, >= 1.
    :returns: the query in Unicode's NFC form, on one line, without white space at its ends.
        Applying the check to it again changes nothing.
    :raises LegoError: INVALID_QUERY for a control character, an unpaired surrogate or a text
        without any letter or digit; QUERY_TOO_LONG above ``max_length``.
    """
    for position, character in enumerate(text):
        category = unicodedata.category(character)
        if category == 'Cs' or (category == 'Cc' and character not in _WHITESPACE_CONTROLS):
            kind = 'an unpaired surrogate' if category == 'Cs' else 'a control character'
            raise LegoError(
                ErrorCode.INVALID_QUERY,
                f'the query has {kind} (U+{ord(character):04X}) at position {position}; send '
                'plain text',
            )
    query = fold_whitespace(unicodedata.normalize('NFC', text))
    if not has_word(query):
        raise LegoError(
            ErrorCode.INVALID_QUERY,
            'the query has no letter or digit; ask for an action, such as "open the drawer"',
        )
    if len(query) > max_length:
        raise LegoError(
            ErrorCode.QUERY_TOO_LONG,
            f'the query has {len(query)} characters, more than the {max_length} that are '
            'allowed; shorten it',
        )
    return query
