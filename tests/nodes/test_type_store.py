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

"""Definitions and hashes that go into a bag are rosidl's."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
import sys

from lego_ros.errors import ErrorCode, LegoError
from lego_ros.ros.type_store import interface_store
import pytest
from rclpy.serialization import deserialize_message, serialize_message
import sensor_msgs.msg

SHARE = Path(sys.prefix, 'share', 'lego_ros', 'msg')
OURS = sorted(path.stem for path in SHARE.glob('*.msg'))


def fill(message):
    """Give every field of a plain type a value that is not its default."""
    for field, kind in message.get_fields_and_field_types().items():
        value = getattr(message, field)
        if isinstance(value, str):
            setattr(message, field, f'ä {field}')
        elif isinstance(value, bool):
            setattr(message, field, True)
        elif isinstance(value, (int, float)):
            setattr(message, field, type(value)(3))
        elif '[' not in kind and 'sequence' not in kind:
            fill(value)
    return message


def test_the_messages_of_this_checkout_are_installed():
    sources = Path(__file__).parents[2] / 'msg'
    assert sorted(path.stem for path in sources.glob('*.msg')) == OURS


@pytest.mark.parametrize('name', OURS)
def test_hashes_are_rosidls(name):
    described = json.loads((SHARE / f'{name}.json').read_text())['type_hashes']
    assert described[0]['type_name'] == f'lego_ros/msg/{name}'
    store = interface_store([f'lego_ros/msg/{name}'])
    # The message and all that it is made of.
    for entry in described:
        assert store.hash_rihs01(entry['type_name']) == entry['hash_string']


@pytest.mark.parametrize('name', OURS)
def test_bytes_mean_the_same_to_rclpy(name):
    typename = f'lego_ros/msg/{name}'
    store = interface_store([typename])
    kind = getattr(importlib.import_module('lego_ros.msg'), name)
    message = fill(kind())
    read = store.deserialize_cdr(serialize_message(message), typename)
    # Bytes cannot be compared: Fast CDR leaves its padding as it finds it.
    again = deserialize_message(bytes(store.serialize_cdr(read, typename)), kind)
    assert again == message


@pytest.mark.parametrize(('name', 'reason'), [
    ('lego_ros/msg/Nothing', 'not found'),
    ('no_such_package/msg/Nothing', 'not found'),
    ('std_srvs/srv/Trigger_Event', 'only messages'),
    ('nonsense', 'cannot be used'),
])
def test_unknown_type(name, reason):
    with pytest.raises(LegoError, match=reason) as caught:
        interface_store([name])
    assert caught.value.code == ErrorCode.RECORDING_FAILED
    assert name in caught.value.message


def test_standard_messages_are_all_readable():
    names = [f'sensor_msgs/msg/{name}' for name in dir(sensor_msgs.msg) if name[0].isupper()]
    assert len(names) > 20
    store = interface_store(names)
    assert all(name in store.types for name in names)
