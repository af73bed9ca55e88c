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
Where the datasets' own download tools put their files.

A folder of EPIC-KITCHENS is what epic_downloader.py makes, with the annotations repository in it
or beside it; a folder of Ego4D is what the ``ego4d`` command makes. Whatever lies elsewhere is
named by an option.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
import re
from typing import Literal

from lego_ros.errors import ErrorCode, LegoError
from lego_ros.training.data.ego4d import Media
from lego_ros.training.data.epic import frame_rate
from lego_ros.training.data.files import unusable
from lego_ros.training.data.frame_folders import FolderFrames
from lego_ros.training.data.frames import FrameReader, VideoFrames

Format = Literal['ego4d', 'epic']
_SUFFIXES = ('.MP4', '.mp4')
_EPIC_FILE = re.compile(r'EPIC_100_(train|validation|test\w*)\.csv')
_EPIC_ANNOTATIONS = ('', 'annotations', 'epic-kitchens-100-annotations')
_EGO4D_ANNOTATIONS = ('', 'v2/annotations', 'annotations')
_EGO4D_VIDEOS: dict[Media, tuple[str, ...]] = {
    'video': ('v2/full_scale', 'full_scale'), 'clip': ('v2/clips', 'clips')}
_VISOR = ('', 'annotations', 'GroundTruth-SparseAnnotations/annotations')


@dataclass(frozen=True)
class Footage:
    """
    Where a video's frames are to be read; nothing is opened yet.

    :param name: from the dataset's folder, as it goes into the manifest.
    :param path: of the video file or of the folder of frames.
    :param fps: of a folder of frames; None = a video file.
    :param size: of a video file in bytes; 0 = a folder, or not there.
    """

    name: str
    path: Path
    fps: float | None = None
    size: int = 0

    def open(self) -> FrameReader:
        """Make the reader; what is not there, it reports."""
        if self.fps is None:
            return VideoFrames(self.path, self.name)
        return FolderFrames(self.path, self.fps, self.name)


def epic_annotations(place: Path) -> list[tuple[Path, str]]:
    """
    Find EPIC-KITCHENS-100's files with labels.

    :param place: one CSV file, or a folder.
    :returns: each file and the name of its split, training first.
    :raises LegoError: SOURCE_UNREADABLE: there is none, with where it was looked for;
        INVALID_SETTING: a file's name does not tell its split.
    """
    if place.is_file():
        return [(place, _split_named(place))]
    for folder in _folders(place, _EPIC_ANNOTATIONS):
        found = {path: match[1] for path in folder.glob('EPIC_100_*.csv')
                 if (match := _EPIC_FILE.fullmatch(path.name)) and 'timestamps' not in path.name}
        if found:
            order = {'train': 0, 'validation': 1}
            return sorted(found.items(), key=lambda item: (order.get(item[1], 2), item[1]))
    raise unusable(
        place, 'no EPIC_100_train.csv, EPIC_100_validation.csv or EPIC_100_test.csv in '
        f'{_looked(place, _EPIC_ANNOTATIONS)}; get '
        'github.com/epic-kitchens/epic-kitchens-100-annotations, or name a file')


def _split_named(path: Path) -> str:
    for word, split in (('train', 'train'), ('val', 'validation'), ('test', 'test')):
        if word in path.stem.lower():
            return split
    raise LegoError(
        ErrorCode.INVALID_SETTING,
        f"'{path}': the split is taken from the file's name, which must hold train, val or test")


def ego4d_annotations(place: Path) -> Path:
    """
    Find Ego4D's fho_main.json.

    :param place: the file, or a folder.
    :returns: the file.
    :raises LegoError: SOURCE_UNREADABLE: there is none, with where it was looked for.
    """
    if place.is_file():
        return place
    for folder in _folders(place, _EGO4D_ANNOTATIONS):
        if (folder / 'fho_main.json').is_file():
            return folder / 'fho_main.json'
    raise unusable(
        place, f'no fho_main.json (about 1.5 GB) in {_looked(place, _EGO4D_ANNOTATIONS)}; get it '
        'with: ego4d --version v2 --datasets annotations --benchmarks FHO')


