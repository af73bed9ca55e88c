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

"""The wire contract: files, build, error codes and comments agree."""

from pathlib import Path
import re

from lego_ros.errors import ErrorCode
import lego_ros.msg
import pytest

ROOT = Path(__file__).parents[2]
INTERFACES = sorted([*(ROOT / 'msg').glob('*.msg'), *(ROOT / 'action').glob('*.action')])


def test_error_codes_equal_the_message_constants():
    message = lego_ros.msg.ErrorCode
    on_the_wire = {
        name: getattr(message, name) for name in dir(message)
        if re.fullmatch('[A-Z][A-Z_]+', name) and isinstance(getattr(message, name), int)}
    assert on_the_wire == {code.name: int(code) for code in ErrorCode}


def test_every_interface_is_built():
    text = (ROOT / 'CMakeLists.txt').read_text()
    built = set(re.findall(r'(?:msg|action|srv)/\w+\.(?:msg|action|srv)', text))
    assert built == {f'{path.parent.name}/{path.name}' for path in INTERFACES}


@pytest.mark.parametrize('path', INTERFACES, ids=lambda path: path.name)
def test_every_field_is_commented(path):
    commented = False
    for line in path.read_text().splitlines():
        if not line.strip() or line == '---':
            commented = False
            continue
        if line.startswith('#'):
            commented = True
            continue
        constant = re.match(r'\w+ [A-Z_]+=', line)
        # The comment stands beside the field or right above it.
        assert constant or '#' in line or commented, f'{path.name}: {line}'
        commented = bool(constant) and commented


@pytest.mark.parametrize('path', INTERFACES, ids=lambda path: path.name)
def test_strings_and_arrays_are_bounded(path):
    for line in path.read_text().splitlines():
        field = line.split('#')[0]
        assert not re.match(r'\s*string\s', field), f'{path.name}: {line}'
        assert '[]' not in field, f'{path.name}: {line}'
