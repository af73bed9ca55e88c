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
One whole answer with the tiny bundle, through the node. For information: there is no target.

The tiny bundle has the paper's parts and steps in a small size, so its times say how much the
path around the networks costs, not how long a trained model takes.
"""

from __future__ import annotations

from pathlib import Path

from benchmarks.camera_publisher import held
from benchmarks.client import Asker
from benchmarks.processes import Process
from benchmarks.report import Figure, Report

_LOAD_WITHIN = 180.
_ANSWER_WITHIN = 120.


def run(out: Path, answers: int = 5) -> Report:
    """
    Run the benchmark.

    :param out: folder for the logs.
    :param answers: samples.
    :returns: what was found.
    :raises RuntimeError: it could not be run.
    """
    with Process('benchmarks.camera_publisher', log=out / 'answer_camera.log') as camera, \
            Process('lego_ros.nodes.lego_node', '--ros-args', '-p', 'autostart:=true',
                    log=out / 'answer_node.log') as node, \
            Asker(node) as asker:
        asker.wait_for_server(_LOAD_WITHIN, _ANSWER_WITHIN)
        before = camera.report()
        given = [asker.ask(_ANSWER_WITHIN) for _ in range(answers)]
        conditions = held(before, camera.report())
        source = given[0].message.provenance
    return Report(
        'answer',
        {**conditions, 'bundle': source.bundle, 'steps': source.steps,
         'precision': source.precision},
        [Figure('query message to ActionFrame', 's', [each.seconds for each in given]),
         *(Figure(f'- of which {name}', 's', [each.stages[name] for each in given])
           for name in given[0].stages)])
