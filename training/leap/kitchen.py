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
Clips of the simulated kitchen: episodes as folders of small pictures, with their true programs.

Made side by side and taken up again where the work was broken off, as ``lego-ros sim generate``
does it. Whose hands they are tells the person: skin and sleeve recur over the episodes. Those
with one colour of sleeves are never trained on, so that there are unseen participants.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
import json
from pathlib import Path
import threading
from typing import Annotated, Any

from lego_ros import __version__
from lego_ros.errors import ErrorCode, LegoError
from lego_ros.programs.serialising import to_json
from lego_ros.sim.episode import Episode, sample_episode
from lego_ros.sim.motion import FPS
from lego_ros.sim.objects import CROCKERY
from lego_ros.sim.programs import program_of
from lego_ros.sim.render import Renderer
from lego_ros.training.data.files import unusable
from lego_ros.training.export.clips import write_folder
from lego_ros.training.export.epic_annotations import NOUN_CLASSES, VERB_CLASSES
from lego_ros.training.export.parts import Made, Part, PartStore
from lego_ros.training.export.processes import check, run_all
from lego_ros.training.export.splits import is_unseen, noun_of, split_of, TEST, TEST_UNSEEN
from lego_ros.training.leap.clips import ClipInfo, ClipRecord, CLIPS, INFO, info_bytes, to_line
import numpy as np
from pydantic import BaseModel, ConfigDict, Field

UNSEEN_SLEEVE = 0
"""Sleeves of this colour, of the kitchen's eight, are never trained on."""
UNSCORED = 'unscored'
"""Split of actions that are neither trained nor assessed on."""
_FRAMES = 'frames'


class KitchenClips(BaseModel):
    """Which part of the simulated kitchen is drawn, and how."""

    model_config = ConfigDict(extra='forbid', frozen=True)

    episodes: Annotated[int, Field(gt=0, le=1_000_000)]
    """Each has 1 to 6 actions."""
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    """Of the first episode; the others follow."""
    side: Annotated[int, Field(ge=32, le=1024)] = 112
    """Of the pictures [px]."""
    stride: Annotated[int, Field(ge=1, le=30)] = 4
    """Every so-manieth frame is drawn: 4 makes 7.5 pictures per second."""
    samples: Annotated[int, Field(ge=0, le=4)] = 0
    """Per pixel; 4 = smooth edges, 0 = half the time."""

    @property
    def seeds(self) -> range:
        """Give the episodes' seeds, in their order in the manifest."""
        return range(self.seed, self.seed + self.episodes)

    @property
    def fps(self) -> float:
        """Give the pictures per second."""
        return FPS / self.stride


@dataclass(frozen=True)
class Progress:
    """
    How far the work has come.

    :param done: episodes that are there.
    :param total: all episodes.
    """

    done: int
    total: int


def make_kitchen_clips(settings: KitchenClips, folder: Path, workers: int, stop: threading.Event,
                       on_progress: Callable[[Progress], None] = lambda progress: None
                       ) -> dict[str, Any] | None:
    """
    Draw the episodes, or go on with them.

    :param settings: what is drawn.
    :param folder: new, empty, or with clips of the same settings.
    :param workers: how many processes draw.
    :param stop: ends the work in order when it is set.
    :param on_progress: called when an episode is done.
    :returns: the summary: episodes and actions of each split, files; None = it was stopped.
    :raises LegoError: INVALID_SETTING: the folder holds something else; SOURCE_UNREADABLE: it
        cannot be written, is damaged, or the kitchen cannot be drawn.
    """
    store = None
    try:
        store = PartStore(folder, {**settings.model_dump(), 'version': __version__,
                                   'format': 'leap-clips'}, settings.seeds)
        if store.summary is not None:
            return store.summary
        missing = store.missing()
        done = settings.episodes - len(missing)

        def add(made: Made) -> None:
            nonlocal done
            store.add(made.part)
            done += 1
            on_progress(Progress(done, settings.episodes))

        on_progress(Progress(done, settings.episodes))
        if not run_all(partial(make_episode, settings, folder), missing, workers, stop, add):
            return None
        store.write_joined(CLIPS, (f'{line}\n'.encode() for part in store.parts()
                                   for line in part.truth))
        store.write_joined(INFO, iter([info_bytes(ClipInfo(
            verbs=VERB_CLASSES, nouns=NOUN_CLASSES))]))
        return store.finish([CLIPS, INFO])
    except OSError as error:
        raise unusable(folder, f'it cannot be written: {error}; the same command goes on where '
                       'it was') from error
    finally:
        if store is not None:
            store.close()


def make_episode(settings: KitchenClips, folder: Path, seed: int) -> Made:
    """
    Draw one episode, in a process of its own.

    :param settings: see there.
    :param folder: of the clips.
    :param seed: of the episode.
    :returns: its part; its pictures are written.
    :raises LegoError: SOURCE_UNREADABLE, the kitchen cannot be drawn.
    :raises OSError: it cannot be written.
    :raises Stopped: the work is to end.
    """
    check()
    try:
        episode = sample_episode(seed)
    except LegoError as error:
        if error.code is not ErrorCode.INVALID_SETTING:
            raise
        # No scene came of this seed; the summary counts it, and the others go on.
        return Made(Part(seed, skipped=str(error)))
    place = folder / _FRAMES / f'{seed:08d}'
    place.parent.mkdir(parents=True, exist_ok=True)
    with Renderer(episode, settings.side, settings.side, settings.samples) as renderer:
        write_folder(place, _pictures(episode, renderer, settings.stride), 1)
    records = clips_of(episode, f'{_FRAMES}/{place.name}', settings.fps)
    return Made(Part(seed, _split(episode), episode.frame_count, truth=tuple(
        to_line(record).decode().rstrip('\n') for record in records)))


def clips_of(episode: Episode, footage: str, fps: float) -> list[ClipRecord]:
    """
    Write down the actions of an episode.

    :param episode: with at least one action.
    :param footage: where its pictures are, from the root.
    :param fps: pictures per second.
    :returns: a record for each action. Of an episode of ``test_unseen`` those whose verb and noun
        are trained on are of the split ``unscored``: they are what comes before the others.
    """
    name, split = f'kitchen-{episode.seed:08d}', _split(episode)
    found = []
    for number, action in enumerate(episode.actions):
        program = program_of(
            action.choice, episode.world(action.pre), episode.world(action.end))
        scored = split != TEST_UNSEEN or is_unseen(action.choice)
        found.append(ClipRecord(
            clip_id=f'{name}_{number}', video_id=name, participant=participant(episode),
            split=split if scored else UNSCORED, footage=footage, fps=fps, rate=float(FPS),
            start=action.pre / FPS, stop=action.end / FPS, verb=action.choice.verb,
            noun=noun_of(action.choice), program=json.loads(to_json(program))))
    return found


def participant(episode: Episode) -> str:
    """
    Name who acts.

    :param episode: any.
    :returns: a name that tells sleeve and skin, such as ``sleeve-3 skin-0.88``.
    """
    person = episode.scene.person
    return f'sleeve-{CROCKERY.index(person.sleeve)} skin-{person.skin[0]:.2f}'


def _split(episode: Episode) -> str:
    split = split_of(episode)
    unseen = CROCKERY.index(episode.scene.person.sleeve) == UNSEEN_SLEEVE
    return TEST if unseen and split != TEST_UNSEEN else split


def _pictures(episode: Episode, renderer: Renderer, stride: int) -> Iterator[np.ndarray]:
    for frame in range(0, episode.frame_count, stride):
        check()
        yield renderer.rgb(frame)
