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

"""``lego-ros demo`` from end to end: real nodes, the real tiny bundle, real files."""

import json
import os
from pathlib import Path
import re
import shutil
import time

from lego_ros import __version__
from lego_ros.bundle.manifest import read_manifest
from lego_ros.cli.demo_files import NAMES
from lego_ros.images.compressed import decode_compressed
from lego_ros.programs.parsing import parse
from lego_ros.programs.serialising import from_json
from lego_ros.sim.episode import sample_episode
from lego_ros.sim.render import Renderer
import numpy as np
from PIL import Image
import pytest
from rosbags.highlevel import AnyReader

pytestmark = [pytest.mark.ros, pytest.mark.timeout(400)]

QUESTION = 'How do I stir the coffee?'
# Random weights do not come to the end of a program.
FILES = [name for name in NAMES if not name.startswith('program.')]


def processes_about(path):
    """List the running processes whose command line names a path."""
    found = []
    for entry in Path('/proc').glob('[0-9]*/cmdline'):
        try:
            words = entry.read_bytes().decode('utf-8', 'replace')
        except OSError:
            continue
        if str(path) in words and int(entry.parent.name) != os.getpid():
            found.append(words.replace('\0', ' '))
    return found


def read_png(path):
    with Image.open(path) as image:
        assert image.mode == 'RGB'
        return np.asarray(image)


def test_demo(start, tmp_path, tiny_bundle):
    out = tmp_path / 'new' / 'demo'
    arguments = ('demo', '--source', 'photo', '--query', QUESTION, '--bundle', str(tiny_bundle),
                 '--steps', '3', '--seed', '11', '--out', str(out))
    command = start(*arguments)
    status, said, told = command.finish()
    assert status == 0, told
    assert processes_about(tmp_path) == []
    assert sorted(path.name for path in out.iterdir()) == sorted([*FILES, 'nodes.log'])

    report = json.loads((out / 'report.json').read_text())
    assert report['query'] == QUESTION
    assert report['action'] == 'stir the coffee'
    assert report['error'] == {'code': 0, 'name': 'NONE', 'message': ''}
    assert (out / 'description.txt').read_text() == report['description'] + '\n'
    assert report['description']
    assert set(report['stages_s']) == {'decode', 'describe', 'depict'}
    assert 0 < sum(report['stages_s'].values()) <= report['answer_s'] + 0.01
    assert 0 < report['load_s'] < report['startup_s']
    source = report['provenance']
    assert source['bundle_sha256'] == read_manifest(tiny_bundle)[1]
    assert (source['seed'], source['steps'], source['trained']) == (11, 3, False)
    assert (source['image_scale'], source['text_scale']) == (1.5, 7.5)
    assert source['mode'] == 'exact'
    assert report['camera']['frames_used'] == 1
    assert report['camera']['frames_published'] >= 1
    assert 0 <= report['frame']['age_s'] < 1
    assert report['versions']['lego_ros'] == __version__

    # The bag holds the answer, and the frame that it is about is the one in input.png.
    with AnyReader([out / 'bag']) as reader:
        messages = [(connection.topic, reader.deserialize(data, connection.msgtype))
                    for connection, _, data in reader.messages()]
    counts = {topic: sum(each == topic for each, _ in messages) for topic, _ in messages}
    assert counts == {topic: count for topic, count in report['bag_messages'].items() if count}
    assert counts['/action_frame'] == counts['/action_description'] == 1
    assert counts['/query_outcome'] == counts['/lego_node/engine_info'] == 1
    assert counts['/program_outcome'] == counts['/program_node/engine_info'] == 1
    assert counts['/camera_info'] > 0
    assert counts['/diagnostics'] > 0
    answer, = (message for topic, message in messages if topic == '/action_frame')
    frame, = (message for topic, message in messages
              if topic == '/image/compressed' and message.header.stamp == answer.header.stamp)
    assert (read_png(out / 'input.png') == decode_compressed(frame)).all()
    drawn = read_png(out / 'output.png')
    assert drawn.shape == (answer.image.height, answer.image.width, 3)
    assert drawn.tobytes() == bytes(answer.image.data)
    assert answer.query_id == report['query_id']
    assert answer.description == report['description']

    figure = read_png(out / 'action_frame.png')
    assert figure.shape[1] > 2 * figure.shape[0]
    assert ((figure == (193, 18, 31)).all(-1)).sum() > 200
    assert QUESTION in said
    assert 'untrained' in said
    for name in FILES:
        assert str(out / name) in said
    assert report['program']['error']['name'] == 'PROGRAM_INVALID'
    assert 'PROGRAM_INVALID' in said

    # The same seed and photograph: the same answer, in the place of the one before.
    status, _, told = start(*arguments).finish()
    assert status == 0, told
    assert (read_png(out / 'output.png') == drawn).all()
    again = json.loads((out / 'report.json').read_text())
    assert again['description'] == report['description']
    assert again['query_id'] != report['query_id']
    assert sorted(path.name for path in out.iterdir()) == sorted([*FILES, 'nodes.log'])


