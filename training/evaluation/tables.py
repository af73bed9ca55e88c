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

"""Figures with their intervals, as text, as tables and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
import math
from typing import Any

from lego_ros.training.evaluation.bootstrap import Interval
import numpy as np


def table_lines(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """
    Write a table.

    :param head: of the columns.
    :param rows: of cells.
    :returns: lines of Markdown.
    """
    return ['| ' + ' | '.join(cells) + ' |'
            for cells in (head, ['---'] * len(head), *rows)]


def figure_text(figure: dict[str, Any], scale: float, digits: int) -> str:
    """
    Write a figure.

    :param figure: of :func:`plain`.
    :param scale: that it is multiplied by.
    :param digits: after the point.
    :returns: such as ``71.2 [68.0, 74.1]``.
    """
    if figure['value'] is None:
        return 'not defined'
    if figure['low'] is None:
        return f'{scale * figure["value"]:.{digits}f}'
    value, low, high = (f'{scale * figure[key]:.{digits}f}' for key in ('value', 'low', 'high'))
    return f'{value} [{low}, {high}]'


def numbers(values: Sequence[bool | float | None]) -> np.ndarray:
    """
    Make a column of verdicts.

    :param values: None = there is none.
    :returns: (samples,) float, with NaN for None.
    """
    return np.array([math.nan if value is None else float(value) for value in values])


def plain(interval: Interval) -> dict[str, Any]:
    """
    Make JSON values, which know no NaN.

    :param interval: a figure.
    :returns: its fields; None for what is not defined.
    """
    return {key: None if isinstance(value, float) and not math.isfinite(value) else value
            for key, value in asdict(interval).items()}
