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

"""What goes into a run and comes out of it: each way to get it wrong has its own words."""

from __future__ import annotations

from typing import Any

from lego_ros.engines.engine import Range, TensorSpec
from lego_ros.engines.feeds import check_feeds, check_shape, closed, failure, prepare_outputs
from lego_ros.errors import ErrorCode, LegoError
import pytest
import torch

CPU = torch.device('cpu')
SPECS = (TensorSpec('ids', torch.int64, ('tokens',)),
         TensorSpec('rows', torch.float32, (1, 'tokens', 4)))
OUTPUTS = (TensorSpec('same', torch.float32, ('tokens', 2)),
           TensorSpec('open', torch.float32, (1, 'found')))
SIZES = {'tokens': Range(2, 4, 8)}


def good(tokens: int = 3) -> dict[str, Any]:
    return {'ids': torch.arange(tokens), 'rows': torch.zeros(1, tokens, 4)}


def test_good_feeds_tell_their_sizes() -> None:
    assert check_feeds(SPECS, good(), CPU, SIZES) == {'tokens': 3}
    assert check_feeds(SPECS, good(100), CPU) == {'tokens': 100}


@pytest.mark.parametrize(('change', 'message'), [
    ({'rows': None}, r"input 'rows' is missing; it shall be float32 \(1, tokens, 4\) on cpu"),
    ({'row': torch.zeros(1)}, r"input 'row' is not known; this network takes 'ids', 'rows'"),
    ({'ids': [1, 2, 3]}, r"input 'ids' is a list; it shall be a torch\.Tensor"),
    ({'ids': torch.zeros(3)}, r"input 'ids' is float32 \(3,\); it shall be int64 \(tokens,\)"),
    ({'rows': torch.zeros(3, 4)}, r"'rows' is float32 \(3, 4\); it shall be float32 \(1, tokens"),
    ({'rows': torch.zeros(2, 3, 4)}, r"'rows' is float32 \(2, 3, 4\); it shall be"),
    ({'rows': torch.zeros(1, 3, 4, device='meta')}, r"'rows' is on meta; it shall be on cpu"),
    ({'rows': torch.zeros(1, 4, 3).mT}, r"input 'rows' is not contiguous"),
    ({'rows': torch.zeros(1, 5, 4)},
     r"input 'rows' has 5 as its size 'tokens' \(dimension 1\), but input 'ids' has 3"),
])
def test_wrong_feeds_are_named(change: dict[str, Any], message: str) -> None:
    feeds = {name: value for name, value in (good() | change).items() if value is not None}
    with pytest.raises(LegoError, match=message) as caught:
        check_feeds(SPECS, feeds, CPU, SIZES)
    assert caught.value.code == ErrorCode.INFERENCE_FAILED


@pytest.mark.parametrize('tokens', [1, 9])
def test_sizes_out_of_range_are_named(tokens: int) -> None:
    with pytest.raises(LegoError, match=f"'ids' has {tokens} as its size 'tokens'.*2 to 8"):
        check_feeds(SPECS, good(tokens), CPU, SIZES)


def test_outputs_get_memory_where_their_sizes_are_known() -> None:
    outputs = prepare_outputs(OUTPUTS, {'tokens': 3}, CPU, good())
    assert {name: tuple(tensor.shape) for name, tensor in outputs.items()} == {'same': (3, 2)}
    assert outputs['same'].is_contiguous()


def test_outputs_named_by_the_caller_are_taken() -> None:
    into = {'same': torch.zeros(3, 2), 'open': torch.zeros(1, 7)}
    outputs = prepare_outputs(OUTPUTS, {'tokens': 3}, CPU, good(), into)
    assert outputs['same'] is into['same']
    assert outputs['open'] is into['open']
    check_shape(OUTPUTS[1], outputs['open'], (1, 7))
    with pytest.raises(LegoError, match=r"'open' is to be written .* \(1, 7\), but is \(1, 8\)"):
        check_shape(OUTPUTS[1], outputs['open'], torch.Size((1, 8)))


SHARED = torch.zeros(20)


@pytest.mark.parametrize(('into', 'message'), [
    ({'sum': torch.zeros(3)}, r"output 'sum' is not known; this network gives 'open', 'same'"),
    ({'same': torch.zeros(4, 2)}, r"output 'same' is float32 \(4, 2\); it shall be float32 \(3, "),
    ({'same': torch.zeros(3, 2).half()}, r"output 'same' is float16 \(3, 2\)"),
    ({'same': torch.zeros(2, 3).mT}, r"output 'same' is not contiguous"),
    ({'same': SHARED[6:12].view(3, 2)}, r"written to the memory of input 'rows'"),
    ({'same': SHARED[12:18].view(3, 2), 'open': SHARED[17:].view(1, 3)},
     r"output 'open' is to be written to the memory of output 'same'"),
])
def test_wrong_memory_is_named(into: dict[str, torch.Tensor], message: str) -> None:
    feeds = good() | {'rows': SHARED[:12].view(1, 3, 4)}
    with pytest.raises(LegoError, match=message) as caught:
        prepare_outputs(OUTPUTS, {'tokens': 3}, CPU, feeds, into)
    assert caught.value.code == ErrorCode.INFERENCE_FAILED


def test_neighbours_in_one_memory_are_fine() -> None:
    feeds = good() | {'rows': SHARED[:12].view(1, 3, 4)}
    into = {'same': SHARED[12:18].view(3, 2)}
    assert prepare_outputs(OUTPUTS, {'tokens': 3}, CPU, feeds, into)['same'] is into['same']


def test_outputs_too_large_for_memory() -> None:
    with pytest.raises(LegoError, match=r"output 'same'.*memory") as caught:
        prepare_outputs(OUTPUTS, {'tokens': 1 << 50}, CPU, {})
    assert caught.value.code == ErrorCode.OUT_OF_MEMORY


@pytest.mark.parametrize(('error', 'code'), [
    (RuntimeError('Failed to allocate memory for requested buffer'), ErrorCode.OUT_OF_MEMORY),
    (RuntimeError('std::bad_alloc'), ErrorCode.OUT_OF_MEMORY),
    (torch.OutOfMemoryError('CUDA'), ErrorCode.OUT_OF_MEMORY),
    (MemoryError(), ErrorCode.OUT_OF_MEMORY),
    (RuntimeError('shapes\ndiffer'), ErrorCode.INFERENCE_FAILED),
])
def test_failures_have_codes(error: Exception, code: ErrorCode) -> None:
    made = failure('it', error)
    assert made.code == code
    assert ' '.join(str(error).split()) in made.message


def test_closed() -> None:
    assert closed('unet').code == ErrorCode.INFERENCE_FAILED
    assert "'unet' was closed" in closed('unet').message
