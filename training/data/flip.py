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

"""
Left and right in a text of the mirrored picture.

Swapping twice gives the text back. Words that only contain the two ("leftover", "upright"), and
the two where they are no direction ("what is left", "right away", "she left the kitchen"), stay.
"""

from __future__ import annotations

import re

_OTHER = {'left': 'right', 'right': 'left'}
# Each exception holds for both words, although it makes sense for one of them only: otherwise
# what one swap leaves alone another could not give back.
_NO_DIRECTION_BEFORE = re.compile(
    r"(?:\b(?:is|are|was|were|be|been|being|has|have|had|got|gets)"
    r"|\b(?:it|that|what|there|he|she)'s|'(?:re|ve))"
    r'(?:\s+(?:still|now|just|all|only|also|not|already|always|quite|never))*\s+$'
    r'|\b(?:i|you|he|she|we|they|who|person|someone|just|all)\s+$', re.IGNORECASE)
_NO_DIRECTION_AFTER = re.compile(
    r'-(?:over|angled?|side-up)\b'
    r'|\s+(?:over|behind|alone|away|now|angles?|amount|size|time|way|moment|side\s+up|unattended)'
    r'\b', re.IGNORECASE)
_DIRECTION_AFTER = re.compile(
    r'[\s-]+(?:hands?|arms?|fingers?|thumb|edge|corner|half|side(?![\s-]+up))\b', re.IGNORECASE)
_DETERMINER = re.compile(
    r"\b(?:the|its|his|her|their|your|my|our|to|on)\s+$|'s\s+$", re.IGNORECASE)
_OBJECT = re.compile(
    r'\s+(?:the|an?(?!\s+(?:bit|little)\b)|it|them|him|her|some|his|their)\b', re.IGNORECASE)
_SIDE = re.compile(
    r'(?<![^\W_])(left|right)(?=(?:most|wards?|hand(?:ed|er)?)?(?![^\W_]))', re.IGNORECASE)


def swap_sides(text: str) -> str:
    """
    Swap left and right, as a mirror does.

    :param text: a label or description, in English.
    :returns: the text with "left" for "right" and the other way round, also within "leftmost",
        "leftward(s)", "left-hand(ed)" and "left_hand"; upper and lower case stay.
    """
    return _SIDE.sub(_swapped, text)


def _swapped(match: re.Match[str]) -> str:
    word = match[0]
    if _is_no_direction(match.string, match.start(), match.end()):
        return word
    other = _OTHER[word.lower()]
    if word.isupper():
        return other.upper()
    return other.capitalize() if word[0].isupper() else other


def _is_no_direction(text: str, start: int, end: int) -> bool:
    # A few words on either side decide; a slice keeps the search short in a long text.
    before, after = text[max(0, start - 60):start], text[end:end + 20]
    if re.match(r'\s+of\b', after, re.IGNORECASE):
        # "the cup is left of the plate", but "what is left of the bread".
        return bool(re.search(r'\bwhat(?:\s+is|\'s)\s+$', before, re.IGNORECASE))
    if _DIRECTION_AFTER.match(after):
        return False
    if _NO_DIRECTION_AFTER.match(after):
        return True
    if _OBJECT.match(after) and not _DETERMINER.search(before):
        return True
    return bool(_NO_DIRECTION_BEFORE.search(before))
