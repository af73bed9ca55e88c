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

"""recognition_node over real Fast DDS, with networks as a training leaves them behind."""

from __future__ import annotations

import gc
import json
from pathlib import Path
import threading
import weakref

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from lego_ros.leap.classes import ProgramClasses
from lego_ros.leap.config import LeapConfig, UniFormerV2Config
from lego_ros.leap.live import load_watchers
from lego_ros.leap.network import LeapNetwork
from lego_ros.msg import ActionRecognition
from lego_ros.nodes.parameters import RECOGNITION_PARAMETERS
from lego_ros.nodes.recognition_node import RecognitionNode
from lego_ros.programs.parsing import parse
from lego_ros.programs.tree import Predicate
from lego_ros.ros.image_messages import encode_compressed, encode_image
from lego_ros.ros.program_messages import from_message, read_facts
from lego_ros.ros.qos import IMAGE_PUBLISHER_QOS
import numpy as np
import pytest
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.qos import QoSProfile
from rclpy.time import Time
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header
import torch
import yaml

pytestmark = pytest.mark.ros

SUCCESS, FAILURE = TransitionCallbackReturn.SUCCESS, TransitionCallbackReturn.FAILURE
HELD = Predicate('in_hand', ('mug', 'either'))
CLASSES = ProgramClasses(
    sub_verbs=('reach', 'lift'), objects=('mug', 'other'),
    predicates=(HELD, Predicate('full', ('mug',))),
    verbs=('take', 'put', 'open', 'close', 'cut', 'pour', 'wash'), nouns=('mug', 'door'),
    actions=((0, 0), (1, 0), (5, 0), (6, 0), (2, 1), (3, 1)))
SMALL = UniFormerV2Config(
    frames=4, resolution=16, patch=8, width=16, layers=1, heads=2, return_list=(0,), n_head=2,
    mlp_dropout=0.0, cls_dropout=0.0)
FAST = {'rate': 25.0, 'window': 0.4, 'device': 'cpu'}


def make_training(folder: Path, task: str) -> Path:
    """Leave behind what a training does; the program and the verbs are the same of any clip."""
    torch.manual_seed(len(task))
    network = LeapNetwork(LeapConfig(
        backbone=SMALL, task=task, max_steps=1, head_layers=1, head_heads=2,
        aggregated_clips=3 if task == 'anticipation' else 0), CLASSES)
    head = network.program
    for layer, biases in (
            (head.sub_verb, [0, 6, 0]), (head.object_a, [0, 6, 0]), (head.pre, [-5, -5]),
            (head.post, [5, -5]), (network.verb, [6, 5, 4, 3, 2, 1, 0])):
        torch.nn.init.zeros_(layer.weight)
        layer.bias.data = torch.tensor(biases, dtype=torch.float32)
    folder.mkdir()
    network.save(folder / 'result')
    (folder / 'training.json').write_text(json.dumps({'settings': {'anticipation': {
        'lead': 0.5, 'span_frames': 256, 'span_seconds': 0.3}}}))
    return folder


@pytest.fixture(scope='module')
def trainings(tmp_path_factory):
    folder = tmp_path_factory.mktemp('trainings')
    return {task: str(make_training(folder / task, task))
            for task in ('recognition', 'anticipation')}


