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

"""Trained networks at work on a live camera."""

from __future__ import annotations

from collections.abc import Callable, Sequence
import hashlib
from pathlib import Path

from lego_ros.errors import ErrorCode, LegoError
from lego_ros.leap.config import Task
from lego_ros.leap.prediction import ProgramPrediction
from lego_ros.leap.recogniser import Recogniser, Recognition
from lego_ros.leap.stream import Sight
from lego_ros.leap.trained import load_trained, TrainedNetwork
import numpy as np
import torch
import torch.nn.functional as nnf


class Watcher:
    """
    One network, which is shown the last seconds of a camera.

    :param trained: the network.
    :param span: length of each of its clips, seconds.
    :param device: where it runs.
    """

    def __init__(self, trained: TrainedNetwork, span: float, device: str = 'cpu') -> None:
        config = trained.network.config
        self.task: Task = config.task
        self.name = trained.name
        self.sha256 = trained.sha256
        self.device = device
        self.lead = trained.lead
        self.sight = Sight(trained.clips, round(span * 1e9), config.backbone.frames,
                           config.backbone.resolution)
        self.fingerprint = hashlib.sha256('\n'.join(
            [trained.sha256, 'torch', torch.__version__, 'float32', device]).encode()).hexdigest()
        classes = trained.network.classes
        self._pairs = {classes.action_name(index): (classes.verbs[verb], classes.nouns[noun])
                       for index, (verb, noun) in enumerate(classes.actions)}
        self._recogniser = Recogniser(trained.network, device)

    def recognise(self, clips: Sequence[np.ndarray | None],
                  check: Callable[[], None] = lambda: None) -> Recognition:
        """
        Tell the action and the program of what is seen.

        Clips before the camera's first frame are left out, which is what masking them is: the
        fusion counts clips from the newest.

        :param clips: of :meth:`lego_ros.leap.stream.FrameRing.clips`.
        :param check: called between the clips; what it raises ends it.
        :returns: what the newest clip and the programs of those before it say.
        """
        *before, newest = (clip for clip in clips if clip is not None)
        earlier: list[ProgramPrediction] = []
        for clip in before:
            earlier.append(self._recogniser.recognise(clip).prediction)
            check()
        return self._recogniser.recognise(newest, earlier)

    def words(self, action: str) -> tuple[str, str]:
        """
        Take an action's name apart.

        :param action: of a :class:`lego_ros.leap.recogniser.Recognition`.
        :returns: verb and noun.
        """
        return self._pairs[action]

    def warm_up(self) -> None:
        """Run once on black frames, so that the first window is as quick as the next."""
        sight = self.sight
        self.recognise([np.zeros((sight.frames, sight.side, sight.side, 3), np.uint8)])


def load_watchers(recognition: str, anticipation: str, window: float, span: float,
                  device: str = 'cpu', check: Callable[[], None] = lambda: None
                  ) -> tuple[Watcher, ...]:
    """
    Load what watches a camera.

    :param recognition: folder of a training for recognition; empty = none.
    :param anticipation: folder of a training for anticipation; empty = none.
    :param window: seconds that recognition sees.
    :param span: length of each of anticipation's clips, seconds; 0 = as it was trained.
    :param device: where they run.
    :param check: called between the parts; what it raises ends the loading.
    :returns: one or two, recognition first.
    :raises LegoError: INVALID_SETTING, none is named, or the span is not known; and what
        :func:`lego_ros.leap.trained.load_trained` raises.
    """
    if not recognition and not anticipation:
        raise LegoError(ErrorCode.INVALID_SETTING,
                        'there is no network: name the folder of a finished LEAP training by '
                        'recognition, anticipation or both')
    found = []
    if recognition:
        found.append(Watcher(
            load_trained(Path(recognition).expanduser(), 'recognition'), window, device))
        check()
    if anticipation:
        trained = load_trained(Path(anticipation).expanduser(), 'anticipation')
        found.append(Watcher(trained, span or _trained_span(trained), device))
        check()
    return tuple(found)


def _trained_span(trained: TrainedNetwork) -> float:
    if trained.span is None:
        raise LegoError(ErrorCode.INVALID_SETTING,
                        f"'{trained.name}' was trained with clips of {trained.span_frames} frames "
                        'of its videos: say in seconds how long they are, by the parameter span '
                        f'({trained.span_frames / 60:.3g} at 60 frames per second)')
    return trained.span


def square(rgb: np.ndarray, side: int) -> np.ndarray:
    """
    Make a frame as small as a network sees it, as ``leap.frames.prepare`` does, in whole numbers.

    :param rgb: (H, W, 3) uint8.
    :param side: of the result, pixels.
    :returns: (side, side, 3) uint8, the central square, resized.
    """
    height, width = rgb.shape[:2]
    edge = min(height, width)
    top, left = (height - edge) // 2, (width - edge) // 2
    # A copy: what a message's memory is seen through may be read-only, which torch does not know.
    part = torch.from_numpy(rgb[top:top + edge, left:left + edge].copy()).permute(2, 0, 1)
    if edge != side:
        part = nnf.interpolate(part[None], (side, side), mode='bilinear', align_corners=False,
                               antialias=True)[0]
    return part.permute(1, 2, 0).numpy()
