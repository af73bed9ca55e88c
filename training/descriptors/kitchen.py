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
The simulated kitchen's truth for all five components.

The exporter's ``truth.jsonl`` says which episode each action is of; the episode is drawn again
from its seed, and asked. Nothing can be heard in the kitchen: what would be is derived from
contacts, and the text says so.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

from lego_ros.sim.episode import Episode, FrameTruth, sample_episode
from lego_ros.sim.vocabulary import DOORS, HANDS
from lego_ros.training.data.labels import parse_narration
from lego_ros.training.descriptors.clip import Clip, Part, runs, Source, Span, within
from lego_ros.training.descriptors.motion import moments, motion_spans, Step
from lego_ros.training.descriptors.poses import rotations_of
from lego_ros.training.export.truth import State, TruthRecord
from lego_ros.training.export.truth_lines import read_truth
import numpy as np

EVERY = 3
"""Frames between two that are looked at: a tenth of a second."""
LEAST_METRES = 0.10
"""Least translation of the head within a step that is told."""
DERIVED = 'derived from contacts and motion; nothing can be heard in the simulation'
_PHASE_SOUNDS = {
    'saw': 'cutting', 'pour': 'pouring', 'stir': 'stirring', 'shake': 'shaking',
    'wipe': 'wiping', 'rub': 'rubbing', 'push': 'sliding', 'place': 'putting down'}
# OpenGL's camera axes (y up, z backwards) to OpenCV's (y down, z forward).
_FLIP = np.diag([1.0, -1.0, -1.0])
_BODY = ('hand', 'forearm')


class Kitchen:
    """
    An export's actions as clips, and what is true in them.

    :param path: of ``truth.jsonl``.
    :raises LegoError: SOURCE_UNREADABLE, naming file and line.
    """

    def __init__(self, path: Path) -> None:
        self._records = read_truth(path, TruthRecord)
        # A source is asked about a whole video before the next video comes.
        self._episode = lru_cache(maxsize=1)(sample_episode)

    @property
    def clips(self) -> list[Clip]:
        """List the actions from the input picture to their ends, in the file's order."""
        return [Clip(record.action_id, record.video_id, record.frames.pre_15 / record.fps,
                     record.frames.end / record.fps,
                     parse_narration(record.narration).label or record.label,
                     _nouns(record))
                for record in self._records.values()]

    def sources(self) -> dict[str, Source]:
        """
        Give the truth of each component but the narrations, which are the clips'.

        :returns: sources by part.
        """
        return {'audio': _Truth(self, _audio), 'camera': _Truth(self, _camera),
                'objects': _Truth(self, _objects), 'contact': _Truth(self, _contact)}

    def look_up(self, clip: Clip) -> tuple[TruthRecord, Episode]:
        """
        Find what a clip is of.

        :param clip: one of :attr:`clips`.
        :returns: the truth about its action, and its episode.
        """
        record = self._records[clip.clip_id]
        return record, self._episode(record.seed)


class _Truth:
    """One component; a :class:`Source`."""

    def __init__(self, kitchen: Kitchen,
                 part_of: Callable[[TruthRecord, Episode, Clip], Part]) -> None:
        self._kitchen = kitchen
        self._part_of = part_of

    def parts(self, video_id: str, clips: Sequence[Clip]) -> list[Part]:
        return [self._part_of(*self._kitchen.look_up(clip), clip) for clip in clips]


def _nouns(record: TruthRecord) -> tuple[str, ...]:
    # A program of pouring names the vessels, not what is poured.
    named = (record.noun_phrase, _spoken(record.thing), _spoken(record.tool))
    return tuple(dict.fromkeys(noun for noun in named if noun))


def _audio(record: TruthRecord, episode: Episode, clip: Clip) -> Part:
    spans = [Span(touch.start / record.fps, touch.start / record.fps,
                  f'touch of {_spoken(touch.name)}') for touch in episode.touches]
    for action in episode.actions:
        spans += [Span(start / record.fps, end / record.fps, _PHASE_SOUNDS[name])
                  for name, start, end in action.phases if name in _PHASE_SOUNDS]
    looked = _looks(record, episode)
    heard = [(truth.frame / record.fps, _moving(earlier, truth))
             for earlier, truth in pairwise(looked)]
    return Part(within(clip, [*spans, *runs(heard, 2.5 * EVERY / record.fps)]), DERIVED)


def _moving(earlier: FrameTruth, truth: FrameTruth) -> list[str]:
    """Say what sounds between two moments: doors and drawers that move, water that runs."""
    said = [f'opening or closing of {_spoken(name)}' for name, value in truth.opening.items()
            if name.rsplit('_', 1)[-1] in DOORS and abs(value - earlier.opening[name]) > 1e-3]
    return [*said, *(['water runs'] if truth.running else [])]


def _camera(record: TruthRecord, episode: Episode, clip: Clip) -> Part:
    poses = [(time, episode.timeline.camera((clip.start + time) * record.fps))
             for time in moments(clip)]
    steps = []
    for (start, earlier), (end, later) in pairwise(poses):
        relative = earlier.inverse() @ later
        turn = rotations_of(relative.quat[None])[0]
        steps.append(Step(start, end, _FLIP @ turn @ _FLIP,
                          _FLIP @ relative.pos / LEAST_METRES))
    return Part(motion_spans(steps))


def _objects(record: TruthRecord, episode: Episode, clip: Clip) -> Part:
    def seen(state: State) -> tuple[float, list[str]]:
        return (state.frame / record.fps - clip.start, [
            _spoken(name) for name in state.boxes if not name.endswith(_BODY)])

    # Only at two moments is it known what is seen; in between it is taken to stay.
    samples = [seen(record.before), seen(record.after)]
    return Part(runs(samples, samples[1][0] - samples[0][0]))


def _contact(record: TruthRecord, episode: Episode, clip: Clip) -> Part:
    samples = [(truth.frame / record.fps - clip.start, [
        _touching(episode, truth, side) for side in HANDS]) for truth in _looks(record, episode)]
    return Part(runs(samples, 1.5 * EVERY / record.fps))


def _touching(episode: Episode, truth: FrameTruth, side: str) -> str:
    names = truth.touching[side]
    if not names:
        return f'{side} hand free'
    held = all(name in episode.scene.things for name in names)
    return f'{side} hand {"holds" if held else "touches"} {" and ".join(map(_spoken, names))}'


def _looks(record: TruthRecord, episode: Episode) -> list[FrameTruth]:
    return [episode.truth(frame)
            for frame in range(record.frames.pre_15, record.frames.end, EVERY)]


def _spoken(name: str) -> str:
    return name.replace('_', ' ')
