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

"""package.xml, setup.py and the rosdep file name everything that the code imports."""

import ast
from pathlib import Path
import re
import sys
import xml.etree.ElementTree

from lego_ros import __version__
import pytest
import yaml

ROOT = Path(__file__).parents[2]

# Third-party module: the rosdep key that brings it, and its name on PyPI (None: ROS only).
SUPPLIERS = {
    'accelerate': ('python3-accelerate-pip', 'accelerate'),
    'action_msgs': ('action_msgs', None),
    'ament_index_python': ('ament_index_python', None),
    'av': ('python3-av-pip', 'av'),
    'builtin_interfaces': ('builtin_interfaces', None),
    'cv2': ('python3-opencv', 'opencv-python-headless'),
    'diagnostic_msgs': ('diagnostic_msgs', None),
    'diffusers': ('python3-diffusers-pip', 'diffusers'),
    'httpx2': ('python3-httpx2-pip', 'httpx2'),
    'lark': ('python3-lark-parser', 'lark-parser'),
    'launch': ('launch', None),
    'launch_ros': ('launch_ros', None),
    'lifecycle_msgs': ('lifecycle_msgs', None),
    'llguidance': ('python3-llguidance-pip', 'llguidance'),
    'matplotlib': ('python3-matplotlib', 'matplotlib'),
    'mujoco': ('python3-mujoco-pip', 'mujoco'),
    'numpy': ('python3-numpy', 'numpy'),
    'openai': ('python3-openai-pip', 'openai'),
    'OpenGL': ('python3-pyopengl-pip', 'pyopengl'),
    'PIL': ('python3-pil', 'pillow'),
    'pydantic': ('python3-pydantic-pip', 'pydantic'),
    'rcl_interfaces': ('rcl_interfaces', None),
    'rclpy': ('rclpy', None),
    'rosbags': ('python3-rosbags-pip', 'rosbags'),
    'rosgraph_msgs': ('rosgraph_msgs', None),
    'safetensors': ('python3-safetensors-pip', 'safetensors'),
    'sensor_msgs': ('sensor_msgs', None),
    'skimage': ('python3-skimage', 'scikit-image'),
    'std_msgs': ('std_msgs', None),
    'tokenizers': ('python3-tokenizers-pip', 'tokenizers'),
    'torch': ('python3-torch', 'torch'),
    'tqdm': ('python3-tqdm', 'tqdm'),
    'transformers': ('python3-transformers-pip', 'transformers'),
    'yaml': ('python3-yaml', 'pyyaml'),
}
# The same for what training alone imports: not a dependency of a robot.
EXTRAS = {
    'engines': {
        # protobuf, in which ONNX files are written.
        'google': ('python3-onnx-pip', 'onnx'),
        'onnx': ('python3-onnx-pip', 'onnx'),
        'onnx_ir': ('python3-onnxscript-pip', 'onnxscript'),
        'onnxruntime': ('python3-onnxruntime-pip', 'onnxruntime'),
        'onnxscript': ('python3-onnxscript-pip', 'onnxscript'),
        'openvino': ('python3-openvino-pip', 'openvino'),
    },
    'training': {
        'peft': ('python3-peft-pip', 'peft'),
        'ray': ('python3-ray-pip', 'ray[data]'),
        'tensorboard': ('python3-tensorboard-pip', 'tensorboard'),
    },
}
PLACES = {'engines': ROOT / 'lego_ros/engines', 'training': ROOT / 'training'}
"""Which part of the package may import an extra's modules."""


def third_party_imports():
    names = set()
    for folder in ('lego_ros', 'training', 'launch'):
        for path in (ROOT / folder).rglob('*.py'):
            for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
                if isinstance(node, ast.Import):
                    names |= {alias.name.split('.')[0] for alias in node.names}
                elif isinstance(node, ast.ImportFrom):
                    names.add(node.module.split('.')[0])
    known = {'lego_ros', '__future__', *(name for extra in EXTRAS.values() for name in extra)}
    return names - set(sys.stdlib_module_names) - known


def package_xml():
    return xml.etree.ElementTree.parse(ROOT / 'package.xml').getroot()


def depended_on():
    return {
        element.text for element in package_xml()
        if element.tag in {'depend', 'exec_depend', 'build_depend', 'buildtool_depend'}}


@pytest.mark.parametrize('module', sorted(third_party_imports()))
def test_every_import_has_a_supplier(module):
    assert module in SUPPLIERS, f'{module}: add it to package.xml, setup.py and this table'
    key, distribution = SUPPLIERS[module]
    assert key in depended_on(), f'{module}: package.xml lacks {key}'
    if distribution:
        assert f"'{distribution}>=" in (ROOT / 'setup.py').read_text(), f'setup.py: {distribution}'


def test_no_dependency_is_dead():
    """Every Python dependency of package.xml is imported, or needed by one that is."""
    used = {SUPPLIERS[module][0] for module in third_party_imports()}
    # diffusers loads large bundles through accelerate; messages and actions need the next two,
    # the kitchen loads the libraries.
    used |= {'python3-accelerate-pip', 'action_msgs', 'rosidl_default_runtime', 'libegl1',
             'libgl1-mesa-dri', 'libopengl0'}
    build = {'ament_cmake', 'ament_cmake_python', 'rosidl_default_generators'}
    assert depended_on() - build == used


@pytest.mark.parametrize(('extra', 'module'), [
    (extra, module) for extra, suppliers in EXTRAS.items() for module in sorted(suppliers)])
def test_what_one_part_alone_needs_is_an_extra(extra, module):
    key, distribution = EXTRAS[extra][module]
    line = next(line for line in (ROOT / 'setup.py').read_text().splitlines()
                if f"'{extra}': [" in line)
    assert f"'{distribution}>=" in line
    assert key in {element.text for element in package_xml() if element.tag == 'test_depend'}
    importing = re.compile(rf'^\s*(import|from) (\S+\.)?{module}\b', re.MULTILINE)
    files = [path for folder in ('lego_ros', 'training') for path in (ROOT / folder).rglob('*.py')
             if importing.search(path.read_text(encoding='utf-8'))]
    assert files
    assert all(path.is_relative_to(PLACES[extra]) for path in files)


def test_keys_unknown_to_rosdistro_are_defined_here():
    defined = set(yaml.safe_load((ROOT / 'rosdep/lego_ros.yaml').read_text()))
    # Of the -pip keys rosdistro has these two (checked against its python.yaml of 2026-08).
    public = {'python3-transformers-pip', 'python3-rosbags-pip'}
    keys = {element.text for element in package_xml() if element.tag.endswith('depend')}
    libraries = {'libegl1', 'libgl1-mesa-dri', 'libopengl0'}
    assert {key for key in keys if key.endswith('-pip')} - public | libraries == defined


def test_versions_agree():
    assert package_xml().findtext('version') == __version__
    changelog = (ROOT / 'CHANGELOG.rst').read_text()
    assert re.search(rf'^{re.escape(__version__)} \(', changelog, re.MULTILINE)
