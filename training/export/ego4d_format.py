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
An export as Ego4D v2.

It has ``v2/annotations/fho_main.json``, ``v2/clips/<clip_uid>.mp4``, and ``ego4d.json``, whose
``split_fho`` says which video is where.
"""

from __future__ import annotations

from collections.abc import Iterator
import json
from pathlib import Path

from lego_ros.sim.motion import FPS
from lego_ros.training.export.clips import write_video
from lego_ros.training.export.ego4d_annotations import video_element
from lego_ros.training.export.episodes import Scene
from lego_ros.training.export.ids import action_uid, clip_uid, video_uid
from lego_ros.training.export.parts import Made, Part, PartStore

ANNOTATIONS = 'v2/annotations/fho_main.json'
VIDEOS = 'ego4d.json'
CLIPS = 'v2/clips'
SPLIT_NAMES = {'validation': 'val'}
"""Ego4D's names of splits, where they are others than ours."""
_HEAD = {'version': '2', 'date': '', 'description': 'lego_ros simulated kitchen', 'metadata': ''}


def make(scene: Scene, folder: Path) -> Made:
    """
    Write an episode's clip and annotate it.

    :param scene: the episode.
    :param folder: of the export.
    :returns: its part.
    :raises OSError: it cannot be written.
    """
    seed = scene.episode.seed
    write_video(folder / CLIPS / f'{clip_uid(seed)}.mp4', scene.pictures(), scene.observer.size)
    return Made(Part(
        seed, scene.split, scene.frames,
        truth=scene.truth(lambda number: action_uid(seed, number), clip_uid(seed)),
        data={'video': video_element(scene.observer, scene.frames)}))


def join(store: PartStore) -> list[str]:
    """
    Write the annotation files.

    :param store: with all parts.
    :returns: their names.
    :raises OSError: they cannot be written.
    """
    store.write_joined(ANNOTATIONS, fho_main(
        part.data['video'] for part in store.parts() if not part.skipped))
    store.write_joined(VIDEOS, _document('videos', (
        {'video_uid': video_uid(part.seed), 'duration_sec': part.frames / FPS,
         'split_fho': SPLIT_NAMES.get(part.split, part.split)}
        for part in store.parts() if not part.skipped)))
    return [ANNOTATIONS, VIDEOS]


def fho_main(videos: Iterator[dict]) -> Iterator[bytes]:
    """
    Write ``fho_main.json``.

    :param videos: its elements.
    :returns: an iterator over its pieces.
    """
    return _document('videos', videos)


def _document(name: str, elements: Iterator[dict]) -> Iterator[bytes]:
    # The head is an object without its closing brace.
    yield f'{json.dumps(_HEAD)[:-1]}, "{name}": ['.encode()
    for number, element in enumerate(elements):
        yield (b',\n' if number else b'\n') + json.dumps(element).encode()
    yield b'\n]}\n'
