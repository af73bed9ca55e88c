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

"""Objects and what hands touch: files of detections, a real detector, VISOR."""

import json

from lego_ros.errors import ErrorCode, LegoError
from lego_ros.training.data.hand_objects import HandSide, HandState
from lego_ros.training.data.layout import Footage
from lego_ros.training.descriptors.clip import Part, Span
from lego_ros.training.descriptors.contact import (
    HandObjects,
    NO_FILE,
    NO_FRAMES,
    NO_HANDS,
    VisorContacts,
)
from lego_ros.training.descriptors.detections import Detections, NOT_LOOKED_AT
from lego_ros.training.export.clips import write_video
import numpy as np
import pytest

LEFT, RIGHT = HandSide.LEFT, HandSide.RIGHT
FREE, HOLDS, FIXED = HandState.NONE, HandState.PORTABLE_OBJECT, HandState.STATIONARY_OBJECT


def write_detections(path, frames):
    path.write_text(''.join(json.dumps({'video_id': 'P01_101', 'time': time, 'objects': [
        {'name': name, 'score': score, 'box': box} for name, score, box in objects]}) + '\n'
        for time, objects in frames))
    return path


BOX = [0.4, 0.4, 0.6, 0.6]


def test_detected_objects(tmp_path, clip):
    path = write_detections(tmp_path / 'objects.jsonl', [
        (12.0, [('mug', 0.9, BOX)]), (10.0, [('mug', 0.9, BOX), ('knife', 0.4, BOX)]),
        (11.0, []), (13.0, [('mug', 0.9, BOX), ('mug', 0.8, BOX), ('tap', 0.5, BOX)]),
        (14.0, [('after', 0.9, BOX)])])
    source = Detections(path)
    part, empty, none = source.parts('P01_101', [
        clip(), clip(10.5, 11.5), clip(15, 16)])
    assert part.spans == (
        Span(0.0, 2.0, 'mug'), Span(3.0, 3.0, 'mug x 2'), Span(3.0, 3.0, 'tap'))
    assert empty == Part()
    assert none == Part(note=NOT_LOOKED_AT)
    assert source.parts('P09_09', [clip()]) == [Part(note=NOT_LOOKED_AT)]


def test_a_box_gets_its_name_from_what_lies_there(tmp_path):
    source = Detections(write_detections(tmp_path / 'objects.jsonl', [
        (1.0, [('mug', 0.9, BOX), ('counter', 0.9, [0, 0, 1, 1])])]))
    assert source.name_at('P01_101', 1.4, (0.42, 0.4, 0.6, 0.6)) == 'mug'
    assert source.name_at('P01_101', 1.6, (0.42, 0.4, 0.6, 0.6)) is None
    assert source.name_at('P01_101', 1.0, (0.0, 0.0, 0.1, 0.1)) is None
    assert source.name_at('P02_101', 1.0, (0.42, 0.4, 0.6, 0.6)) is None


@pytest.mark.parametrize(('change', 'message'), [
    ({'time': -1}, 'time'), ({'time': 'NaN'}, 'time'), ({'more': 1}, 'more'),
    ({'objects': [{'name': 'a', 'score': 2, 'box': BOX}]}, r'objects\.0\.score'),
    ({'objects': [{'name': '', 'score': 1, 'box': BOX}]}, r'objects\.0\.name'),
    ({'objects': [{'name': 'a', 'score': 1, 'box': [0.5, 0, 0.5, 1]}]}, 'no area'),
    ({'objects': [{'name': 'a', 'score': 1, 'box': BOX}] * 1001}, 'objects')])
def test_bad_detections_are_named(tmp_path, change, message):
    path = tmp_path / 'objects.jsonl'
    good = {'video_id': 'v', 'time': 0.0, 'objects': []}
    path.write_text(json.dumps(good) + '\n' + json.dumps({**good, **change}) + '\n')
    with pytest.raises(LegoError, match=f'line 2: .*{message}') as caught:
        Detections(path)
    assert caught.value.code == ErrorCode.SOURCE_UNREADABLE


def test_contacts_of_detected_hands(hand_objects, clip, log):
    frames = {501 + k: [(LEFT, HOLDS, 0.9), (RIGHT, FREE, 0.9)] for k in range(50)}
    # The detector loses the hand for a few frames, and is not sure of another one.
    frames |= {510 + k: [] for k in range(5)}
    frames |= {551 + k: [(LEFT, FIXED, 0.9), (RIGHT, HOLDS, 0.2)] for k in range(20)}
    frames[571] = [(LEFT, HandState.SELF, 0.9)]
    part, = HandObjects(hand_objects(frames), log).parts('P01_101', [clip()])
    assert [(round(span.start, 2), round(span.end, 2), span.text) for span in part.spans] == [
        (0.0, 0.98, 'left hand holds a thing'), (0.0, 0.98, 'right hand free'),
        (1.0, 1.38, 'left hand touches something fixed')]


