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

"""Processes that share tasks: all done, errors told, deaths named, nobody left behind."""

from functools import partial
import os
from pathlib import Path
import signal
import subprocess
import sys
import threading
import time

from lego_ros.errors import ErrorCode, LegoError
from lego_ros.training.data.workers import run_tasks
import psutil
import pytest

# Spawned processes import this by name, which pytest's own import of this file has not.
TASKS = """
import os, signal, time
from pathlib import Path
from lego_ros.errors import ErrorCode, LegoError

def start(folder):
    (Path(folder) / f'started {os.getpid()}').touch()
    return Worker(folder)

class Worker:
    def __init__(self, folder):
        self.folder = Path(folder)
    def __call__(self, task, progress):
        for _ in range(3):
            progress(1)
        if task == 'die':
            os.kill(os.getpid(), signal.SIGKILL)
        if task == 'fail':
            raise LegoError(ErrorCode.SOURCE_UNREADABLE, 'what was wrong')
        if task == 'full':
            raise OSError(28, 'No space left on device', 'name')
        if task == 'wait':
            (self.folder / 'waiting').touch()
            time.sleep(600)
        (self.folder / f'done {task}').write_text(str(os.getpid()))
"""
DEADLINE = 60.0


@pytest.fixture
def tasks(tmp_path, monkeypatch):
    (tmp_path / 'lego_worker_tasks.py').write_text(TASKS)
    monkeypatch.syspath_prepend(str(tmp_path))
    # The processes look where this one does.
    monkeypatch.setenv('PYTHONPATH', os.pathsep.join([str(tmp_path), *sys.path]))
    import lego_worker_tasks
    yield partial(lego_worker_tasks.start, str(tmp_path))
    del sys.modules['lego_worker_tasks']


def run(tasks, names, count=2, stop=None):
    seen = []
    result = run_tasks(names, count, tasks, lambda *told: seen.append(told),
                       stop or threading.Event())
    return result, seen


def done(folder):
    return sorted(path.name.split()[1] for path in folder.glob('done *'))


@pytest.mark.parametrize('count', [1, 3])
def test_each_task_is_done_once(tasks, tmp_path, count):
    names = [str(index) for index in range(7)]
    result, seen = run(tasks, names, count)
    assert result is True
    assert done(tmp_path) == names
    assert sum(steps for steps, _ in seen) == 21
    assert sum(finished for _, finished in seen) == 7
    # Each process starts once, whatever the number of its tasks.
    assert len(list(tmp_path.glob('started *'))) == count


def test_no_tasks_need_no_processes(tasks, tmp_path):
    assert run(tasks, []) == (True, [])
    assert list(tmp_path.glob('started *')) == []


@pytest.mark.parametrize(('name', 'error', 'text'), [
    ('fail', LegoError, 'what was wrong'), ('full', OSError, 'No space left'),
    ('die', LegoError, 'busy with die died with status -9')])
def test_what_goes_wrong_is_raised_and_nobody_is_left(tasks, tmp_path, name, error, text):
    with pytest.raises(error, match=text) as caught:
        run(tasks, ['0', name, 'wait', 'wait', 'wait'])
    if name == 'fail':
        assert caught.value.code is ErrorCode.SOURCE_UNREADABLE
    assert workers_of(psutil.Process()) == []


def workers_of(process):
    return [child.pid for child in process.children()
            if 'spawn_main' in ' '.join(child.cmdline())]


def test_stopped_in_the_middle_of_a_task(tasks, tmp_path):
    stop = threading.Event()
    threading.Thread(target=lambda: (until((tmp_path / 'waiting').exists), stop.set())).start()
    result, _ = run(tasks, ['wait', 'wait'], stop=stop)
    assert result is False
    assert workers_of(psutil.Process()) == []


def until(condition):
    deadline = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_the_processes_end_with_their_parent(tasks, tmp_path):
    code = (
        'import threading, functools, lego_worker_tasks\n'
        'from lego_ros.training.data.workers import run_tasks\n'
        "if __name__ == '__main__':\n"
        f'    run_tasks(["wait"], 1, functools.partial(lego_worker_tasks.start, {str(tmp_path)!r})'
        ', print, threading.Event())\n')
    script = tmp_path / 'parent.py'
    script.write_text(code)
    parent = subprocess.Popen([sys.executable, str(script)], cwd=Path.cwd())
    try:
        until((tmp_path / 'waiting').exists)
        (worker,) = workers_of(psutil.Process(parent.pid))
    finally:
        parent.send_signal(signal.SIGKILL)
        parent.wait()
    # A zombie that nobody reaps has ended too.
    until(lambda: not psutil.pid_exists(worker)
          or psutil.Process(worker).status() == psutil.STATUS_ZOMBIE)
