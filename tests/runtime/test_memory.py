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

"""What a closed model leaves behind: nothing."""

import gc
import json
import os
from pathlib import Path
import subprocess
import sys

from lego_ros.bundle.making import default_bundle
from lego_ros.runtime.lego_model import LegoModel
from lego_ros.runtime.model import AnswerSettings
import numpy as np
import pytest
import torch

FRAME = np.full((120, 160, 3), 128, np.uint8)
CYCLES = 3


def answer(device: str) -> LegoModel:
    model = LegoModel(default_bundle(), device=device)
    model.warm_up()
    model.write_program(FRAME, 'open the drawer', 'The person opens it.', AnswerSettings(seed=0),
                        lambda: None, lambda count, text: None)
    return model


def bundle_bytes() -> int:
    return sum(path.stat().st_size for path in default_bundle().rglob('*.safetensors'))


def resident_bytes() -> int:
    pages = Path('/proc/self/statm').read_text(encoding='ascii').split()[1]
    return int(pages) * os.sysconf('SC_PAGE_SIZE')


def test_closed_models_give_their_memory_back() -> None:
    # A process of its own: what other tests free and take would be counted too.
    done = subprocess.run([sys.executable, __file__], capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout.splitlines()[-1])
    # On the CPU the weights are float32, so twice as big as on disk: one cycle that kept them
    # would show, and one that left them to glibc as well; an open model does.
    assert seen['closed'][-1] - seen['closed'][0] < bundle_bytes()
    assert seen['open'] - seen['closed'][-1] > bundle_bytes()


@pytest.mark.gpu
def test_closed_models_give_the_gpus_memory_back() -> None:
    answer('cuda').close()
    free, _ = torch.cuda.mem_get_info()
    for _ in range(CYCLES):
        answer('cuda').close()
    gc.collect()
    assert torch.cuda.memory_allocated() == 0
    assert free - torch.cuda.mem_get_info()[0] < bundle_bytes()


def main() -> None:
    """Open and close the shipped bundle, and print the resident memory in between."""
    closed = []
    for _ in range(CYCLES + 1):
        answer('cpu').close()
        closed.append(resident_bytes())
    model = answer('cpu')
    print(json.dumps({'closed': closed, 'open': resident_bytes()}))
    model.close()


if __name__ == '__main__':
    main()
