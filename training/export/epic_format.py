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

"""An export as EPIC-KITCHENS-100, in the folders of its downloads, with VISOR and detections."""

from __future__ import annotations

from collections.abc import Iterator
import json
from pathlib import Path
from typing import Any

from lego_ros.files import write_whole
from lego_ros.sim.motion import FPS
from lego_ros.training.export.clips import write_folder, write_video
from lego_ros.training.export.detections import detections
from lego_ros.training.export.epic_annotations import (
    COLUMNS,
    noun_classes,
    rows,
    to_csv,
    verb_classes,
)
from lego_ros.training.export.episodes import Scene
from lego_ros.training.export.ids import epic_action, epic_video
from lego_ros.training.export.masks import EPIC_TICKS, frame_mapping, visor_frames
from lego_ros.training.export.parts import Made, Part, PartStore
from lego_ros.training.export.settings import Media
from lego_ros.training.export.splits import SPLITS

ANNOTATIONS = 'epic-kitchens-100-annotations'
PICTURES = 'EPIC-KITCHENS'
VISOR = 'VISOR'
MASKS = f'{VISOR}/GroundTruth-SparseAnnotations/annotations'
MAPPING = f'{VISOR}/frame_mapping.json'


def make(scene: Scene, folder: Path, media: Media) -> Made:
    """
    Write an episode's pictures, masks and detections, and annotate it.

    :param scene: the episode.
    :param folder: of the export.
    :param media: a video, or a folder of JPEG files.
    :returns: its part.
    :raises OSError: it cannot be written.
    """
    seed, observer = scene.episode.seed, scene.observer
    video = epic_video(seed)
    home = folder / PICTURES / video.split('_')[0]
    if media == 'video':
        write_video(home / 'videos' / f'{video}.MP4', scene.pictures(), observer.size)
    else:
        (home / 'rgb_frames').mkdir(parents=True, exist_ok=True)
        write_folder(home / 'rgb_frames' / video, scene.pictures(), EPIC_TICKS)
    masks = visor_frames(observer)
    for path, content in (
            (home / 'hand-objects' / f'{video}.pkl', detections(observer)),
            (folder / MASKS / scene.split / f'{video}.json',
             json.dumps({'video_annotations': masks}).encode())):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, content)
    return Made(Part(
        seed, scene.split, scene.frames,
        truth=scene.truth(lambda number: epic_action(seed, number), video),
        data={'rows': rows(scene.episode), 'mapping': frame_mapping(masks),
              'resolution': f'{observer.size}x{observer.size}'}))


def join(store: PartStore) -> list[str]:
    """
    Write the annotation files.

    :param store: with all parts.
    :returns: their names.
    :raises OSError: they cannot be written.
    """
    names = []
    for split in SPLITS:
        names.append(f'{ANNOTATIONS}/EPIC_100_{split}.csv')
        store.write_joined(names[-1], _rows(store, split))
    info = ('video_id', 'duration', 'fps', 'resolution')
    for name, content in (
            ('verb_classes', verb_classes()), ('noun_classes', noun_classes()),
            ('video_info', to_csv(info, [
                {'video_id': epic_video(part.seed), 'duration': f'{part.frames / FPS:.6f}',
                 'fps': float(FPS), 'resolution': part.data['resolution']}
                for part in store.parts() if not part.skipped]))):
        names.append(f'{ANNOTATIONS}/EPIC_100_{name}.csv')
        store.write_joined(names[-1], iter([content]))
    names.append(MAPPING)
    store.write_joined(MAPPING, _mapping(store))
    return names


def _rows(store: PartStore, split: str) -> Iterator[bytes]:
    yield to_csv(COLUMNS, [])
    for part in store.parts():
        if part.split == split:
            yield to_csv(COLUMNS, part.data['rows']).split(b'\n', 1)[1]


def _mapping(store: PartStore) -> Iterator[bytes]:
    entries: dict[str, Any] = {}
    for part in store.parts():
        if not part.skipped:
            entries[epic_video(part.seed)] = part.data['mapping']
    yield json.dumps(entries).encode()
