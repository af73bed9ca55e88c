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

"""What a step of the loop asks of the device: the UNet's guided estimate, in one place."""

from __future__ import annotations

from collections.abc import Mapping

from lego_ros.engines.engine import Engine
from lego_ros.errors import ErrorCode, LegoError
from lego_ros.ldm.guidance import Branch, three_way_guidance
from lego_ros.ldm.schedules import Step
import torch
from torch import Tensor

# How many steps the host may be ahead of a GPU, so that a cancel and the progress mean something.
_AHEAD = 2


class Estimator:
    """
    The guided estimate of a step, in memory that is taken once.

    :param engines: the engines.
    :param sample: (3B, 8, h, w) float32, what the UNet reads.
    :param latents: (B, 4, h, w), the shape of its estimate for one branch.
    """

    def __init__(self, engines: Mapping[str, Engine], sample: Tensor,
                 latents: tuple[int, ...]) -> None:
        batch, channels = latents[:2]
        self._engines = engines
        self._sample = sample
        self._noise = sample.new_zeros(len(sample), *latents[1:])
        by_branch = sample.unflatten(0, (len(Branch), batch))
        self._noisy = by_branch[:, :, :channels]
        self._frame = by_branch[:, :, channels:]
        self._full = slice(Branch.FULL * batch, (Branch.FULL + 1) * batch)
        self._keys_values: dict[str, Tensor] = {}
        self._scales = (0., 0.)

    def begin(self, frame_latents: Tensor, keys_values: dict[str, Tensor],
              scales: tuple[float, float]) -> None:
        """
        Take what is the same in all steps of a picture.

        :param frame_latents: (B, 4, h, w) of the input frames.
        :param keys_values: what ``cross_attention`` gave.
        :param scales: s_x and s_c.
        """
        self._frame.copy_(frame_latents)
        self._frame[Branch.NULL] = 0
        self._keys_values = keys_values
        self._scales = scales

    def estimate(self, step: Step, latents: Tensor, shifts: Tensor) -> Tensor:
        """
        Run the UNet.

        :param step: the step.
        :param latents: (B, 4, h, w).
        :param shifts: (1, shifts) of its timestep.
        :returns: the estimate (B, 4, h, w), guided where the step is.
        """
        self._noisy.copy_(latents * step.scale)
        if step.guided:
            self._engines['unet'].run(
                {'sample': self._sample, 'time_shifts': shifts, **self._keys_values},
                {'noise': self._noise})
            return three_way_guidance(self._noise, *self._scales)
        if 'unet_full' not in self._engines:
            raise LegoError(
                ErrorCode.INVALID_SETTING,
                "Fast mode needs the engine 'unet_full' for steps without guidance; build it, or "
                'guide all steps.')
        feeds = {'sample': self._sample[self._full], 'time_shifts': shifts,
                 'full': self._keys_values['full']}
        self._engines['unet_full'].run(feeds, {'noise': self._noise[self._full]})
        return self._noise[self._full]


class Pace:
    """
    Keeps the host from running far ahead of a GPU; does nothing on a CPU.

    :param device: the device.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._events: list[torch.cuda.Event] = []

    def step(self) -> None:
        """Wait until the GPU is at most some steps behind."""
        if self._device.type != 'cuda':
            return
        event = torch.cuda.Event()
        event.record(torch.cuda.current_stream(self._device))
        self._events.append(event)
        if len(self._events) > _AHEAD:
            self._events.pop(0).synchronize()
