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

"""Sounds by a real, tiny audio spectrogram transformer on real sound tracks."""

import av
from lego_ros.errors import LegoError
from lego_ros.training.data.layout import Footage
from lego_ros.training.descriptors.audio_classifier import (
    AudioClassifier,
    NO_SOUND,
    NO_VIDEO,
    read_sound,
)
from lego_ros.training.descriptors.clip import Part, Span
from lego_ros.training.export.clips import write_video
import numpy as np
import pytest
import torch
from transformers import ASTConfig, ASTFeatureExtractor, ASTForAudioClassification

RATE = 16000


def write_sound(path, sound, rate=22050):
    """Write a sound track in stereo, uncompressed, of another rate than the model's."""
    with av.open(str(path), 'w', format='matroska') as container:
        stream = container.add_stream('pcm_s16le', rate=rate, layout='stereo')
        samples = (np.stack([sound, sound], axis=1).reshape(1, -1) * 32767).astype(np.int16)
        for start in range(0, samples.shape[1], 4096):
            block = np.ascontiguousarray(samples[:, start:start + 4096])
            frame = av.AudioFrame.from_ndarray(block, format='s16', layout='stereo')
            frame.sample_rate, frame.pts = rate, start // 2
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


@pytest.fixture(scope='module')
def classifier(tmp_path_factory):
    """Save a tiny AST that always hears water, and cutting nearly as likely."""
    folder = tmp_path_factory.mktemp('ast')
    config = ASTConfig(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16,
        max_length=64, num_mel_bins=16, id2label={0: 'water', 1: 'rustle', 2: 'cut / chop'},
        label2id={'water': 0, 'rustle': 1, 'cut / chop': 2})
    torch.manual_seed(0)
    model = ASTForAudioClassification(config)
    with torch.no_grad():
        model.classifier.dense.weight.zero_()
        model.classifier.dense.bias.copy_(torch.tensor([2.0, -2.0, 1.8]))
    model.save_pretrained(folder)
    ASTFeatureExtractor(num_mel_bins=16, max_length=64).save_pretrained(folder)
    return folder


def test_sound_is_cut_out_at_the_right_times(tmp_path):
    # Silence but for one second from 2.0 s on.
    time = np.arange(5 * 22050) / 22050
    sound = np.where((time >= 2) & (time < 3), 0.5 * np.sin(2 * np.pi * 440 * time), 0.0)
    path = write_sound(tmp_path / 's.mkv', sound)
    windows = [(2.2, 2.8), (0.0, 1.9), (1.5, 2.5), (4.5, 6.0), (7.0, 8.0), (3.1, 4.0)]
    found = dict(read_sound(path, windows, RATE))
    assert set(found) == {0, 1, 2, 3, 5}
    assert (len(found[0]), len(found[2])) == (0.6 * RATE, RATE)
    assert len(found[3]) == pytest.approx(0.5 * RATE, abs=RATE * 0.01)
    assert found[0].dtype == np.float32
    loud = {place: float(np.sqrt(np.mean(piece ** 2))) for place, piece in found.items()}
    assert loud[0] == pytest.approx(0.5 / np.sqrt(2), rel=0.02)
    assert max(loud[1], loud[3], loud[5]) < 0.01
    quiet, heard = np.split(found[2], 2)
    assert np.abs(quiet[:-200]).max() < 0.02 < np.abs(heard).max()


def test_a_classifier_listens(classifier, tmp_path, clip, log):
    path = write_sound(tmp_path / 's.mkv', np.zeros(5 * 22050))
    source = AudioClassifier(classifier, lambda video: Footage('s.mkv', path), log)
    part, short, beyond = source.parts('s', [
        clip(0.5, 4.0), clip(4.0, 8.0, clip_id='b'), clip(9.0, 9.5, clip_id='c')])
    assert part == Part((Span(0.0, 3.5, 'water'), Span(0.0, 3.5, 'cut / chop')))
    assert [span.text for span in short.spans] == ['water', 'cut / chop']
    assert short.spans[0].end == pytest.approx(1.0, abs=0.01)
    assert short.note == '1 of 2 pieces of sound could be read'
    assert beyond == Part(note='0 of 1 pieces of sound could be read')


def test_videos_without_sound_are_said_to_be_without(classifier, tmp_path, clip, log):
    silent = tmp_path / 'silent.mp4'
    write_video(silent, (np.zeros((32, 32, 3), np.uint8) for _ in range(10)), 32)
    for path, note in ((silent, NO_SOUND), (tmp_path, NO_SOUND), (tmp_path / 'no.mp4', NO_VIDEO)):
        source = AudioClassifier(classifier, lambda video, path=path: Footage('v', path), log)
        assert source.parts('v', [clip()]) == [Part(note=note)]
    broken = tmp_path / 'broken.mp4'
    broken.write_bytes(b'no video')
    source = AudioClassifier(classifier, lambda video: Footage('v', broken), log)
    part, = source.parts('v', [clip(0.0, 1.0)])
    assert part == Part(note='0 of 1 pieces of sound could be read')
    assert log.counts == {'truncated': 1}


def test_a_folder_without_a_model(tmp_path, log):
    (tmp_path / 'config.json').write_text('{}')
    with pytest.raises(LegoError, match='cannot be loaded'):
        AudioClassifier(tmp_path, None, log)
