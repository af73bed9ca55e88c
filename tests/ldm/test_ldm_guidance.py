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

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from lego_ros.ldm import guidance
from lego_ros.ldm.guidance import Branch, stack_branches, three_way_guidance
import pytest
import torch

scales = st.floats(min_value=0, max_value=50, allow_nan=False)
values = st.floats(min_value=-100, max_value=100, allow_nan=False)


def estimates(null: float, image: float, full: float, batch: int = 1) -> torch.Tensor:
    return stack_branches(*(
        torch.full((batch, 4, 2, 2), value, dtype=torch.float64) for value in (null, image, full)))


def test_formula_by_hand() -> None:
    # 1 + 1.5 * (3 - 1) + 7.5 * (10 - 3) = 56.5; with the scales swapped it would be 26.5.
    guided = three_way_guidance(estimates(1, 3, 10), 1.5, 7.5)
    assert guided.shape == (1, 4, 2, 2)
    assert torch.equal(guided, torch.full_like(guided, 56.5))


def test_defaults_are_those_of_instruct_pix2pix_not_the_printed_ones() -> None:
    assert (guidance.IMAGE_GUIDANCE_SCALE, guidance.GUIDANCE_SCALE) == (1.5, 7.5)


@given(null=values, image=values, full=values, s_x=scales, s_c=scales)
def test_formula(null: float, image: float, full: float, s_x: float, s_c: float) -> None:
    guided = three_way_guidance(estimates(null, image, full), s_x, s_c)
    expected = null + s_x * (image - null) + s_c * (full - image)
    torch.testing.assert_close(guided, torch.full_like(guided, expected), rtol=1e-12, atol=1e-9)


@given(null=values, image=values, full=values)
def test_scales_of_zero_and_one_pick_one_branch(null: float, image: float, full: float) -> None:
    branches = estimates(null, image, full)
    for (s_x, s_c), branch in {(0, 0): null, (1, 0): image, (1, 1): full}.items():
        guided = three_way_guidance(branches, s_x, s_c)
        torch.testing.assert_close(guided, torch.full_like(guided, branch), rtol=0, atol=1e-9)


@given(same=values, s_x=scales, s_c=scales)
def test_equal_branches_are_left_alone(same: float, s_x: float, s_c: float) -> None:
    guided = three_way_guidance(estimates(same, same, same), s_x, s_c)
    assert torch.equal(guided, torch.full_like(guided, same))


def test_samples_do_not_mix() -> None:
    noise = torch.Generator().manual_seed(2)
    parts = [torch.randn(3, 4, 2, 2, generator=noise) for _ in Branch]
    together = three_way_guidance(stack_branches(*parts), 1.5, 7.5)
    for sample in range(3):
        alone = three_way_guidance(
            stack_branches(*(part[sample:sample + 1] for part in parts)), 1.5, 7.5)
        assert torch.equal(together[sample:sample + 1], alone)


def test_order_of_branches() -> None:
    stacked = estimates(1, 2, 3, batch=2)[:, 0, 0, 0].tolist()
    assert stacked == [1, 1, 2, 2, 3, 3]
    assert [Branch.NULL, Branch.IMAGE, Branch.FULL] == [0, 1, 2]


def test_a_batch_without_three_branches_is_refused() -> None:
    with pytest.raises(ValueError, match='multiple of 3, got 4'):
        three_way_guidance(torch.zeros(4, 1), 1.5, 7.5)
