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
Run benchmarks: ``python -m benchmarks [name ...]`` from the root of the repository.

Without names all are run but ``paper_builds``, which takes much memory and time. Prints a table
for each and writes ``out/bench/<name>.json`` with every sample. A target that is missed is told,
but is no error: the exit status is 1 only if a benchmark could not be run.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
import importlib
import os
from pathlib import Path
import signal
import sys
import traceback
from typing import Any

from lego_ros.cli.environment import free_domain
from lego_ros.ros.middleware import prepare_middleware
import psutil

OUT = Path('out/bench')
DESCRIPTIONS = {
    'overhead': 'from a query to its answer with a model that answers at once',
    'camera': 'processor time and memory of the idle node while a camera runs',
    'answer': 'one whole answer with the tiny bundle',
    'frames': 'frames out of a long-GOP video, against seeking to each with OpenCV',
    'sim': 'frames of the kitchen drawn by one process in software',
    'pairs': 'kitchen pairs and whole videos by one process',
    'train_ldm': "training throughput of the LDM against diffusers' own loop",
    'frame': "an action frame on the CPU against diffusers' own pipeline",
    'decode': "a token of the VLLM's answer on the CPU against transformers' generate",
    'query': 'from a query to its action frame without ROS, against both public pipelines',
    'engines': 'building and loading the engines of the tiny and the kitchen-size bundle',
    'paper_builds': "networks of the paper's size exported, and built by TensorRT-RTX",
}

ON_REQUEST = ('paper_builds',)
"""Takes much memory and time, so that it is run only when it is named."""


def main() -> int:
    parser = argparse.ArgumentParser(
        prog='benchmarks', description='Benchmarks of lego_ros.',
        epilog='; '.join(f'{name}: {text}' for name, text in DESCRIPTIONS.items()))
    parser.add_argument(
        'names', nargs='*', metavar='name', help=f'of {", ".join(DESCRIPTIONS)}; none = all but '
        + ', '.join(ON_REQUEST))
    names = parser.parse_args().names or [
        name for name in DESCRIPTIONS if name not in ON_REQUEST]
    if unknown := [name for name in names if name not in DESCRIPTIONS]:
        parser.error(f'there is no benchmark {unknown[0]}, only {", ".join(DESCRIPTIONS)}')
    # Neither another run on this machine nor a robot on the network may be heard.
    os.environ['ROS_DOMAIN_ID'] = str(free_domain())
    os.environ['ROS_AUTOMATIC_DISCOVERY_RANGE'] = 'LOCALHOST'
    # As lego-ros does it for the processes that it starts.
    prepare_middleware()
    # Stopped from outside, the children are ended just as after Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    OUT.mkdir(parents=True, exist_ok=True)
    try:
        # All are run, whatever became of the one before.
        return max([_run(name) for name in names])
    except KeyboardInterrupt:
        print('stopped', file=sys.stderr)
        return 128 + signal.SIGINT


def _run(name: str) -> int:
    print(f'== {name}: {DESCRIPTIONS[name]}', flush=True)
    try:
        # Not before the domain is set: rclpy reads the environment, and may start Python anew.
        run: Callable = importlib.import_module(f'benchmarks.{name}').run
        before = psutil.cpu_times()
        report = run(OUT)
        report.conditions['processor time that the host gave to others [%]'] = _stolen(before)
    # A boundary: one benchmark that cannot be run does not keep the others from running.
    except Exception:  # noqa: BLE001
        traceback.print_exc()
        print(f'{name} failed to run; the processes have logged to {OUT}/*.log\n',
              file=sys.stderr)
        return 1
    path = OUT / f'{name}.json'
    path.write_text(report.json())
    print(f'{report.table()}\n  written to {path}\n', flush=True)
    return 0


def _stolen(before: Any) -> float:
    """Tell how much of the time since then a virtual machine's host kept; latencies suffer."""
    now = psutil.cpu_times()
    passed = sum(now) - sum(before)
    # Only Linux counts it.
    return round(100 * (getattr(now, 'steal', 0) - getattr(before, 'steal', 0)) / passed, 1)


if __name__ == '__main__':
    sys.exit(main())
