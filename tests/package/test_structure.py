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

"""The rules of the house: who may import whom, and what may be imported early."""

import ast
from pathlib import Path
import subprocess
import sys

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted([*(ROOT / 'lego_ros').rglob('*.py'), *(ROOT / 'training').rglob('*.py')])

ROS = {
    'rclpy', 'sensor_msgs', 'std_msgs', 'std_srvs', 'builtin_interfaces', 'diagnostic_msgs',
    'lifecycle_msgs', 'rcl_interfaces', 'rosgraph_msgs', 'action_msgs', 'geometry_msgs'}

# What each part may import of the others; everything may import errors, files, palette and itself.
ALLOWED = {
    'engines': set(),
    'vllm': {'engines'},
    'ldm': {'engines'},
    'images': set(),
    'programs': set(),
    'leap': {'programs'},
    'sim': {'programs'},
    'camera': {'images', 'sim'},
    'bundle': {'vllm', 'ldm'},
    'runtime': {'bundle', 'vllm', 'ldm', 'engines', 'programs'},
    'ros': {'runtime', 'leap', 'camera', 'images', 'programs', 'msg', 'action'},
    'nodes': {'ros', 'runtime', 'leap', 'bundle', 'camera', 'images', 'programs', 'msg', 'action'},
    'cli': {'nodes', 'ros', 'runtime', 'bundle', 'engines', 'camera', 'images', 'programs', 'sim',
            'training', 'action', 'msg'},
    'training': {'runtime', 'bundle', 'vllm', 'ldm', 'sim', 'programs', 'leap'},
}


def imported(path):
    """List the modules that a file imports anywhere in it."""
    names = []
    for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f'{path}: relative import'
            names.append(node.module)
            if node.module == 'lego_ros':
                names += [f'lego_ros.{alias.name}' for alias in node.names]
    return names


def part_of(path):
    relative = path.relative_to(ROOT)
    if relative.parts[0] == 'training':
        return 'training'
    return relative.parts[1] if len(relative.parts) > 2 else relative.stem


def test_there_are_sources():
    assert len(SOURCES) > 30


@pytest.mark.parametrize('path', SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_one_way(path):
    part = part_of(path)
    for name in imported(path):
        parts = name.split('.')
        if parts[0] in ROS:
            assert part in {'ros', 'nodes'}, f'{path} imports {name}'
        if parts[0] == 'lego_ros' and len(parts) > 1:
            target = parts[1]
            free = {part, 'errors', 'files', 'palette', '__version__'}
            assert target in ALLOWED.get(part, set()) | free, f'{path} imports {name}'


def test_importing_the_package_is_light():
    code = (
        'import sys, lego_ros, lego_ros.errors; '
        'heavy = {"torch", "diffusers", "transformers", "rclpy", "cv2", "numpy"}; '
        'print(*sorted(heavy & set(sys.modules)))')
    result = subprocess.run(
        [sys.executable, '-c', code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert result.stdout.strip() == ''


@pytest.mark.parametrize('node', ['lego_node', 'recognition_node'])
def test_the_node_module_leaves_torch_to_configure(node):
    code = (
        f'import sys, lego_ros.nodes.{node}; '
        'print(*sorted({"diffusers", "torch"} & set(sys.modules)))')
    result = subprocess.run(
        [sys.executable, '-c', code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert result.stdout.strip() == ''


@pytest.mark.parametrize('path', SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_source_is_valid_for_humble(path):
    # Humble's Python is 3.10.
    ast.parse(path.read_text(encoding='utf-8'), feature_version=(3, 10))