def test_the_shipped_bundle_is_asked_about_what_is_about_to_happen(start, tmp_path):
    out = tmp_path / 'demo'
    status, said, told = start(
        'demo', '--source', 'sim:9:open', '--steps', '2', '--seed', '1', '--out', str(out)
    ).finish()
    assert status == 0, told
    assert processes_about(tmp_path) == []
    assert 'untrained' not in said
    assert 'sim:9:open, frame ' in said
    assert sorted(path.name for path in out.iterdir()) == sorted([*NAMES, 'nodes.log'])
    report = json.loads((out / 'report.json').read_text())
    assert report['query'] == 'How do I open the cupboard?'
    assert 'cupboard' in report['description']
    shows_the_scene(out, report['scene'])
    holds_the_program(out)
    assert report['program']['checked']


def shows_the_scene(out, scene):
    """Check that the picture that was asked about shows it, and the cupboard untouched."""
    episode = sample_episode(9, 'open')
    action = episode.actions[0]
    assert scene == {'source': 'sim:9:open', 'action': action.label, 'frame': scene['frame'],
                     'action_begins_at_frame': action.pre, 'frames': episode.frame_count}
    picture = read_png(out / 'input.png')
    height, width, _ = picture.shape
    with Renderer(episode, width, height, samples=0) as renderer:
        distance = {number: np.abs(renderer.rgb(number).astype(int) - picture).mean()
                    for number in range(0, episode.frame_count)}
    shown = min(distance, key=distance.get)
    assert distance[shown] < 4
    assert shown < action.contact
    assert episode.truth(shown).opening[action.choice.target] == 0
    # On a busy machine a picture comes late, never early.
    assert -1 <= scene['frame'] - shown <= 12


def holds_the_program(out):
    """Check that text, JSON, picture and bag have one program, and that it opens something."""
    text = (out / 'program.txt').read_text()
    program = parse(text)
    assert 'pull_open' in {action.verb for action in program.sub_actions()}
    assert from_json((out / 'program.json').read_text()) == program
    with Image.open(out / 'program.png') as picture:
        assert min(picture.size) > 200
    with AnyReader([out / 'bag']) as reader:
        message, = (reader.deserialize(data, connection.msgtype)
                    for connection, _, data in reader.messages()
                    if connection.topic == '/action_program')
    assert message.text == text


def test_fast_mode(start, tmp_path, tiny_bundle):
    out = tmp_path / 'demo'
    status, said, told = start(
        'demo', '--source', 'photo', '--query', QUESTION, '--bundle', str(tiny_bundle),
        '--mode', 'fast', '--steps', '40', '--seed', '11', '--out', str(out)).finish()
    assert status == 0, told
    source = json.loads((out / 'report.json').read_text())['provenance']
    assert (source['mode'], source['steps']) == ('fast', 40)
    assert 'fast' in said


