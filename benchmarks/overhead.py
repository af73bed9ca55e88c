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
Overhead outside the models: from a query to its answer with a model that answers at once.

Camera, lego_node and asker are three processes. Measured from just before the query is published
until the action frame is in the asker, that is with both ways through the middleware, the taking
and decoding of a camera frame, and all of lego_node's own work.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
import random

from benchmarks.camera_publisher import held
from benchmarks.client import Answer, Asker
from benchmarks.memory import FLAT_MIB
from benchmarks.processes import Process
from benchmarks.report import Figure, Report, Target

_WARM_UPS = 20
_PERIOD = 0.1


def run(out: Path, queries: int = 500, goals: int = 300) -> Report:
    """
    Run the benchmark.

    :param out: folder for the logs.
    :param queries: samples by message.
    :param goals: samples by action goal.
    :returns: what was found.
    :raises RuntimeError: it could not be run.
    """
    with Process('benchmarks.camera_publisher', log=out / 'overhead_camera.log') as camera, \
            Process('benchmarks.instant_node', log=out / 'overhead_node.log') as node, \
            Asker(node) as asker:
        asker.wait_for_server()
        _series(asker, asker.ask, _WARM_UPS)
        before, memory = camera.report(), [node.memory_mib()]
        by_query = _series(asker, asker.ask, queries, lambda: memory.append(node.memory_mib()))
        _series(asker, asker.ask_goal, _WARM_UPS)
        by_goal = _series(asker, asker.ask_goal, goals)
        conditions = held(before, camera.report())
    overhead = _milliseconds(
        'query message to ActionFrame', [answer.seconds for answer in by_query])
    ages = _milliseconds(
        'age of the frame when used', [answer.frame_age for answer in by_query + by_goal])
    return Report(
        'overhead',
        {**conditions, 'warm-ups': _WARM_UPS, 'mean period of the queries [s]': _PERIOD},
        [overhead,
         _milliseconds('goal to result', [answer.seconds for answer in by_goal]),
         *_stages(by_query),
         ages,
         Figure('private memory of lego_node', 'MiB', memory)],
        [Target('overhead, p50', 'ms', 5., overhead.percentile(50)),
         Target('overhead, p99', 'ms', 15., overhead.percentile(99)),
         Target('age of the oldest frame used', 'ms', 50., max(ages.samples)),
         Target(f'memory growth over {queries} queries', 'MiB', FLAT_MIB,
                memory[-1] - memory[0])])


def _series(asker: Asker, ask: Callable[[], Answer], count: int,
            after_each: Callable[[], None] = lambda: None) -> list[Answer]:
    # Not in step with the camera: every phase between two of its frames must come up.
    periods = random.Random(count)
    answers = []
    for _ in range(count):
        answers.append(ask())
        after_each()
        asker.rest(periods.uniform(0.5, 1.5) * _PERIOD)
    return answers


def _stages(answers: list[Answer]) -> list[Figure]:
    return [
        _milliseconds(f'- of which {name} in the node', [each.stages[name] for each in answers])
        for name in answers[0].stages]


def _milliseconds(name: str, seconds: list[float]) -> Figure:
    return Figure(name, 'ms', [value * 1e3 for value in seconds])
