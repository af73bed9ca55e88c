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

"""OpenGL contexts: freed, drawn on from any thread, and named when they are missing."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
import os
from pathlib import Path
import subprocess
import sys

from lego_ros.sim.gl import PACKAGES
from lego_ros.sim.render import Renderer
import numpy as np
import pytest

ROOT = Path(__file__).parents[2]

# What the loader says on a machine without libegl1.
NO_LIBRARY = (
    'import ctypes\n'
    'load = ctypes.CDLL.__init__\n'
    'def refuse(self, name, *args, **kwargs):\n'
    '    if "EGL" in str(name):\n'
    '        raise OSError("libEGL.so.1: cannot open shared object file")\n'
    '    load(self, name, *args, **kwargs)\n'
    'ctypes.CDLL.__init__ = refuse\n')
CASES = {
    'no library': (NO_LIBRARY, {}),
    # libegl1 finds its drivers by files in these folders.
    'no driver': ('', {'__EGL_VENDOR_LIBRARY_DIRS': '/nonexistent'}),
    'another platform asked for': ('', {'PYOPENGL_PLATFORM': 'osmesa'}),
}


def run_python(code, environment):
    return subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, cwd=ROOT,
                          check=False, timeout=60, env={**os.environ, **environment})


@pytest.mark.parametrize('case', CASES)
def test_missing_opengl_is_named_with_what_to_install(case):
    before, environment = CASES[case]
    code = before + (
        'from lego_ros.errors import LegoError\n'
        'from lego_ros.sim.episode import sample_episode\n'
        'from lego_ros.sim.render import Renderer\n'
        'episode = sample_episode(1, "open")\n'
        # The second time shows that a failed attempt leaves nothing half made behind.
        'for _ in range(2):\n'
        '    try:\n        Renderer(episode, 64, 64)\n'
        '    except LegoError as error:\n        print(int(error.code), error.message)\n')
    result = run_python(code, environment)
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    assert len(lines) == 2, result
    assert all(line.startswith('50 ') and f'apt-get install -y {PACKAGES}' in line
               for line in lines)


@pytest.mark.parametrize(('environment', 'status'), [
    ({}, 0), ({'MUJOCO_GL': 'glfw', 'DISPLAY': ''}, 0), ({'MUJOCO_GL': 'nonsense'}, 0),
    ({'__EGL_VENDOR_LIBRARY_DIRS': '/nonexistent'}, 1)])
def test_the_check_of_the_setup(environment, status):
    result = subprocess.run(
        [sys.executable, '-m', 'lego_ros.sim.gl_check'], capture_output=True, text=True, cwd=ROOT,
        check=False, timeout=60, env={**os.environ, **environment})
    assert result.returncode == status, result.stderr
    assert ('OpenGL: ' in result.stdout) is (status == 0)
    assert (f'apt-get install -y {PACKAGES}' in result.stderr) is (status == 1)
    assert 'Traceback' not in result.stderr


def test_a_renderer_draws_the_same_from_any_thread(episode_of):
    episode = episode_of(1, 'open')
    with Renderer(episode, 64, 64) as renderer:
        here = renderer.rgb(40)
        for _ in range(2):
            with ThreadPoolExecutor(1) as pool:
                there = pool.submit(renderer.rgb, 40).result()
            np.testing.assert_array_equal(here, there)
        np.testing.assert_array_equal(here, renderer.rgb(40))


def test_a_closed_renderer_says_so_and_another_can_be_made(episode_of):
    episode = episode_of(1, 'open')
    renderer = Renderer(episode, 64, 64)
    before = renderer.rgb(40)
    other = Renderer(episode, 64, 64)
    renderer.close()
    renderer.close()
    with pytest.raises(ValueError, match='closed'):
        renderer.rgb(40)
    # Closing one takes nothing from another.
    np.testing.assert_array_equal(other.rgb(40), before)
    other.close()
    with Renderer(episode, 64, 64) as again:
        np.testing.assert_array_equal(again.rgb(40), before)


def test_a_context_that_was_used_before_shows_nothing_of_it(episode_of):
    one, two = episode_of(1, 'open'), episode_of(1, 'cut')

    def draw(episode, size, samples):
        with Renderer(episode, size, size, samples) as renderer:
            return renderer.rgb(40), renderer.labels(40)

    with Renderer(two, 32, 32):
        # The idle context is taken: this one draws on a new one.
        new = draw(one, 64, 4)
    draw(two, 200, 0)
    for used, fresh in zip(draw(one, 64, 4), new, strict=True):
        np.testing.assert_array_equal(used, fresh)


def _memory():
    return int(Path('/proc/self/statm').read_text().split()[1]) * os.sysconf('SC_PAGE_SIZE')


def test_contexts_do_not_leak(episode_of):
    """Twenty more must not cost the colours and depths of ten, 4 + 4 bytes a pixel."""
    # So many, as the allocator takes up to 10 MB at a time that no context keeps.
    episode, width, height = episode_of(1, 'open'), 640, 480

    def use(times):
        for _ in range(times):
            with Renderer(episode, width, height) as renderer:
                renderer.rgb(0)

    use(3)
    memory, threads = _memory(), len(os.listdir('/proc/self/task'))
    use(20)
    assert _memory() - memory < 10 * 8 * width * height
    assert len(os.listdir('/proc/self/task')) <= threads
