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

"""The pictures that a query is about: bad ones, none, old ones, and cameras that are not heard."""

from __future__ import annotations

from array import array
import time

import cv2
from lego_ros.action import GenerateActionFrame
from lego_ros.errors import ErrorCode
from lifecycle_msgs.msg import Transition
import numpy as np
import pytest
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CompressedImage, Image

pytestmark = pytest.mark.ros


def with_fields(image, **fields):
    for name, value in fields.items():
        setattr(image, name, value)
    return image


BAD_PICTURES = {
    'unknown encoding': (
        {'encoding': 'rgb9'}, {}, ErrorCode.UNKNOWN_ENCODING, ['rgb9', 'rgb8']),
    'no encoding': (
        {'encoding': ''}, {}, ErrorCode.UNKNOWN_ENCODING, ['encoding']),
    'step shorter than a row': (
        {}, {'step': 100}, ErrorCode.MALFORMED_IMAGE, ['100', '64 rgb8']),
    'step that does not fit the data': (
        {}, {'step': 200}, ErrorCode.MALFORMED_IMAGE, ['9216 bytes', '9600']),
    'truncated data': (
        {}, {'data': array('B', bytes(9000))}, ErrorCode.MALFORMED_IMAGE, ['9000 bytes', '9216']),
    'no data': (
        {}, {'data': array('B')}, ErrorCode.MALFORMED_IMAGE, ['0 bytes', '9216']),
    'no columns': (
        {}, {'width': 0}, ErrorCode.MALFORMED_IMAGE, ['empty', '0 x 48']),
    'no rows': (
        {}, {'height': 0}, ErrorCode.MALFORMED_IMAGE, ['empty', '64 x 0']),
    'no size at all, but a format': (
        {}, {'width': 0, 'height': 0, 'step': 0, 'data': array('B')},
        ErrorCode.MALFORMED_IMAGE, ['empty', '0 x 0']),
    '16-bit depth': (
        {'encoding': '16UC1', 'channels': 1, 'depth': 2}, {},
        ErrorCode.NOT_A_COLOR_IMAGE, ['16UC1', 'colour']),
    'float depth': (
        {'encoding': '32FC1', 'channels': 1, 'depth': 4}, {},
        ErrorCode.NOT_A_COLOR_IMAGE, ['32FC1', 'colour']),
    'absurd size': (
        {}, {'width': 2**31, 'height': 2**31}, ErrorCode.IMAGE_TOO_LARGE, ['64000000']),
}


@pytest.mark.parametrize('name', BAD_PICTURES)
def test_bad_camera_frame(shared, name):
    """A frame of the camera that cannot be used ends its query, and only that."""
    made, spoiled, code, words = BAD_PICTURES[name]
    shared.show(with_fields(shared.picture(**made), **spoiled))

    shared.expect_outcome(shared.ask_by_topic(), code, *words)
    shared.expect_refused(shared.ask(), code, *words)
    shared.expect_answered()


@pytest.mark.parametrize('name', BAD_PICTURES)
def test_bad_goal_picture(shared, name):
    """So does the picture that a goal brings; the good frame of the camera is not taken for it."""
    made, spoiled, code, words = BAD_PICTURES[name]
    shared.show()

    goal = shared.ask(image=with_fields(shared.picture(**made), **spoiled))

    shared.expect_refused(goal, code, *words)
    shared.expect_answered(image=shared.picture())


def test_goal_without_picture_takes_the_camera(shared):
    frame = shared.show(value=77)
    answer = shared.expect_answered(image=Image())
    assert answer.header == frame.header
    assert set(answer.image.data) == {77}


@pytest.mark.parametrize(('width', 'height'), [(1, 1), (7680, 4320)])
def test_smallest_and_8k_pictures_are_answered(shared, width, height):
    answer = shared.expect_answered(image=shared.picture(width, height, value=9))
    assert (answer.image.width, answer.image.height) == (64, 64)
    assert set(answer.image.data) == {9}


