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

"""``lego-ros ask`` as a process, against a real lego_node in this one."""

from lego_ros.cli import main
from lego_ros.cli.interrupts import EXIT_INTERRUPTED
from lego_ros.runtime.instant_model import InstantModel
import numpy as np
from PIL import Image
import pytest

pytestmark = pytest.mark.ros


@pytest.fixture
def picture(tmp_path):
    """Make a picture whose left half is red."""
    rgb = np.zeros((48, 64, 3), np.uint8)
    rgb[:, :32, 0] = 255
    path = tmp_path / 'picture.png'
    Image.fromarray(rgb).save(path)
    return path


def test_an_answer(serve, start, tmp_path, picture):
    serve(InstantModel())
    out = tmp_path / 'answer.png'
    status, said, told = start(
        'ask', 'How do I open the drawer?', '--image', str(picture), '--out', str(out),
        '--seed', '7', '--steps', '3').finish()
    assert status == 0, told
    assert said == 'The person does this: open the drawer.\n'
    # The stages in their order, as lines since the stream is no terminal. The model answers at
    # once, so the result may overtake the last of the feedback.
    stages = ['waiting for lego_node', 'waiting', 'decode', 'describe', 'described', 'depict']
    shown = [line.split('] ')[1] for line in told.splitlines() if line.startswith('[')]
    assert shown == [stage for stage in stages if stage in shown]
    assert len(shown) > 2
    assert 'untrained' in told
    drawn = np.asarray(Image.open(out))
    assert drawn.shape == (64, 64, 3)
    assert (drawn[:, :32] == (255, 0, 0)).all()
    assert (drawn[:, 32:] == 0).all()
    assert list(tmp_path.glob('.*')) == []


def test_a_namespace(serve, start, picture):
    serve(InstantModel(), '/left')
    status, said, told = start(
        'ask', 'open it', '--image', str(picture), '--namespace', 'left').finish()
    assert (status, said) == (0, 'The person does this: open it.\n'), told


@pytest.mark.parametrize(('text', 'code'), [
    ('open the drawer', 'NO_FRAME'),
    (' ', 'INVALID_QUERY'),
    ('open ' * 2000, 'QUERY_TOO_LONG'),
])
def test_an_error_is_named(serve, start, text, code):
    serve(InstantModel())
    status, said, told = start('ask', text).finish()
    assert status == 1
    assert said == ''
    assert told.splitlines()[-1].startswith(f'{code}: ')


def test_an_answer_that_cannot_be_written(serve, start, tmp_path, picture):
    serve(InstantModel())
    out = tmp_path / 'nowhere' / 'answer.png'
    status, said, told = start(
        'ask', 'open it', '--image', str(picture), '--out', str(out)).finish()
    assert status == 1
    assert said == 'The person does this: open it.\n'
    assert 'cannot be written' in told


def test_interrupting_cancels_the_goal(serve, start, stepped_model, picture):
    serve(stepped_model)
    command = start('ask', 'open the drawer', '--image', str(picture))
    assert stepped_model.drawing.wait(60)
    command.interrupt()
    status, said, told = command.finish()
    assert status == EXIT_INTERRUPTED
    assert said == ''
    assert told.splitlines()[-1].startswith('CANCELED: ')


def test_nobody_is_there(start):
    status, _, told = start('ask', 'open it', '--timeout', '0.5').finish()
    assert status == 1
    assert 'nobody serves the action /generate_action_frame (waited 0.5 s)' in told


def test_interrupting_the_wait_for_a_node(start):
    command = start('ask', 'open it', '--timeout', '60')
    assert 'waiting for lego_node' in command.process.stderr.readline()
    command.interrupt()
    assert command.finish()[0] == EXIT_INTERRUPTED


def test_a_picture_that_is_none(capsys, tmp_path):
    path = tmp_path / 'picture.png'
    path.write_bytes(b'no picture')
    assert main(['ask', 'open it', '--image', str(path)]) == 2
    assert capsys.readouterr().err.startswith('SOURCE_UNREADABLE: ')
