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

"""One picture of a whole answer: the frame, the action frame, and what was said beside them."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING
import warnings

from lego_ros.palette import INK, LINE, MUTED, WARNING
import numpy as np

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Inches, and points of type.
_MARGIN = 0.45
_GAP = 0.35
_PICTURE = 4.4
_WIDEST = 7.8
_TEXT = 5.0
_CAPTION = 0.28
_WARNING_BAND = 0.42
_DPI = 120
_TITLE, _BODY, _SMALL = 20.0, 13.0, 10.0
_LEADING = 1.35
_TITLE_LINES = 2


@dataclass(frozen=True)
class Answered:
    """
    What a figure shows.

    :param question: as it was asked.
    :param frame: (H, W, 3) uint8, what it was asked about.
    :param picture: (h, w, 3) uint8, the action frame.
    :param description: R.
    :param facts: names and values for the small print.
    :param warning: a line that nobody may miss; empty = none.
    """

    question: str
    frame: np.ndarray
    picture: np.ndarray
    description: str
    facts: Sequence[tuple[str, str]]
    warning: str = ''


def draw(answered: Answered) -> np.ndarray:
    """
    Draw a figure: the two pictures at one height, the text to their right.

    :param answered: what it shows.
    :returns: (height, width, 3) uint8.
    """
    with warnings.catch_warnings():
        # An emoji that the font lacks is drawn as a box.
        warnings.filterwarnings('ignore', message='.*Glyph .* missing')
        canvas = _compose(answered).canvas
        canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()  # type: ignore[attr-defined]


def _compose(answered: Answered) -> Figure:
    """Lay everything out."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    sizes = [_size(answered.frame), _size(answered.picture)]
    tall = max(*(high for _, high in sizes), _PICTURE * 0.9)
    width = 2 * _MARGIN + 2 * _GAP + sum(wide for wide, _ in sizes) + _TEXT
    figure = Figure(figsize=(width, 1.0), dpi=_DPI, facecolor='white')
    FigureCanvasAgg(figure)
    page = _Page(figure)
    title = page.wrap(answered.question, width - 2 * _MARGIN, _TITLE, _TITLE_LINES, bold=True)
    head = _MARGIN + len(title) * page.line(_TITLE) + 0.2
    head += _WARNING_BAND if answered.warning else 0.0
    figure.set_size_inches(width, head + _CAPTION + tall + _MARGIN)

    page.write(title, _MARGIN, _MARGIN, _TITLE, INK, bold=True)
    if answered.warning:
        page.write([answered.warning], _MARGIN, head - _WARNING_BAND - 0.1, _BODY, WARNING,
                   bold=True)
    left = _MARGIN
    for picture, caption, (wide, high) in (
            (answered.frame, 'camera frame', sizes[0]),
            (answered.picture, 'action frame', sizes[1])):
        page.write([_sized(caption, picture)], left, head, _SMALL, MUTED)
        page.show(picture, left, head + _CAPTION, wide, high)
        left += wide + _GAP
    page.write(['description'], left, head, _SMALL, MUTED)
    _write_text(page, answered, left, head + _CAPTION, tall)
    return figure


def _size(picture: np.ndarray) -> tuple[float, float]:
    """Fit a picture into its height and the widest width, in inches."""
    height, width = picture.shape[:2]
    scale = min(_PICTURE / height, _WIDEST / width)
    # A strip of one pixel must be seen too.
    return max(width * scale, 0.2), max(height * scale, 0.2)


def _sized(caption: str, picture: np.ndarray) -> str:
    return f'{caption}, {picture.shape[1]} x {picture.shape[0]}'


def _write_text(page: _Page, answered: Answered, left: float, top: float, tall: float) -> None:
    """Write the description, and the facts at the foot of the column."""
    small = page.line(_SMALL)
    foot = len(answered.facts) * small + 0.25
    room = int((tall - foot) / page.line(_BODY))
    page.write(page.wrap(answered.description, _TEXT, _BODY, max(room, 1)),
               left, top, _BODY, INK)
    y = top + tall - len(answered.facts) * small
    page.rule(left, y - 0.12, _TEXT)
    for name, value in answered.facts:
        page.write([name], left, y, _SMALL, MUTED)
        page.write(page.wrap(value, _TEXT - 1.15, _SMALL, 1), left + 1.15, y, _SMALL, INK)
        y += small


