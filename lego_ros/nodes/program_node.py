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

"""program_node: writes the program of an action in the scene in view (LEAP)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from lego_ros.nodes.model_node import model_parser, ModelNode, own_arguments
from lego_ros.nodes.parameters import MODEL_PARAMETERS
from lego_ros.nodes.program_queries import ProgramQueries
from lego_ros.ros.process import run_nodes


class ProgramNode(ModelNode):
    """
    The lifecycle node.

    :param kwargs: see :class:`lego_ros.nodes.model_node.ModelNode`.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__('program_node', ProgramQueries, **kwargs)


def program_node_beside(other: ModelNode, namespace: str | None) -> ProgramNode:
    """
    Make the node in a process whose command line is about another one.

    :param other: that node; its models, camera and clock are this one's too, whatever parameters
        are given for this one.
    :param namespace: of the node; None = the default one.
    :returns: the node, which ``-r __node:=lego_node`` does not rename.
    """
    names = [entry.name for entry in MODEL_PARAMETERS] + ['use_sim_time']
    return ProgramNode(
        namespace=namespace, cli_args=['--ros-args', '-r', '__node:=program_node'],
        parameter_overrides=[other.get_parameter(name) for name in names])


def main(args: Sequence[str] | None = None) -> int:
    """
    Run the node until it is stopped; with ``--namespaces``, one in each, which share the models.

    :param args: command line with ``--ros-args``; None = the process's own.
    :returns: exit status.
    """
    given = own_arguments(
        model_parser('program_node', 'Write action programs for what a camera sees.'), args)
    return run_nodes([partial(ProgramNode, namespace=name or None)
                      for name in given.namespaces], args)


if __name__ == '__main__':
    raise SystemExit(main())
