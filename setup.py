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
The part without ROS (core and training) for a plain Python: ``pip install .``.

With ROS the package is built by colcon from CMakeLists.txt, which installs the nodes too.
"""

from pathlib import Path
import re

from setuptools import find_packages, setup

HERE = Path(__file__).parent
VERSION = re.search(r"__version__ = '([^']+)'", (HERE / 'lego_ros/__init__.py').read_text())[1]

# Nodes need rclpy and the generated messages, which pip cannot build.
core = find_packages(include=['lego_ros', 'lego_ros.*'],
                     exclude=['lego_ros.nodes', 'lego_ros.nodes.*', 'lego_ros.ros.*'])
core = [name for name in core if name != 'lego_ros.ros']
training = ['lego_ros.training'] + [
    f'lego_ros.training.{name}' for name in find_packages('training')]

setup(
    name='lego_ros',
    version=VERSION,
    description='Egocentric action frames (LEGO) and action programs (LEAP) for ROS 2',
    long_description=(HERE / 'README.md').read_text(encoding='utf-8'),
    long_description_content_type='text/markdown',
    author='The lego_ros Authors',
    license='Apache-2.0',
    packages=core + training,
    package_dir={'lego_ros': 'lego_ros', 'lego_ros.training': 'training'},
    python_requires='>=3.10',
    install_requires=[
        'accelerate>=1.0',
        'av>=12',
        'diffusers>=0.35',
        'httpx2>=2.12',
        'lark-parser>=0.12',
        'llguidance>=1.3',
        'matplotlib>=3.5',
        # The kitchen; MuJoCo 4 has no wheels for Python 3.10.
        'mujoco>=4.0; python_version >= "3.11"',
        'numpy>=1.23',
        'openai>=3.54',
        'opencv-python-headless>=4.5',
        'pillow>=9',
        'pydantic>=2.5',
        'pyopengl>=3.1',
        'pyyaml>=5.4',
        'rosbags>=0.10',
        'safetensors>=0.4',
        'scikit-image>=0.19',
        'tokenizers>=0.20',
        'torch>=2.4',
        'tqdm>=4.60',
        'transformers>=5.0',
    ],
    extras_require={
        # Backends other than PyTorch, and the export for them.
        'engines': ['onnx>=1.17', 'onnxruntime>=1.20', 'onnxscript>=0.5', 'openvino>=2025.0'],
        # What training alone needs; a robot goes without.
        'training': ['peft>=0.15', 'ray[data]>=2.40', 'tensorboard>=2.14'],
    },
    package_data={'lego_ros.programs': ['*.lark', '*.yaml'],
                  'lego_ros.training': ['**/*.yaml']},
    entry_points={'console_scripts': ['lego-ros = lego_ros.cli:main']},
)
