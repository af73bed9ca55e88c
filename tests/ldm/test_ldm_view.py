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

from hypothesis import given, settings
from hypothesis import strategies as st
from lego_ros.errors import ErrorCode, LegoError
from lego_ros.ldm.view import MAX_STRETCH, View
import numpy as np
import pytest

sides = st.integers(min_value=1, max_value=700)
views = st.sampled_from(list(View))


def ramp(height: int, width: int) -> np.ndarray:
    """Give a picture whose red is the row and whose green is the column, as a share of 255."""
    rows = np.linspace(0, 255, height)[:, None]
    columns = np.linspace(0, 255, width)[None]
    zero = np.zeros((height, width))
    return np.stack([rows + zero, columns + zero, zero + 128], axis=-1).round().astype(np.uint8)


@settings(deadline=None)
@given(view=views, height=sides, width=sides, resolution=st.sampled_from([8, 64, 256]))
def test_sizes(view: View, height: int, width: int, resolution: int) -> None:
    rgb = ramp(height, width)
    seen = view.ldm_view(rgb, resolution)
    assert (seen.shape, seen.dtype) == ((resolution, resolution, 3), np.uint8)
    described = view.vllm_view(rgb)
    assert described.dtype == np.uint8
    assert described.shape == (max(min(height, width), 336),) * 2 + (3,)
    answer = view.answer_view(seen, height, width)
    assert answer.dtype == np.uint8
    if view is View.CENTER_CROP:
        assert answer.shape == seen.shape
        return
    short, long = sorted(answer.shape[:2])
    assert short == resolution
    wanted = min(max(height, width) / min(height, width), MAX_STRETCH) * resolution
    assert abs(long - wanted) <= 0.5
    assert (answer.shape[0] > answer.shape[1]) <= (height > width)


@settings(deadline=None)
@given(view=views, height=sides, width=sides, value=st.integers(0, 255))
def test_a_flat_frame_stays_flat(view: View, height: int, width: int, value: int) -> None:
    rgb = np.full((height, width, 3), value, np.uint8)
    for seen in (view.vllm_view(rgb), view.ldm_view(rgb, 64),
                 view.answer_view(view.ldm_view(rgb, 64), height, width)):
        assert np.array_equal(np.unique(seen), [value])


@pytest.mark.parametrize(('view', 'vllm_whole', 'ldm_whole'), [
    (View.WHOLE, True, True), (View.CENTER_CROP, False, False), (View.RELEASED, False, True)])
def test_field_of_view(view: View, vllm_whole: bool, ldm_whole: bool) -> None:
    # 900 columns wide, 400 high: the central square is columns 250 to 649.
    rgb = ramp(400, 900)
    for seen, whole in ((view.vllm_view(rgb), vllm_whole), (view.ldm_view(rgb, 128), ldm_whole)):
        green = seen[:, :, 1].astype(int)
        left, right = (0, 255) if whole else (255 * 250 / 899, 255 * 649 / 899)
        assert abs(green[:, 0].mean() - left) < 3
        assert abs(green[:, -1].mean() - right) < 3
        red = seen[:, :, 0].astype(int)
        assert red[0].max() < 3
        assert red[-1].min() > 252


@pytest.mark.parametrize('view', [View.WHOLE, View.RELEASED])
@pytest.mark.parametrize('shape', [(480, 640), (640, 480), (256, 256), (720, 1280)])
def test_the_answer_lies_over_the_source(view: View, shape: tuple[int, int]) -> None:
    answer = view.answer_view(view.ldm_view(ramp(*shape), 256), *shape)
    assert answer.shape[0] * shape[1] == pytest.approx(answer.shape[1] * shape[0], rel=2e-3)
    assert np.abs(answer.astype(int) - ramp(*answer.shape[:2])).max() <= 3


def test_a_frame_of_the_models_size_is_untouched() -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (256, 256, 3), dtype=np.uint8)
    for view in View:
        assert np.array_equal(view.ldm_view(rgb, 256), rgb)
        assert np.array_equal(view.answer_view(rgb, 256, 256), rgb)


def test_shrinking_averages_instead_of_picking() -> None:
    board = np.indices((512, 512)).sum(0) % 2 * 255
    rgb = np.repeat(board[:, :, None], 3, axis=2).astype(np.uint8)
    assert np.abs(View.WHOLE.ldm_view(rgb, 64).astype(int) - 127.5).max() <= 1


@pytest.mark.parametrize('shape', [(1, 1), (4320, 7680), (1, 40000), (40000, 1), (2, 3)])
@pytest.mark.parametrize('view', list(View))
def test_extreme_sources(view: View, shape: tuple[int, int]) -> None:
    rgb = np.zeros((*shape, 3), np.uint8)
    assert view.ldm_view(rgb, 256).shape == (256, 256, 3)
    side = view.vllm_view(rgb).shape[0]
    assert side == (1024 if shape == (4320, 7680) else 336)
    answer = view.answer_view(np.zeros((256, 256, 3), np.uint8), *shape)
    assert max(answer.shape) <= 1024
    assert min(answer.shape[:2]) == 256


@pytest.mark.parametrize('rgb', [
    np.zeros((0, 5, 3), np.uint8), np.zeros((5, 5), np.uint8), np.zeros((5, 5, 4), np.uint8),
    np.zeros((5, 5, 3), np.float32), np.zeros((1, 5, 5, 3), np.uint8)])
def test_what_is_not_a_frame_is_refused(rgb: np.ndarray) -> None:
    for call in (lambda: View.WHOLE.vllm_view(rgb), lambda: View.WHOLE.ldm_view(rgb, 64),
                 lambda: View.WHOLE.answer_view(rgb, 5, 5)):
        with pytest.raises(LegoError) as caught:
            call()
        assert caught.value.code is ErrorCode.MALFORMED_IMAGE


def test_a_source_without_pixels_is_refused() -> None:
    with pytest.raises(LegoError, match='0 x 5'):
        View.WHOLE.answer_view(np.zeros((8, 8, 3), np.uint8), 5, 0)


def test_the_parameters_text_names_the_view() -> None:
    assert [View(name) for name in ('whole', 'center_crop', 'released')] == list(View)
    with pytest.raises(LegoError, match='whole, center_crop, released') as caught:
        View('fisheye')
    assert caught.value.code is ErrorCode.INVALID_SETTING
