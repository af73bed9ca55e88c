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

"""What a benchmark found, as a table for people and as JSON with every sample."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timezone
import json
import os
from pathlib import Path
import platform
from typing import Any

from lego_ros.runtime.timings import percentile
from lego_ros.runtime.versions import versions
import psutil

_PACKAGES = ('rclpy', 'ros-rmw-fastrtps-cpp', 'numpy', 'opencv-python-headless', 'torch',
             'diffusers', 'transformers')


@dataclass
class Figure:
    """
    One thing that was measured.

    :param name: what it is.
    :param unit: of the samples.
    :param samples: at least one.
    """

    name: str
    unit: str
    samples: list[float]

    def percentile(self, percent: float) -> float:
        """
        Nearest-rank percentile of the samples.

        :param percent: 0 to 100.
        :returns: one of the samples.
        """
        return percentile(self.samples, percent)

    def summary(self) -> dict[str, float]:
        """
        Summarize the samples.

        :returns: number, median, percentiles and extremes.
        """
        return {
            'count': len(self.samples),
            'min': min(self.samples),
            'p50': self.percentile(50),
            'p90': self.percentile(90),
            'p99': self.percentile(99),
            'max': max(self.samples),
        }


@dataclass
class Target:
    """
    What was to be reached.

    :param name: what is limited.
    :param unit: of both numbers; empty = none.
    :param limit: the most that is allowed, or the least.
    :param measured: what was found.
    :param least: whether the limit is the least.
    """

    name: str
    unit: str
    limit: float
    measured: float
    least: bool = False

    @property
    def reached(self) -> bool:
        """Whether the limit is kept."""
        return self.measured >= self.limit if self.least else self.measured <= self.limit


@dataclass
class Report:
    """
    All that one benchmark found.

    :param name: of the benchmark.
    :param conditions: what it was measured under, with what the other processes achieved.
    :param figures: what was measured.
    :param targets: what was to be reached; empty = information only.
    """

    name: str
    conditions: dict[str, Any] = field(default_factory=dict)
    figures: list[Figure] = field(default_factory=list)
    targets: list[Target] = field(default_factory=list)

    def table(self) -> str:
        """
        Write the table.

        :returns: lines without a newline at the end.
        """
        conditions = {**machine(), **self.conditions}
        lines = [f'  {name}: {_text(value)}' for name, value in conditions.items()]
        head = ('', 'count', 'min', 'p50', 'p90', 'p99', 'max')
        rows = [head] + [
            (f'{figure.name} [{figure.unit}]', *map(_text, figure.summary().values()))
            for figure in self.figures]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines += ['  ' + row[0].ljust(widths[0]) + ''.join(
            '  ' + cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))
            for row in rows]
        lines += [
            f'  {"reached" if target.reached else "MISSED ":7}  {target.name}: '
            f'{_text(target.measured)} {target.unit}'.rstrip()
            + f' (at {"least" if target.least else "most"} {_text(target.limit)})'
            for target in self.targets]
        return '\n'.join(lines)

    def json(self) -> str:
        """
        Write everything.

        :returns: a JSON document.
        """
        return json.dumps({
            'benchmark': self.name,
            'time': datetime.now(timezone.utc).isoformat(timespec='seconds'),
            'machine': machine(),
            'versions': versions(_PACKAGES),
            'conditions': self.conditions,
            'figures': [
                {'name': figure.name, 'unit': figure.unit, **figure.summary(),
                 'samples': figure.samples} for figure in self.figures],
            'targets': [{**vars(target), 'reached': target.reached} for target in self.targets],
        }, indent=1) + '\n'


def machine() -> dict[str, Any]:
    """
    Describe the machine; the load tells whether it had something else to do.

    :returns: names and numbers.
    """
    models = [line.split(':', 1)[1].strip()
              for line in Path('/proc/cpuinfo').read_text().splitlines()
              if line.startswith('model name')]
    return {
        'cpu': models[0] if models else platform.machine(),
        'cpu count': len(os.sched_getaffinity(0)),
        'memory [GiB]': round(psutil.virtual_memory().total / 2**30, 1),
        'system': platform.platform(),
        'load average of the last minute': os.getloadavg()[0],
        'Fast DDS profile': os.environ.get('FASTRTPS_DEFAULT_PROFILES_FILE', 'none'),
    }


def _text(value: Any) -> str:
    return f'{value:.4g}' if isinstance(value, float) else str(value)
