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

"""Parameters: what is refused at the start and while running, and that the old value stays."""

from __future__ import annotations

from lego_ros.nodes.lego_node import LegoNode
from lego_ros.nodes.parameters import LEGO_PARAMETERS as PARAMETERS
from lego_ros.runtime.instant_model import InstantModel
import pytest
import rclpy
from rclpy.exceptions import InvalidParameterTypeException, InvalidParameterValueException
from rclpy.parameter import Parameter

pytestmark = pytest.mark.ros

OUT_OF_RANGE = [
    ('steps', 1001), ('steps', -1), ('seed', -1), ('image_scale', 50.5), ('text_scale', -0.5),
    ('text_scale', float('nan')), ('temperature', 2.5), ('max_frame_age', -1.),
    ('max_frame_age', float('inf')), ('max_query_length', 0), ('max_query_length', 1001),
    ('mode', 'turbo'), ('mode', '')]


@pytest.mark.parametrize(('name', 'value'), OUT_OF_RANGE)
def test_out_of_range_while_running(shared, name, value):
    before = shared.get(name)
    result = shared.set_parameters(**{name: value})[0]
    assert not result.successful
    assert name in result.reason
    assert shared.get(name) == before
    shared.expect_answered()


@pytest.mark.parametrize(('name', 'value'), [
    ('bundle', '/elsewhere'), ('device', 'cuda'), ('precision', 'float16'),
    ('backend', 'openvino'), ('engine_cache', '/elsewhere'), ('fallback', 'torch'),
    ('image_transport', 'compressed'), ('autostart', True)])
def test_read_only_while_running(shared, name, value):
    before = shared.get(name)
    result = shared.set_parameters(**{name: value})[0]
    assert not result.successful
    assert 'read' in result.reason.lower()
    assert shared.get(name) == before
    shared.expect_answered()


def test_wrong_type_while_running(shared):
    result = shared.set_parameters(steps='many')[0]
    assert not result.successful
    assert shared.get('steps') == 0


@pytest.fixture
def context():
    context = rclpy.Context()
    rclpy.init(context=context)
    yield context
    context.try_shutdown()


@pytest.mark.parametrize(('name', 'value'), [
    *OUT_OF_RANGE, ('precision', 'float64'), ('image_transport', 'theora'),
    ('backend', 'tpu'), ('fallback', 'none')])
def test_out_of_range_at_start(context, name, value):
    with pytest.raises(InvalidParameterValueException, match=name):
        LegoNode(load_model=lambda *_: InstantModel(), context=context,
                 parameter_overrides=[Parameter(name, value=value)])


@pytest.mark.parametrize(('name', 'value'), [('steps', 'many'), ('bundle', 5), ('seed', 1.5)])
def test_wrong_type_at_start(context, name, value):
    with pytest.raises(InvalidParameterTypeException, match=name):
        LegoNode(load_model=lambda *_: InstantModel(), context=context,
                 parameter_overrides=[Parameter(name, value=value)])


def test_limits_are_allowed(shared):
    for entry in PARAMETERS:
        if entry.read_only:
            continue
        for value in entry.choices or (entry.minimum, entry.maximum):
            value = type(entry.default)(value)
            result = shared.set_parameters(**{entry.name: value})[0]
            assert result.successful, result.reason
            assert shared.get(entry.name) == value
        assert shared.set_parameters(**{entry.name: entry.default})[0].successful
    shared.expect_answered()


def test_every_parameter_is_described(shared):
    for entry in PARAMETERS:
        descriptor = shared.node.describe_parameter(entry.name)
        assert descriptor.description.startswith(entry.description)
        assert descriptor.read_only == entry.read_only
        ranges = [*descriptor.integer_range, *descriptor.floating_point_range]
        assert [(r.from_value, r.to_value) for r in ranges] == (
            [] if entry.maximum is None else [(entry.minimum, entry.maximum)])
