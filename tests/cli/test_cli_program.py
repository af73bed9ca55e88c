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

"""``lego-ros program``, in process and as a process."""

import io
import json
import subprocess
import sys

from lego_ros.cli import main
from PIL import Image
import pytest

SOUND = """objects mug, table, shelf
initially on(mug, table)
reach(mug, right)
grasp(mug, right)
lift(mug, right)
carry(mug, shelf, right)
place(mug, shelf, right)
"""
WRONG = """objects mug, table
initially on(mug, table)
reach(mug, right)
lift(mug, right)
find(spoon)
"""


@pytest.fixture
def write(tmp_path):
    def write(text, name='program.txt'):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return str(path)
    return write


def test_a_sound_program_is_sound(write, capsys):
    path = write(SOUND)
    assert main(['program', 'check', path]) == 0
    assert capsys.readouterr().out == f'{path}: sound, 5 sub-actions\n'


@pytest.mark.parametrize('form', ['text', 'json'])
def test_each_violation_has_its_line(form, write, capsys):
    path = write(WRONG)
    if form == 'json':
        main(['program', 'convert', path, '--to', 'json'])
        path = write(capsys.readouterr().out, 'program.json')
    assert main(['program', 'check', path]) == 1
    lift, spoon = capsys.readouterr().out.splitlines()
    assert lift.startswith(f'{path}:4: lift(mug, right) needs contact(mug, right)')
    assert spoon.startswith(f"{path}:5: find(spoon): 'spoon' is not declared")


def test_text_and_json_lead_back_to_each_other(write, tmp_path, capsys):
    path = write(SOUND)
    out = tmp_path / 'program.json'
    assert main(['program', 'convert', path, '--to', 'json', '--out', str(out)]) == 0
    assert json.loads(out.read_bytes())['objects'] == ['mug', 'table', 'shelf']
    assert main(['program', 'convert', str(out), '--to', 'text']) == 0
    assert capsys.readouterr().out == SOUND
    assert sorted(p.name for p in tmp_path.iterdir()) == ['program.json', 'program.txt']


def test_a_picture_is_written(write, tmp_path):
    out = tmp_path / 'program.png'
    assert main(['program', 'draw', write(WRONG), '--out', str(out)]) == 0
    with Image.open(out) as picture:
        assert picture.format == 'PNG'
        assert min(picture.size) > 300
        assert (0xc1, 0x12, 0x1f) in {color for _, color in picture.convert('RGB').getcolors(
            1 << 20)}


@pytest.mark.parametrize(('arguments', 'message'), [
    (['convert', '--to', 'text', '--out', 'FILE'], 'program itself'),
    (['draw', '--out', 'FILE'], 'program itself'),
    (['convert', '--to', 'json', '--out', 'none/such/folder/x.json'], 'cannot be written')])
def test_what_cannot_be_written_is_refused(arguments, message, write, capsys):
    path = write(SOUND)
    assert main(['program', *(path if word == 'FILE' else word for word in arguments), path]
                ) == 2
    assert message in capsys.readouterr().err
    with open(path) as file:
        assert file.read() == SOUND


def test_a_link_to_the_program_is_the_program(write, tmp_path):
    path = write(SOUND)
    link = tmp_path / 'link.txt'
    link.symlink_to(path)
    assert main(['program', 'convert', path, '--to', 'text', '--out', str(link)]) == 2


def test_a_run_tells_what_changes(write, capsys):
    assert main(['program', 'run', write(SOUND)]) == 0
    assert capsys.readouterr().out.splitlines() == [
        '1  reach(mug, right)', '     + near(mug, right)',
        '2  grasp(mug, right)', '     + contact(mug, right)',
        '3  lift(mug, right)', '     + in_hand(mug, right)', '     - on(mug, table)',
        '4  carry(mug, shelf, right)', '     + near(shelf, right)', '     - near(mug, right)',
        '5  place(mug, shelf, right)', '     + near(mug, right)', '     + on(mug, shelf)',
        '     - in_hand(mug, right)', '     - near(shelf, right)', 'done, 5 sub-actions']


