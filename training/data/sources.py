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

"""A dataset as it lies on the disk: its actions, video by video, and where their frames are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
import hashlib
import json
from pathlib import Path
from typing import Any

from lego_ros.errors import ErrorCode, LegoError
from lego_ros.files import sha256_of
from lego_ros.training.data.actions import Action
from lego_ros.training.data.ego4d import read_ego4d
from lego_ros.training.data.epic import read_epic
from lego_ros.training.data.files import unusable
from lego_ros.training.data.layout import (
    ego4d_annotations,
    ego4d_footage,
    ego4d_media,
    epic_annotations,
    epic_footage,
    epic_hand_objects,
    Footage,
    Format,
    visor_folder,
    visor_masks,
)
from lego_ros.training.data.problems import ProblemLog, Reason
from lego_ros.training.data.splits import find_splits
from lego_ros.training.data.visor import read_frame_mapping


@dataclass(frozen=True)
class Places:
    """
    Where a dataset's parts are.

    :param format: whose files they are.
    :param annotations: file or folder.
    :param videos: the folder of the videos.
    :param hand_objects: EPIC-KITCHENS' detections; None = in the folder of the videos, if there.
    :param visor: VISOR with its frame_mapping.json; None = in the folder of the videos, if there.
    :param splits: Ego4D's splits, see ``splits.find_splits``.
    :raises LegoError: INVALID_SETTING, an option of the other dataset.
    """

    format: Format
    annotations: Path
    videos: Path
    hand_objects: Path | None = None
    visor: Path | None = None
    splits: Path | None = None

    def __post_init__(self) -> None:
        if self.format == 'ego4d' and (self.hand_objects or self.visor):
            raise LegoError(ErrorCode.INVALID_SETTING,
                            'Ego4D has neither hand-object detections nor VISOR')
        if self.format == 'epic' and self.splits:
            raise LegoError(ErrorCode.INVALID_SETTING,
                            'EPIC-KITCHENS has a file for each split and needs no list of splits')


@dataclass(frozen=True)
class VideoJob:
    """
    All that a process needs to prepare one video.

    :param video_id: unique in the dataset.
    :param actions: of this video.
    :param footage: its frames.
    :param hand_objects: its detections; None = none.
    :param visor: its sparse masks; None = none.
    :param visor_numbers: EPIC-KITCHENS' frame number of each of VISOR's images.
    """

    video_id: str
    actions: tuple[Action, ...]
    footage: Footage
    hand_objects: Path | None = None
    visor: Path | None = None
    visor_numbers: dict[str, int] = field(default_factory=dict, hash=False)


@dataclass(frozen=True)
class Source:
    """
    A dataset that was read.

    :param jobs: one for each video, in the order in which the annotations name them.
    :param reading: what of the annotations is left out.
    :param identity: what the dataset is known by, for the manifest's settings: JSON values that
        change with the annotations and with the videos that are there.
    """

    jobs: tuple[VideoJob, ...]
    reading: ProblemLog
    identity: dict[str, Any]

    @property
    def actions(self) -> int:
        """How many actions there are."""
        return sum(len(job.actions) for job in self.jobs)


def read_source(places: Places) -> Source:
    """
    Read a dataset's annotations and look where its videos are.

    :param places: where its parts are.
    :returns: the dataset. A video that is not there has a job all the same: it is reported.
    :raises LegoError: SOURCE_UNREADABLE or INVALID_SETTING, see the readers.
    """
    log = ProblemLog()
    if places.format == 'ego4d':
        jobs, identity = _read_ego4d(places, log)
    else:
        jobs, identity = _read_epic(places, log)
    present = [(job.video_id, job.footage.name, job.footage.size, _name(job.hand_objects),
                _name(job.visor)) for job in jobs]
    identity['footage'] = hashlib.sha256(json.dumps(present).encode()).hexdigest()
    return Source(tuple(jobs), log, identity)


def _read_ego4d(places: Places, log: ProblemLog) -> tuple[list[VideoJob], dict[str, Any]]:
    path = ego4d_annotations(places.annotations)
    media, folder = ego4d_media(places.videos)
    splits = find_splits(path, places.splits)
    actions = _by_video(read_ego4d(path, splits.of, log, media), log)
    jobs = [VideoJob(video_id, tuple(found), ego4d_footage(places.videos, folder, video_id))
            for video_id, found in actions.items()]
    return jobs, {'format': 'ego4d', 'media': media, 'splits': splits.source,
                  'annotations': {path.name: sha256_of(path)}}


def _read_epic(places: Places, log: ProblemLog) -> tuple[list[VideoJob], dict[str, Any]]:
    files = epic_annotations(places.annotations)
    if not places.videos.is_dir():
        raise unusable(places.videos, 'no such folder of videos')
    visor = places.visor or visor_folder(places.videos)
    mapping = _visor_numbers(visor) if visor else {}
    actions = _by_video(
        (action for path, split in files for action in read_epic(path, split, log)), log)
    jobs = []
    for video_id, found in actions.items():
        detections = epic_hand_objects(places.hand_objects or places.videos, video_id)
        if places.hand_objects and detections is None:
            log.add(Reason.MISSING_BOXES, places.hand_objects, video_id, 'there is no '
                    f'{video_id}.pkl of hand-object detections')
        jobs.append(VideoJob(
            video_id, tuple(found), epic_footage(places.videos, video_id), detections,
            visor_masks(visor, video_id) if visor else None, mapping.get(video_id, {})))
    return jobs, {'format': 'epic', 'visor': visor is not None,
                  'annotations': {path.name: sha256_of(path) for path, _ in files}}


def _visor_numbers(folder: Path) -> dict[str, dict[str, int]]:
    numbers: dict[str, dict[str, int]] = {}
    for (video_id, name), number in read_frame_mapping(folder / 'frame_mapping.json').items():
        numbers.setdefault(video_id, {})[name] = number
    return numbers


def _by_video(actions: Iterable[Action], log: ProblemLog) -> dict[str, list[Action]]:
    found: dict[str, list[Action]] = {}
    for action in _once(actions, log):
        found.setdefault(action.video_id, []).append(action)
    return found


def _once(actions: Iterable[Action], log: ProblemLog) -> Iterator[Action]:
    """Leave out ids that another file of the same dataset had already."""
    seen: set[str] = set()
    for action in actions:
        if action.action_id in seen:
            log.add(Reason.DUPLICATE, *action.origin, f'{action.action_id} was in another file')
            continue
        seen.add(action.action_id)
        yield action


def _name(path: Path | None) -> str | None:
    return path.name if path else None
