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
Start lego_node and program_node for a camera that is there already.

    ros2 launch lego_ros lego.launch.py camera:=/head_camera/image_raw

Build the engines that it will be run by with

    ros2 launch lego_ros lego.launch.py build_only:=true backend:=openvino

Several cameras share one process and its models:

    ros2 launch lego_ros lego.launch.py namespaces:='head wrist' camera:=image_raw

Which action is done and which comes next is told too, where trained networks are given:

    ros2 launch lego_ros lego.launch.py recognition:=runs/leap/leap anticipation:=runs/next/leap

Put it into a GroupAction to include it more than once, or under different settings.
"""

from __future__ import annotations

from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch_ros.actions import LifecycleNode
from lego_ros.ros.launching import ARGUMENTS, build_engines, CONFIG, node_settings
from lego_ros.ros.middleware import prepare_middleware

NAMESPACES = DeclareLaunchArgument(
    'namespaces', default_value='',
    description='Instead of namespace, several of them with spaces between: a node in each, for a '
                'camera each, which share the models.')

PROGRAMS = DeclareLaunchArgument(
    'programs', default_value='true', choices=['true', 'false'],
    description='Run a program_node beside lego_node, in its process and with its models.')

RECOGNITION = DeclareLaunchArgument(
    'recognition', default_value='',
    description='Folder of a finished LEAP training for recognition: recognition_node is started '
                'and tells the present action. Empty = it is not, or does not.')

ANTICIPATION = DeclareLaunchArgument(
    'anticipation', default_value='',
    description='Likewise for anticipation: it tells the next action.')


def generate_launch_description() -> LaunchDescription:
    """Declare the arguments and start the nodes."""
    return LaunchDescription([*ARGUMENTS, NAMESPACES, PROGRAMS, RECOGNITION, ANTICIPATION,
                              OpaqueFunction(function=start)])


def start(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    """Start the nodes, or build their engines."""
    if context.launch_configurations['build_only'] == 'true':
        return [build_engines(context)]
    given = context.launch_configurations
    several = given['namespaces'].split()
    if several and given['namespace']:
        raise ValueError('namespace and namespaces: give one of them')
    prepare_middleware()
    inside = ['--namespaces', *several] if several else []
    nodes = [LifecycleNode(
        package='lego_ros', executable='lego_node', name='lego_node',
        arguments=[*(['--programs'] if given['programs'] == 'true' else []), *inside],
        **node_settings(context, {
            'bundle': ('bundle', str),
            'backend': ('backend', str),
            'precision': ('precision', str),
            'device': ('device', str),
            'engine_cache': ('engine_cache', str),
            'fallback': ('fallback', str),
            'mode': ('mode', str),
            'image_transport': ('image_transport', str),
            'autostart': ('autostart', bool)}))]
    if given['recognition'] or given['anticipation']:
        nodes.append(LifecycleNode(
            package='lego_ros', executable='recognition_node', name='recognition_node',
            arguments=inside,
            **node_settings(context, {
                'recognition': ('recognition', str),
                'anticipation': ('anticipation', str),
                'device': ('device', str),
                'image_transport': ('image_transport', str),
                'autostart': ('autostart', bool)}, CONFIG / 'recognition.yaml')))
    return nodes
