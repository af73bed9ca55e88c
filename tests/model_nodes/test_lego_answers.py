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

"""What an answer carries: header, pictures, settings and time; and two cameras side by side."""

from __future__ import annotations

import time

from lego_ros.errors import ErrorCode
from lego_ros.images.compressed import decode_compressed
from lego_ros.images.raw import decode_image
import numpy as np
import pytest
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CompressedImage, Image

pytestmark = pytest.mark.ros


def test_header_and_provenance_are_those_of_the_source(shared):
    frame = shared.show()
    count = len(shared.descriptions), len(shared.frames)
    outcome = shared.ask_by_topic('How do I open the drawer?', 'mine')
    shared.wait(lambda: len(shared.descriptions) > count[0] and len(shared.frames) > count[1])
    description, answer = shared.descriptions[count[0]], shared.frames[count[1]]

    assert frame.header.frame_id == 'camera_optical_frame'
    for header in (outcome.header, description.header, answer.header, answer.image.header):
        assert header == frame.header
    for message in (outcome, description, answer):
        assert message.query_id == 'mine'
        assert message.query == 'How do I open the drawer?'
    assert description.action == answer.action == 'open the drawer'
    assert description.text == answer.description == 'The person does this: open the drawer.'
    assert (answer.image.encoding, answer.image.step) == ('rgb8', 3 * 64)
    assert [stage.stage for stage in description.provenance.stages] == ['decode', 'describe']
    assert [stage.stage for stage in answer.provenance.stages] == [
        'decode', 'describe', 'depict']
    source = answer.provenance
    assert (source.bundle, source.backend, source.trained) == ('instant', 'none', False)
    age = source.frame_age.sec + source.frame_age.nanosec * 1e-9
    assert 0 < age < 1
    spent = outcome.duration.sec + outcome.duration.nanosec * 1e-9
    assert 0 < sum(stage.duration.nanosec for stage in source.stages) * 1e-9 <= spent


def test_description_comes_before_the_picture(shared):
    """It is worth reading while the picture is still drawn."""
    shared.show()
    count = len(shared.descriptions)
    shared.model.reached.clear()
    shared.model.hold = 'depict'
    goal = shared.ask()
    shared.wait(lambda: len(shared.descriptions) > count)
    assert shared.model.reached.wait(20)
    shared.model.free()
    assert goal.end()[1].error_code == 0
    while shared.model.permits.acquire(blocking=False):
        pass


def test_viewer_images(shared):
    """Plain Image topics, so that rqt_image_view and rviz show the answer."""
    raw, compressed = [], []
    shared.client.create_subscription(Image, 'action_frame/image', raw.append, 1)
    shared.client.create_subscription(
        CompressedImage, 'action_frame/image/compressed', compressed.append, 1)
    shared.wait(lambda: all(
        publisher.get_subscription_count() for publisher in shared.node.publishers
        if '/action_frame/image' in publisher.topic_name))
    frame = shared.show(value=200)
    answer = shared.expect_answered(image=Image())
    shared.wait(lambda: raw and compressed)
    assert raw[0] == answer.image
    assert compressed[0].header == frame.header
    picture = decode_image(raw[0])
    assert picture.shape == (64, 64, 3)
    difference = decode_compressed(compressed[0]).astype(int) - picture
    assert np.abs(difference).max() <= 2
    assert picture.mean() == 200


def test_simulated_time(start):
    """Ages and stamps are in the node's clock, whatever the wall's says."""
    lego = start(parameters={'use_sim_time': True})
    clock = lego.client.create_publisher(Clock, '/clock', 1)

    def set_time(seconds):
        message = Clock()
        message.clock.sec = seconds
        clock.publish(message)
        return lego.node.get_clock().now().nanoseconds == seconds * 10**9
    lego.wait(lambda: set_time(1000))
    frame = lego.picture()
    frame.header.stamp.sec, frame.header.stamp.nanosec = 999, 600_000_000
    lego.show(frame)
    result = lego.ask().end()[1]
    assert result.error_code == 0, result.error_msg
    assert result.action_frame.header == frame.header
    age = result.action_frame.provenance.frame_age
    assert (age.sec, age.nanosec) == (0, 400_000_000)

    lego.wait(lambda: set_time(1002))
    outcome = lego.ask_by_topic()
    assert outcome.error_code == ErrorCode.STALE_FRAME
    assert '2.4 s old' in outcome.error_msg
    assert (outcome.header.stamp.sec, outcome.header.stamp.nanosec) == (1002, 0)


def test_camera_clock_ahead(shared):
    """A frame from the future is fresh; its age says what is wrong."""
    frame = shared.picture()
    frame.header.stamp = shared.client.get_clock().now().to_msg()
    frame.header.stamp.sec += 100
    shared.show(frame)
    result = shared.ask().end()[1]
    assert result.error_code == 0
    assert result.action_frame.provenance.frame_age.sec in (-101, -100)
    shared.expect_answered()


