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

"""What the launch files share: their arguments, and what the nodes get of them."""

from __future__ import annotations

from collections.abc import Mapping
import os.path
from pathlib import Path
import posixpath
from typing import Any

from ament_index_python.packages import get_package_prefix, get_package_share_directory
from launch import LaunchContext
from launch.actions import DeclareLaunchArgument, ExecuteProcess, Shutdown
from launch.events.process import ProcessExited
from launch.substitutions import LaunchConfiguration
from launch_ros.parameter_descriptions import ParameterValue

CONFIG = Path(get_package_share_directory('lego_ros')) / 'config'

ARGUMENTS = (
    DeclareLaunchArgument(
        'namespace', default_value='', description='Namespace of the nodes and their topics.'),
    DeclareLaunchArgument(
        'camera', default_value='image',
        description='Image topic of the camera, named as by image_transport: its compressed '
                    'images are on <camera>/compressed, and camera_info is beside it.'),
    DeclareLaunchArgument(
        'params_file', default_value=str(CONFIG / 'lego.yaml'),
        description='Parameter file; may have a section for each node.'),
    DeclareLaunchArgument(
        'bundle', default_value='',
        description='Folder of the model bundle; empty = as the parameter file says.'),
    DeclareLaunchArgument(
        'backend', default_value='',
        choices=['', 'torch', 'onnxruntime', 'openvino', 'tensorrt', 'tensorrt_rtx'],
        description='What runs the networks; all but torch by engines that build_only has built. '
                    'Empty = as the parameter file says.'),
    DeclareLaunchArgument(
        'precision', default_value='', choices=['', 'float32', 'bfloat16', 'float16'],
        description='Number format of weights and activations; empty = as the parameter file '
                    'says.'),
    DeclareLaunchArgument(
        'device', default_value='',
        description='Where the models run: auto, cpu, cuda or cuda:N; empty = as the parameter '
                    'file says.'),
    DeclareLaunchArgument(
        'engine_cache', default_value='',
        description='Folder of the engines; empty = as the parameter file says.'),
    DeclareLaunchArgument(
        'fallback', default_value='',
        choices=['', 'error', 'torch', 'onnxruntime', 'openvino', 'tensorrt', 'tensorrt_rtx'],
        description='What runs the networks where their engines are missing, foreign or damaged: '
                    'error = nothing, or a backend; empty = as the parameter file says.'),
    DeclareLaunchArgument(
        'mode', default_value='', choices=['', 'exact', 'fast'],
        description='How the action frame is drawn: fast = nearly the exact picture in a fraction '
                    'of the time; empty = as the parameter file says.'),
    DeclareLaunchArgument(
        'build_only', default_value='false', choices=['true', 'false'],
        description='Start nothing but lego-ros engine build, for the arguments bundle, backend, '
                    'precision and engine_cache, and end with it. What is not given is as in that '
                    'command, whatever the parameter file says; backend must be given.'),
    DeclareLaunchArgument(
        'image_transport', default_value='', choices=['', 'raw', 'compressed'],
        description='Which images of the camera to use; empty = as the parameter file says.'),
    DeclareLaunchArgument(
        'autostart', default_value='true', choices=['', 'true', 'false'],
        description='Configure and activate lego_node at start; false where a lifecycle manager '
                    'does it, empty = as the parameter file says.'),
    DeclareLaunchArgument(
        'use_sim_time', default_value='', choices=['', 'true', 'false'],
        description='Take the time from /clock, for simulation and replay; empty = as the '
                    'parameter file says.'),
    DeclareLaunchArgument(
        'log_level', default_value='info', choices=['debug', 'info', 'warn', 'error', 'fatal'],
        description='Least severity of what the nodes log.'),
)
"""Of lego_node and of what is started with it."""


def node_settings(context: LaunchContext, parameters: Mapping[str, tuple[str, type]],
                  config: Path | None = None) -> dict[str, Any]:
    """
    Give a node what the launch arguments say.

    :param context: with :data:`ARGUMENTS`.
    :param parameters: parameter of the node: launch argument and type. An empty argument leaves
        the parameter to the parameter file.
    :param config: parameter file that goes before the user's.
    :returns: keyword arguments of ``launch_ros.actions.Node``.
    :raises FileNotFoundError: there is no such parameter file; launch itself would only warn.
    """
    given = context.launch_configurations
    files = [str(config)] if config else []
    files.append(given['params_file'])
    for file in files:
        if not Path(file).is_file():
            raise FileNotFoundError(f"params_file: there is no file '{file}'")
    parameters = {'use_sim_time': ('use_sim_time', bool), **parameters}
    values = {
        name: ParameterValue(LaunchConfiguration(argument), value_type=kind)
        for name, (argument, kind) in parameters.items() if given[argument]}
    return {
        'namespace': given['namespace'],
        'parameters': [*files, values] if values else files,
        'remappings': camera_topics(given['camera']),
        'ros_arguments': ['--log-level', given['log_level']],
        'output': 'screen',
        'emulate_tty': True,
        'respawn': False,
        # What is being imported or read from the disk is not interrupted.
        'sigterm_timeout': '20',
    }


def build_engines(context: LaunchContext) -> ExecuteProcess:
    """
    Build the engines that the launch arguments name; the launch ends with that, or fails with it.

    :param context: with :data:`ARGUMENTS`.
    :returns: the process.
    :raises ValueError: no backend is given.
    """
    given = context.launch_configurations
    if not given['backend']:
        raise ValueError('build_only: say what to build engines for, with backend:=...')
    command = [str(Path(get_package_prefix('lego_ros'), 'bin', 'lego-ros')), 'engine']
    if given['engine_cache']:
        command += ['--cache', os.path.expanduser(given['engine_cache'])]
    command += ['build', '--backend', given['backend']]
    if given['precision']:
        command += ['--precision', given['precision']]
    if given['bundle']:
        command += ['--bundle', os.path.expanduser(given['bundle'])]
    # No terminal: there the command draws a bar, which launch would cut to lines.
    return ExecuteProcess(cmd=command, output='screen', on_exit=_end)


def _end(event: ProcessExited, context: LaunchContext) -> Shutdown:
    """End the launch; an exception is the only way to make its exit status a failure's."""
    if event.returncode:
        raise RuntimeError(
            f'no engines: lego-ros engine build ended with status {event.returncode}')
    return Shutdown(reason='the engines are built')


def camera_topics(image: str) -> list[tuple[str, str]]:
    """
    Remap the topics of a camera.

    :param image: topic of its raw images.
    :returns: from the names in the nodes to those of the camera.
    """
    return [
        ('image', image),
        ('image/compressed', f'{image}/compressed'),
        ('camera_info', posixpath.join(posixpath.dirname(image), 'camera_info'))]