def test_8k_camera_frame_is_answered(start):
    # Of any age: a hundred megabytes take longer than the default's second on a busy machine.
    lego = start(parameters={'max_frame_age': 0.})
    frame = lego.show(width=7680, height=4320, value=5)
    outcome = lego.ask_by_topic()
    assert (outcome.error_code, outcome.error_msg) == (0, '')
    assert outcome.header == frame.header


@pytest.mark.parametrize('encoding', ['bgr8', 'mono8', 'rgb16', 'bayer_rggb8', 'yuv422'])
def test_other_colour_encodings_are_answered(shared, encoding):
    """The encodings themselves have tests of their own; here they take the whole way."""
    channels = {'mono8': 1, 'bayer_rggb8': 1, 'yuv422': 2}.get(encoding, 3)
    depth = 2 if encoding == 'rgb16' else 1
    image = shared.picture(encoding=encoding, channels=channels, depth=depth, value=128)
    answer = shared.expect_answered(image=image)
    # 4:2:2 is BT.601 in the limited range: luma 128 is (128 - 16) * 255 / 219.
    assert set(answer.image.data) == {130 if encoding == 'yuv422' else 128}


def test_query_before_any_frame(start):
    lego = start()
    lego.expect_refused(lego.ask(), ErrorCode.NO_FRAME, 'camera', 'image_transport')
    lego.expect_outcome(lego.ask_by_topic(), ErrorCode.NO_FRAME, 'camera')
    status = lego.status('camera', lambda status, values: 'no frame on' in status.message)
    assert status.level == status.WARN
    lego.expect_answered()


def test_camera_stops_and_comes_back(start):
    lego = start(parameters={'max_frame_age': 0.3})
    lego.show()
    lego.status('camera', lambda status, values: status.level == status.WARN
                and 'newest frame' in status.message)
    lego.expect_refused(lego.ask(), ErrorCode.STALE_FRAME, 'max_frame_age is 0.3 s', 'use_sim')
    lego.expect_outcome(lego.ask_by_topic(), ErrorCode.STALE_FRAME, '0.3 s')
    lego.status('camera', lambda status, values: values['frames_refused_stale'] == '2')

    lego.expect_answered()
    lego.status('camera', lambda status, values: status.level == status.OK)


def test_age_zero_takes_any_frame(start):
    lego = start(parameters={'max_frame_age': 0.})
    old = lego.picture()
    old.header.stamp.sec = 1
    lego.show(old)
    _status, result = lego.ask().end()
    assert result.error_code == 0, result.error_msg
    # Decades: the age of the frame is told, not hidden.
    assert result.action_frame.provenance.frame_age.sec > 10**9


JPEG = cv2.imencode('.jpg', np.full((48, 64, 3), 90, np.uint8))[1].tobytes()


@pytest.mark.parametrize('data', [JPEG[:60], b'', b'not a JPEG', JPEG[:-200] + bytes(198)],
                         ids=['cut', 'empty', 'text', 'zeros'])
def test_corrupt_jpeg(compressed, data):
    compressed.show(CompressedImage(format='jpeg', data=data))
    compressed.expect_outcome(
        compressed.ask_by_topic(), ErrorCode.MALFORMED_IMAGE, 'image')
    compressed.expect_refused(compressed.ask(), ErrorCode.MALFORMED_IMAGE, 'image')

    frame = compressed.show(CompressedImage(format='rgb8; jpeg compressed bgr8', data=JPEG))
    status, result = compressed.ask().end()
    assert (status, result.error_code) == (4, 0), result.error_msg
    assert result.action_frame.header == frame.header
    assert set(result.action_frame.image.data) == {90}


@pytest.fixture(scope='module')
def compressed(request):
    lego = type(request.getfixturevalue('shared'))(
        request.getfixturevalue('shared').model.__class__(),
        parameters={'image_transport': 'compressed'})
    yield lego
    lego.close()


