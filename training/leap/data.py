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

"""Clips as the network sees them, with what it is to predict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
import math
from typing import Any

from lego_ros.errors import LegoError
from lego_ros.leap.classes import ProgramClasses
from lego_ros.leap.frames import prepare
from lego_ros.leap.targets import IGNORED, ProgramTargets, stack, targets_of
from lego_ros.programs.tree import Program
from lego_ros.training.data.files import unusable
from lego_ros.training.leap.clips import ClipRecord, ClipSet
from lego_ros.training.leap.footage import open_footage
from lego_ros.training.leap.sampling import (
    earlier_windows,
    seen_window,
    times_in,
    Window,
)
from lego_ros.training.leap.settings import LeapSettings
from lego_ros.training.run.draws import Draw
import numpy as np
import torch
from torch import Tensor


class Programs:
    """
    The programs of a clip set, parsed once.

    :param clips: with or without programs.
    """

    def __init__(self, clips: ClipSet) -> None:
        self._clips = clips
        self._trees: dict[str, Program | None] = {}

    def of(self, clip: ClipRecord) -> Program | None:
        """
        Give a clip's program.

        :param clip: of the clip set.
        :returns: the tree; None = there is none.
        :raises LegoError: SOURCE_UNREADABLE, it is none; the clip is named.
        """
        if clip.clip_id not in self._trees:
            try:
                self._trees[clip.clip_id] = clip.tree()
            except LegoError as error:
                raise unusable(self._clips.path, f'the program of {clip.clip_id}: {error.message}'
                               ) from error
        return self._trees[clip.clip_id]

    def classes(self, split: str, min_count: int) -> ProgramClasses:
        """
        Make the classes that a network trained on a split has.

        :param split: to train on.
        :param min_count: see ``LeapSettings``.
        :returns: the classes.
        :raises LegoError: SOURCE_UNREADABLE: no clip of the split has a program or a label;
            INVALID_SETTING: there are too many classes.
        """
        clips = self._clips.split(split)
        trees = [tree for clip in clips if (tree := self.of(clip)) is not None]
        labels = {(clip.verb, clip.noun) for clip in clips if clip.verb and clip.noun}
        if not trees or not labels:
            raise unusable(self._clips.path, f'no clip of {split!r} has a program, or none has a '
                           'label; write programs with lego-ros programs generate')
        info = self._clips.info
        return ProgramClasses.collect(trees, labels, min_count=min_count, verbs=info.verbs,
                                      nouns=info.nouns)


@dataclass(frozen=True)
class Sample:
    """
    What the network sees of an action.

    :param frames: (Q, 3, T, R, R) float32, the oldest clip first.
    :param present: (Q,) bool; False where the video begins too late for there to be such a clip.
    :param label: numbers of verb and noun, or IGNORED.
    :param programs: of each of the Q clips: what is done in it; None = not known.
    """

    frames: Tensor
    present: Tensor
    label: tuple[int, int]
    programs: tuple[ProgramTargets | None, ...]


class LeapSamples:
    """
    The clips of a split as training data; see ``run.samples.TrainingData``.

    :param clips: where they are.
    :param programs: of them.
    :param split: which.
    :param classes: of the network.
    :param settings: what the network sees.
    :raises LegoError: SOURCE_UNREADABLE, there is no such split.
    """

    def __init__(self, clips: ClipSet, programs: Programs, split: str, classes: ProgramClasses,
                 settings: LeapSettings) -> None:
        self.records = clips.split(split)
        self.classes = classes
        self._clips, self._programs, self._settings = clips, programs, settings
        self._verbs = {name: number for number, name in enumerate(classes.verbs)}
        self._nouns = {name: number for number, name in enumerate(classes.nouns)}
        self._targets: dict[str, ProgramTargets | None] = {}

    def __len__(self) -> int:
        """Give the number of clips."""
        return len(self.records)

    def __getitem__(self, draw: Draw) -> Sample:
        """Make a sample for training: frames from anywhere in their stretches of the clip."""
        return self.sample(draw.index, np.random.default_rng(draw.seed))

    def name(self, index: int) -> str:
        """Name a clip for messages."""
        return self.records[index].clip_id

    def sample(self, index: int, rng: np.random.Generator | None = None) -> Sample:
        """
        Make a sample.

        :param index: of the clip.
        :param rng: for training; None = the middles, to evaluate.
        :returns: the sample.
        :raises LegoError: SOURCE_UNREADABLE, frames are missing or damaged, or the program cannot
            be used.
        """
        clip, config = self.records[index], self._settings.network
        if config.task == 'recognition':
            windows, before = [seen_window(clip)], math.inf
            programs = [self._target(clip)]
        else:
            windows = earlier_windows(clip, self._settings.clips, self._settings.anticipation)
            before = windows[-1].end
            programs = [self._done_in(clip, window) for window in windows]
        present = [window.present for window in windows]
        # The newest is always there: black where the action begins with the video.
        present[-1] = True
        return Sample(
            self._frames(clip, windows, before, rng), torch.tensor(present),
            (self._verbs.get(clip.verb or '', IGNORED),
             self._nouns.get(clip.noun or '', IGNORED)), tuple(programs))

    def _frames(self, clip: ClipRecord, windows: Sequence[Window], before: float,
                rng: np.random.Generator | None) -> Tensor:
        backbone = self._settings.network.backbone
        count, side = backbone.frames, backbone.resolution
        found = torch.zeros(len(windows), 3, count, side, side)
        for number, window in enumerate(windows):
            if window.present:
                footage = open_footage(self._clips.root, clip)
                frames = footage.frames(times_in(window, count, rng), before)
                found[number] = prepare(np.stack(frames), side)
        return found

    def _done_in(self, clip: ClipRecord, window: Window) -> ProgramTargets | None:
        """Give the program of the action that fills most of a window."""
        best, most = None, 0.0
        for other in self._clips.of_video(clip.video_id):
            overlap = min(other.stop, window.end) - max(other.start, window.begin)
            if overlap > most:
                best, most = other, overlap
        return self._target(best) if best is not None else None

    def _target(self, clip: ClipRecord) -> ProgramTargets | None:
        if clip.clip_id not in self._targets:
            program = self._programs.of(clip)
            self._targets[clip.clip_id] = None if program is None else targets_of(
                program, self.classes, self._settings.network.max_steps)
        return self._targets[clip.clip_id]


class LeapCollate:
    """
    Makes batches; a class, since a closure cannot go to a loader.

    :param classes: of the network.
    :param max_steps: S.
    """

    def __init__(self, classes: ProgramClasses, max_steps: int) -> None:
        self._classes, self._max_steps = classes, max_steps

    def __call__(self, samples: Sequence[Sample]) -> dict[str, Any]:
        """
        Put samples together.

        :param samples: B of them, of Q clips each.
        :returns: ``frames`` (B, Q, 3, T, R, R), ``present`` (B, Q), and ``targets``, the fields of
            a ``TargetBatch``: labels of B actions, programs of B x Q clips.
        """
        programs = [program for sample in samples for program in sample.programs]
        return {
            'frames': torch.stack([sample.frames for sample in samples]),
            'present': torch.stack([sample.present for sample in samples]),
            'targets': tuple(stack(programs, [sample.label for sample in samples],
                                   self._classes, self._max_steps))}