class Camera:
    """Publishes frames by a timer of the same executor, and hears what is told."""

    def __init__(self, ros, transport='raw'):
        self.ros = ros
        self.node = ros.node('camera')
        self.sent = {}
        self.frames = []
        self.messages = []
        self.reports = []
        self.encoding = 'rgb8'
        self.shift = 0
        self._compressed = transport == 'compressed'
        kind, topic = ((CompressedImage, 'image/compressed') if self._compressed
                       else (Image, 'image'))
        self._publisher = self.node.create_publisher(kind, topic, IMAGE_PUBLISHER_QOS)
        self.node.create_subscription(kind, topic, self.frames.append, QoSProfile(depth=1000))
        self.node.create_subscription(
            ActionRecognition, 'action_recognition', self.messages.append, 100)
        self.node.create_subscription(DiagnosticArray, '/diagnostics', self.reports.append, 10)
        self.timer = self.node.create_timer(0.02, self._publish)

    def _publish(self):
        stamp = self.node.get_clock().now().nanoseconds + self.shift
        header = Header(stamp=Time(nanoseconds=stamp).to_msg(), frame_id='eye')
        self.sent[stamp] = header
        rgb = np.full((24, 32, 3), len(self.sent) % 256, np.uint8)
        message = (encode_compressed if self._compressed else encode_image)(rgb, header)
        if not self._compressed:
            message.encoding = self.encoding
        self._publisher.publish(message)

    def expect(self, count=1):
        """Wait for messages from now on."""
        start = len(self.messages)
        self.ros.wait(lambda: len(self.messages) >= start + count, 'nothing was told')
        return self.messages[start:]

    def status(self, part, condition):
        """Wait for a report, from now on, that fulfils a condition."""
        del self.reports[:]
        name = f'/recognition_node: {part}'

        def found():
            return next((status for report in self.reports for status in report.status
                         if status.name == name and condition(status)), None)
        self.ros.wait(found, f'{part} never said so')
        status = found()
        return status, {pair.key: pair.value for pair in status.values}


@pytest.fixture
def camera(ros):
    return Camera(ros)


@pytest.fixture
def start(ros):
    nodes = []

    def start(parameters, up=True, **kwargs):
        node = ros.start(RecognitionNode, {**FAST, **parameters}, **kwargs)
        nodes.append(node)
        if up:
            assert node.trigger_configure() == SUCCESS
            assert node.trigger_activate() == SUCCESS
        return node
    yield start
    for node in nodes:
        node.close()


class Slow:
    """Makes networks that wait until they are let go, or fail."""

    def __init__(self, folder):
        self.folder = folder
        self.started, self.go = threading.Semaphore(0), threading.Event()
        self.failure = None
        self.networks = []

    def load(self, values, check):
        watcher, = load_watchers(self.folder, '', values['window'], 0.0)
        self.networks.append(weakref.ref(watcher))
        # Not a closure over the watcher, which would be a circle.
        original = type(watcher).recognise
        reference = weakref.ref(watcher)

        def recognise(clips, check=lambda: None):
            self.started.release()
            assert self.go.wait(30)
            check()
            if self.failure is not None:
                raise self.failure
            return original(reference(), clips, check)
        watcher.warm_up = lambda: None
        watcher.recognise = recognise
        return (watcher,)


@pytest.fixture
def slow(trainings):
    slow = Slow(trainings['recognition'])
    yield slow
    slow.go.set()


def stamp_of(message):
    return Time.from_msg(message.header.stamp).nanoseconds


def test_what_is_told_is_about_frames_that_were_sent(trainings, start, camera):
    start(trainings)
    messages = camera.expect(4)
    stamps = [stamp_of(message) for message in messages]
    assert stamps == sorted(set(stamps))
    for message in messages:
        assert message.header == camera.sent[stamp_of(message)]
        (current,), (then,) = message.current, message.next
        for prediction, task, span, lead in (
                (current, 'recognition', 0.4, 0.0), (then, 'anticipation', 0.9, 0.5)):
            assert stamp_of(message) - Time.from_msg(prediction.begin).nanoseconds == span * 1e9
            assert prediction.lead.sec + prediction.lead.nanosec * 1e-9 == lead
            for scores, most in ((prediction.actions, 5), (prediction.verbs, 5),
                                 (prediction.nouns, 2)):
                values = [each.score for each in scores]
                assert len(values) == most
                assert values == sorted(values, reverse=True)
                assert 0 < sum(values) <= 1 + 1e-5
            assert [each.verb for each in prediction.verbs] == [
                'take', 'put', 'open', 'close', 'cut']
            assert prediction.verbs[0].score == pytest.approx(0.6326, abs=1e-3)
            assert {each.noun for each in prediction.verbs} == {''}
            assert sum(each.score for each in prediction.nouns) == pytest.approx(1)
            assert {(each.verb, each.noun) for each in prediction.actions} <= {
                (CLASSES.verbs[verb], CLASSES.nouns[noun]) for verb, noun in CLASSES.actions}
            source = prediction.provenance
            assert (source.bundle, source.backend, source.trained) == (task, 'torch', True)
            assert len(source.bundle_sha256) == len(source.fingerprint) == 64
            assert [each.stage for each in source.stages] == [task]


