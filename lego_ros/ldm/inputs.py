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

"""What a caller may hand to the pipeline: checked, and brought to one form."""

from __future__ import annotations

import math
from numbers import Integral, Real

from lego_ros.errors import ErrorCode, LegoError
import numpy as np
import PIL.Image
import torch

MIN_STEPS = 1
MAX_STEPS = 1000
OUTPUT_TYPES = ('np', 'pt', 'pil', 'latent')

AnyImage = (
    PIL.Image.Image | np.ndarray | torch.Tensor | list[PIL.Image.Image] | list[np.ndarray])


def check_settings(
    steps: int, image_guidance_scale: float, guidance_scale: float, output_type: str,
) -> None:
    """
    Check what a user can set.

    :param steps: number of denoising steps, 1 to 1000.
    :param image_guidance_scale: finite, at least 0.
    :param guidance_scale: finite, at least 0.
    :param output_type: one of :data:`OUTPUT_TYPES`.
    :raises LegoError: INVALID_SETTING with the setting's name and range.
    """
    if not isinstance(steps, Integral) or not MIN_STEPS <= steps <= MAX_STEPS:
        raise _invalid('num_inference_steps', steps, f'a whole number {MIN_STEPS} to {MAX_STEPS}')
    scales = {'image_guidance_scale': image_guidance_scale, 'guidance_scale': guidance_scale}
    for name, scale in scales.items():
        if not isinstance(scale, Real) or not math.isfinite(scale) or scale < 0:
            raise _invalid(name, scale, 'a finite number of at least 0')
    if output_type not in OUTPUT_TYPES:
        raise _invalid('output_type', output_type, f'one of {", ".join(OUTPUT_TYPES)}')


def image_batch(image: AnyImage, factor: int) -> torch.Tensor:
    """
    Bring input frames to the form that the auto-encoder takes.

    :param image: one frame or several of one size: uint8 arrays (H, W, 3) or (B, H, W, 3), PIL
        images, a list of either, or a float tensor (3, H, W) or (B, 3, H, W) in [-1, 1].
    :param factor: the auto-encoder's reduction; H and W must be multiples of it.
    :returns: (B, 3, H, W) float32 in [-1, 1].
    :raises ValueError: when the kind, shape, type or range is another.
    """
    batch = _from_tensor(image) if isinstance(image, torch.Tensor) else _from_uint8(image)
    height, width = batch.shape[-2:]
    if batch.numel() == 0 or height % factor != 0 or width % factor != 0:
        raise ValueError(
            f'Expected at least one frame whose sides are multiples of {factor} pixels, got '
            f'{batch.shape[0]} of {width} x {height}. Resize the frame to the model first.')
    return batch


def sample_generators(
    generator: torch.Generator | list[torch.Generator] | None, batch: int,
) -> list[torch.Generator]:
    """
    Give every sample its own source of noise.

    :param generator: one for all samples, which draw from it in turn; a list with one per sample,
        which makes a sample's picture independent of the batch around it; or None for fresh ones
        seeded from torch's global CPU generator.
    :param batch: the number of samples.
    :returns: one CPU generator per sample. Noise is drawn on the CPU whatever the model's device,
        so that a seed means the same picture everywhere.
    :raises ValueError: when there are not as many as samples, or one is not on the CPU.
    """
    if generator is None:
        seeds = torch.randint(2**63 - 1, (batch,)).tolist()
        return [torch.Generator().manual_seed(seed) for seed in seeds]
    generators = generator if isinstance(generator, list) else [generator] * batch
    if len(generators) != batch:
        raise ValueError(
            f'Expected one generator per sample, got {len(generators)} for {batch} samples.')
    if any(one.device.type != 'cpu' for one in generators):
        raise ValueError(
            'Expected generators on the CPU, so that a seed gives the same picture on any device.')
    return generators


def _invalid(name: str, value: object, wanted: str) -> LegoError:
    return LegoError(ErrorCode.INVALID_SETTING, f'{name} must be {wanted}, got {value!r}.')


def _from_tensor(image: torch.Tensor) -> torch.Tensor:
    batch = image[None] if image.ndim == 3 else image
    if batch.ndim != 4 or batch.shape[1] != 3 or not batch.is_floating_point():
        raise ValueError(
            'Expected a tensor of frames as (B, 3, H, W) or (3, H, W) in floating point, got '
            f'shape {tuple(image.shape)} and {image.dtype}.')
    # The negated form also catches NaN.
    if not bool((batch.abs() <= 1).all()):
        raise ValueError('Expected a tensor of frames with values in [-1, 1].')
    return batch.to(torch.float32)


def _from_uint8(image: PIL.Image.Image | np.ndarray | list) -> torch.Tensor:
    frames = image if isinstance(image, list) else [image]
    arrays = [
        np.asarray(frame.convert('RGB')) if isinstance(frame, PIL.Image.Image) else frame
        for frame in frames]
    for array in arrays:
        if (not isinstance(array, np.ndarray) or array.dtype != np.uint8
                or array.ndim not in (3, 4) or array.shape[-1] != 3):
            found = (f'{array.dtype} of shape {array.shape}' if isinstance(array, np.ndarray)
                     else type(array).__name__)
            raise ValueError(
                'Expected frames as PIL images, as uint8 arrays (H, W, 3) or (B, H, W, 3), or as '
                f'a float tensor (B, 3, H, W), got {found}.')
    stacks = [array if array.ndim == 4 else array[None] for array in arrays]
    if len({stack.shape[1:] for stack in stacks}) != 1:
        raise ValueError('Expected at least one frame, and all frames of a batch of one size.')
    batch = torch.from_numpy(np.concatenate(stacks)).permute(0, 3, 1, 2)
    return batch.to(torch.float32) / 255.0 * 2.0 - 1.0
