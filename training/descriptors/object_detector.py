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

"""Objects as a detector from a local folder sees them in a clip's frames."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lego_ros.training.data.problems import ProblemLog
from lego_ros.training.descriptors.clip import Clip, Part
from lego_ros.training.descriptors.detections import objects_part, THRESHOLD
from lego_ros.training.descriptors.local_models import load_local
from lego_ros.training.descriptors.sampling import Find, sample
import numpy as np
import torch
from transformers import AutoImageProcessor, AutoModelForObjectDetection

INTERVAL = 1.0
"""Seconds between the frames that are looked at."""
MOST_FRAMES = 16


class ObjectDetector:
    """
    Objects in frames.

    :param folder: of a model for ``AutoModelForObjectDetection``.
    :param find: says where a video is.
    :param log: where frames that cannot be had are reported.
    :raises LegoError: SOURCE_UNREADABLE: the model cannot be loaded.
    """

    def __init__(self, folder: Path, find: Find, log: ProblemLog) -> None:
        self._model, self._processor = load_local(
            AutoModelForObjectDetection, AutoImageProcessor, folder)
        self._find = find
        self._log = log

    def parts(self, video_id: str, clips: Sequence[Clip]) -> list[Part]:
        """See :meth:`Source.parts`."""
        samples: list[list[tuple[float, list[str]]]] = [[] for _ in clips]
        frames = sample(self._find(video_id).open(), clips, INTERVAL, MOST_FRAMES, self._log)
        for index, time, rgb in frames:
            samples[index].append((time, self.names(rgb)))
        return [objects_part(found) for found in samples]

    @torch.inference_mode()
    def names(self, rgb: np.ndarray) -> list[str]:
        """
        Name what a frame shows.

        :param rgb: (H, W, 3) uint8.
        :returns: the model's names, one for each object that it is sure enough of.
        """
        inputs = self._processor(images=rgb, return_tensors='pt')
        found = self._processor.post_process_object_detection(
            self._model(**inputs), threshold=THRESHOLD, target_sizes=[rgb.shape[:2]])[0]
        return [self._model.config.id2label[int(label)] for label in found['labels']]
