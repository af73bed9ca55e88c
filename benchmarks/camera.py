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
What the idle lego_node costs while a camera publishes.

It is compared with a node that converts every frame (benchmarks/naive_node.py). Both listen to the
same publisher at the same time, so that both get the same frames under the same conditions.
"""

from __future__ import annotations

from pathlib import Path
import time

from benchmarks.camera_publisher import held
from benchmarks.client import Asker
from benchmarks.memory import FLAT_MIB
from benchmarks.processes import Process, wait_for
from benchmarks.report import Figure, Report, Target

_WARM_UP = 5.
_QUERIES = 20


def run(out: Path, seconds: float = 30.) -> Report:
    """
    Run the benchmark.

    :param out: folder for the logs.
    :param seconds: how long the processor time is taken.
    :returns: what was found.
    :raises RuntimeError: it could not be run.
    """
    with Process('benchmarks.camera_publisher', log=out / 'camera_camera.log') as camera, \
            Process('benchmarks.naive_node', log=out / 'camera_naive.log') as naive, \
            Process('benchmarks.instant_node', log=out / 'camera_node.log') as node:
        with Asker(node) as asker:
            asker.wait_for_server()
        wait_for(lambda: naive.report()['frames'] > 0, 'a frame at the naive node', 30.)
        time.sleep(_WARM_UP)
        both = (node, naive)
        before = camera.report()
        frames = naive.report()['frames']
        start = [process.cpu_seconds() for process in both]
        memory = [node.memory_mib()]
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            time.sleep(min(1., left))
            memory.append(node.memory_mib())
        used, used_naive = (
            process.cpu_seconds() - value for process, value in zip(both, start, strict=True))
        frames = naive.report()['frames'] - frames
        after = camera.report()
        conditions = held(before, after)
        with Asker(node) as asker:
            asker.wait_for_server()
            ages = Figure('age of the frame when used', 'ms', [
                asker.ask().frame_age * 1e3 for _ in range(_QUERIES)])
    return Report(
        'camera',
        {**conditions, 'seconds': seconds, 'warm-up [s]': _WARM_UP,
         # The comparison is worth little where the middleware loses frames.
         'frames published': after['frames'] - before['frames'],
         'frames converted by the naive node': frames,
         'processor time of lego_node, idle [s]': used,
         'processor time of the naive node [s]': used_naive},
        [Figure('private memory of lego_node', 'MiB', memory), ages],
        [Target('processor time, lego_node / naive node', '', 0.25, used / used_naive),
         Target('age of the oldest frame used', 'ms', 50., max(ages.samples)),
         Target(f'memory growth over {seconds:g} s', 'MiB', FLAT_MIB,
                memory[-1] - memory[0])])