def test_the_program_is_told_with_what_holds_after_it(trainings, start, camera):
    start(trainings)
    message, = camera.expect()
    program, = message.program
    assert from_message(program) == parse(program.text) == parse(
        'objects mug reach(mug, either)')
    assert (program.checked, list(program.violations)) == (True, [])
    assert program.header == message.header
    assert program.confidence == pytest.approx(0.9951 ** 2, abs=1e-3)
    assert program.provenance == message.next[0].provenance
    assert read_facts(message.after) == (HELD,)


@pytest.mark.parametrize('task', ['recognition', 'anticipation'])
def test_one_network_does(trainings, start, camera, task):
    start({task: trainings[task]})
    message, = camera.expect()
    assert len(message.current) == (task == 'recognition')
    assert len(message.next) == (task == 'anticipation')
    assert len(message.program) == 1


def test_compressed_images(trainings, start, ros):
    camera = Camera(ros, 'compressed')
    start({'recognition': trainings['recognition'], 'image_transport': 'compressed'})
    message, = camera.expect()
    assert message.header == camera.sent[stamp_of(message)]


def test_a_slow_network_holds_up_nobody(slow, start, camera, ros):
    """Frames go on, for others too; windows that are due meanwhile are left out, not queued."""
    node = start({'rate': 50.0}, load_watchers=slow.load)
    ros.wait(lambda: slow.started.acquire(blocking=False))
    kept, heard, sent = (node._running.stream.figures().kept, len(camera.frames),
                         len(camera.sent))
    ros.wait(lambda: node._report.counts().skipped >= 5
             and node._running.stream.figures().kept >= kept + 5)
    assert len(camera.sent) - sent >= 5
    ros.wait(lambda: len(camera.frames) - heard >= len(camera.sent) - sent - 2)
    # The one that waits is the only one that was begun.
    assert not slow.started.acquire(blocking=False)
    assert not camera.messages
    slow.go.set()
    first, second = camera.expect(2)
    # The first is of long ago, the second of now: nothing was waiting in between.
    stamps = sorted(camera.sent)
    assert stamps.index(stamp_of(second)) - stamps.index(stamp_of(first)) >= 5
    _, values = camera.status('recognition', lambda status: status.level == DiagnosticStatus.OK)
    assert int(values['windows_skipped']) >= 5
    assert float(values['recognition_last_ms']) > 0


def test_of_a_stream_that_has_stopped_nothing_is_told(trainings, start, camera, ros):
    node = start({'recognition': trainings['recognition'], 'max_frame_age': 0.5})
    camera.expect()
    camera.timer.cancel()
    status, _ = camera.status(
        'recognition', lambda status: status.level == DiagnosticStatus.WARN)
    assert 'nothing is told' in status.message
    assert 'max_frame_age is 0.5 s' in status.message
    ros.wait(lambda: node._worker.idle)
    camera.status('recognition', lambda status: True)
    count = len(camera.messages)
    camera.status('recognition', lambda status: True)
    assert len(camera.messages) == count
    camera.timer.reset()
    camera.expect()
    _, values = camera.status(
        'recognition', lambda status: status.level == DiagnosticStatus.OK)
    # What was before the break does not lie right before what is after it.
    assert int(values['stream_breaks']) >= 1


def test_without_a_camera_it_says_so(trainings, start, camera):
    camera.timer.cancel()
    start({'recognition': trainings['recognition']})
    status, _ = camera.status('recognition', lambda status: 'no camera frame' in status.message)
    assert status.level == DiagnosticStatus.WARN
    assert not camera.messages


def test_a_clock_that_jumps_back(trainings, start, camera, ros):
    start({**trainings, 'max_frame_age': 60.0})
    camera.expect(2)
    camera.shift = -5_000_000_000
    before = max(camera.sent)
    ros.wait(lambda: any(stamp_of(message) < before - 4_000_000_000
                         for message in camera.messages))
    assert all(message.header == camera.sent[stamp_of(message)] for message in camera.messages)