def test_publisher_with_another_qos(start):
    """
    The subscriber is made reliable by an override; a best-effort publisher is then not heard.

    The log and /diagnostics say so; a publisher that fits is heard at once.
    """
    lego = start(namespace='/strict', parameters={
        'qos_overrides./strict/image.subscription.reliability': 'reliable'})
    camera = lego.client.create_publisher(Image, 'image', QoSProfile(
        depth=1, reliability=ReliabilityPolicy.BEST_EFFORT))
    status = lego.status(
        'camera', lambda status, values: values.get('incompatible_qos_events') == '1')
    assert status.level == status.ERROR
    assert 'incompatible QoS' in status.message
    assert '/strict/image' in status.message
    camera.publish(lego.picture())
    lego.expect_refused(lego.ask(), ErrorCode.NO_FRAME, 'diagnostics')

    lego.expect_answered()
    lego.status('camera', lambda status, values: status.level == status.OK)


def test_an_override_reaches_one_node_only(start):
    """Overrides are written into the profile that rclpy is given: it must not be a shared one."""
    strict = 'qos_overrides./strict/image.subscription.reliability'
    assert start(namespace='/strict', parameters={strict: 'reliable'}).get(strict) == 'reliable'
    other = start(namespace='/other')
    name = 'qos_overrides./other/image.subscription.reliability'
    assert other.get(name) == 'best_effort'


def test_camera_costs_nothing_while_nobody_asks(start):
    """
    Frames do not wake the executor, are not fetched into Python, and are counted all the same.

    The wait set of the executor must not hold the subscription, and the answer is made from the
    newest of the frames that came.
    """
    lego = start()
    lego.show()
    lego.expect_answered()
    # Diagnostics would look for the newest frame in between.
    for timer in lego.node.timers:
        timer.cancel()
    topic = f'{lego.namespace}/image'
    group = next(subscription for subscription in lego.node.subscriptions
                 if subscription.topic_name == topic).callback_group
    assert not any(group.can_execute(subscription) for subscription in lego.node.subscriptions
                   if subscription.topic_name == topic)
    before = lego.node._camera.slot.figures()
    wakes = []
    waiting = lego.node.executor.wait_for_ready_callbacks
    lego.node.executor.wait_for_ready_callbacks = lambda *given, **named: (
        wakes.append(1), waiting(*given, **named))[1]
    for value in range(50):
        image = lego.picture(value=value)
        image.header.stamp = lego.client.get_clock().now().to_msg()
        lego.camera.publish(image)
    assert lego.node._camera.slot.figures() == before
    newest = lego.node._camera.slot

    def arrived():
        frame = newest.refresh()
        return frame.stamp == image.header.stamp.sec * 10**9 + image.header.stamp.nanosec
    lego.wait(arrived)
    assert not wakes
    lego.node.executor.wait_for_ready_callbacks = waiting

    answer = lego.ask().end()[1].action_frame
    assert set(answer.image.data) == {49}
    after = newest.figures()
    assert after.published - before.published == 50
    assert after.used - before.used == 1
    assert after.skipped - before.skipped == 49
    assert after.fetched - before.fetched < 50


def test_no_old_frame_after_a_pause(start):
    """What the camera showed before the node was deactivated is not answered from."""
    lego = start(parameters={'max_frame_age': 0.})
    lego.expect_answered()
    assert lego.change(Transition.TRANSITION_DEACTIVATE)
    assert lego.change(Transition.TRANSITION_ACTIVATE)
    lego.expect_refused(lego.ask(), ErrorCode.NO_FRAME, 'camera')
    lego.expect_answered()


def test_frame_is_taken_when_the_models_are_free(start):
    """Not when the question came: behind another answer it would be seconds old."""
    lego = start()
    lego.model.hold = 'depict'
    lego.show(value=1)
    first = lego.ask()
    assert lego.model.reached.wait(20)
    second = lego.ask()
    lego.wait(lambda: second.stages() == ['waiting'])
    newest = lego.show(value=2)
    begun = time.monotonic()
    lego.model.free()
    assert first.end()[1].error_code == ErrorCode.PREEMPTED
    answer = second.end()[1].action_frame
    assert answer.header == newest.header
    assert set(answer.image.data) == {2}
    age = answer.provenance.frame_age
    assert 0 <= age.sec + age.nanosec * 1e-9 < 1 + time.monotonic() - begun


def test_action_type_is_the_installed_one():
    """A picture of its own is a field of the goal, and empty by default."""
    assert GenerateActionFrame.Goal().image == Image()
