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

"""The command line itself: what it refuses, and what it needs."""

import subprocess
import sys

from lego_ros import __version__
from lego_ros.cli import main
import pytest

# Run with ROS hidden from the import system, as if only the part without ROS were installed.
WITHOUT_ROS = """
import importlib.machinery as machinery, sys
class Hiding:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name.split('.')[0] == 'rclpy':
            return None
        return machinery.PathFinder.find_spec(name, path, target)
sys.meta_path[:] = [Hiding if f is machinery.PathFinder else f for f in sys.meta_path]
from lego_ros.cli import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.parametrize(('arguments', 'complaint'), [
    ((), 'COMMAND'),
    (('dance',), 'dance'),
    (('bundle',), 'ACTION'),
    (('bundle', 'make'), '--out'),
    (('bundle', 'make', '--size', 'huge', '--out', 'x'), 'huge'),
    (('bundle', 'make', '--seed', '-1', '--out', 'x'), 'must be from 0'),
    (('bundle', 'verify'), 'DIR'),
    (('ask',), 'TEXT'),
    (('ask', 'open it', '--steps', '1001'), 'must be from 0 to 1000'),
    (('ask', 'open it', '--steps', 'many'), "invalid whole number value: 'many'"),
    (('ask', 'open it', '--image-scale', 'nan'), 'must be from 0 to 50'),
    (('ask', 'open it', '--seed', str(2**63)), 'must be from 0'),
    (('ask', 'open it', '--timeout', '0'), 'must be from 0.1'),
    (('ask', 'open it', '--namespace', 'left camera'), 'no namespace'),
    (('up', '--namespace', '/a//b'), 'no namespace'),
    (('demo', '--seed', '1.5'), 'whole number'),
])
def test_bad_arguments_are_named(capsys, arguments, complaint):
    with pytest.raises(SystemExit) as exit_:
        main(arguments)
    assert exit_.value.code == 2
    assert complaint in capsys.readouterr().err


def test_version(capsys):
    with pytest.raises(SystemExit) as exit_:
        main(['--version'])
    assert exit_.value.code == 0
    assert capsys.readouterr().out == f'lego_ros {__version__}\n'


@pytest.mark.parametrize('arguments', [('demo',), ('ask', 'open the drawer'), ('up',)])
def test_without_ros_it_says_so(tmp_path, arguments):
    done = subprocess.run([sys.executable, '-c', WITHOUT_ROS, *arguments],
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == 3
    assert done.stdout == ''
    assert done.stderr.startswith('ROS 2 (rclpy) cannot be found')
    assert done.stderr.count('\n') == 1


def test_without_ros_bundles_work(tiny_bundle):
    done = subprocess.run([sys.executable, '-c', WITHOUT_ROS, 'bundle', 'verify', tiny_bundle],
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert 'is whole' in done.stdout


@pytest.mark.parametrize(('content', 'complaint'), [
    (None, 'cannot be read'),
    ('a: [', 'cannot be read'),
    ('steps: 3\n', 'no ROS parameter file'),
    ('lego_node:\n  steps: 3\n', 'no ROS parameter file'),
])
def test_up_refuses_a_file_that_holds_no_parameters(tmp_path, capsys, content, complaint):
    path = tmp_path / 'parameters.yaml'
    if content is not None:
        path.write_text(content)
    assert main(['up', '--params', str(path)]) == 2
    err = capsys.readouterr().err
    assert err.startswith('INVALID_SETTING: ')
    assert complaint in err
