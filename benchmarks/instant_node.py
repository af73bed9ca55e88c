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

"""lego_node as a process of its own, with a model that answers at once."""

from __future__ import annotations

import sys

from benchmarks.processes import answer_parent
from lego_ros.nodes.lego_node import LegoNode
from lego_ros.ros.process import run_node
from lego_ros.runtime.instant_model import InstantModel


def main() -> int:
    # It reports nothing, but shall not outlive the benchmark.
    answer_parent(dict)
    return run_node(
        lambda: LegoNode(load_model=lambda *_: InstantModel()),
        [*sys.argv, '--ros-args', '-p', 'autostart:=true'])


if __name__ == '__main__':
    sys.exit(main())
