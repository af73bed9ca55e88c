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

"""What came of a run, for people: as text and as one picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import io

from lego_ros.files import write_whole
from lego_ros.palette import INK, LINE, MUTED
from lego_ros.training.programs.results import ResultFiles, Summary
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

PAPER_COVERAGE = 0.87
"""Of EPIC-KITCHENS' training set, by the paper (LEAP, abstract)."""
_FILL = '#3a6ea5'


def report_text(summary: Summary) -> str:
    """
    Write what came of a run.

    :param summary: of the run.
    :returns: lines.
    """
    lines = [
        f'{summary.programs:,} programs of {summary.asked:,} clips asked about: coverage '
        f"{summary.coverage:.1%} (the paper: {PAPER_COVERAGE:.0%} of EPIC-KITCHENS' training "
        f'set); the source has {summary.clips:,} clips',
        _counted('answers that a program took', {
            str(number): count for number, count in summary.rounds.items()}),
        _counted('mistakes that were sent back', summary.mended),
        _counted('clips without a program', summary.reasons),
        _counted('rows left out of the sources', summary.left_out),
        f'{summary.prompt_tokens:,} tokens in, {summary.completion_tokens:,} out by '
        f'{", ".join(summary.models) or "no model"}' + (
            '' if summary.cost is None else f', cost {summary.cost:.4f}')]
    if summary.answers_without_token_counts:
        lines.append(f'{summary.answers_without_token_counts:,} answers came without counts of '
                     'tokens')
    return '\n'.join(lines)


def _counted(title: str, counts: dict[str, int]) -> str:
    listed = ', '.join(f'{name} {count:,}' for name, count in counts.items())
    return f'{title}: {listed or "none"}'


def draw_report(files: ResultFiles, summary: Summary) -> None:
    """
    Draw coverage, rounds and rejects side by side.

    :param files: ``report.png`` is where it goes.
    :param summary: of the run.
    :raises OSError: it cannot be written.
    """
    figure = Figure(figsize=(11.0, 3.2), dpi=110, facecolor='white', layout='constrained')
    FigureCanvasAgg(figure)
    coverage, rounds, rejects = figure.subplots(1, 3)
    shares = {'this run': summary.coverage, 'the paper': PAPER_COVERAGE}
    _bars(coverage, f'coverage: programs of {summary.asked:,} clips', shares,
          [f'{share:.1%}' for share in shares.values()])
    for axes, title, counts in (
            (rounds, 'answers that a program took', {
                str(number): count for number, count in summary.rounds.items()}),
            (rejects, 'clips without a program', summary.reasons)):
        _bars(axes, title, counts, [f'{count:,}' for count in counts.values()])
    file = io.BytesIO()
    figure.savefig(file, format='png')
    write_whole(files.picture, file.getvalue(), durable=False)


def _bars(axes: Axes, title: str, values: Mapping[str, float], labels: Sequence[str]) -> None:
    axes.set_title(title, fontsize=10, color=INK)
    bars = axes.barh(list(values), list(values.values()), color=_FILL, height=0.6)
    axes.bar_label(bars, labels, padding=3, fontsize=9, color=INK)
    # Few bars stay thin, the first on top; there is room for the labels.
    axes.set_ylim(max(len(values), 4) - 0.5, -0.5)
    axes.set_xlim(0, 1.2 * max(values.values(), default=1) or 1)
    axes.set_xticks([])
    axes.tick_params(colors=MUTED, labelsize=9, length=0)
    for spine in axes.spines.values():
        spine.set_color(LINE)
    if not values:
        axes.set_yticks([])
        axes.text(0.5, 0.5, 'none', transform=axes.transAxes, ha='center', color=MUTED)
