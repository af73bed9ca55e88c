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

from typing import Any

from lego_ros.ldm.inputs import image_batch, sample_generators
import numpy as np
import PIL.Image
import pytest
import torch


def test_every_form_of_a_frame_means_the_same() -> None:
    frame = np.random.default_rng(0).integers(0, 256, (16, 24, 3), dtype=np.uint8)
    picture = PIL.Image.fromarray(frame)
    expected = torch.from_numpy(frame).permute(2, 0, 1)[None] / 127.5 - 1
    for image in (frame, frame[None], [frame], picture, [picture], frame[::-1][::-1],
                  expected, expected[0], expected.to(torch.float64)):
        batch = image_batch(image, 8)
        assert batch.dtype == torch.float32
        torch.testing.assert_close(batch, expected, rtol=0, atol=1e-6)
    for pair in (np.stack([frame, frame]), [frame, frame], [picture, picture]):
        torch.testing.assert_close(
            image_batch(pair, 8), expected.expand(2, -1, -1, -1), rtol=0, atol=1e-6)


def test_black_and_white_are_the_ends_of_the_range() -> None:
    batch = image_batch(np.stack([np.zeros((8, 8, 3), np.uint8),
                                  np.full((8, 8, 3), 255, np.uint8)]), 8)
    assert batch.amin(dim=(1, 2, 3)).tolist() == [-1, 1]
    assert batch.amax(dim=(1, 2, 3)).tolist() == [-1, 1]


def test_a_picture_with_transparency_or_grey_becomes_rgb() -> None:
    for mode in ('RGBA', 'L', 'P'):
        assert image_batch(PIL.Image.new(mode, (16, 8)), 8).shape == (1, 3, 8, 16)


@pytest.mark.parametrize(('image', 'message'), [
    (np.zeros((60, 64, 3), np.uint8), 'multiples of 8 pixels, got 1 of 64 x 60'),
    (np.zeros((0, 64, 3), np.uint8), '64 x 0'),
    (np.zeros((0, 64, 64, 3), np.uint8), 'got 0 of'),
    (np.zeros((64, 64, 3), np.float32), 'float32 of shape'),
    (np.zeros((64, 64), np.uint8), r'shape \(64, 64\)'),
    (np.zeros((64, 64, 4), np.uint8), r'shape \(64, 64, 4\)'),
    ([np.zeros((8, 8, 3), np.uint8), np.zeros((8, 16, 3), np.uint8)], 'of one size'),
    ([], 'at least one frame'),
    ('frame.png', 'got str'),
    (torch.zeros(1, 4, 8, 8), r'shape \(1, 4, 8, 8\)'),
    (torch.zeros(1, 3, 8, 8, dtype=torch.uint8), 'uint8'),
    (torch.full((1, 3, 8, 8), 1.5), r'\[-1, 1\]'),
    (torch.full((1, 3, 8, 8), torch.nan), r'\[-1, 1\]'),
])
def test_what_is_not_a_frame_is_refused(image: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        image_batch(image, 8)


def test_generators() -> None:
    one, two = torch.Generator(), torch.Generator()
    assert sample_generators([one, two], 2) == [one, two]
    assert sample_generators(one, 2) == [one, one]
    fresh = sample_generators(None, 2)
    assert fresh[0].initial_seed() != fresh[1].initial_seed()
    with pytest.raises(ValueError, match='got 2 for 3 samples'):
        sample_generators([one, two], 3)


@pytest.mark.gpu
def test_generators_off_the_cpu_are_refused() -> None:
    if not torch.cuda.is_available():
        pytest.skip('needs a CUDA device, for a generator that is not on the CPU')
    with pytest.raises(ValueError, match='on the CPU'):
        sample_generators(torch.Generator('cuda'), 1)
