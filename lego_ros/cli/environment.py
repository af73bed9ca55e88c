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

"""What the commands need of their surroundings, and what they set for the nodes."""

from __future__ import annotations

import importlib.util
import os
import random
import socket
import sys

# Larger ids collide with the ephemeral ports of Linux (RTPS 2.5, 9.6.2.3: port 7400 + 250 * id).
_DOMAINS = range(1, 102)


class RosMissing(Exception):
    """The command needs ROS 2, and it is not there."""


def require_ros() -> None:
    """
    See whether ROS 2 and the nodes are there.

    :raises RosMissing: in one sentence, what is missing.
    """
    for module, what in (('rclpy', 'ROS 2 (rclpy)'), ('lego_ros.nodes', 'the nodes of lego_ros'),
                         ('lego_ros.msg', 'the messages of lego_ros')):
        if importlib.util.find_spec(module) is None:
            raise RosMissing(
                f'{what} cannot be found by {sys.executable}: source a ROS 2 workspace in which '
                "lego_ros is built (colcon build), or run 'make setup' in its source and use "
                '.venv/bin/lego-ros.')


def free_domain() -> int:
    """
    Find a ROS domain that nobody on this machine uses.

    :returns: the ROS_DOMAIN_ID.
    :raises OSError: every one is in use.
    """
    for domain in random.sample(_DOMAINS, len(_DOMAINS)):
        # The unicast port of a domain's first participant, which listens on all interfaces.
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            try:
                probe.bind(('', 7400 + 250 * domain + 10))
            except OSError:
                continue
        return domain
    raise OSError('all ROS domains from 1 to 101 are in use; set ROS_DOMAIN_ID')


def child_environment() -> dict[str, str]:
    """
    Make the environment of a process that runs this interpreter.

    :returns: this process's own; where ROS comes from PyPI, without its sign that the library
        path is set, so that the child sets it by itself.
    """
    return {name: value for name, value in os.environ.items()
            if name != '_ROS_WHEELS_BOOTSTRAP_COMPLETE'}
