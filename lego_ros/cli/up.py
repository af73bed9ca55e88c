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

"""``lego-ros up``: all nodes in one process."""

from __future__ import annotations

import argparse
from pathlib import Path

from lego_ros.cli.environment import require_ros
from lego_ros.cli.text import namespace
from lego_ros.errors import ErrorCode, LegoError


def add_parser(commands: argparse._SubParsersAction) -> None:
    """
    Add the command to the command line.

    :param commands: of the main parser.
    """
    parser = commands.add_parser(
        'up', help='run camera_node and lego_node, and recorder_node if asked to',
        description='Run all nodes in one process until Ctrl-C, for machines without ros2 launch. '
        'lego_node configures and activates itself.')
    parser.add_argument('--params', type=Path, metavar='FILE', help='ROS parameter file')
    parser.add_argument(
        '--camera', metavar='SOURCE',
        help='a simulated kitchen (sim, sim:SEED, sim:SEED:VERB), photo, webcam:N, or the path of '
        'a video, picture, folder of pictures or rosbag2')
    parser.add_argument('--record', type=Path, metavar='DIR', help='record a bag to this folder')
    parser.add_argument('--namespace', type=namespace, default='', metavar='NS',
                        help='of all nodes')
    parser.add_argument('--bundle', type=Path, metavar='DIR', help='model bundle')
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """
    Run the nodes.

    :param args: of the command line.
    :returns: exit status: 0 after a signal, 2 when a node cannot start or go on.
    :raises LegoError: INVALID_SETTING, the parameter file is none.
    """
    require_ros()
    if args.params is not None:
        check_parameter_file(args.params)
    from lego_ros.ros.middleware import prepare_middleware

    prepare_middleware()
    from lego_ros.nodes.together import run_together

    return run_together(args.params, args.camera, args.record, args.bundle, args.namespace)


def check_parameter_file(path: Path) -> None:
    """
    Find what rcl would end the process for.

    :param path: of the file.
    :raises LegoError: INVALID_SETTING, with the reason.
    """
    import yaml

    try:
        content = yaml.safe_load(path.read_text('utf-8'))
    except (OSError, UnicodeDecodeError, yaml.YAMLError, RecursionError) as error:
        raise LegoError(ErrorCode.INVALID_SETTING,
                        f"the parameter file '{path}' cannot be read: {error}") from error
    if not isinstance(content, dict) or not all(_has_parameters(v) for v in content.values()):
        raise LegoError(
            ErrorCode.INVALID_SETTING,
            f"'{path}' is no ROS parameter file: each of its top keys names a node, with its "
            'parameters under ros__parameters')


def _has_parameters(value: object) -> bool:
    """Tell whether a node's or namespace's entry leads to ros__parameters everywhere."""
    if not isinstance(value, dict) or not value:
        return False
    if 'ros__parameters' in value:
        return isinstance(value['ros__parameters'], dict)
    return all(_has_parameters(inner) for inner in value.values())
