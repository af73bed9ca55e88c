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

"""What people ask: texts and ids, by topic, by voice and as goals."""

from __future__ import annotations

import re

from lego_ros.errors import ErrorCode
from lego_ros.msg import ActionQuery
import pytest
from std_msgs.msg import String

pytestmark = pytest.mark.ros

BAD_TEXTS = {
    'empty': ('', ErrorCode.INVALID_QUERY, ['no letter or digit', 'open the drawer']),
    'blank': (' \t\n  ', ErrorCode.INVALID_QUERY, ['no letter or digit']),
    'punctuation': ('?!', ErrorCode.INVALID_QUERY, ['no letter or digit']),
    'emoji only': ('🚪👋🏽', ErrorCode.INVALID_QUERY, ['no letter or digit']),
    'bell': ('open\a the drawer', ErrorCode.INVALID_QUERY, ['U+0007', 'position 4']),
    'escape sequence': ('\x1b[31mopen', ErrorCode.INVALID_QUERY, ['U+001B', 'position 0']),
    'over-long': ('open ' * 103, ErrorCode.QUERY_TOO_LONG, ['514 characters', '512']),
    'as long as the wire takes': ('x' * 4096, ErrorCode.QUERY_TOO_LONG, ['4096', '512']),
}


@pytest.mark.parametrize('name', BAD_TEXTS)
def test_bad_text(shared, name):
    text, code, words = BAD_TEXTS[name]
    shared.expect_outcome(shared.ask_by_topic(text), code, *words)
    shared.expect_refused(shared.ask(text), code, *words)
    shared.expect_answered()


@pytest.mark.parametrize(('text', 'action'), [
    ('How do I open the drawer? 🙂', 'open the drawer'),
    ('öffne die Schublade', 'öffne die Schublade'),
    ('打开抽屉', '打开抽屉'),
    ('open\tthe\ndrawer', 'open the drawer'),
    ('x' * 512, 'x' * 512),
])
def test_odd_but_good_text(shared, text, action):
    """Answers carry the question as it was asked and the action that was read from it."""
    answer = shared.expect_answered(text=text)
    assert (answer.query, answer.action) == (text, action)


def test_longer_than_the_wire_bound(shared):
    """
    4096 bytes is the type's own bound. A publisher that checks its fields cannot send more.

    rclpy checks them in Humble, and in Jazzy when it is asked to; otherwise Jazzy sends the text
    whole, and the node refuses it.
    """
    with pytest.raises(AssertionError, match='4096'):
        ActionQuery(text='x' * 4097, check_fields=True)
    outcome = shared.ask_by_topic('x' * 9000)
    assert outcome.query == 'x' * 4096
    shared.expect_outcome(outcome, ErrorCode.QUERY_TOO_LONG, '9000', '512')
    shared.expect_refused(shared.ask('x' * 9000), ErrorCode.QUERY_TOO_LONG, '9000', '512')
    shared.expect_answered()


@pytest.mark.parametrize('length', [513, 5000, 3_000_000])
def test_speech_has_no_wire_bound(shared, length):
    """std_msgs/String takes any length; the outcome carries the beginning of it."""
    count = len(shared.outcomes)
    shared.speech.publish(String(data='x' * length))
    shared.wait(lambda: len(shared.outcomes) > count)
    outcome = shared.outcomes[count]
    shared.expect_outcome(outcome, ErrorCode.QUERY_TOO_LONG, str(length), '512')
    assert outcome.query == 'x' * min(length, 4096)
    shared.expect_answered()


def test_speech_is_answered(shared):
    frame = shared.show()
    count, before = len(shared.outcomes), len(shared.frames)
    shared.speech.publish(String(data='How do I open the drawer?'))
    shared.wait(lambda: len(shared.outcomes) > count and len(shared.frames) > before)
    outcome, answer = shared.outcomes[count], shared.frames[before]
    assert (outcome.error_code, outcome.query) == (0, 'How do I open the drawer?')
    assert re.fullmatch('[0-9a-f]{32}', outcome.query_id)
    assert (answer.query_id, answer.header) == (outcome.query_id, frame.header)


def test_speech_of_nothing(shared):
    count = len(shared.outcomes)
    shared.speech.publish(String(data=''))
    shared.wait(lambda: len(shared.outcomes) > count)
    shared.expect_outcome(shared.outcomes[count], ErrorCode.INVALID_QUERY, 'no letter')
    shared.expect_answered()


def test_broken_utf8_does_not_end_the_node(shared):
    """A publisher in another language may send any bytes; rclpy puts replacement characters."""
    shared.show()
    count = len(shared.outcomes)
    text = b'open \xff\xfe drawer\0'
    # CDR, little endian: encapsulation, length, bytes with the closing zero.
    shared.speech.publish(b'\0\1\0\0' + len(text).to_bytes(4, 'little') + text)
    shared.wait(lambda: len(shared.outcomes) > count)
    assert shared.outcomes[count].error_code == 0
    assert shared.outcomes[count].query == 'open \ufffd\ufffd drawer'
    shared.expect_answered()


def test_empty_ids_are_replaced_by_unique_ones(shared):
    shared.show()
    ids = {shared.ask_by_topic(query_id='').query_id for _ in range(3)}
    assert len(ids) == 3
    assert all(re.fullmatch('[0-9a-f]{32}', query_id) for query_id in ids)


def test_repeated_id(shared):
    shared.show()
    assert shared.ask_by_topic(query_id='breakfast').error_code == 0
    outcome = shared.ask_by_topic(query_id='breakfast')
    assert outcome.query_id == 'breakfast'
    shared.expect_outcome(outcome, ErrorCode.DUPLICATE_QUERY_ID, 'breakfast', 'choose another')
    shared.expect_refused(
        shared.ask(query_id='breakfast'), ErrorCode.DUPLICATE_QUERY_ID, 'breakfast')
    assert shared.expect_answered(query_id='lunch').query_id == 'lunch'


@pytest.mark.parametrize('query_id', ['x' * 65, 'ü' * 64], ids=['characters', 'bytes'])
def test_over_long_id(shared, query_id):
    """Neither is stopped by every publisher: rclpy counts characters where it counts at all."""
    shared.expect_refused(
        shared.ask(query_id=query_id), ErrorCode.INVALID_QUERY, 'query_id', '64 bytes')
    assert shared.outcomes[-1].query_id == query_id.encode()[:64].decode()
    shared.expect_answered()


def test_max_query_length_is_live(shared):
    assert shared.set_parameters(max_query_length=5)[0].successful
    shared.expect_outcome(
        shared.ask_by_topic('open it'), ErrorCode.QUERY_TOO_LONG, '7 characters', '5')
    assert shared.set_parameters(max_query_length=512)[0].successful
    shared.expect_answered(text='open it')


def test_outcome_of_a_refused_query_is_stamped(shared):
    """There is no source image: the stamp is the node's clock and no frame is invented."""
    before = shared.client.get_clock().now().nanoseconds
    outcome = shared.ask_by_topic('')
    after = shared.client.get_clock().now().nanoseconds
    stamp = outcome.header.stamp.sec * 10**9 + outcome.header.stamp.nanosec
    assert before <= stamp <= after
    assert outcome.header.frame_id == ''
    shared.expect_answered()
