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

"""The program in docs/programs.md."""

from pathlib import Path

from lego_ros.programs.checking import check
from lego_ros.programs.interpreter import run
from lego_ros.programs.parsing import parse
from lego_ros.programs.printing import to_text


def test_the_documented_program_is_sound_and_printed_as_it_stands():
    document = Path(__file__).parents[2] / 'docs/programs.md'
    text = document.read_text(encoding='utf-8').split('```\n')[1]
    program = parse(text)
    assert to_text(program) == text
    assert check(program) == ()
    assert run(program).problem == ''