def test_what_hands_touch_is_named_by_other_detections(hand_objects, tmp_path, clip, log):
    names = Detections(write_detections(tmp_path / 'o.jsonl', [(10.0, [('mug', 0.9, BOX)])]))
    folder = hand_objects({501 + k: [(LEFT, HOLDS, 0.9)] for k in range(60)})
    part, = HandObjects(folder, log, names.name_at).parts('P01_101', [clip()])
    assert [span.text for span in part.spans] == [
        'left hand holds mug', 'left hand holds a thing']


def test_detections_without_hands(hand_objects, clip, log):
    source = HandObjects(hand_objects({501 + k: [] for k in range(100)}), log)
    part, later = source.parts('P01_101', [clip(), clip(20, 21)])
    assert part == Part(note=NO_HANDS)
    assert later == Part(note=NO_FRAMES)
    assert source.parts('P02_102', [clip()]) == [Part(note=NO_FILE)]


def test_contacts_of_visor(visor, clip, log):
    hand, other = ('h1', 'left hand', 300), ('h2', 'right hand', 301)
    mug = ('m', 'mug', 13, None)
    folder = visor({
        10.0: [(*hand, 'm'), (*other, 'hand-not-in-contact'), mug],
        12.0: [(*hand, 'm'), (*other, 'none-of-the-above'), mug],
        13.0: [(*hand, 'inconclusive'), (*other, None)],
        13.5: [(*hand, 'm'), mug]}, unmapped=(13.5,))
    part, none = VisorContacts(folder, log).parts('P01_101', [clip(), clip(30, 31)])
    assert part.spans == (
        Span(0.0, 2.0, 'left hand touches mug'), Span(0.0, 0.0, 'right hand free'),
        Span(2.0, 2.0, 'right hand touches a thing'))
    assert none == Part(note=NO_FRAMES)


@pytest.mark.parametrize('source', [HandObjects, VisorContacts])
def test_folders_that_are_not_there(tmp_path, log, source):
    with pytest.raises(LegoError) as caught:
        source(tmp_path / 'none', log)
    assert caught.value.code == ErrorCode.SOURCE_UNREADABLE


@pytest.fixture(scope='module')
def detector(tmp_path_factory):
    """Save a tiny YOLOS that sees the same things in every frame."""
    import torch
    from transformers import YolosConfig, YolosForObjectDetection, YolosImageProcessorPil

    folder = tmp_path_factory.mktemp('yolos')
    config = YolosConfig(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16,
        image_size=[32, 32], patch_size=16, num_detection_tokens=3,
        id2label={0: 'mug', 1: 'knife'}, label2id={'mug': 0, 'knife': 1})
    torch.manual_seed(0)
    model = YolosForObjectDetection(config)
    last = model.class_labels_classifier.layers[-1]
    with torch.no_grad():
        last.weight.zero_()
        last.bias.copy_(torch.tensor([-9.0, 9.0, -9.0]))
    model.save_pretrained(folder)
    YolosImageProcessorPil(size={'height': 32, 'width': 32}).save_pretrained(folder)
    return folder


def test_a_detector_looks_at_frames(detector, tmp_path, clip, log):
    from lego_ros.training.descriptors.object_detector import ObjectDetector

    path = tmp_path / 'v.mp4'
    write_video(path, (np.full((64, 64, 3), 5 * k, np.uint8) for k in range(40)), 64)
    source = ObjectDetector(detector, lambda video: Footage('v.mp4', path), log)
    part, beyond = source.parts('v', [clip(0.0, 1.2), clip(5.0, 6.0, clip_id='late')])
    assert part == Part((Span(0.0, 0.6, 'knife x 3'),))
    assert beyond == Part(note=NOT_LOOKED_AT)
    assert log.counts == {'out_of_video': 1}


def test_models_are_whole_or_refused(detector, tmp_path, log):
    import shutil

    from lego_ros.training.descriptors.object_detector import ObjectDetector
    from safetensors.torch import load_file, save_file

    damaged = tmp_path / 'damaged'
    shutil.copytree(detector, damaged)
    weights = load_file(damaged / 'model.safetensors')
    weights.pop('class_labels_classifier.layers.2.bias')
    save_file(weights, damaged / 'model.safetensors', {'format': 'pt'})
    for folder, message in ((tmp_path / 'none', 'no such folder'),
                            (damaged, 'weights are missing')):
        with pytest.raises(LegoError, match=message) as caught:
            ObjectDetector(folder, None, log)
        assert caught.value.code == ErrorCode.SOURCE_UNREADABLE
