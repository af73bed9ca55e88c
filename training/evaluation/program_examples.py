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

"""A worked example for people: frame, question, description, program and verdict in a picture."""

from __future__ import annotations

from dataclasses import dataclass
import io
from pathlib import Path

from lego_ros.errors import ErrorCode, LegoError
from lego_ros.files import write_whole
from lego_ros.palette import INK, MUTED, WARNING
from lego_ros.programs.checking import check
from lego_ros.programs.picture.drawing import DPI, draw
from lego_ros.programs.picture.text import wrapped
from lego_ros.programs.printing import to_text
from lego_ros.programs.tree import Program
from lego_ros.programs.vocabulary import default_vocabulary
from lego_ros.training.evaluation.program_answers import WrittenAnswer
from lego_ros.training.evaluation.program_report import TITLES
from lego_ros.training.evaluation.program_verdicts import ProgramVerdict, TrueProgram
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
import numpy as np
from PIL import Image

# Points.
_WIDTH, _MARGIN = 330.0, 16.0
_QUESTION, _TEXT, _SMALL = 13.0, 9.5, 7.5
_LEADING = 1.4
_MOST = 40
"""Lines of a text; a model that was not tuned goes on for long."""


@dataclass(frozen=True)
class Example:
    """
    One question with its answer.

    :param frame: (H, W, 3) uint8, what the question is about.
    :param question: the action phrase.
    :param answer: what was said and written.
    :param verdict: on the program.
    :param true: what was really done.
    """

    frame: np.ndarray
    question: str
    answer: WrittenAnswer
    verdict: ProgramVerdict
    true: TrueProgram


@dataclass(frozen=True)
class _Line:
    text: str
    size: float
    color: str = INK
    bold: bool = False


def draw_example(path: Path, example: Example) -> None:
    """
    Draw an example: what was seen and said on the left, what was written on the right.

    :param path: of the PNG file.
    :param example: see there.
    :raises LegoError: RECORDING_FAILED: it cannot be written.
    """
    program = example.answer.program
    told = _told(example)
    side = _WIDTH - 2 * _MARGIN
    tall = side * example.frame.shape[0] / example.frame.shape[1]
    height = tall + 2 * _MARGIN + sum(line.size * _LEADING for line in told)
    parts = [_panel(example.frame, told, height)]
    if program is not None:
        parts.append(_chart(program))
    page = np.full((max(len(part) for part in parts), sum(part.shape[1] for part in parts), 3),
                   255, np.uint8)
    left = 0
    for part in parts:
        page[:len(part), left:left + part.shape[1]] = part
        left += part.shape[1]
    content = io.BytesIO()
    Image.fromarray(page).save(content, 'PNG')
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, content.getvalue(), durable=False)
    except OSError as error:
        raise LegoError(ErrorCode.RECORDING_FAILED,
                        f"'{path}' cannot be written: {error}") from error


def _told(example: Example) -> list[_Line]:
    """Write what stands below the frame."""
    answer, verdict = example.answer, example.verdict
    lines = [_Line('', _SMALL), *_broken(f'“{example.question}”', _QUESTION, bold=True),
             _Line('', _SMALL), *_broken(answer.description or '(no description)', _TEXT),
             _Line('', _SMALL)]
    for name, title in TITLES.items():
        right = getattr(verdict, name)
        if isinstance(right, bool):
            lines.append(_Line(f'{"✓" if right else "✗"}  {title}', _TEXT,
                               MUTED if right else WARNING))
    lines.append(_Line(f'confidence {answer.confidence:.2f}', _TEXT, MUTED))
    if answer.problem:
        lines += [_Line('', _SMALL), *_broken(answer.problem, _SMALL, WARNING)]
    if not (verdict.verbs and verdict.objects and verdict.hands and verdict.conditions):
        lines += [_Line('', _SMALL), _Line('What was done:', _SMALL, bold=True)]
        for line in to_text(example.true.program).splitlines():
            lines += _broken(line, _SMALL, MUTED)
    return lines


def _broken(text: str, size: float, color: str = INK, bold: bool = False) -> list[_Line]:
    return [_Line(line, size, color, bold)
            for line in wrapped(text, _WIDTH - 2 * _MARGIN, size, _MOST, bold)]


def _panel(frame: np.ndarray, lines: list[_Line], height: float) -> np.ndarray:
    """Draw the frame and what is told of it; (H, W, 3) uint8."""
    figure = Figure(figsize=(_WIDTH / 72, height / 72), dpi=DPI, facecolor='white')
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    right, bottom = _WIDTH - _MARGIN, _MARGIN + (
        _WIDTH - 2 * _MARGIN) * frame.shape[0] / frame.shape[1]
    axes.imshow(frame, extent=(_MARGIN, right, bottom, _MARGIN), aspect='auto')
    axes.set_xlim(0, _WIDTH)
    axes.set_ylim(height, 0)
    top = bottom
    for line in lines:
        top += line.size * _LEADING
        # Dollars as they are, not as the beginning of a formula.
        axes.text(_MARGIN, top, line.text.replace('$', r'\$'), size=line.size, color=line.color,
                  weight='bold' if line.bold else 'normal', va='baseline')
    return _pixels(figure)


def _chart(program: Program) -> np.ndarray:
    vocabulary = default_vocabulary()
    return _pixels(draw(program, vocabulary, check(program, vocabulary)))


def _pixels(figure: Figure) -> np.ndarray:
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3]
