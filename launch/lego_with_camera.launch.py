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
Start a camera (simulated kitchen, file, webcam or bag) and the nodes that answer.

A recorder is started too if it is asked for.

    ros2 launch lego_ros lego_with_camera.launch.py source:=kitchen.mp4 record:=kitchen_bag
"""

from __future__ import annotations

from pathlib import Path

from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription, OpaqueFunction
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch_ros.actions import Node
from lego_ros.ros.launching import ARGUMENTS, CONFIG, node_settings
from lego_ros.ros.middleware import prepare_middleware


def generate_launch_description() -> LaunchDescription:
    """Declare the arguments and start the nodes."""
    return LaunchDescription([
        DeclareLaunchArgument(
            'source', default_value='',
            description='Where the frames come from: sim or sim:SEED (a simulated kitchen), '
                        'photo, webcam:N, or the path of a video, a picture, a folder of pictures '
                        'or a rosbag2; empty = as camera.yaml or the parameter file says.'),
        DeclareLaunchArgument(
            'rate', default_value='',
            description='Frames per second; empty = as camera.yaml or the parameter file says.'),
        DeclareLaunchArgument(
            'record', default_value='',
            description='Folder to create for a bag of what happens; empty = no recording.'),
        *ARGUMENTS,
        OpaqueFunction(function=start),
        # Last: launch leaves a process behind that runs when something after it is wrong, and
        # all arguments have been read by now.
        IncludeLaunchDescription(PythonLaunchDescriptionSource(
            str(Path(__file__).with_name('lego.launch.py')))),
    ])


def start(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    """Start the camera and the recorder, unless engines are to be built alone."""
    if context.launch_configurations['build_only'] == 'true':
        return []
    prepare_middleware()
    nodes = [Node(
        package='lego_ros', executable='camera_node', name='camera_node',
        **node_settings(context, {'source': ('source', str), 'rate': ('rate', float)},
                        CONFIG / 'camera.yaml'))]
    if context.launch_configurations['record']:
        nodes.append(Node(
            package='lego_ros', executable='recorder_node', name='recorder_node',
            **node_settings(context, {'path': ('record', str)}, CONFIG / 'recorder.yaml')))
    return nodes