def test_a_network_that_fails_does_not_end_the_node(slow, start, camera):
    slow.failure = RuntimeError('the weights are too heavy')
    slow.go.set()
    node = start({}, load_watchers=slow.load)
    status, values = camera.status(
        'recognition', lambda status: status.level == DiagnosticStatus.ERROR)
    assert values['last_error_code'] == 'INFERENCE_FAILED'
    assert 'the weights are too heavy' in status.message
    assert not camera.messages
    slow.failure = None
    camera.expect(2)
    assert node._report.counts().failed >= 1
    camera.status('recognition', lambda status: status.level == DiagnosticStatus.OK)


def test_frames_that_cannot_be_decoded_are_left_out(trainings, start, camera):
    camera.encoding = 'nonsense'
    start({'recognition': trainings['recognition']})
    status, values = camera.status(
        'recognition', lambda status: 'UNKNOWN_ENCODING' in status.message)
    assert status.level == DiagnosticStatus.WARN
    assert int(values['frames_undecodable']) >= 1
    assert not camera.messages
    camera.encoding = 'rgb8'
    camera.expect()


@pytest.mark.parametrize(('parameters', 'code', 'words'), [
    ({}, 'INVALID_SETTING', 'recognition, anticipation or both'),
    ({'recognition': '/no/such'}, 'SOURCE_UNREADABLE', "'/no/such'"),
    ({'anticipation': 'recognition'}, 'INVALID_SETTING', 'trained for recognition'),
    ({'recognition': 'recognition', 'device': 'tpu'}, 'INVALID_SETTING', 'tpu')])
def test_what_cannot_be_loaded_is_refused(trainings, start, camera, parameters, code, words):
    node = start({name: trainings.get(value, value) for name, value in parameters.items()},
                 up=False)
    assert node.trigger_configure() == FAILURE
    status, values = camera.status(
        'networks', lambda status: status.level == DiagnosticStatus.ERROR)
    assert values['error_code'] == code
    assert words in status.message
    assert 'networks' not in {thread.name for thread in threading.enumerate()}


def test_up_and_down(slow, start, camera):
    """Frames are kept while it is active, networks while it is configured."""
    slow.go.set()
    node = start({}, load_watchers=slow.load)
    camera.expect()
    assert {'stream', 'networks'} <= {thread.name for thread in threading.enumerate()}
    stream = weakref.ref(node._running.stream)
    assert node.trigger_deactivate() == SUCCESS
    gc.collect()
    assert stream() is None
    assert 'stream' not in {thread.name for thread in threading.enumerate()}
    camera.status('recognition', lambda status: status.message == 'not active')
    count = len(camera.messages)
    camera.status('camera', lambda status: status.message == 'not active')
    assert len(camera.messages) == count
    assert slow.networks[0]() is not None
    assert node.trigger_activate() == SUCCESS
    camera.expect()
    assert node.trigger_deactivate() == SUCCESS
    assert node.trigger_cleanup() == SUCCESS
    gc.collect()
    assert slow.networks[0]() is None
    assert 'networks' not in {thread.name for thread in threading.enumerate()}
    camera.status('networks', lambda status: status.message == 'not configured')
    assert node.trigger_configure() == SUCCESS
    assert node.trigger_activate() == SUCCESS
    camera.expect()
    assert len(slow.networks) == 2


def test_deactivating_ends_what_is_computed(slow, start, camera, ros):
    node = start({}, load_watchers=slow.load)
    ros.wait(lambda: slow.started.acquire(blocking=False))
    stopping = threading.Thread(target=node.trigger_deactivate)
    stopping.start()
    ros.wait(lambda: node._worker._running.token.canceled)
    assert stopping.is_alive()
    slow.go.set()
    stopping.join(20)
    assert not stopping.is_alive()
    assert not camera.messages
    assert node._report.counts().failed == 0


def test_autostart(trainings, start, camera):
    start({**trainings, 'autostart': True}, up=False)
    camera.expect()


def test_parameter_file_is_the_table():
    path = Path(__file__).parents[2] / 'config' / 'recognition.yaml'
    values = yaml.safe_load(path.read_text())['/**']['ros__parameters']
    assert values == {entry.name: entry.default for entry in RECOGNITION_PARAMETERS}