class _Page:
    """A figure measured in inches from its top left corner."""

    def __init__(self, figure: Figure) -> None:
        self._figure = figure

    @staticmethod
    def line(size: float) -> float:
        """Height of a line of type."""
        return size * _LEADING / 72

    def _x(self, inches: float) -> float:
        return inches / self._figure.get_figwidth()

    def _y(self, inches: float) -> float:
        return 1 - inches / self._figure.get_figheight()

    def write(self, lines: Sequence[str], left: float, top: float, size: float, color: str,
              bold: bool = False) -> None:
        """Write lines of text below ``top``."""
        for index, line in enumerate(lines):
            self._figure.text(
                self._x(left), self._y(top + index * self.line(size)), _plain(line), size=size,
                color=color, weight='bold' if bold else 'normal', va='top', ha='left')

    def rule(self, left: float, y: float, width: float) -> None:
        """Draw a line across."""
        from matplotlib.lines import Line2D

        self._figure.add_artist(Line2D(
            [self._x(left), self._x(left + width)], [self._y(y)] * 2, color=LINE, linewidth=0.8))

    def show(self, picture: np.ndarray, left: float, top: float, width: float, height: float
             ) -> None:
        """Show a picture in a thin frame."""
        axes = self._figure.add_axes((
            self._x(left), self._y(top + height), self._x(width), height
            / self._figure.get_figheight()))
        axes.imshow(picture, aspect='auto')
        axes.set_xticks([])
        axes.set_yticks([])
        for spine in axes.spines.values():
            spine.set(color=LINE, linewidth=0.8)

    def wrap(self, text: str, width: float, size: float, most: int, bold: bool = False
             ) -> list[str]:
        """Break a text into lines that fit, the last one with an ellipsis if it is cut."""
        def fits(line: str) -> bool:
            return sum(_advance(character, size, bold) for character in line) <= width * 72

        lines = wrap_lines(text, fits, most + 1)
        if len(lines) > most:
            last = lines[most - 1]
            while last and not fits(last + '…'):
                last = last[:-1]
            lines[most - 1:] = [last.rstrip() + '…']
        return lines


def wrap_lines(text: str, fits: Callable[[str], bool], most: int) -> list[str]:
    """
    Break a text into lines at its spaces, and inside a word only where it fits no line.

    :param text: any text.
    :param fits: tells whether a line is short enough; one character always is.
    :param most: lines at most, at least 1; what is left over is dropped.
    :returns: the lines; at least one, which may be empty.
    """
    lines: list[str] = []
    line = ''
    for word in text.split():
        longer = f'{line} {word}' if line else word
        if fits(longer):
            line = longer
            continue
        if line:
            lines.append(line)
        while len(word) > 1 and not fits(word):
            cut = _longest(word, fits)
            lines.append(word[:cut])
            word = word[cut:]
            if len(lines) >= most:
                return lines[:most]
        line = word
        if len(lines) >= most:
            return lines[:most]
    return [*lines, line] if line or not lines else lines


@lru_cache(maxsize=4096)
def _advance(character: str, size: float, bold: bool) -> float:
    """Measure a character in points; a line laid out as a whole, kerned, is not longer."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import TextToPath

    font = FontProperties(size=size, weight='bold' if bold else 'normal')

    def width(text: str) -> float:
        return TextToPath().get_text_width_height_descent(text, font, ismath=False)[0]
    # Between two others: a space alone has no width, and a glyph no side bearings.
    return width(f'|{character}|') - width('||')


def _longest(word: str, fits: Callable[[str], bool]) -> int:
    """Find how many characters of a word fit into a line."""
    return max(1, bisect_left(range(1, len(word)), True, key=lambda n: not fits(word[:n])))


def _plain(text: str) -> str:
    """Write dollars as they are, not as the beginning of a formula."""
    return text.replace('$', r'\$')
