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

"""How wide text is, without drawing it."""

from __future__ import annotations

from functools import lru_cache

# Points of type.
TITLE, BODY, SMALL = 17.0, 10.0, 7.5
LEADING = 1.35
"""From one line to the next, in sizes of the type."""
_HINTING = 1.04


def width(text: str, size: float, bold: bool = False) -> float:
    """
    Measure a line.

    :param text: one line.
    :param size: of the type, in points.
    :param bold: whether its weight is bold.
    :returns: points, with an allowance for glyphs that are drawn on whole pixels.
    """
    return sum(_advance(character, bold) for character in text) * size


@lru_cache(maxsize=1024)
def _advance(character: str, bold: bool) -> float:
    """Measure a character of type of one point."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import TextToPath

    font = FontProperties(size=100, weight='bold' if bold else 'normal')

    def measured(text: str) -> float:
        return TextToPath().get_text_width_height_descent(text, font, ismath=False)[0]
    # Between two others: a space alone has no width, and a glyph no side bearings.
    return (measured(f'|{character}|') - measured('||')) / 100 * _HINTING


def shortened(text: str, room: float, size: float, bold: bool = False) -> str:
    """
    Cut a line that is too long.

    :param text: one line.
    :param room: points.
    :param size: of the type, in points.
    :param bold: whether its weight is bold.
    :returns: the line, with an ellipsis if it was cut.
    """
    if width(text, size, bold) <= room:
        return text
    left, kept = room - width('…', size, bold), ''
    for character in text:
        left -= _advance(character, bold) * size
        if left < 0:
            break
        kept += character
    return kept.rstrip() + '…'


def wrapped(text: str, room: float, size: float, most: int, bold: bool = False) -> list[str]:
    """
    Break a text into lines at its spaces.

    :param text: any text; a word that fits no line is cut.
    :param room: points.
    :param size: of the type, in points.
    :param most: lines at most; the last one gets an ellipsis where the text goes on.
    :param bold: whether its weight is bold.
    :returns: the lines, one at least.
    """
    lines = ['']
    for word in text.split():
        longer = f'{lines[-1]} {word}'.lstrip()
        if lines[-1] and width(longer, size, bold) > room:
            if len(lines) == most:
                lines[-1] = shortened(longer, room, size, bold)
                break
            lines.append(word)
        else:
            lines[-1] = longer
    return [shortened(line, room, size, bold) for line in lines]
