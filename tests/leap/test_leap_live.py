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

"""Trained networks on a live camera: as they were trained, and from what folders."""

import json

from lego_ros.errors import ErrorCode, LegoError
from lego_ros.leap import trained
from lego_ros.leap.frames import prepare
from lego_ros.leap.live import load_watchers, square
from lego_ros.leap.prediction import context_of, probabilities
from lego_ros.leap.trained import load_trained
from lego_ros.training.leap import train
from lego_ros.training.leap.sampling import AnticipationSettings
from lego_ros.training.leap.settings import LeapSettings
import numpy as np
import pytest
import torch


@pytest.fixture
def folder(tmp_path, tiny):
    """Make what a training leaves behind."""
    def make(name='leap', span_seconds=2.0, **changes):
        network = tiny(**changes)
        settings = LeapSettings(
            network=network.config,
            anticipation=AnticipationSettings(lead=0.5, span_seconds=span_seconds))
        path = tmp_path / name
        path.mkdir()
        network.save(path / train.RESULT)
        (path / train.RECORD).write_text(json.dumps(
            {'stage': 'leap', 'settings': settings.model_dump(mode='json')}))
        return path
    return make


def ahead(folder, **changes):
    return folder(task='anticipation', aggregated_clips=3, **changes)


def test_names_of_the_files_are_those_of_training():
    assert (trained.RESULT, trained.RECORD) == (train.RESULT, train.RECORD)


def test_both_networks_are_loaded_as_they_were_trained(folder):
    now, then = load_watchers(str(folder('now')), str(ahead(folder, name='then')), 3.0, 0.0)
    assert (now.task, now.name, now.lead) == ('recognition', 'now', 0.0)
    assert (now.sight.clips, now.sight.span, now.sight.frames, now.sight.side) == (
        1, 3_000_000_000, 4, 16)
    assert (then.task, then.name, then.lead) == ('anticipation', 'then', 0.5)
    assert (then.sight.clips, then.sight.span) == (3, 2_000_000_000)
    assert now.sha256 != then.sha256
    assert len(now.sha256) == len(now.fingerprint) == 64


def test_a_span_that_is_given_goes_before(folder):
    path = str(ahead(folder, span_seconds=None))
    watcher, = load_watchers('', path, 3.0, 1.5)
    assert watcher.sight.span == 1_500_000_000
    with pytest.raises(LegoError, match=r'256 frames.*parameter span.*4\.27 at 60') as caught:
        load_watchers('', path, 3.0, 0.0)
    assert caught.value.code is ErrorCode.INVALID_SETTING


def test_no_network_is_told():
    with pytest.raises(LegoError, match='recognition, anticipation or both') as caught:
        load_watchers('', '', 3.0, 0.0)
    assert caught.value.code is ErrorCode.INVALID_SETTING


def test_a_network_of_the_other_task_is_told(folder):
    with pytest.raises(LegoError, match='was trained for recognition') as caught:
        load_watchers('', str(folder()), 3.0, 0.0)
    assert caught.value.code is ErrorCode.INVALID_SETTING


@pytest.mark.parametrize(('break_it', 'words'), [
    (lambda path: (path / 'training.json').unlink(), 'no folder of a finished LEAP training'),
    (lambda path: (path / 'training.json').write_text('{'), 'training.json'),
    (lambda path: (path / 'training.json').write_text('{"settings": {"anticipation": {'
                                                      '"lead": -1, "span_frames": 8, '
                                                      '"span_seconds": null}}}'),
     'settings.anticipation.lead'),
    (lambda path: (path / 'training.json').write_bytes(b' ' * (1 << 20) + b'{}'), 'bytes'),
    (lambda path: (path / 'result' / 'classes.json').unlink(), 'classes.json'),
    (lambda path: (path / 'result' / 'model.safetensors').write_bytes(b'12345678'),
     'model.safetensors')])
def test_a_folder_that_is_damaged_is_told(folder, break_it, words):
    path = folder()
    break_it(path)
    with pytest.raises(LegoError, match=words) as caught:
        load_trained(path, 'recognition')
    assert caught.value.code is ErrorCode.SOURCE_UNREADABLE
    assert str(path) in caught.value.message


def test_loading_can_be_stopped(folder):
    def check():
        raise LegoError(ErrorCode.NOT_ACTIVE, 'stop')
    with pytest.raises(LegoError, match='stop'):
        load_watchers(str(folder('now')), str(ahead(folder, name='then')), 3.0, 0.0, check=check)


def test_clips_that_there_are_not_yet_are_masked_as_in_training(folder):
    watcher, = load_watchers('', str(ahead(folder)), 3.0, 0.0)
    network = load_trained(folder(name='again', task='anticipation', aggregated_clips=3),
                           'anticipation').network
    rng = np.random.default_rng(0)
    clips = [None, *(rng.integers(0, 256, (4, 16, 16, 3), dtype=np.uint8) for _ in range(2))]
    found = watcher.recognise(clips)
    with torch.no_grad():
        # What training does: a black clip, which is said to be absent.
        past = [probabilities(network(prepare(clip, 16)[None]).program)
                for clip in (np.zeros((4, 16, 16, 3), np.uint8), clips[1])]
        present = torch.tensor([[False, True]])
        output = network(prepare(clips[2], 16)[None], context_of(past, present))
    assert [each.score for each in found.actions] == pytest.approx(
        sorted(output.action[0].softmax(-1).tolist(), reverse=True), abs=1e-5)
    whole = watcher.recognise([clips[1], *clips[1:]])
    assert whole.actions != found.actions


def test_words_of_an_action(folder):
    watcher, = load_watchers(str(folder()), '', 3.0, 0.0)
    watcher.warm_up()
    found = watcher.recognise([np.zeros((4, 16, 16, 3), np.uint8)])
    assert {watcher.words(each.name) for each in found.actions} == {
        ('open', 'drawer'), ('take', 'knife'), ('take', 'cucumber'), ('cut', 'cucumber')}


def test_between_two_clips_it_can_be_stopped(folder):
    watcher, = load_watchers('', str(ahead(folder)), 3.0, 0.0)

    def check():
        raise LegoError(ErrorCode.NOT_ACTIVE, 'stop')
    with pytest.raises(LegoError, match='stop'):
        watcher.recognise([np.zeros((4, 16, 16, 3), np.uint8)] * 3, check)


@pytest.mark.parametrize('shape', [(48, 64), (64, 48), (16, 16), (9, 12)])
def test_a_square_is_what_training_makes_of_the_frame(shape):
    """To a grey level: the network sees the same, whether it was shrunk before or is now."""
    smooth = np.add.outer(np.arange(shape[0]) * 3, np.arange(shape[1]) * 2)
    rgb = np.stack([smooth % 256, (2 * smooth) % 256, np.full(shape, 70)], -1).astype(np.uint8)
    rgb.setflags(write=False)
    small = square(rgb, 16)
    assert (small.shape, small.dtype) == ((16, 16, 3), np.uint8)
    difference = prepare(small[None], 16) - prepare(rgb.copy()[None], 16)
    assert float(difference.abs().max()) * 0.225 * 255 <= 1.01