def test_without_opengl_the_demo_says_what_to_install(start, tmp_path, tiny_bundle):
    out = tmp_path / 'demo'
    status, said, told = start('demo', '--bundle', str(tiny_bundle), '--out', str(out),
                               __EGL_VENDOR_LIBRARY_DIRS='/nonexistent').finish()
    assert (status, said) == (2, '')
    assert 'SOURCE_UNREADABLE: ' in told
    assert 'apt-get install -y libegl1' in told
    assert [path.name for path in out.iterdir()] == ['nodes.log']


def test_a_kitchen_that_there_is_not(start, tmp_path):
    for name, reason in (('sim:x', 'sim:SEED:VERB'), ('sim:1:juggle', 'turn over')):
        status, said, told = start('demo', '--source', name, '--out', str(tmp_path)).finish()
        assert (status, said) == (2, '')
        assert reason in told
        assert 'Traceback' not in told
    assert list(tmp_path.iterdir()) == []


def test_a_source_that_cannot_be_read(start, tmp_path, tiny_bundle):
    out = tmp_path / 'demo'
    status, said, told = start('demo', '--source', str(tmp_path / 'missing.mp4'), '--bundle',
                               str(tiny_bundle), '--out', str(out)).finish()
    assert (status, said) == (2, '')
    assert 'SOURCE_UNREADABLE: ' in told
    assert 'missing.mp4' in told
    assert [path.name for path in out.iterdir()] == ['nodes.log']
    assert processes_about(tmp_path) == []


def test_a_bundle_that_is_damaged(start, tmp_path, tiny_bundle):
    damaged = tmp_path / 'damaged'
    shutil.copytree(tiny_bundle, damaged)
    (damaged / 'unet' / 'weights.pkl').write_bytes(b'\x80\x04.')
    out = tmp_path / 'demo'
    status, said, told = start('demo', '--bundle', str(damaged), '--out', str(out)).finish()
    assert (status, said) == (1, '')
    assert told.splitlines()[-1].startswith('BUNDLE_UNSAFE: ')
    assert [path.name for path in out.iterdir()] == ['nodes.log']
    assert processes_about(tmp_path) == []


def test_a_question_that_is_refused(start, tmp_path, tiny_bundle):
    out = tmp_path / 'demo'
    out.mkdir()
    (out / 'output.png').write_bytes(b'of the run before')
    status, said, told = start(
        'demo', '--source', 'photo', '--query', '?!', '--bundle', str(tiny_bundle),
        '--out', str(out)).finish()
    assert status == 1, told
    assert said.startswith('INVALID_QUERY: ')
    report = json.loads((out / 'report.json').read_text())
    assert report['error']['name'] == 'INVALID_QUERY'
    assert report['bag_messages']['/query_outcome'] == 1
    # No picture of an earlier run beside a report that has none.
    assert sorted(path.name for path in out.iterdir()) == ['bag', 'nodes.log', 'report.json']


def test_interrupting_it_ends_everything(start, tmp_path, tiny_bundle):
    out = tmp_path / 'demo'
    command = start('demo', '--source', 'photo', '--bundle', str(tiny_bundle), '--out', str(out),
                    '--steps', '1000')
    deadline = time.monotonic() + 120
    while not re.search('depict$', line := command.process.stderr.readline()):
        assert line, 'it ended by itself'
        assert time.monotonic() < deadline
    command.interrupt()
    assert command.finish()[0] == 130
    assert [path.name for path in out.iterdir()] == ['nodes.log']
    assert processes_about(tmp_path) == []


def test_a_place_where_nothing_can_be_written(start, tmp_path):
    (tmp_path / 'file').write_text('')
    status, _, told = start('demo', '--out', str(tmp_path / 'file' / 'demo')).finish()
    assert status == 1
    assert 'cannot be written' in told