def ego4d_media(place: Path) -> tuple[Media, Path]:
    """
    Find out whether a folder holds Ego4D's full-scale videos or its clips.

    :param place: the dataset's folder, or the folder that the videos lie in.
    :returns: what they are, and the folder that they lie in. Files in the folder itself are taken
        as clips if it is named so.
    :raises LegoError: SOURCE_UNREADABLE: there is no such folder.
    """
    for media, names in _EGO4D_VIDEOS.items():
        for folder in _folders(place, names):
            return media, folder
    if not place.is_dir():
        raise unusable(place, 'no such folder of videos')
    return ('clip' if place.name == 'clips' else 'video'), place


def ego4d_footage(root: Path, folder: Path, video_id: str) -> Footage:
    """
    Say where an Ego4D video or clip is.

    :param root: the dataset's folder; names are given from there.
    :param folder: that the videos lie in.
    :param video_id: its uid.
    :returns: the footage, there or not.
    """
    return _file(root, folder / f'{video_id}.mp4')


def epic_footage(root: Path, video_id: str) -> Footage:
    """
    Say where an EPIC-KITCHENS video is: its file, else its extracted frames.

    :param root: the folder of the videos; names are given from there.
    :param video_id: such as ``P01_01``.
    :returns: the footage; the place of the file where nothing is there.
    """
    person = video_id.split('_')[0]
    inner = epic_root(root)
    for folder in (f'{person}/videos', 'videos', f'videos/{person}', person, '.'):
        for suffix in _SUFFIXES:
            path = inner / folder / f'{video_id}{suffix}'
            if path.is_file():
                return _file(root, path)
    for name in (f'{person}/rgb_frames/{video_id}', f'rgb_frames/{person}/{video_id}',
                 f'rgb_frames/{video_id}', f'{person}/{video_id}', video_id):
        path = inner / name
        if path.is_dir():
            return Footage(
                path.relative_to(root).as_posix(), path, float(frame_rate(video_id)))
    return _file(root, inner / person / 'videos' / f'{video_id}.MP4')


def epic_root(place: Path) -> Path:
    """
    Find the folder EPIC-KITCHENS that the download tool makes.

    :param place: a folder.
    :returns: the folder in it; itself where it has none.
    """
    return place / 'EPIC-KITCHENS' if (place / 'EPIC-KITCHENS').is_dir() else place


def epic_hand_objects(root: Path, video_id: str) -> Path | None:
    """
    Find a video's hand-object detections.

    :param root: the dataset's folder, or theirs.
    :param video_id: such as ``P01_01``.
    :returns: the file; None = there is none.
    """
    person = video_id.split('_')[0]
    return _first_file(epic_root(root), (
        f'{person}/hand-objects/{video_id}.pkl', f'hand-objects/{person}/{video_id}.pkl',
        f'hand-objects/{video_id}.pkl', f'{person}/{video_id}.pkl', f'{video_id}.pkl'))


def visor_folder(root: Path) -> Path | None:
    """
    Find VISOR within a dataset's folder.

    :param root: the dataset's folder.
    :returns: the folder with frame_mapping.json; None = there is none.
    """
    found = _first_file(root, [f'{name}/frame_mapping.json' for name in ('VISOR', 'visor')])
    return found.parent if found else None


def visor_masks(folder: Path, video_id: str) -> Path | None:
    """
    Find a video's sparse masks.

    :param folder: of VISOR.
    :param video_id: such as ``P01_01``.
    :returns: the file; None = there is none: VISOR covers 179 of the 700 videos.
    """
    for place in _folders(folder, _VISOR):
        # Parted by split, train and val.
        for path in sorted((place / f'{video_id}.json', *place.glob(f'*/{video_id}.json'))):
            if path.is_file():
                return path
    return None


def _file(root: Path, path: Path) -> Footage:
    name = path.relative_to(root) if path.is_relative_to(root) else path
    return Footage(name.as_posix(), path, size=path.stat().st_size if path.is_file() else 0)


def _folders(place: Path, names: Iterable[str]) -> Iterator[Path]:
    for name in names:
        if (place / name).is_dir():
            yield place / name


def _first_file(root: Path, names: Iterable[str]) -> Path | None:
    return next((root / name for name in names if (root / name).is_file()), None)


def _looked(place: Path, names: Iterable[str]) -> str:
    return ', '.join(f"'{place / name}'" for name in names)