@pytest.mark.parametrize(('text', 'status', 'message'), [
    (WRONG, 1, 'stopped after 1 sub-action: line 4: lift(mug, right) cannot be done'),
    ('objects mug\ncall tidy\n', 2, 'line 2: call tidy: there is no such routine'),
    ('objects mug\nroutine a { call b }\nroutine b { call a }\ncall a\n', 1,
     'ran 50 statements and did not end'),
    ('objects mug\nwhile not open(mug) { find(mug) }\n', 1, 'did not end')])
def test_a_run_that_does_not_end_says_why(text, status, message, write, capsys):
    assert main(['program', 'run', write(text), '--max-steps', '50']) == status
    assert message in capsys.readouterr().err


def test_words_of_a_file_stand_in_the_tables(write, capsys):
    words = write('sub_verbs:\n  sniff: {objects: [a], hand: none, meaning: smell A}\n', 'w.yaml')
    assert main(['program', 'words', '--vocabulary', words]) == 0
    verbs, predicates = capsys.readouterr().out.split('\n\n')
    for table in (verbs, predicates):
        header, *rows = table.splitlines()
        start = header.index('MEANING')
        assert all(row[start - 1] == ' ' and row[start] != ' ' for row in rows)
    assert verbs.splitlines()[-1].startswith('sniff')
    assert 'slide' in verbs
    assert 'a, [b], hand' in verbs
    assert main(['program', 'check', write('objects mug\nsniff(mug)\n'),
                 '--vocabulary', words]) == 0
    assert main(['program', 'check', write('objects mug\nsniff(mug)\n')]) == 2


@pytest.mark.parametrize(('content', 'name', 'message'), [
    (b'\xff\xfe', 'p.txt', 'SOURCE_UNREADABLE'), (b'{' * 10, 'p.json', 'PROGRAM_INVALID'),
    (b'x' * ((1 << 25) + 1), 'p.json', 'larger than 33,554,432'),
    (b'#' * 65537, 'p.txt', 'longer than 65,536'), (b'', 'p.txt', 'PROGRAM_INVALID'),
    (b'objects mug\nfly(mug)\n', 'p.txt', 'line 2: column 1')])
def test_bad_input_is_told(content, name, message, write, capsys):
    path = write(content, name)
    assert main(['program', 'check', path]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert path in error


@pytest.mark.parametrize('name', ['missing.txt', '.'])
def test_what_is_no_file_is_told(name, tmp_path, capsys):
    assert main(['program', 'check', str(tmp_path / name)]) == 2
    assert 'SOURCE_UNREADABLE' in capsys.readouterr().err


def test_standard_input_is_read_in_both_forms(write, capsys, monkeypatch):
    main(['program', 'convert', write(SOUND), '--to', 'json'])
    for text in (capsys.readouterr().out, SOUND):
        monkeypatch.setattr(sys, 'stdin', io.TextIOWrapper(io.BytesIO(text.encode())))
        assert main(['program', 'check', '-']) == 0
        assert capsys.readouterr().out == '-: sound, 5 sub-actions\n'


def test_exit_status_of_the_process(start, write):
    started = [start('program', 'check', write(SOUND, 'sound.txt')),
               start('program', 'run', write(WRONG, 'wrong.txt')),
               start('program', 'check', '/none')]
    ends = [command.finish() for command in started]
    assert [end[0] for end in ends] == [0, 1, 2]
    assert all('Traceback' not in end[2] for end in ends)


def test_a_reader_that_has_seen_enough(write):
    """As `lego-ros program words | head -1`: more than a pipe holds is left to write."""
    words = 'sub_verbs:\n' + ''.join(
        f'  verb_{number}: {{objects: [a], hand: none, meaning: {"long " * 40}}}\n'
        for number in range(2000))
    process = subprocess.Popen(
        [sys.executable, '-m', 'lego_ros.cli', 'program', 'words', '--vocabulary',
         write(words, 'w.yaml')], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    with process:
        assert process.stdout.readline().startswith('SUB-VERB')
        process.stdout.close()
        assert process.stderr.read() == ''
        assert process.wait(60) == 141
