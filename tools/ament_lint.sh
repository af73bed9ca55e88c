#!/usr/bin/env bash
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

# The linters that a ROS 2 distribution judges the package by. They come with a sourced ROS 2, or
# with Debian: sudo apt-get install -y python3-ament-copyright python3-ament-flake8 \
#     python3-ament-lint-cmake python3-ament-pep257 python3-ament-xmllint
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
sources=(lego_ros training launch tests benchmarks setup.py)
status=0
lint() {
    if ! command -v "$1" >/dev/null; then
        echo "$1: not installed, skipped (the comment in tools/ament_lint.sh says how to get it)"
    elif ! output=$("$@" 2>&1); then
        printf '%s\n' "$output" | grep -v '^checking'
        status=1
    else
        echo "$1: no problems"
    fi
}
lint ament_copyright "${sources[@]}" CONTRIBUTING.md LICENSE
lint ament_flake8 "${sources[@]}"
lint ament_pep257 "${sources[@]}"
lint ament_xmllint package.xml
lint ament_lint_cmake CMakeLists.txt
exit $status
