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

"""``lego-ros programs`` over rows of EPIC-KITCHENS' form, with a server on this machine."""

from http.server import BaseHTTPRequestHandler, HTTPServer
import json
import os
from pathlib import Path
import re
import threading

from lego_ros.cli import main, programs
from lego_ros.sim.episode import sample_episode
from lego_ros.sim.render import Renderer
from lego_ros.training.export.observation import Observer
from lego_ros.training.export.truth import truth_of
from lego_ros.training.programs.constraint import Constraint
from PIL import Image
import pytest

COLUMNS = ('narration_id,participant_id,video_id,narration_timestamp,start_timestamp,'
           'stop_timestamp,start_frame,stop_frame,narration,verb,verb_class,noun,noun_class,'
           'all_nouns,all_noun_classes')


@pytest.fixture
def epic(tmp_path):
    rows = [f"P01_101_{k},P01,P01_101,,00:00:1{k}.00,00:00:1{k}.90,{500 + 50 * k},{545 + 50 * k},"
            f"take {noun},take,0,{noun},{k},['{noun}'],[{k}]"
            for k, noun in enumerate(('mug', 'plate', 'knife'))]
    path = tmp_path / 'EPIC_100_train.csv'
    path.write_text('\n'.join([COLUMNS, *rows, 'broken,row']) + '\n')
    return path


@pytest.fixture
def url():
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers['Content-Length'])))
            asked = body['messages'][1]['content'].split('Now write the program')[1]
            noun = re.search(r'-[\d.]+ .*?([a-z]+)\n', asked)[1]
            text = f'objects {noun}_1\nreach({noun}_1, right)\n'
            data = json.dumps({'model': 'm', 'choices': [{'message': {'content': text}}],
                               'usage': {'prompt_tokens': 9, 'completion_tokens': 3}}).encode()
            self.send_response(200)
            self.send_header('Content-Length', str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *args):
            pass

    server = HTTPServer(('127.0.0.1', 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={'poll_interval': 0.02},
                              daemon=True)
    thread.start()
    yield f'http://127.0.0.1:{server.server_port}/v1'
    server.shutdown()
    server.server_close()
    thread.join()


def generate(*words):
    return main(['programs', 'generate', *map(str, words)])


def test_from_annotations_to_programs_and_report(epic, url, tmp_path, capsys):
    out = tmp_path / 'out'
    sounds = tmp_path / 'sounds.csv'
    sounds.write_text('video_id,start_timestamp,stop_timestamp,class\n'
                      'P01_101,00:00:10.100,00:00:10.500,rustle\n')
    assert generate('--epic', epic, '--server', url, '--model', 'm', '--out', out,
                    '--sounds', sounds, '--prices', 1, 2) == 0
    said = capsys.readouterr().out
    assert '3 programs of 3 clips asked about: coverage 100.0%' in said
    assert 'malformed 1' in said
    assert 'cost' in said
    first = json.loads((out / 'programs.jsonl').read_text().splitlines()[0])
    assert first['descriptors'] == (
        'clip: 0.9 s\nnarrations:\n  0.0-0.9 take mug\naudio:\n  0.1-0.5 rustle\n')
    assert first['program']['objects'] == ['mug_1']
    (out / 'report.png').unlink()
    assert main(['programs', 'report', str(out)]) == 0
    assert 'coverage 100.0%' in capsys.readouterr().out
    with Image.open(out / 'report.png') as picture:
        assert picture.width > 3 * picture.height > 900


def test_the_kitchen(url, tmp_path, capsys):
    episode = sample_episode(2)
    with Renderer(episode, 64, 64, 0) as renderer:
        record = truth_of(Observer(episode, renderer, 64), 0, 'train', 'a0', 'v', 1.0)
    truth = tmp_path / 'truth.jsonl'
    truth.write_text(record.model_dump_json() + '\n')
    assert generate('--kitchen', truth, '--server', url, '--model', 'm',
                    '--out', tmp_path / 'o') == 0
    told = json.loads((tmp_path / 'o' / 'programs.jsonl').read_text())['descriptors']
    for name in ('narrations', 'audio', 'camera', 'objects', 'contact'):
        assert f'\n{name}:' in told


def test_limit(epic, url, tmp_path, capsys):
    assert generate('--epic', epic, '--server', url, '--model', 'm', '--out', tmp_path / 'o',
                    '--limit', 2) == 0
    assert '2 programs of 2 clips asked about' in capsys.readouterr().out


@pytest.mark.parametrize(('words', 'message'), [
    (('--focal', '0.8'), '--videos goes with'), (('--videos', '.'), '--videos goes with'),
    (('--sounds', 'no.csv'), "'no.csv'"), (('--exemplars', '99'), 'from 1 to 16'),
    (('--server', 'ftp://x'), 'no address'), (('--constraint', 'magic'), 'invalid choice'),
    (('--fields', 'no'), "'no'"), (('--detections', 'no.jsonl'), "'no.jsonl'")])
def test_bad_settings(epic, url, tmp_path, capsys, words, message):
    before = ('--epic', epic, '--server', url, '--model', 'm', '--out', tmp_path / 'out')
    try:
        status = generate(*before, *words)
    except SystemExit as ended:
        status = ended.code
    assert status == 2
    assert message in capsys.readouterr().err


def test_sources_of_epic_need_epic(url, tmp_path, capsys):
    annotations = tmp_path / 'fho_main.json'
    annotations.write_text('{"videos": []}')
    assert generate('--ego4d', annotations, '--server', url, '--model', 'm', '--out',
                    tmp_path / 'o', '--visor', tmp_path) == 2
    assert '--visor is of EPIC-KITCHENS: it needs --epic' in capsys.readouterr().err


def test_no_run_to_report(tmp_path, capsys):
    assert main(['programs', 'report', str(tmp_path)]) == 2
    assert 'no summary of a finished run' in capsys.readouterr().err


def test_the_names_of_constraints():
    assert tuple(each.value for each in Constraint) == programs.CONSTRAINTS


@pytest.fixture
def real():
    folder = os.environ.get('LEGO_EPIC_ANNOTATIONS')
    if not folder:
        pytest.skip('LEGO_EPIC_ANNOTATIONS names no folder of EPIC-KITCHENS-100 annotations')
    return next(path for path in sorted(Path(folder).glob('EPIC_100_*.csv'))
                if ',narration,' in path.open().readline())


def test_over_the_real_annotations(real, url, tmp_path, capsys):
    assert generate('--epic', real, '--server', url, '--model', 'm', '--out', tmp_path / 'o',
                    '--limit', 40) == 0
    assert 'of 40 clips asked about' in capsys.readouterr().out
