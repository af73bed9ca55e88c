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

"""lego_node: describes and depicts an action in the asker's own view (LEGO)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from lego_ros.nodes.lego_queries import LegoQueries
from lego_ros.nodes.model_node import model_parser, ModelNode, own_arguments
from lego_ros.nodes.program_node import program_node_beside
from lego_ros.ros.process import run_nodes


class LegoNode(ModelNode):
    """
    The lifecycle node.

    :param kwargs: see :class:`lego_ros.nodes.model_node.ModelNode`.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__('lego_node', LegoQueries, **kwargs)


def main(args: Sequence[str] | None = None) -> int:
    """
    Run the node until it is stopped; with ``--namespaces``, one in each, which share the models.

    With ``--programs`` a program_node is beside each and shares them too.

    :param args: command line with ``--ros-args``; None = the process's own.
    :returns: exit status.
    """
    parser = model_parser('lego_node', 'Answer questions about what a camera sees.')
    parser.add_argument('--programs', action='store_true',
                        help='run a program_node beside each, on the same models')
    given = own_arguments(parser, args)
    # A node's default namespace is its remapped one.
    return run_nodes([make for name in given.namespaces
                      for make in _makers(name or None, given.programs)], args)


def _makers(namespace: str | None, programs: bool) -> Iterator[Callable[[], ModelNode]]:
    made: list[LegoNode] = []

    def make() -> LegoNode:
        made.append(LegoNode(namespace=namespace))
        return made[0]

    yield make
    if programs:
        yield lambda: program_node_beside(made[0], namespace)


if __name__ == '__main__':
    raise SystemExit(main())
