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

"""What the commands set for the nodes."""

import os
from pathlib import Path
import socket
import subprocess
import sys

from lego_ros.cli import environment
from lego_ros.ros import middleware
import pytest

ROOT = Path(__file__).parents[2]
PROFILE = ROOT / 'config' / 'fastdds.xml'
VARIABLES = ('FASTRTPS_DEFAULT_PROFILES_FILE', 'FASTDDS_DEFAULT_PROFILES_FILE')


@pytest.fixture
def no_profile(monkeypatch):
    for name in VARIABLES:
        # Set first, so that what the code under test sets is taken back in any case.
        monkeypatch.setenv(name, '')
        monkeypatch.delenv(name)


def bind(domain):
    probe = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        probe.bind(('', 7400 + 250 * domain + 10))
    except OSError:
        probe.close()
        return None
    return probe


def test_free_domain_is_the_one_that_is_left():
    held = {domain: bind(domain) for domain in range(1, 102)}
    try:
        left = next(domain for domain, probe in held.items() if probe is not None)
        held.pop(left).close()
        assert environment.free_domain() == left
        taken = bind(left)
        with taken, pytest.raises(OSError, match='in use'):
            environment.free_domain()
    finally:
        for probe in held.values():
            if probe is not None:
                probe.close()


def test_the_profile_is_set(no_profile):
    middleware.prepare_middleware()
    for name in VARIABLES:
        assert Path(os.environ[name]).read_text() == PROFILE.read_text()


@pytest.mark.parametrize('name', VARIABLES)
def test_the_users_profile_stays(no_profile, monkeypatch, name):
    monkeypatch.setenv(name, '/etc/own.xml')
    middleware.prepare_middleware()
    assert [os.environ.get(each) for each in VARIABLES] == [
        '/etc/own.xml' if each == name else None for each in VARIABLES]


def test_without_shared_memory_nothing_is_set(no_profile, monkeypatch, tmp_path):
    monkeypatch.setattr(middleware, '_SHARED_MEMORY', tmp_path / 'missing')
    middleware.prepare_middleware()
    assert not any(name in os.environ for name in VARIABLES)


@pytest.mark.ros
@pytest.mark.parametrize('where', ['LOCALHOST', 'SUBNET'])
def test_fast_dds_takes_the_profile(where):
    code = (
        'import os, rclpy, re; rclpy.init(); node = rclpy.create_node("probe"); '
        'maps = open("/proc/self/maps").read(); '
        'print(max(int(b, 16) - int(a, 16) for a, b in re.findall('
        '"^(\\\\w+)-(\\\\w+) .*/dev/shm/fastrtps_[0-9a-f]+$", maps, re.M)))')
    given = environment.child_environment()
    given.update(dict.fromkeys(VARIABLES, str(PROFILE)), ROS_AUTOMATIC_DISCOVERY_RANGE=where)
    done = subprocess.run([sys.executable, '-c', code], env=given, capture_output=True, text=True,
                          timeout=60, check=True)
    assert 'XMLPARSER' not in done.stderr
    # 0.5 MiB without it.
    assert int(done.stdout) >= 16 * 2**20