def test_live_parameters_change_the_next_answer(shared):
    shared.show()
    assert all(result.successful for result in shared.set_parameters(
        seed=7, steps=3, image_scale=2.5, text_scale=4., temperature=0.))
    source = shared.expect_answered().provenance
    assert (source.seed, source.steps) == (7, 3)
    assert (source.image_scale, source.text_scale, source.temperature) == (2.5, 4., 0.)
    # A goal's wish goes before the node's parameter.
    source = shared.expect_answered(seed=8, steps=2).provenance
    assert (source.seed, source.steps, source.image_scale) == (8, 2, 2.5)
    # Zero gives the bundle's own again, and a seed by chance.
    assert all(result.successful for result in shared.set_parameters(
        seed=0, steps=0, image_scale=0., text_scale=0., temperature=0.2))
    sources = [shared.expect_answered().provenance for _ in range(2)]
    assert [(s.steps, s.image_scale, s.text_scale) for s in sources] == [(1, 1.5, 7.5)] * 2
    assert sources[0].seed != sources[1].seed
    assert all(0 < source.seed < 2**32 for source in sources)


def test_fast_mode_from_the_next_answer_on(start):
    lego = start(parameters={'steps': 100})

    def ask(**wishes):
        lego.show()
        before = lego.model.steps['depict']
        goal = lego.ask(**wishes)
        result = goal.end()[1]
        assert result.error_code == 0, result.error_msg
        # Feedback may be lost, but what comes tells the steps that are really run.
        taken = lego.model.steps['depict'] - before
        assert {message.steps for message in goal.feedback
                if message.stage == 'depict'} <= {taken}
        source = result.action_frame.provenance
        return source.mode, source.steps, taken

    assert ask() == ('exact', 100, 100)
    assert lego.set_parameters(mode='fast')[0].successful
    assert ask() == ('fast', 100, 20)
    assert ask(steps=7) == ('fast', 7, 7)
    assert not lego.set_parameters(mode='turbo')[0].successful
    assert ask() == ('fast', 100, 20)
    # A question on a topic is drawn as the node says, too.
    lego.show()
    assert lego.ask_by_topic().error_code == 0
    for answers in (lego.frames, lego.descriptions):
        lego.wait(lambda answers=answers: len(answers) == 5)
        assert [each.provenance.mode for each in answers] == ['exact', *['fast'] * 4]
    assert lego.set_parameters(mode='exact')[0].successful
    assert ask() == ('exact', 100, 100)


def test_two_robots_side_by_side(start):
    """Two namespaces, two cameras: each answers its own caller from its own frame."""
    left, right = start(namespace='/left'), start(namespace='/right')
    left.show(value=10)
    right.show(value=20)
    goals = left.ask('open the drawer'), right.ask('close the drawer')
    answers = [goal.end()[1].action_frame for goal in goals]
    assert [set(answer.image.data) for answer in answers] == [{10}, {20}]
    assert [answer.action for answer in answers] == ['open the drawer', 'close the drawer']
    left.wait(lambda: left.frames)
    right.wait(lambda: right.frames)
    assert [frame.action for frame in left.frames] == ['open the drawer']
    assert [frame.action for frame in right.frames] == ['close the drawer']
    left.status('camera', lambda status, values: values.get('topic') == '/left/image')
    right.status('camera', lambda status, values: values.get('topic') == '/right/image')


def test_figures_in_diagnostics(start):
    lego = start()
    for _ in range(3):
        lego.expect_answered()
    assert lego.ask('').end()[1].error_code == ErrorCode.INVALID_QUERY
    status = lego.status('answers', lambda status, values: values.get('answered') == '3'
                         and values.get('failed_INVALID_QUERY') == '1')
    values = {pair.key: pair.value for pair in status.values}
    for stage in ('decode', 'describe', 'depict'):
        last, median, slow = (
            float(values[f'{stage}_{figure}_ms']) for figure in ('last', 'p50', 'p99'))
        assert 0 <= median <= slow
        assert last <= slow
    status = lego.status('camera', lambda status, values: values.get('frames_used') == '3')
    values = {pair.key: pair.value for pair in status.values}
    assert (values['publishers'], values['frames_published']) == ('1', '3')
    assert (values['frames_skipped'], values['frames_refused_stale']) == ('0', '0')
    assert float(values['newest_frame_age_s']) > 0


def test_a_waiting_goal_costs_no_time(start):
    """A pending coroutine is looked at when something happens; it must not spin the executor."""
    lego = start()
    lego.show()
    lego.model.hold = 'depict'
    goal = lego.ask()
    lego.wait(lego.model.reached.is_set)
    spins = []
    once = lego.node.executor.spin_once
    lego.node.executor.spin_once = lambda *given: (spins.append(1), once(*given))
    begun = time.monotonic()
    lego.wait(lambda: time.monotonic() - begun > 0.5)
    # Thousands, if it did; the harness has diagnostics every few milliseconds.
    assert len(spins) < 300
    lego.model.free()
    assert goal.end()[1].error_code == 0
