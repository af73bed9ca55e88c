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
A model that answers at once, without weights.

It stands in for a bundle where everything around the models is tested or measured: the ROS path,
cancellation, the overhead outside the models. It is not selectable by a parameter.
"""

from __future__ import annotations

from lego_ros.runtime.model import (
    ActionModel,
    AnswerSettings,
    Check,
    Description,
    ModelInfo,
    OnStep,
    OnText,
)
from lego_ros.vllm.written import WrittenProgram
import numpy as np

PROGRAM = 'objects thing reach(thing, right) grasp(thing, right) release(thing, right)'
SIDE = 64
"""Pixels of the square it draws."""


class InstantModel(ActionModel):
    """Describes with a fixed sentence, depicts by shrinking the frame, writes one program."""

    info = ModelInfo(
        bundle='instant', bundle_version='0', bundle_sha256='', trained=False,
        training_data='none: a stand-in without weights', backend='none', device='cpu',
        precision='uint8', fingerprint='', height=SIDE, width=SIDE, image_tokens=0, text_tokens=0,
        conditioning_channels=0, parameters=0, steps=1, image_scale=1.5, text_scale=7.5)

    def warm_up(self) -> None:
        """There is nothing to warm up."""

    def describe(self, rgb: np.ndarray, action: str, settings: AnswerSettings, check: Check,
                 on_token: OnStep) -> Description:
        """
        Repeat the action.

        :param rgb: not looked at.
        :param action: repeated.
        :param settings: not used.
        :param check: called once.
        :param on_token: called once.
        :returns: one sentence.
        """
        check()
        on_token(1, 1)
        return Description(f'The person does this: {action}.')

    def depict(self, rgb: np.ndarray, description: Description, settings: AnswerSettings,
               check: Check, on_step: OnStep) -> np.ndarray:
        """
        Shrink the frame to the square.

        :param rgb: (H, W, 3) uint8.
        :param description: not used.
        :param settings: ``steps_taken`` checks and reports are made.
        :param check: called before each step.
        :param on_step: called after each step.
        :returns: (64, 64, 3) uint8.
        """
        for step in range(settings.steps_taken):
            check()
            on_step(step + 1, settings.steps_taken)
        rows = np.arange(SIDE) * rgb.shape[0] // SIDE
        columns = np.arange(SIDE) * rgb.shape[1] // SIDE
        return rgb[rows][:, columns]

    def write_program(self, rgb: np.ndarray, action: str, description: str,
                      settings: AnswerSettings, check: Check, on_text: OnText) -> WrittenProgram:
        """
        Write down one program for all actions.

        :param rgb: not looked at.
        :param action: not used.
        :param description: not used.
        :param settings: not used.
        :param check: called before each word.
        :param on_text: called after each word.
        :returns: the program, which can be done.
        """
        words = PROGRAM.split(' ')
        for count in range(1, len(words) + 1):
            check()
            on_text(count, ' '.join(words[:count]))
        return WrittenProgram(PROGRAM, True, 1.0)

    def close(self) -> None:
        """There is nothing to free."""
