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

"""Message definitions as they are installed, for writing and reading bags without rosbag2."""

from __future__ import annotations

from collections.abc import Iterable
import os
from pathlib import Path
import sys

from lego_ros.errors import ErrorCode, LegoError
from rosbags.interfaces import Nodetype
from rosbags.typesys import get_types_from_msg, get_typestore, Stores
from rosbags.typesys.base import TypesysError
from rosbags.typesys.store import Typestore


def interface_store(types: Iterable[str]) -> Typestore:
    """
    Load message types with everything that they are made of.

    They come from the installed packages, so they are those that the nodes on this machine speak,
    whatever the distribution.

    :param types: names such as ``lego_ros/msg/ActionFrame``.
    :returns: a store that knows them; its definitions and RIHS01 hashes are rosidl's.
    :raises LegoError: RECORDING_FAILED, a definition is not installed or cannot be parsed.
    """
    store = get_typestore(Stores.EMPTY)
    for name in types:
        add_interface(store, name)
    return store


def add_interface(store: Typestore, name: str) -> None:
    """
    Load one message type with everything that it is made of.

    :param store: gets the types that it does not have yet.
    :param name: of the type.
    :raises LegoError: RECORDING_FAILED, a definition is not installed or cannot be parsed.
    """
    found: dict = {}
    missing = [name]
    while missing:
        current = missing.pop()
        if current in store.fielddefs or current in found:
            continue
        try:
            found.update(get_types_from_msg(_definition(current), current))
        except (OSError, TypesysError, ValueError) as error:
            raise LegoError(
                ErrorCode.RECORDING_FAILED,
                f'The definition of {name} cannot be used: {current}: {error}. Is its package '
                'installed and sourced here?') from error
        missing += _references(found[current][1])
    if found:
        store.register(found)


def _references(fields: Iterable) -> list[str]:
    """List the message types among the fields of a rosbags definition."""
    names = []
    for _, (kind, detail) in fields:
        if kind in (Nodetype.ARRAY, Nodetype.SEQUENCE):
            kind, detail = detail[0]
        if kind == Nodetype.NAME:
            names.append(detail)
    return names


def _definition(name: str) -> str:
    """Read the definition of one message from the installed files."""
    package, kind, base = name.split('/')
    if kind != 'msg':
        raise ValueError('only messages are recorded, not the parts of actions and services')
    # ROS from PyPI has its files in the virtual environment, and nothing to source.
    prefixes = [*os.environ.get('AMENT_PREFIX_PATH', '').split(os.pathsep), sys.prefix]
    for prefix in filter(None, prefixes):
        path = Path(prefix, 'share', package, 'msg', f'{base}.msg')
        if path.is_file():
            return path.read_text('utf-8')
    raise ValueError('its .msg file was not found')
