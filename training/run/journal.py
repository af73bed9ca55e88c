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
The figures of a run: for TensorBoard, for programs (metrics.jsonl) and as a picture of curves.

A run that goes on from a checkpoint drops what was logged after it: no step is there twice.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
import time
from types import TracebackType
from typing import Any

import numpy as np
from torch import Tensor

METRICS = 'metrics.jsonl'
CURVES = 'curves.png'


class Journal:
    """
    The log of one run, of one process.

    :param folder: of the run.
    :param step: how many steps are done.
    """

    def __init__(self, folder: Path, step: int) -> None:
        from torch.utils.tensorboard import SummaryWriter

        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / METRICS
        _drop_after(self._path, step)
        self._file = self._path.open('a', encoding='utf-8')
        self._board = SummaryWriter(str(folder / 'tensorboard'), purge_step=step + 1)

    def __enter__(self) -> Journal:
        """Give itself."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        """Close the files."""
        self._file.close()
        self._board.close()

    def log(self, step: int, figures: dict[str, float],
            pictures: dict[str, np.ndarray] | None = None,
            texts: dict[str, str] | None = None) -> None:
        """
        Note the figures of a step.

        :param step: how many steps are done.
        :param figures: by name.
        :param pictures: (H, W, 3) uint8 RGB by name; TensorBoard only.
        :param texts: Markdown by name; TensorBoard only.
        """
        self._file.write(json.dumps({'step': step, **figures}) + '\n')
        self._file.flush()
        for name, value in figures.items():
            self._board.add_scalar(name, value, step)
        for name, picture in (pictures or {}).items():
            self._board.add_image(name, picture, step, dataformats='HWC')
        for name, text in (texts or {}).items():
            self._board.add_text(name, text, step)


class Means:
    """Means of figures over the steps since they were last taken, kept on the device."""

    def __init__(self) -> None:
        self.restart()
        self._sums: dict[str, Tensor] = {}
        self._steps = 0

    def restart(self) -> None:
        """Leave out of the throughput what was no training."""
        self._begin, self._timed = time.perf_counter(), 0

    def add(self, figures: dict[str, Tensor]) -> None:
        """Take a step's figures in."""
        for name, value in figures.items():
            self._sums[name] = self._sums.get(name, 0) + value
        self._steps += 1
        self._timed += 1

    def take(self, batch: int) -> dict[str, float]:
        """Give the means, and begin anew."""
        means = {name: float(value) / self._steps for name, value in self._sums.items()}
        elapsed = time.perf_counter() - self._begin
        means['samples_per_second'] = self._timed * batch / max(elapsed, 1e-9)
        self._sums, self._steps = {}, 0
        self.restart()
        return means


def read_metrics(folder: Path) -> list[dict[str, Any]]:
    """
    Read a run's figures.

    :param folder: of the run.
    :returns: ``step`` and figures of each line; empty where there are none.
    """
    path = folder / METRICS
    if not path.is_file():
        return []
    rows = []
    for line in path.read_text(encoding='utf-8').splitlines():
        try:
            rows.append(json.loads(line))
        except ValueError:
            # A kill cuts the last line; its step is done again.
            break
    return rows


def draw_curves(folders: dict[str, Path], path: Path) -> None:
    """
    Draw the losses of runs.

    :param folders: of the runs, by the name that goes above the curve.
    :param path: of the PNG.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.0 * len(folders), 3.2), layout='constrained')
    for place, (name, folder) in enumerate(folders.items()):
        axes = figure.add_subplot(1, len(folders), place + 1)
        rows = read_metrics(folder)
        for key, label in (('loss', 'training'), ('validation/loss', 'validation')):
            points = [(row['step'], row[key]) for row in rows if key in row]
            if points:
                axes.plot(*zip(*points, strict=True), label=label, linewidth=1)
        axes.set(title=name, xlabel='step', ylabel='loss', yscale='log')
        axes.grid(alpha=0.3)
        if axes.get_legend_handles_labels()[0]:
            axes.legend()
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f'.{path.name}.part')
    figure.savefig(part, format='png', dpi=110)
    os.replace(part, path)


def _drop_after(path: Path, step: int) -> None:
    if not path.is_file():
        return
    rows = [row for row in read_metrics(path.parent) if row['step'] <= step]
    part = path.with_name(f'{path.name}.part')
    part.write_text(''.join(json.dumps(row) + '\n' for row in rows), encoding='utf-8')
    os.replace(part, path)
