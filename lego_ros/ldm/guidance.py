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

"""
Classifier-free guidance over two conditions (LEGO supplement F.4; InstructPix2Pix, Sec. 3.2.1).

The supplement prints the inference scales as ``s_x = 7.5`` for the input frame and ``s_c = 1.5``
for the text, and calls them identical to InstructPix2Pix. InstructPix2Pix uses 1.5 for the image
and 7.5 for the text, and so does the authors' released code: the two numbers are swapped in print.
What is meant, and what this package uses, is image 1.5 and text 7.5.
"""

from __future__ import annotations

from enum import IntEnum

import torch

IMAGE_GUIDANCE_SCALE = 1.5
GUIDANCE_SCALE = 7.5


class Branch(IntEnum):
    """The three estimates of one guided step, in the order in which a batch of 3B holds them."""

    NULL = 0
    """``e(z, 0, 0)``: zero image latent, null context."""
    IMAGE = 1
    """``e(z, X, 0)``: latent of the input frame, null context."""
    FULL = 2
    """``e(z, X, C)``: latent of the input frame, full context."""


def stack_branches(
    null: torch.Tensor, image: torch.Tensor, full: torch.Tensor,
) -> torch.Tensor:
    """
    Lay what the three branches need side by side, so that the UNet runs once per step.

    :param null: (B, ...) for :attr:`Branch.NULL`.
    :param image: (B, ...) for :attr:`Branch.IMAGE`.
    :param full: (B, ...) for :attr:`Branch.FULL`.
    :returns: (3B, ...) in the order of :class:`Branch`.
    """
    parts = {Branch.NULL: null, Branch.IMAGE: image, Branch.FULL: full}
    return torch.cat([parts[branch] for branch in Branch])


def three_way_guidance(
    estimates: torch.Tensor, image_guidance_scale: float, guidance_scale: float,
) -> torch.Tensor:
    """
    Combine the three noise estimates of a step (supplement F.4, Eq. 1-3).

    ``e(z,0,0) + s_x (e(z,X,0) - e(z,0,0)) + s_c (e(z,X,C) - e(z,X,0))``

    :param estimates: (3B, ...) in the order of :class:`Branch`.
    :param image_guidance_scale: ``s_x``, the pull towards the input frame.
    :param guidance_scale: ``s_c``, the pull towards the description and the VLLM's tokens.
    :returns: (B, ...), same dtype.
    :raises ValueError: when the first dimension does not hold three branches.
    """
    if estimates.shape[0] % len(Branch) != 0:
        raise ValueError(
            f'Three branches need a batch that is a multiple of 3, got {estimates.shape[0]}.')
    parts = estimates.chunk(len(Branch))
    null, image, full = parts[Branch.NULL], parts[Branch.IMAGE], parts[Branch.FULL]
    return null + image_guidance_scale * (image - null) + guidance_scale * (full - image)
