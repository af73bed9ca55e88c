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

"""``pip install .``: the part without ROS, on a Python that has never heard of ROS."""

from pathlib import Path
import subprocess
import sys
import zipfile

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope='module')
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp('wheel')
    # A copy of the tracked files: setuptools writes build/ and egg-info beside setup.py.
    source = folder / 'source'
    subprocess.run(['git', 'clone', '-q', '--depth', '1', f'file://{ROOT}', source], check=True)
    subprocess.run(
        [sys.executable, '-m', 'pip', 'wheel', '-q', '--no-deps', '--no-build-isolation',
         '-w', folder, source], check=True, capture_output=True, text=True)
    [path] = folder.glob('*.whl')
    return path


def test_wheel_has_core_and_training_but_no_nodes(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    for part in ('vllm', 'ldm', 'runtime', 'bundle', 'images', 'camera', 'cli', 'training'):
        assert f'lego_ros/{part}/__init__.py' in names
    assert not [name for name in names if name.startswith(('lego_ros/nodes/', 'lego_ros/ros/'))]
    [entry_points] = [name for name in names if name.endswith('entry_points.txt')]
    assert 'lego-ros = lego_ros.cli:main' in zipfile.ZipFile(wheel).read(entry_points).decode()


def run_without_ros(wheel, tmp_path, code):
    """Run code against the unpacked wheel alone, where nothing of ROS can be found."""
    zipfile.ZipFile(wheel).extractall(tmp_path)
    guard = f"""
import importlib.machinery, sys
class WithoutRos(importlib.machinery.PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        if name.split('.')[0] in {{'rclpy', 'sensor_msgs', 'std_msgs'}}:
            return None
        return super().find_spec(name, path, target)
sys.meta_path = [
    WithoutRos if finder is importlib.machinery.PathFinder else finder
    for finder in sys.meta_path]
sys.path.insert(0, {str(tmp_path)!r})
import lego_ros
lego_ros.__path__[:] = [{str(tmp_path / 'lego_ros')!r}]
"""
    return subprocess.run(
        [sys.executable, '-c', guard + code], capture_output=True, text=True, cwd=tmp_path)


def test_a_bundle_answers_without_ros(wheel, tmp_path):
    result = run_without_ros(wheel, tmp_path, """
from pathlib import Path
import numpy as np
from lego_ros.bundle.making import make_tiny
from lego_ros.runtime.lego_model import LegoModel
from lego_ros.runtime.model import AnswerSettings
make_tiny(Path('tiny'))
model = LegoModel(Path('tiny'), device='cpu')
rgb = np.zeros((48, 64, 3), np.uint8)
settings = AnswerSettings(seed=1, steps=2)
said = model.describe(rgb, 'open the drawer', settings, lambda: None, lambda *_: None)
print(model.depict(rgb, said, settings, lambda: None, lambda *_: None).shape)
""")
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip().endswith('(64, 85, 3)')


def test_commands_that_need_ros_say_so(wheel, tmp_path):
    result = run_without_ros(
        wheel, tmp_path, 'from lego_ros.cli import main\nsys.exit(main(["ask", "open it"]))')
    assert result.returncode == 3
    assert 'ROS' in result.stderr
    assert 'Traceback' not in result.stderr
